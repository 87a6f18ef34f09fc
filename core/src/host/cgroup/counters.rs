//! A cgroup's counters: memory, processes, processor time, input and output, pressure. A value that
//! the kernel does not report is `None`.

use super::directory::Directory;
use super::{Cgroup, Controller, V2};
use crate::policy::Mechanism;
use crate::policy::outcome::{MemorySource, Pressure, Usage};
use std::time::Duration;

/// The counters cover every process that is or was in the cgroup. They include the warden, except
/// in the number of processes.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// How many processes the out-of-memory killer killed, at this limit or another one.
    pub killed: u64,
    /// Whether this cgroup's own memory limit was reached.
    pub memory_met: bool,
    pub memory: Option<u64>,
    pub memory_peak: Option<u64>,
    pub processes: Option<u64>,
    pub processes_peak: Option<u64>,
    /// How often the limit on processes refused a new process.
    pub processes_refused: u64,
    /// User time and system time.
    pub cpu: Option<(Duration, Duration)>,
    /// How long the quota kept processes from running.
    pub throttled: Option<Duration>,
    /// Bytes read and bytes written.
    pub bytes: Option<(u64, u64)>,
    pub pressure: Option<Pressure>,
}

impl Counters {
    /// What can be attributed to one command in a cell that has run since `before`: the events that
    /// happened meanwhile. The usage counters cover all commands and are left out.
    pub fn since(&self, before: &Counters) -> Counters {
        Counters {
            killed: self.killed.saturating_sub(before.killed),
            memory_met: self.memory_met,
            processes_refused: self.processes_refused.saturating_sub(before.processes_refused),
            ..Counters::default()
        }
    }

    /// Whether this limit refused a process. In v1, and in v2 before Linux 6.11, the counter also
    /// includes processes that a limit further up refused. So the peak must have reached the limit
    /// too.
    pub fn refused_at(&self, limit: Option<u64>) -> bool {
        let met = |limit: u64| self.processes_peak.is_none_or(|peak| peak >= limit);
        self.processes_refused > 0 && limit.is_some_and(met)
    }

    /// Whether a process was killed at this cgroup's own memory limit.
    pub fn killed_at_limit(&self) -> bool {
        self.killed > 0 && self.memory_met
    }

    /// Replaces what processes tell by what the cgroup has counted.
    pub fn add_to(&self, usage: &mut Usage) {
        if let Some(peak) = self.memory_peak {
            (usage.memory_peak, usage.memory_source) = (peak, MemorySource::Cgroup);
        }
        usage.processes_peak = self.processes_peak.or(usage.processes_peak);
        if let Some((read, written)) = self.bytes {
            (usage.bytes_read, usage.bytes_written) = (read, written);
        }
        usage.pressure = self.pressure.or(usage.pressure);
        usage.throttled = self.throttled.unwrap_or(usage.throttled);
    }

    pub fn read(cgroup: &Cgroup) -> Counters {
        let mut counters = Counters::default();
        counters.read_memory(cgroup);
        counters.read_processes(cgroup);
        counters.read_cpu(cgroup);
        counters.read_throttled(cgroup);
        counters.read_bytes(cgroup);
        counters.read_pressure(cgroup);
        counters
    }

    fn read_memory(&mut self, cgroup: &Cgroup) {
        let Some((mechanism, directory)) = cgroup.with(Controller::Memory) else { return };
        let number = |file: &str| directory.read(file).trim().parse::<u64>().ok();
        if mechanism == Mechanism::CgroupV2 {
            self.killed = value(&directory.read("memory.events"), "oom_kill").unwrap_or(0);
            // `memory.events` also counts events of cgroups below this one; this file does not.
            self.memory_met = value(&directory.read("memory.events.local"), "oom") > Some(0);
            self.memory = number("memory.current");
            self.memory_peak = number("memory.peak");
        } else {
            // Not every v1 kernel maintains `failcnt`. A peak within 256 KiB of the limit counts as
            // reaching it.
            const NEAR: u64 = 256 << 10;
            let met = |peak: &str, limit: &str| {
                number(peak).zip(number(limit)).is_some_and(|(peak, limit)| peak + NEAR >= limit)
            };
            self.memory_met = met("memory.max_usage_in_bytes", "memory.limit_in_bytes")
                || met("memory.memsw.max_usage_in_bytes", "memory.memsw.limit_in_bytes");
            self.killed = value(&directory.read("memory.oom_control"), "oom_kill").unwrap_or(0);
            self.memory = number("memory.usage_in_bytes");
            self.memory_peak = number("memory.max_usage_in_bytes");
        }
    }

