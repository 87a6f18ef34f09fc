//! Usage so far of a command, or of a whole cell, for the limits that no kernel mechanism enforces.
//!
//! Processor time comes from the cgroup's meter where there is one. Everything else is sampled with
//! process scans at an interval, so what happens between two scans is not seen.

use crate::scan::ProcessScan;
use crate::sys::{self, Fd};
use crate::text::{field, find, number};
use crate::wire::message::{Limits, end, gauge, meter};
use crate::wire::usage::{UNKNOWN, Usage};

const MILLISECOND: u64 = 1_000_000;
/// Time between two samples of memory and processes.
const INTERVAL: u64 = 5 * MILLISECOND;

/// The processor time counter of a cgroup.
struct Meter {
    file: Fd,
    /// Nanoseconds in one unit of the counter.
    unit: u64,
    /// The counter when the command started, in nanoseconds.
    start: u64,
    /// The processor time of the warden at that moment, if the warden is in that cgroup.
    own_start: Option<u64>,
}

/// The anonymous and shared memory of a cgroup, without the pages of files.
struct Gauge {
    file: Fd,
    names: [&'static [u8]; 2],
    next: u64,
}

pub struct Watch {
    meter: Option<Meter>,
    gauge: Option<Gauge>,
    limits: Limits,
    /// The first process of the command to sample, for a command in a cell: its meter counts this
    /// command alone. `None` samples every process inside.
    root: Option<u32>,
    memory_peak: u64,
    /// The most memory without pages of files, which is what the memory limit counts; `None`
    /// before the first sample.
    anonymous_peak: Option<u64>,
    processes_peak: u64,
    /// Nanoseconds of processor time that a command in a cell had used when it was killed.
    recorded_ns: u64,
    next: Option<u64>,
}

/// The result of one process scan.
#[derive(Default)]
struct Sample {
    memory: u64,
    peaks: u64,
    processes: u64,
    cpu_ns: u64,
}

impl Watch {
    /// Starts counting. `file` is a meter of the kind `kind`, or there is none.
    pub fn new(file: Option<Fd>, kind: u32, limits: Limits, root: Option<u32>) -> Watch {
        let unit = if kind == meter::CPU_STAT { 1000 } else { 1 };
        let meter = file
            .map(|file| Meter {
                file,
                unit,
                start: 0,
                own_start: root.is_none().then(own_cpu_time),
            })
            .map(|meter| Meter { start: meter.read(), ..meter });
        Watch {
            meter,
            gauge: None,
            limits,
            root,
            memory_peak: 0,
            anonymous_peak: None,
            processes_peak: 0,
            recorded_ns: 0,
            next: Some(0),
        }
    }

    /// Sets the gauge. `file` is of the kind `kind`. Its peak is reported at the end and enforces
    /// nothing.
    pub fn set_gauge(&mut self, file: Fd, kind: u32) {
        let names: [&[u8]; 2] = if kind == gauge::V2 {
            [b"anon ", b"shmem "]
        } else {
            [b"total_rss ", b"total_shmem "]
        };
        // The first reading comes after one interval, so that a shorter command costs nothing.
        self.gauge = Some(Gauge { file, names, next: sys::now().saturating_add(INTERVAL) });
    }

    /// Samples only the command with the first process `root`.
    pub fn set_root(&mut self, root: u32) {
        self.root = Some(root);
    }

    pub fn set(&mut self, limits: Limits) {
        self.limits = limits;
        self.next = Some(0);
    }

    /// Starts new samples, because a command has started. The peak of processes before it does not
    /// count for it.
    pub fn restart(&mut self) {
        self.processes_peak = 0;
        self.next = Some(0);
    }

    /// Stops sampling until a command starts, because no process is inside.
    pub fn stop(&mut self) {
        self.next = None;
    }

    /// Puts the next check off by one interval.
    pub fn postpone(&mut self) {
        self.next = Some(sys::now().saturating_add(INTERVAL));
    }

    /// Nanoseconds until the next check; `None` if there is none.
    pub fn remaining(&self, now: u64) -> Option<u64> {
        self.next.map(|next| next.saturating_sub(now))
    }

