//! What a sandbox has tried to reach.

use crate::host::forward::Counters;
use crate::policy::outcome::{Attempt, EgressReport};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

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
    use crate::policy::ports::Protocol;

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
