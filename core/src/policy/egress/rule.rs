//! One rule of the way out, as text: `HOST[:PORT[-PORT]][/PROTOCOL]`.

use super::public::is_special;
use crate::base::error::{Error, Result};
use crate::policy::ports::{Protocol, port, split_protocol};
use ipnet::IpNet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// A rule. Whether it allows or denies depends on its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub text: String,
    target: Target,
    ports: RangeInclusive<u16>,
    /// `None`: both.
    protocol: Option<Protocol>,
}

/// The destinations of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// All.
    Any,
    /// The addresses of a network.
    Network(IpNet),
    /// The host of this name.
    Name(String),
    /// All hosts whose names end with a dot and this name.
    Below(String),
}

const FORM: &str = "write HOST[:PORT[-PORT]][/tcp|/udp], where HOST is a name, *.NAME, an \
                    address, a network such as 10.0.0.0/8 or [fd00::]/8, or *";
const ALL_PORTS: RangeInclusive<u16> = 1..=u16::MAX;

impl Rule {
    /// # Errors
    ///
    /// `Invalid` if the text is malformed.
    pub fn read(text: &str) -> Result<Rule> {
        let wrong = |why: &str| Error::invalid(format!("egress {text:?}"), why).hint(FORM);
        let (rest, protocol) =
            split_protocol(text).ok_or_else(|| wrong("its protocol is neither tcp nor udp"))?;
        let (host, ports) = split_ports(rest).ok_or_else(|| wrong("its port is malformed"))?;
        if host == "*" {
            return Ok(Rule { text: text.into(), target: Target::Any, ports, protocol });
        }
        let target = match network(host) {
            Some(network) if network.trunc() != network => {
                let hint = format!("write {}", network.trunc());
                return Err(wrong("its address has bits beyond the prefix").hint(hint));
            }
            Some(network) => Target::Network(network),
            None => name(host).map_err(wrong)?,
        };
        Ok(Rule { text: text.into(), target, ports, protocol })
    }

    /// Whether the rule is about hosts of this name.
    pub fn is_of_name(&self, name: &str) -> bool {
        match &self.target {
            Target::Any => true,
            Target::Network(_) => false,
            Target::Name(own) => own == name,
            Target::Below(own) => is_below(name, own),
        }
    }

    /// Whether the rule is about this address.
    pub fn is_of_address(&self, address: IpAddr) -> bool {
        match &self.target {
            Target::Any => true,
            Target::Network(network) => network.contains(&address),
            Target::Name(_) | Target::Below(_) => false,
        }
    }

    /// Whether the rule names addresses so closely that it may concern those that are not public,
    /// or are the host's.
    pub fn is_of_special(&self) -> bool {
        match &self.target {
            Target::Network(network) => {
                network.prefix_len() == network.max_prefix_len() || is_special(*network)
            }
            Target::Any | Target::Name(_) | Target::Below(_) => false,
        }
    }

    pub fn is_of_port(&self, protocol: Protocol, port: u16) -> bool {
        self.ports.contains(&port) && self.protocol.is_none_or(|own| own == protocol)
    }

    pub fn is_of_all_ports(&self) -> bool {
        self.ports == ALL_PORTS && self.protocol.is_none()
    }

