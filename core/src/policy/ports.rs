//! Published ports: ports of a sandbox that addresses of the host lead to.

use crate::base::declared::named;
use crate::base::error::{Error, Result};
use std::net::{IpAddr, Ipv4Addr};

named! {
    /// A transport protocol.
    Protocol {
        /// Connections: `tcp(7)`.
        Tcp = "tcp",
        /// Datagrams: `udp(7)`.
        Udp = "udp",
    }
}

/// One published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    pub address: IpAddr,
    /// The port on the host. 0: the kernel chooses one.
    pub port: u16,
    /// The port in the sandbox.
    pub inside: u16,
    pub protocol: Protocol,
}

const FORM: &str =
    "write [ADDRESS:][PORT:]PORT, such as 80, 8080:80, 127.0.0.1:0:80 or 5353:53/udp";

impl Publication {
    /// Reads `[ADDRESS:][PORT:]PORT[/PROTOCOL]`. The last port is the one in the sandbox. An IPv6
    /// address is in brackets.
    ///
    /// # Errors
    ///
    /// `Invalid` if the text is malformed.
    pub fn read(text: &str) -> Result<Publication> {
        let wrong = |why: &str| Error::invalid(format!("port {text:?}"), why).hint(FORM);
        let (rest, protocol) = split_protocol(text).ok_or_else(|| {
            wrong("its protocol is not one that can be published").hint("write /tcp or /udp")
        })?;
        let (rest, inside) = rest.rsplit_once(':').unwrap_or(("", rest));
        let inside = port(inside).filter(|port| *port > 0);
        let inside =
            inside.ok_or_else(|| wrong("the port in the sandbox is not from 1 to 65535"))?;
        let (address, host) = match address(rest) {
            Some(address) => (Some(address), ""),
            None => match rest.rsplit_once(':') {
                Some((before, host)) => {
                    let address =
                        address(before).ok_or_else(|| wrong("its address is malformed"))?;
                    (Some(address), host)
                }
                None => (None, rest),
            },
        };
        let port = match host {
            "" => 0,
            host => port(host).ok_or_else(|| wrong("the port of the host is malformed"))?,
        };
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Ok(Publication { address, port, inside, protocol: protocol.unwrap_or(Protocol::Tcp) })
    }
}

/// Splits off `/tcp` or `/udp`. `None`: there is another word after the last slash that is no
/// number.
pub fn split_protocol(text: &str) -> Option<(&str, Option<Protocol>)> {
    let Some((rest, word)) = text.rsplit_once('/') else { return Some((text, None)) };
    match Protocol::ALL.iter().find(|protocol| protocol.name() == word) {
        Some(protocol) => Some((rest, Some(*protocol))),
        // The length of a prefix, and a port after it.
        None if word.starts_with(|letter: char| letter.is_ascii_digit()) => Some((text, None)),
        None => None,
    }
}

/// Reads a port, 0 included.
pub fn port(text: &str) -> Option<u16> {
    // `parse` would also take a plus sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Reads an IPv4 address, or an IPv6 address in brackets.
fn address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let all = Ipv4Addr::UNSPECIFIED.into();
        for (text, address, port, inside, protocol) in [
            ("80", local, 0, 80, Protocol::Tcp),
            ("80/udp", local, 0, 80, Protocol::Udp),
            ("8080:80", local, 8080, 80, Protocol::Tcp),
            ("0.0.0.0:80", all, 0, 80, Protocol::Tcp),
            ("0.0.0.0::80", all, 0, 80, Protocol::Tcp),
            ("0.0.0.0:8080:80/tcp", all, 8080, 80, Protocol::Tcp),
            ("[::1]:8080:80", "::1".parse().unwrap(), 8080, 80, Protocol::Tcp),
            ("[::1]:80", "::1".parse().unwrap(), 0, 80, Protocol::Tcp),
        ] {
            let read = Publication::read(text).unwrap();
            assert_eq!(read, Publication { address, port, inside, protocol }, "{text}");
        }
    }

    #[test]
    fn a_malformed_text_is_an_error() {
        for text in [
            "",
            "x",
            "0",
            "65536",
            "80:",
            "-1",
            "+80",
            "80/sctp",
            "80/",
            "x:80",
            "1.2.3:4:80",
            "::1:8080:80",
            "[::1]8080:80",
            "[::1:8080:80",
            "host:8080:80",
            "1.2.3.4:x:80",
            "80 ",
            "65536:80",
            "1:2:3:4",
        ] {
            let error = Publication::read(text).expect_err(text);
            assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{text}");
            assert!(error.remedy().is_some(), "{text}");
        }
    }
}
