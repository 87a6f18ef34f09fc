//! What a cgroup has counted: memory, processes, processor time, input and output, pressure. What a
//! kernel does not tell is absent.

use super::directory::Directory;
use super::{Cgroup, Controller, V2};
use crate::policy::Mechanism;
use crate::policy::outcome::{MemorySource, Pressure, Usage};
use std::time::Duration;

/// The counts, of all that is and was in the cgroup. The warden is one of them, but not counted
/// among the processes.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// So many processes were killed for want of memory, at whatever limit.
    pub killed: u64,
    /// The limit on memory that is this cgroup's own has been met.
    pub memory_met: bool,
    pub memory: Option<u64>,
    pub memory_peak: Option<u64>,
    pub processes: Option<u64>,
    pub processes_peak: Option<u64>,
    /// So often a process was refused for the limit on processes.
    pub processes_refused: u64,
    /// User and system.
    pub cpu: Option<(Duration, Duration)>,
    /// How long the quota kept processes from running.
    pub throttled: Option<Duration>,
    /// Read and written.
    pub bytes: Option<(u64, u64)>,
    pub pressure: Option<Pressure>,
}

impl Counters {
    /// What of it can be said of one command among others that ran since `before`: what happened to
    /// it, not what all have used.
    pub fn since(&self, before: &Counters) -> Counters {
        Counters {
            killed: self.killed.saturating_sub(before.killed),
            memory_met: self.memory_met,
            processes_refused: self.processes_refused.saturating_sub(before.processes_refused),
            ..Counters::default()
        }
    }

    /// Whether one was refused for this limit on processes: before Linux 6.11, and in v1, also
    /// those are counted whom a limit above refused.
    pub fn refused_at(&self, limit: Option<u64>) -> bool {
        let met = |limit: u64| self.processes_peak.is_none_or(|peak| peak >= limit);
        self.processes_refused > 0 && limit.is_some_and(met)
    }

    /// Whether somebody was killed at the limit on memory that is this cgroup's own.
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
            // In the other file are also those of the limits below.
            self.memory_met = value(&directory.read("memory.events.local"), "oom") > Some(0);
            self.memory = number("memory.current");
            self.memory_peak = number("memory.peak");
        } else {
            // Not every kernel counts how often the limit was met (failcnt).
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
        // Before Linux 6.11 it is counted where the refused one was, and not where the limit is.
        let home = cgroup
            .v2
            .as_ref()
            .filter(|_| mechanism == Mechanism::CgroupV2)
            .map_or(directory, V2::home);
        let refused = |directory: &Directory, file: &str| value(&directory.read(file), "max");
        self.processes_refused = refused(directory, "pids.events.local")
            .or_else(|| refused(home, "pids.events"))
            .unwrap_or(0);
        let others = |number: u64| number.saturating_sub(u64::from(!cgroup.among));
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

/// The number behind a name, in a file of lines `name number`.
fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole() {
        assert_eq!(value("oom 3\noom_kill 4\n", "oom_kill"), Some(4));
        assert_eq!(value("oom_kill 4\n", "oom"), None);
    }
}
