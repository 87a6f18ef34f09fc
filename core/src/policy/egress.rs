//! The way out by permission: rules about the destinations that a sandbox may reach.
//!
//! Nothing is allowed unless a rule says so, and a rule that denies wins over every rule that
//! allows. An address of the host or of a private network is allowed only by a rule that names it
//! or its network, not by `*` and not by the name of a host. So a name cannot be made to lead
//! there.

mod credential;
mod public;
mod rule;

pub use credential::{Credential, Origin};
use public::is_public;
pub use rule::domain;

use super::Policy;
use super::ports::{self, Protocol};
use crate::base::error::{Error, Result};
use rule::Rule;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a sandbox may reach.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    names: BTreeMap<String, Substitute>,
    credentials: Vec<Credential>,
}

/// The address to which the caller makes a name lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Substitute {
    pub address: IpAddr,
    /// `None`: the port that the command has chosen.
    pub port: Option<u16>,
}

/// Why a destination is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    pub why: String,
    /// No rule is about it, so the caller may decide.
    pub is_open: bool,
}

impl Denial {
    pub fn new(why: impl Into<String>) -> Denial {
        Denial { why: why.into(), is_open: false }
    }
}

impl Egress {
    /// The rules of a policy.
    pub fn of(policy: &Policy) -> Result<Egress> {
        let Policy { egress, egress_deny, egress_names, egress_ask, .. } = policy;
        let mut rules = Egress::read_all(egress, egress_deny, egress_names, *egress_ask)?;
        for text in &policy.egress_credentials {
            let credential = Credential::read(text)?;
            rules.check_credential(&credential, *egress_ask)?;
            rules.credentials.push(credential);
        }
        Ok(rules)
    }

    /// Reads rules that allow, rules that deny, and `NAME=ADDRESS[:PORT]`.
    ///
    /// # Errors
    ///
    /// `Invalid` if one is malformed, or can have no effect.
    #[cfg(any(test, fuzzing))]
    pub fn read(allow: &[String], deny: &[String], names: &[String]) -> Result<Egress> {
        Egress::read_all(allow, deny, names, false)
    }

    /// `asks`: the caller decides about the rest.
    fn read_all(allow: &[String], deny: &[String], names: &[String], asks: bool) -> Result<Egress> {
        let rules = |texts: &[String]| -> Result<Vec<Rule>> {
            texts.iter().map(|text| Rule::read(text)).collect()
        };
        let (allow, deny) = (rules(allow)?, rules(deny)?);
        let mut egress = Egress { allow, deny, ..Egress::default() };
        for text in names {
            let (name, substitute) = substitute(text)?;
            if egress.names.insert(name, substitute).is_some() {
                return Err(Error::invalid(
                    format!("egress_names {text:?}"),
                    "another entry has the name",
                ));
            }
        }
        egress.check(asks)?;
        Ok(egress)
    }

    fn check(&self, asks: bool) -> Result<()> {
        let useless = |rule: &str, why: &str| Err(Error::invalid(format!("egress {rule:?}"), why));
        if let Some(rule) = self.deny.first().filter(|_| self.allow.is_empty() && !asks) {
            return useless(&rule.text, "nothing is allowed, so there is nothing to deny");
        }
        for rule in &self.allow {
            if let Some(other) = self.deny.iter().find(|other| other.covers(rule)) {
                let why = format!("it can never match: {:?} denies all of it", other.text);
                return useless(&rule.text, &why);
            }
        }
        for name in self.names.keys() {
            if !asks && !self.may_be_asked(name) {
                return useless(name, "it has an address, and no rule allows the name");
            }
        }
        Ok(())
    }

    fn check_credential(&self, credential: &Credential, asks: bool) -> Result<()> {
        let Credential { origin, .. } = credential;
        let wrong = |why| Err(Error::invalid(format!("egress_credentials {origin}"), why));
        if self.credentials.iter().any(|other| other.origin.name == origin.name) {
            return wrong("another entry has the name");
        }
        match self.permits_name(Protocol::Tcp, &origin.name, origin.port) {
            Err(denial) if !(denial.is_open && asks) => wrong(&denial.why),
            _ => Ok(()),
        }
    }

    /// Where the caller adds credentials, and what has them.
    pub fn credentials(&self) -> &[Credential] {
        &self.credentials
    }

    /// Whether some connection to a host of this name may be allowed.
    pub fn may_be_asked(&self, name: &str) -> bool {
        self.allow.iter().any(|rule| rule.is_of_name(name)) && !self.denies(name)
    }

