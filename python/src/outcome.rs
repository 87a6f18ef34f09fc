//! Outcomes, usages and processes as plain dictionaries and tuples. `seclude/outcome.py` gives them
//! names.

use crate::network::{Reached, reached};
use pyo3::prelude::*;
use seclude_core::{Ended, Outcome, Pressure, Process};
use std::time::Duration;

/// A dictionary with the keyword arguments of `seclude.Outcome`. Only `ended` differs: it is a
/// tuple of name, value and text.
#[derive(IntoPyObject)]
pub struct Ending {
    ended: (&'static str, Option<Value>, String),
    returncode: i32,
    status: Option<i32>,
    limit: Option<u64>,
    text: String,
    usage: Used,
    enforced: Vec<&'static str>,
    landlock_abi: Option<u32>,
    by_caller: bool,
    egress: Option<Reached>,
    limits: Vec<(&'static str, &'static str)>,
}

/// The value of an end: a number, or the name of a system call.
#[derive(IntoPyObject)]
pub enum Value {
    Number(i32),
    Name(String),
}

/// A dictionary with the keyword arguments of `seclude.Usage`. Times are in seconds.
#[derive(IntoPyObject)]
pub struct Used {
    // faces: begin figures as Rust fields
    wall: f64,
    user: f64,
    system: f64,
    throttled: f64,
    memory: u64,
    memory_peak: u64,
    anonymous_peak: Option<u64>,
    max_rss: u64,
    processes: u64,
    processes_peak: Option<u64>,
    minor_faults: u64,
    major_faults: u64,
    voluntary_switches: u64,
    involuntary_switches: u64,
    bytes_read: u64,
    bytes_written: u64,
    stdout_bytes: Option<u64>,
    stderr_bytes: Option<u64>,
    // faces: end
    memory_source: &'static str,
    pressure: Option<Stalls>,
}

/// The fields of `seclude.Pressure`, in order.
type Stalls = (f64, f64, f64, f64, f64);
/// The fields of `seclude.Process`, in order.
pub type Seen = (u32, u32, Vec<u32>, u32, String, Vec<String>, u32, char);

pub fn ending(outcome: &Outcome) -> Ending {
    let value = match outcome.ended {
        Ended::Exited(number) | Ended::Signaled(number) | Ended::WardenLost(number) => {
            Some(Value::Number(number))
        }
        Ended::Syscall(call) => Some(Value::Name(call.to_string())),
        _ => None,
    };
    Ending {
        ended: (outcome.ended.name(), value, outcome.ended.to_string()),
        returncode: outcome.returncode(),
        status: outcome.status,
        limit: outcome.limit,
        text: outcome.to_string(),
        usage: used(&outcome.usage),
        enforced: outcome.enforced.iter().map(|protection| protection.name()).collect(),
        landlock_abi: outcome.enforced.landlock_abi(),
        by_caller: outcome.by_caller,
        egress: outcome.egress.clone().map(reached),
        limits: outcome
            .enforced
            .limits()
            .map(|(limit, mechanism)| (limit.name(), mechanism.name()))
            .collect(),
    }
}

pub fn used(usage: &seclude_core::Usage) -> Used {
    let seconds = |time: Duration| time.as_secs_f64();
    let stalls = |stalled: Pressure| {
        let Pressure { cpu_some, memory_some, memory_full, io_some, io_full, .. } = stalled;
        (
            seconds(cpu_some),
            seconds(memory_some),
            seconds(memory_full),
            seconds(io_some),
            seconds(io_full),
        )
    };
    Used {
        // faces: begin figures of a usage
        wall: seconds(usage.wall),
        user: seconds(usage.user),
        system: seconds(usage.system),
        throttled: seconds(usage.throttled),
        memory: usage.memory,
        memory_peak: usage.memory_peak,
        anonymous_peak: usage.anonymous_peak,
        max_rss: usage.max_rss,
        processes: usage.processes,
        processes_peak: usage.processes_peak,
        minor_faults: usage.minor_faults,
        major_faults: usage.major_faults,
        voluntary_switches: usage.voluntary_switches,
        involuntary_switches: usage.involuntary_switches,
        bytes_read: usage.bytes_read,
        bytes_written: usage.bytes_written,
        stdout_bytes: usage.stdout_bytes,
        stderr_bytes: usage.stderr_bytes,
        // faces: end
        memory_source: usage.memory_source.name(),
        pressure: usage.pressure.map(stalls),
    }
}

pub fn seen(process: Process) -> Seen {
    let Process { pid, inside_pid, pids, parent, name, command, uid, state, .. } = process;
    (pid, inside_pid, pids, parent, name, command, uid, state)
}