    fn read_processes(&mut self, cgroup: &Cgroup) {
        let Some((mechanism, directory)) = cgroup.with(Controller::Pids) else { return };
        let number = |file: &str| directory.read(file).trim().parse::<u64>().ok();
        // Before Linux 6.11 the kernel counts the event in the cgroup of the refused process, not
        // in the cgroup that has the limit.
        let home = cgroup
            .v2
            .as_ref()
            .filter(|_| mechanism == Mechanism::CgroupV2)
            .map_or(directory, V2::process_directory);
        let refused = |directory: &Directory, file: &str| value(&directory.read(file), "max");
        self.processes_refused = refused(directory, "pids.events.local")
            .or_else(|| refused(home, "pids.events"))
            .unwrap_or(0);
        let others = |number: u64| number.saturating_sub(u64::from(!cgroup.single_command));
        self.processes = number("pids.current").map(others);
        self.processes_peak = number("pids.peak").map(others);
    }

    fn read_cpu(&mut self, cgroup: &Cgroup) {
        if let Some(v2) = &cgroup.v2 {
            let stat = v2.directory.read("cpu.stat");
            let microseconds = |name: &str| value(&stat, name).map(Duration::from_micros);
            self.cpu = microseconds("user_usec").zip(microseconds("system_usec"));
        } else if let Some((_, directory)) = cgroup.with(Controller::Cpuacct) {
            let nanoseconds =
                |file: &str| directory.read(file).trim().parse().ok().map(Duration::from_nanos);
            self.cpu = nanoseconds("cpuacct.usage_user").zip(nanoseconds("cpuacct.usage_sys"));
        }
    }

    fn read_throttled(&mut self, cgroup: &Cgroup) {
        let Some((mechanism, directory)) = cgroup.with(Controller::Cpu) else { return };
        let stat = directory.read("cpu.stat");
        self.throttled = if mechanism == Mechanism::CgroupV2 {
            value(&stat, "throttled_usec").map(Duration::from_micros)
        } else {
            value(&stat, "throttled_time").map(Duration::from_nanos)
        };
    }

    fn read_bytes(&mut self, cgroup: &Cgroup) {
        let Some((mechanism, directory)) = cgroup.with(Controller::Io) else { return };
        self.bytes = Some(if mechanism == Mechanism::CgroupV2 {
            let stat = directory.read("io.stat");
            let sum = |key: &str| {
                stat.split_whitespace()
                    .filter_map(|word| {
                        word.strip_prefix(key)?.strip_prefix('=')?.parse::<u64>().ok()
                    })
                    .sum()
            };
            (sum("rbytes"), sum("wbytes"))
        } else {
            let stat = directory.read("blkio.throttle.io_service_bytes");
            let sum = |kind: &str| {
                let of_kind = |line: &str| {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    if let [_, word, number] = words[..]
                        && word == kind
                    {
                        number.parse::<u64>().ok()
                    } else {
                        None
                    }
                };
                stat.lines().filter_map(of_kind).sum()
            };
            (sum("Read"), sum("Write"))
        });
    }

    fn read_pressure(&mut self, cgroup: &Cgroup) {
        let Some(V2 { directory, .. }) = &cgroup.v2 else { return };
        let total = |text: &str, which: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(which))?;
            line.split_whitespace()
                .find_map(|word| word.strip_prefix("total=")?.parse().ok())
                .map(Duration::from_micros)
        };
        let (cpu, memory, io) = (
            directory.read("cpu.pressure"),
            directory.read("memory.pressure"),
            directory.read("io.pressure"),
        );
        let totals = total(&cpu, "some").zip(total(&memory, "some").zip(total(&memory, "full")));
        self.pressure = totals.zip(total(&io, "some").zip(total(&io, "full"))).map(
            |((cpu_some, memory), io)| Pressure {
                cpu_some,
                memory_some: memory.0,
                memory_full: memory.1,
                io_some: io.0,
                io_full: io.1,
            },
        );
    }
}

/// The number that follows `name` in a file of `name number` lines.
fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_matches_the_whole_name() {
        assert_eq!(value("oom 3\noom_kill 4\n", "oom_kill"), Some(4));
        assert_eq!(value("oom_kill 4\n", "oom"), None);
    }
}
