//! What a run tells of the network: the ports that were chosen on the host, and what was denied.

use crate::shown;
use seclude::{Child, Outcome};

/// Tells which ports of the host lead to the program.
pub fn tell(child: &Child) {
    for port in child.ports() {
        shown::say(&format!("published {port}"));
    }
}

/// Tells what the program was denied outside: each destination once, and not too many.
pub fn tell_denials(outcome: &Outcome) {
    const MOST: usize = 10;
    let Some(egress) = &outcome.egress else { return };
    let mut told: Vec<String> = Vec::new();
    for attempt in egress.attempts.iter().filter(|attempt| attempt.denial.is_some()) {
        let line = format!("denied {attempt}");
        if told.contains(&line) {
            continue;
        }
        if told.len() == MOST {
            shown::say(&format!("{} attempts were denied: --json lists them", egress.denied));
            return;
        }
        shown::say(&line);
        told.push(line);
    }
}