    /// Whether no connection to a host of this name may be allowed.
    pub fn denies(&self, name: &str) -> bool {
        self.deny.iter().any(|rule| rule.is_of_name(name) && rule.is_of_all_ports())
    }

    /// The address to which the caller makes a name lead.
    pub fn substitute(&self, name: &str) -> Option<Substitute> {
        self.names.get(name).copied()
    }

    /// Whether the command may connect to a host that it knows by name, whatever its address is.
    pub fn permits_name(&self, protocol: Protocol, name: &str, port: u16) -> Result<(), Denial> {
        let hits = |rule: &&Rule| rule.is_of_name(name) && rule.is_of_port(protocol, port);
        self.decide(self.allow.iter().any(|rule| hits(&rule)), hits)
    }

    /// Whether a connection may go to this address, to which an allowed name leads.
    pub fn permits_address_of_name(
        &self,
        protocol: Protocol,
        address: IpAddr,
        port: u16,
        is_hosts: bool,
    ) -> Result<(), Denial> {
        let address = address.to_canonical();
        let hits = |rule: &&Rule| rule.is_of_address(address) && rule.is_of_port(protocol, port);
        let is_named = || self.allow.iter().any(|rule| hits(&rule) && rule.is_of_special());
        if (is_hosts || !is_public(address)) && !is_named() {
            return Err(Denial::new(format!("it leads to {address}, which is no public address")));
        }
        self.decide(true, hits)
    }

    /// Whether the command may connect to an address that it names itself. `is_hosts`: it is one of
    /// the host's own.
    pub fn permits_address(
        &self,
        protocol: Protocol,
        address: IpAddr,
        port: u16,
        is_hosts: bool,
    ) -> Result<(), Denial> {
        let address = address.to_canonical();
        let special = is_hosts || !is_public(address);
        let hits = |rule: &&Rule| rule.is_of_address(address) && rule.is_of_port(protocol, port);
        let allows = |rule: &Rule| hits(&rule) && (!special || rule.is_of_special());
        let decided = self.decide(self.allow.iter().any(allows), hits);
        decided.map_err(|denial| Denial { is_open: denial.is_open && !special, ..denial })
    }

    fn decide(&self, allowed: bool, hits: impl Fn(&&Rule) -> bool) -> Result<(), Denial> {
        match self.deny.iter().find(hits) {
            Some(rule) => Err(Denial::new(format!("the rule {:?} denies it", rule.text))),
            None if allowed => Ok(()),
            None => Err(Denial { is_open: true, ..Denial::new("no rule allows it") }),
        }
    }
}

