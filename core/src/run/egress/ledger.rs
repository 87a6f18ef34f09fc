//! What a sandbox has tried to reach.

use crate::host::forward::Counters;
use crate::policy::ports::Protocol;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

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
/// [`Child::egress`](crate::Child::egress). All values are zero without such rules.
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

#[derive(Debug, Default)]
pub struct Ledger {
    pub bytes: Arc<Counters>,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    allowed: u64,
    denied: u64,
    last: VecDeque<Attempt>,
}

impl Ledger {
    pub fn enter(&self, attempt: Attempt) {
        const LISTED: usize = 1000;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match attempt.denial {
            Some(_) => entries.denied += 1,
            None => entries.allowed += 1,
        }
        if entries.last.back() == Some(&attempt) {
            return;
        }
        if entries.last.len() == LISTED {
            entries.last.pop_front();
        }
        entries.last.push_back(attempt);
    }

    pub fn report(&self) -> EgressReport {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        EgressReport {
            allowed: entries.allowed,
            denied: entries.denied,
            sent_bytes: self.bytes.sent.load(Ordering::Relaxed),
            received_bytes: self.bytes.received.load(Ordering::Relaxed),
            attempts: entries.last.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_the_counts_are_not() {
        let ledger = Ledger::default();
        let attempt = |port| Attempt {
            protocol: Protocol::Tcp,
            name: None,
            address: None,
            port,
            denial: Some("no rule allows it".into()),
        };
        for port in 0..1500 {
            ledger.enter(attempt(port));
            ledger.enter(attempt(port));
        }
        let report = ledger.report();
        assert_eq!((report.denied, report.allowed, report.attempts.len()), (3000, 0, 1000));
        assert_eq!((report.attempts[0].port, report.attempts[999].port), (500, 1499));
    }
}
