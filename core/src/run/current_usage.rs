//! What a running command has used so far: the sum over its processes in `/proc`, replaced by a
//! cgroup's counters where there are any.

use crate::base::error::Result;
use crate::base::processes::Process;
use crate::host::cgroup::Counters;
use crate::policy::outcome::{MemorySource, Usage};
use std::fs;
use std::time::{Duration, Instant};

/// Reads the usage of `processes`. For `warden`, only the usage of the processes that it has reaped
/// counts.
pub fn read(
    processes: &[Process],
    warden: Option<i32>,
    started: Instant,
    counters: &Counters,
) -> Result<Usage> {
    let mut usage =
        Usage { wall: started.elapsed(), memory_source: MemorySource::Sampled, ..Usage::NONE };
    for process in processes {
        let own = warden.is_none_or(|warden| process.pid != warden.unsigned_abs());
        add(&mut usage, process, own);
    }
    if let Some((user, system)) = counters.cpu {
        (usage.user, usage.system) = (user, system);
    }
    usage.memory = counters.memory.unwrap_or(usage.memory);
    usage.processes = counters.processes.unwrap_or(usage.processes);
    counters.add_to(&mut usage);
    Ok(usage)
}

/// Adds what one process and the children that it has waited for have used. Without `own`, only the
/// children count.
fn add(usage: &mut Usage, process: &Process, own: bool) {
    /// USER_HZ: clock ticks per second in `/proc/PID/stat` (proc_pid_stat(5)). 100 on every
    /// architecture that this library supports.
    const TICKS: u64 = 100;
    let (pid, thread) = (process.pid, process.thread);
    let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else { return };
    let end = stat.iter().rposition(|byte| *byte == b')').map_or(0, |end| end + 1);
    let rest = String::from_utf8_lossy(&stat[end..]).into_owned();
    // The first field after the name is number 3 in proc_pid_stat(5). The name itself may contain
    // blanks and parentheses, so the fields begin after the last parenthesis.
    let fields: Vec<u64> =
        rest.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
    let time = |own_field: usize, childrens: usize| {
        let ticks = field(childrens) + if own { field(own_field) } else { 0 };
        Duration::from_millis(ticks * 1000 / TICKS)
    };
    usage.user += time(14, 16);
    usage.system += time(15, 17);
    usage.minor_faults += field(11) + if own { field(10) } else { 0 };
    usage.major_faults += field(13) + if own { field(12) } else { 0 };
    if !own {
        return;
    }
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    usage.processes += number("Threads:").max(1);
    usage.memory += (number("RssAnon:") + number("RssShmem:")) * 1024;
    usage.memory_peak += number("VmHWM:") * 1024;
    usage.max_rss = usage.max_rss.max(number("VmHWM:") * 1024);
    usage.voluntary_switches += number("voluntary_ctxt_switches:");
    usage.involuntary_switches += number("nonvoluntary_ctxt_switches:");
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let bytes = |name: &str| {
        io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    usage.bytes_read += bytes("read_bytes:");
    usage.bytes_written += bytes("write_bytes:");
}