/// Reads `NAME=ADDRESS[:PORT]`. An IPv6 address with a port is in brackets.
fn substitute(text: &str) -> Result<(String, Substitute)> {
    let wrong = |why: &str| {
        Error::invalid(format!("egress_names {text:?}"), why)
            .hint("write NAME=ADDRESS[:PORT], such as db.test=127.0.0.1:5432")
    };
    let (name, to) = text.split_once('=').ok_or_else(|| wrong("it is malformed"))?;
    let name = domain(name).ok_or_else(|| wrong("its name is not that of a host"))?;
    if let Ok(address) = to.parse() {
        return Ok((name, Substitute { address, port: None }));
    }
    let (address, port) = to.rsplit_once(':').ok_or_else(|| wrong("its address is malformed"))?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(address);
    let address = address.parse().ok().filter(|one: &IpAddr| bare.is_some() == one.is_ipv6());
    let address = address.ok_or_else(|| wrong("its address is malformed"))?;
    let port = ports::port(port).filter(|port| *port > 0);
    let port = port.ok_or_else(|| wrong("its port is not from 1 to 65535"))?;
    Ok((name, Substitute { address, port: Some(port) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(allow: &[&str], deny: &[&str], names: &[&str]) -> Result<Egress> {
        let owned =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Egress::read(&owned(allow), &owned(deny), &owned(names))
    }

    fn may(egress: &Egress, address: &str, port: u16) -> bool {
        egress.permits_address(Protocol::Tcp, address.parse().unwrap(), port, false).is_ok()
    }

    #[test]
    fn only_what_a_rule_allows_is_permitted() {
        let rules = egress(&["93.184.0.0/16:443", "[2606:2800::]:80"], &[], &[]).unwrap();
        assert!(may(&rules, "93.184.216.34", 443) && may(&rules, "2606:2800::", 80));
        assert!(may(&rules, "::ffff:93.184.216.34", 443));
        assert!(!may(&rules, "93.184.216.34", 80) && !may(&rules, "93.185.0.1", 443));
        assert!(!may(&rules, "2606:2800::1", 80));
        let tcp = egress(&["93.184.0.0/16/tcp"], &[], &[]).unwrap();
        let address = "93.184.0.1".parse().unwrap();
        assert!(tcp.permits_address(Protocol::Tcp, address, 1, false).is_ok());
        assert!(tcp.permits_address(Protocol::Udp, address, 1, false).is_err());
    }

    #[test]
    fn an_address_that_is_not_public_takes_a_rule_that_names_it() {
        let all = egress(&["*", "0.0.0.0/0", "::/0"], &[], &[]).unwrap();
        assert!(may(&all, "8.8.8.8", 53) && may(&all, "2606:2800::1", 1));
        for address in ["10.0.0.1", "127.0.0.1", "169.254.169.254", "fe80::1", "::ffff:10.0.0.1"] {
            assert!(!may(&all, address, 80), "{address}");
        }
        let public = "8.8.8.8".parse().unwrap();
        assert!(all.permits_address(Protocol::Tcp, public, 80, true).is_err(), "the host's own");
        let named = egress(&["10.1.0.0/16:5432", "8.8.8.8"], &[], &[]).unwrap();
        assert!(may(&named, "10.1.2.3", 5432) && !may(&named, "10.2.0.1", 5432));
        assert!(named.permits_address(Protocol::Tcp, public, 80, true).is_ok());
    }

    #[test]
    fn a_name_does_not_lead_to_an_address_that_is_not_public() {
        let rules = egress(&["*.example.org:443", "10.1.0.0/16"], &[], &[]).unwrap();
        let to = |address: &str, port| {
            let address = address.parse().unwrap();
            rules.permits_address_of_name(Protocol::Tcp, address, port, false).is_ok()
        };
        assert!(rules.permits_name(Protocol::Tcp, "a.b.example.org", 443).is_ok());
        assert!(rules.permits_name(Protocol::Tcp, "a.example.org", 80).is_err());
        assert!(rules.permits_name(Protocol::Tcp, "example.org", 443).is_err());
        assert!(rules.permits_name(Protocol::Tcp, "badexample.org", 443).is_err());
        assert!(to("93.184.216.34", 443) && to("10.1.0.1", 443));
        assert!(!to("127.0.0.1", 443) && !to("10.2.0.1", 443) && !to("::1", 443));
        assert!(!to("64:ff9b::7f00:1", 443));
    }

    #[test]
    fn a_rule_that_denies_wins() {
        let rules = egress(
            &["*", "10.0.0.0/8"],
            &["*.evil.test", "10.0.0.1", "93.184.0.0/16:25"],
            &["ok.test=127.0.0.1:80"],
        );
        let rules = rules.unwrap();
        assert!(may(&rules, "10.0.0.2", 1) && !may(&rules, "10.0.0.1", 1));
        assert!(may(&rules, "93.184.0.1", 443) && !may(&rules, "93.184.0.1", 25));
        assert!(!rules.may_be_asked("a.evil.test") && rules.may_be_asked("good.test"));
        let to = "93.184.0.1".parse().unwrap();
        assert!(rules.permits_address_of_name(Protocol::Tcp, to, 25, false).is_err());
        let substitute = Substitute { address: "127.0.0.1".parse().unwrap(), port: Some(80) };
        assert_eq!(rules.substitute("ok.test"), Some(substitute));
    }

    #[test]
    fn rules_without_effect_are_errors() {
        for (allow, deny, names) in [
            (&[][..], &["*"][..], &[][..]),
            (&["a.test:80"], &["*.test"], &[]),
            (&["10.1.0.0/16:80"], &["10.0.0.0/8"], &[]),
            (&["a.test:80/udp"], &["a.test:1-100"], &[]),
            (&["a.test"], &["*"], &[]),
            (&["a.test"], &[], &["b.test=127.0.0.1"]),
            (&["a.test"], &[], &["a.test=127.0.0.1", "A.test.=127.0.0.1"]),
            (&["a.test"], &[], &["a.test=127.0.0.1:0"]),
            (&["a.test"], &[], &["a.test=::1:65536"]),
            (&["a.test"], &[], &["a.test"]),
        ] {
            let error = egress(allow, deny, names).expect_err(&format!("{allow:?} {deny:?}"));
            assert_eq!(error.kind(), crate::ErrorKind::Invalid);
        }
        let to = egress(&["a.test"], &["a.test:80"], &["a.test=[::1]:80"]).unwrap();
        assert_eq!(
            to.substitute("a.test").unwrap().address,
            IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)
        );
    }
}
