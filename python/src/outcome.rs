//! How a command ended, and what runs inside, as plain tuples: `seclude/outcome.py` gives them names.

use seclude_core::{Ended, Outcome, Process};

/// How it ended (name and number), the return code, what it used, what was enforced.
pub type Ending = ((&'static str, Option<i32>, String), i32, Used, Vec<&'static str>);
/// Wall, user and system time in seconds; then the counts, in the order of `seclude.Usage`.
pub type Used = (f64, f64, f64, u64, u64, u64, u64, u64, u64, u64);
/// In the order of `seclude.Process`.
pub type Seen = (u32, u32, Vec<u32>, u32, String, Vec<String>, u32, char);

pub fn ending(outcome: &Outcome) -> Ending {
    let value = match outcome.ended {
        Ended::Exited(code) => Some(code),
        Ended::Signaled(signal) => Some(signal),
        _ => None,
    };
    let usage = &outcome.usage;
    let used = (
        usage.wall.as_secs_f64(),
        usage.user.as_secs_f64(),
        usage.system.as_secs_f64(),
        usage.max_rss,
        usage.minor_faults,
        usage.major_faults,
        usage.voluntary_switches,
        usage.involuntary_switches,
        usage.blocks_in,
        usage.blocks_out,
    );
    let enforced = outcome.enforced.iter().map(|protection| protection.name()).collect();
    ((outcome.ended.name(), value, outcome.ended.to_string()), outcome.ended.returncode(), used, enforced)
}

pub fn seen(process: Process) -> Seen {
    let Process { pid, inside_pid, pids, parent, name, command, uid, state, .. } = process;
    (pid, inside_pid, pids, parent, name, command, uid, state)
}
