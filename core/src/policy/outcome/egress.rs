//! What a command has reached outside by the rules of its policy.

use crate::policy::ports::Protocol;
use serde_json::{Value, json};
use std::fmt;
use std::net::IpAddr;

/// One attempt of a sandbox to reach something outside: [`EgressReport::attempts`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The protocol. A question for a name that is not allowed is one of UDP, to port 53.
    pub protocol: Protocol,
    /// The name of the host, if the program has asked for it by name.
    pub name: Option<String>,
    /// The address that the program has chosen, or the one that was connected to in place of the
    /// name. `None` if the name was not looked up.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// Why it was denied. `None` if it was allowed, whether or not the destination answered.
    pub denial: Option<String>,
}

/// What a sandbox has reached outside by the rules of its policy, and what it has tried in vain:
/// [`Outcome::egress`](crate::Outcome::egress), [`Child::egress`](crate::Child::egress). All values
/// are zero without such rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EgressReport {
    /// The number of attempts that were allowed.
    pub allowed: u64,
    /// The number of attempts that were denied.
    pub denied: u64,
    /// The bytes that were carried out, without the headers of the protocols.
    pub sent_bytes: u64,
    /// The bytes that were carried in.
    pub received_bytes: u64,
    /// The last attempts, at most 1000, the oldest first. Attempts that are the same as the one
    /// before them are not listed again.
    pub attempts: Vec<Attempt>,
}

impl Attempt {
    pub(crate) fn new(
        protocol: Protocol,
        name: Option<String>,
        address: Option<IpAddr>,
        port: u16,
    ) -> Attempt {
        Attempt { protocol, name, address, port, denial: None }
    }
}

impl fmt::Display for Attempt {
    /// `tcp example.org:443 (93.184.216.34): allowed`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attempt { protocol, name, address, port, denial } = self;
        write!(f, "{protocol} ")?;
        match (name, address) {
            (Some(name), Some(address)) => write!(f, "{name}:{port} ({address})")?,
            (Some(name), None) => write!(f, "{name}:{port}")?,
            (None, Some(IpAddr::V6(address))) => write!(f, "[{address}]:{port}")?,
            (None, Some(address)) => write!(f, "{address}:{port}")?,
            (None, None) => write!(f, "port {port}")?,
        }
        match denial {
            Some(why) => write!(f, ": {why}"),
            None => f.write_str(": allowed"),
        }
    }
}

impl EgressReport {
    pub(super) fn value(&self) -> Value {
        let attempt = |one: &Attempt| {
            json!({
                "protocol": one.protocol.name(),
                "name": one.name,
                "address": one.address.map(|address| address.to_string()),
                "port": one.port,
                "denial": one.denial,
            })
        };
        json!({
            "allowed": self.allowed,
            "denied": self.denied,
            "sent_bytes": self.sent_bytes,
            "received_bytes": self.received_bytes,
            "attempts": self.attempts.iter().map(attempt).collect::<Vec<_>>(),
        })
    }
}