    /// Checks the limits if it is time to. Returns the end, one of [`end`], if a limit is exceeded.
    pub fn check(&mut self, now: u64, scan: Option<&ProcessScan>) -> Option<u32> {
        if self.next? > now {
            return None;
        }
        let Limits { cpu_ns, memory, processes, .. } = self.limits;
        if processes > 0 && scan.is_some_and(|scan| scan.has_more_than(processes, self.root)) {
            self.processes_peak = self.processes_peak.max(processes.saturating_add(1));
            return Some(end::PROCESSES);
        }
        let sampled = memory > 0 || processes > 0 || cpu_ns > 0 && self.meter.is_none();
        let seen = match scan {
            Some(scan) if sampled => self.sample(scan),
            _ => Sample::default(),
        };
        let used = self.meter.as_ref().map_or(seen.cpu_ns, Meter::used);
        if let (1.., Some(scan)) = (memory, scan) {
            let has = if seen.memory > memory {
                proportional_memory(scan, self.root, memory)
            } else {
                seen.memory
            };
            self.anonymous_peak = self.anonymous_peak.max(Some(has));
            if has > memory {
                return Some(end::MEMORY);
            }
        }
        if processes > 0 && seen.processes > processes {
            return Some(end::PROCESSES);
        }
        if cpu_ns > 0 && used >= cpu_ns {
            return Some(end::CPU_TIME);
        }
        // The command cannot use up the rest sooner than with all processors at once.
        let rest = (cpu_ns > 0)
            .then(|| (cpu_ns - used).saturating_mul(100) / u64::from(self.limits.pace.max(1)));
        let pause = match (rest.map(|rest| rest.max(MILLISECOND)), memory > 0 || processes > 0) {
            (Some(rest), true) => Some(rest.min(INTERVAL)),
            (None, true) => Some(INTERVAL),
            (rest, false) => rest,
        };
        let gauged = self.gauge.as_mut().map(|gauge| {
            let (memory, pause) = gauge.check(now);
            self.anonymous_peak = self.anonymous_peak.max(memory);
            pause
        });
        let pause = match (pause, gauged) {
            (Some(pause), Some(gauged)) => Some(pause.min(gauged)),
            (pause, gauged) => pause.or(gauged),
        };
        self.next = pause.map(|pause| sys::now().saturating_add(pause));
        None
    }

    /// Whether all processes together exceed the memory limit.
    pub fn exceeds_memory(&self, scan: &ProcessScan) -> bool {
        proportional_memory(scan, None, self.limits.memory) > self.limits.memory
    }

    fn sample(&mut self, scan: &ProcessScan) -> Sample {
        // The warden reaps the children of all commands. For a command in a cell, only what its own
        // processes have waited for counts.
        let reaped = if self.root.is_none() { reaped_cpu_time() } else { 0 };
        let mut sample = Sample { cpu_ns: reaped, ..Sample::default() };
        let times = self.limits.cpu_ns > 0 && self.meter.is_none();
        let processes = self.limits.processes;
        scan.each_of_while(self.root, &mut |pid| {
            let mut buffer = [0u8; 4096];
            if times {
                let reaped = scan.read(pid, b"/stat", &mut buffer).map_or(0, children_cpu_time);
                sample.cpu_ns += sys::cpu_time_of(pid) + reaped;
            }
            if let Some(status) = scan.read_memory(pid, b"/status", &mut buffer) {
                sample.memory +=
                    field(status, b"RssAnon:") * 1024 + field(status, b"RssShmem:") * 1024;
                sample.peaks += field(status, b"VmHWM:") * 1024;
                sample.processes += field(status, b"Threads:").max(1);
            }
            // What is above the limit on processes is killed, so there is no need to know by how
            // much. A fork bomb may grow faster than the walk goes.
            processes == 0 || sample.processes <= processes
        });
        self.memory_peak = self.memory_peak.max(sample.peaks);
        self.processes_peak = self.processes_peak.max(sample.processes);
        sample
    }

    /// Counts the processes before one that has ended is reaped. Until then the kernel counts it,
    /// and so this sees how many there were when the kernel refused one, whichever ends first.
    pub fn count_unreaped(&mut self, scan: Option<&ProcessScan>) {
        if let (Some(scan), 1..) = (scan, self.limits.processes)
            && !self.processes_at_limit()
        {
            self.sample(scan);
        }
    }

    /// Records the processor time of a process tree that is about to be killed.
    pub fn record_cpu_time(&mut self, scan: &ProcessScan) {
        let mut used = 0;
        scan.each_of(self.root, &mut |pid| {
            let mut buffer = [0u8; 512];
            used += sys::cpu_time_of(pid)
                + scan.read(pid, b"/stat", &mut buffer).map_or(0, children_cpu_time);
        });
        self.recorded_ns = used;
    }

    /// Whether there were as many processes as the limit allows.
    pub fn processes_at_limit(&self) -> bool {
        self.limits.processes > 0 && self.processes_peak >= self.limits.processes
    }