    /// Whether everything that another rule is about is what this one is about.
    pub fn covers(&self, other: &Rule) -> bool {
        let target = match (&self.target, &other.target) {
            (Target::Any, _) => true,
            (Target::Network(own), Target::Network(other)) => own.contains(other),
            (Target::Name(own), Target::Name(other)) => own == other,
            (Target::Below(own), Target::Name(other)) => is_below(other, own),
            (Target::Below(own), Target::Below(other)) => own == other || is_below(other, own),
            (Target::Network(_) | Target::Name(_) | Target::Below(_), _) => false,
        };
        target
            && self.ports.contains(other.ports.start())
            && self.ports.contains(other.ports.end())
            && (self.protocol.is_none() || self.protocol == other.protocol)
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// Splits off the ports. `None`: they are malformed.
fn split_ports(text: &str) -> Option<(&str, RangeInclusive<u16>)> {
    // The colons of an IPv6 address without brackets do not begin a port.
    let is_bare_v6 = !text.starts_with('[') && text.matches(':').count() > 1;
    let after = text.rfind(']').map_or(0, |end| end + 1);
    let colon = text[after..].find(':').map(|place| after + place);
    let Some(colon) = colon.filter(|_| !is_bare_v6) else { return Some((text, ALL_PORTS)) };
    let (host, ports) = (&text[..colon], &text[colon + 1..]);
    if ports == "*" {
        return Some((host, ALL_PORTS));
    }
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (port(first)?, port(last)?);
    (first > 0 && first <= last).then_some((host, first..=last))
}

/// Reads an address or a network. The address of an IPv6 network may be in brackets.
fn network(host: &str) -> Option<IpNet> {
    let (address, length) = match host.split_once('/') {
        Some((address, length)) => (address, Some(port(length)?)),
        None => (host, None),
    };
    let address: IpAddr = match address.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6)?,
        None => address.parse().ok()?,
    };
    let all = if address.is_ipv4() { 32 } else { 128 };
    IpNet::new(address, u8::try_from(length.unwrap_or(all)).ok()?).ok()
}

fn name(host: &str) -> Result<Target, &'static str> {
    if let Some(rest) = host.strip_prefix("*.") {
        return domain(rest).map(Target::Below).ok_or(match rest.contains('*') {
            true => "a * can only be the first part of a name",
            false => "it is no name after the *",
        });
    }
    domain(host).map(Target::Name).ok_or(match (host.contains('*'), host.is_ascii()) {
        (true, _) => "a * can only be the first part of a name",
        (_, false) => "its name is not in ASCII: write the form that begins with xn--",
        _ => "its host is neither a name nor an address",
    })
}

/// The usual form of a host's name: lower case, without a dot at the end. `None` if it is no name.
pub fn domain(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    // The last part of a name is no number: it would look like an address.
    let last = name.rsplit('.').next().unwrap_or("");
    let is_name = name.len() <= 253
        && name.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit());
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let name = |name: &str| Target::Name(name.into());
        let network = |text: &str| Target::Network(text.parse().unwrap());
        for (text, target, ports, protocol) in [
            ("*", Target::Any, ALL_PORTS, None),
            ("*:443", Target::Any, 443..=443, None),
            ("Example.ORG.", name("example.org"), ALL_PORTS, None),
            ("example.org:80-443/tcp", name("example.org"), 80..=443, Some(Protocol::Tcp)),
            ("*.example.org:*", Target::Below("example.org".into()), ALL_PORTS, None),
            ("10.0.0.0/8", network("10.0.0.0/8"), ALL_PORTS, None),
            ("10.0.0.0/8:53/udp", network("10.0.0.0/8"), 53..=53, Some(Protocol::Udp)),
            ("10.0.0.1", network("10.0.0.1/32"), ALL_PORTS, None),
            ("fd00::/8", network("fd00::/8"), ALL_PORTS, None),
            ("fd00::1", network("fd00::1/128"), ALL_PORTS, None),
            ("[fd00::1]:80", network("fd00::1/128"), 80..=80, None),
            ("[fd00::]/8:80", network("fd00::/8"), 80..=80, None),
        ] {
            let rule = Rule::read(text).unwrap();
            let expected = Rule { text: text.into(), target, ports, protocol };
            assert_eq!(rule, expected);
        }
    }

    #[test]
    fn a_malformed_text_is_an_error() {
        for text in [
            "",
            ":80",
            "example.org:0",
            "example.org:",
            "example.org:80-",
            "example.org:90-80",
            "example.org:65536",
            "a.*.org",
            "*example.org",
            "*.",
            "*.*.org",
            "example..org",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "[10.0.0.1]:80",
            "[fd00::1",
            "fd00::/129",
            "1.2.3",
            "example.org/sctp",
            "example.org/8",
            "bücher.example",
            "a b",
        ] {
            let error = Rule::read(text).expect_err(text);
            assert!(
                error.kind() == crate::ErrorKind::Invalid && error.remedy().is_some(),
                "{text}"
            );
        }
    }
}