    /// Adds the sampled figures to `usage`.
    pub fn complete(&self, usage: Usage) -> Usage {
        let metered = self.meter.as_ref().map_or(0, Meter::used);
        let seen = |most: u64| if most > 0 { most } else { UNKNOWN };
        // The peaks of the processes (VmHWM) contain pages of files, which a sampled limit does not
        // count. The reported peak of a command that kept to its limit must not exceed the limit.
        let kept_to = if self.limits.memory > 0 {
            self.limits.memory.max(self.anonymous_peak.unwrap_or(0))
        } else {
            u64::MAX
        };
        let memory_peak =
            if self.memory_peak > 0 { self.memory_peak.max(usage.max_rss).min(kept_to) } else { 0 };
        Usage {
            meter: metered.max(self.recorded_ns),
            memory_peak,
            anonymous_peak: self.anonymous_peak.unwrap_or(UNKNOWN),
            processes_peak: seen(self.processes_peak),
            ..usage
        }
    }
}

/// How much the command `root` uses of what the cell has too much of: bytes of memory, or
/// processes.
pub fn share(how: u32, scan: &ProcessScan, root: u32) -> u64 {
    if how == end::MEMORY {
        return proportional_memory(scan, Some(root), u64::MAX);
    }
    let mut number = 0;
    scan.each_of(Some(root), &mut |_| number += 1);
    number
}

/// The process with the most memory among those for which `included` is true: its bytes and its id.
pub fn largest_process(scan: &ProcessScan, included: &dyn Fn(u32) -> bool) -> Option<(u64, u32)> {
    let mut largest_process = None;
    scan.each(&mut |pid| {
        if included(pid) {
            largest_process = largest_process.max(Some((memory_of(scan, pid), pid)));
        }
    });
    largest_process
}

/// The memory of all processes, each shared page counted once. What is above `enough` may be left
/// out.
fn proportional_memory(scan: &ProcessScan, root: Option<u32>, enough: u64) -> u64 {
    let mut sum = 0u64;
    scan.each_of_while(root, &mut |pid| {
        sum = sum.saturating_add(memory_of(scan, pid));
        sum <= enough
    });
    sum
}

/// The proportional memory of a process (Pss).
///
/// A page that several processes share since a fork counts once in the sum, where the first sum
/// over RssAnon counts it several times. A process counts with all its memory if its `smaps_rollup`
/// cannot be read.
fn memory_of(scan: &ProcessScan, pid: u32) -> u64 {
    let mut buffer = [0u8; 4096];
    let parts = match scan.read_memory(pid, b"/smaps_rollup", &mut buffer) {
        Some(text) if !text.is_empty() => [field(text, b"Pss_Anon:"), field(text, b"Pss_Shmem:")],
        _ => [0; 2],
    };
    let parts = match (parts, scan.read_memory(pid, b"/status", &mut buffer)) {
        ([0, 0], Some(text)) => [field(text, b"RssAnon:"), field(text, b"RssShmem:")],
        (parts, _) => parts,
    };
    (parts[0] + parts[1]) * 1024
}

impl Meter {
    /// The processor time since the start, without the warden's own.
    fn used(&self) -> u64 {
        let own = self.own_start.map_or(0, |start| own_cpu_time().saturating_sub(start));
        self.read().saturating_sub(self.start).saturating_sub(own)
    }

    fn read(&self) -> u64 {
        let mut buffer = [0u8; 64];
        let length = sys::read_at(&self.file, 0, &mut buffer).unwrap_or(0);
        let text = &buffer[..length];
        let digits = text.iter().position(u8::is_ascii_digit).unwrap_or(length);
        number(&text[digits..]).saturating_mul(self.unit).max(self.start)
    }
}

impl Gauge {
    /// Reads the gauge if it is time to. Returns the memory, if the file shows it, and nanoseconds
    /// until the next reading. Readings take at most a fiftieth of a processor's time.
    fn check(&mut self, now: u64) -> (Option<u64>, u64) {
        if self.next > now {
            return (None, self.next - now);
        }
        let mut buffer = [0u8; 4096];
        let before = own_cpu_time();
        let length = sys::read_at(&self.file, 0, &mut buffer).unwrap_or(0);
        let text = &buffer[..length];
        // Not the time of day: then one reading that others interrupt would put off the next.
        let spent = own_cpu_time().saturating_sub(before);
        let pause = INTERVAL.max(spent.saturating_mul(50));
        self.next = now.saturating_add(pause);
        (self.names.iter().map(|name| find(text, name)).sum(), pause)
    }
}

fn cpu_time(who: i32) -> u64 {
    let usage = sys::usage_of(who).map(|value| value as u64);
    (usage[0] + usage[2]) * 1_000_000_000 + (usage[1] + usage[3]) * 1000
}

fn own_cpu_time() -> u64 {
    cpu_time(sys::SELF)
}

fn reaped_cpu_time() -> u64 {
    cpu_time(sys::CHILDREN)
}

/// The processor time of the children that a process has waited for: cutime and cstime, fields 16
/// and 17, in hundredths of a second. Field 2 is a name in parentheses that may itself contain any
/// character.
pub fn children_cpu_time(stat: &[u8]) -> u64 {
    const TICK: u64 = 10 * MILLISECOND;
    let after_name = stat.iter().rposition(|&byte| byte == b')').map_or(0, |end| end + 2);
    let mut fields = stat[after_name..].split(|&byte| byte == b' ').skip(13);
    let mut next = || fields.next().map_or(0, number);
    (next() + next()) * TICK
}
