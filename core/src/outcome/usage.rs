//! What a command used.

use crate::policy::named;
use crate::wire::message;
use std::fmt;
use std::time::Duration;

named! {
    /// Where a peak of memory comes from.
    MemorySource {
        /// The cgroup's own peak: all that was charged to it, files in memory and kernel structures among them.
        Cgroup = "cgroup",
        /// The largest sum of the processes' peaks (VmHWM) that the warden saw at an interval.
        Sampled = "sampled",
        /// The largest single process alone (`ru_maxrss`): nobody counted the sum.
        LargestProcess = "largest-process",
    }
}

/// How long something inside stood still for want of a resource: the kernel's pressure stall information, `total`s (Linux 4.20).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Pressure {
    /// At least one process waited for a processor.
    pub cpu_some: Duration,
    /// At least one process waited for memory.
    pub memory_some: Duration,
    /// All processes waited for memory.
    pub memory_full: Duration,
    /// At least one process waited for I/O.
    pub io_some: Duration,
    /// All processes waited for I/O.
    pub io_full: Duration,
}

/// What the command and everything that it started used: the cgroup's counters where there is one, else `getrusage(2)` of all processes
/// that were waited for, by their parents or by the warden.
///
/// Without a cgroup, a process whose parent ignores SIGCHLD is reaped by the kernel and counted by nobody. The caller's own size and earlier
/// runs are no part of any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// From the command's start to the end of the last process inside.
    pub wall: Duration,
    /// Processor time in user mode, of the whole tree.
    pub user: Duration,
    /// Processor time in the kernel, of the whole tree.
    pub system: Duration,
    /// Bytes of memory in use, while it runs; 0 afterwards.
    pub memory: u64,
    /// The most bytes of memory that were in use at one time.
    pub memory_peak: u64,
    /// Where `memory_peak` comes from.
    pub memory_source: MemorySource,
    /// The largest resident set that any single process of the tree had, in bytes.
    pub max_rss: u64,
    /// Processes and threads inside, while it runs, the warden not counted; 0 afterwards.
    pub processes: u64,
    /// The most processes and threads at one time; `None` where nobody counted. By a cgroup of Linux 6.1, or sampled.
    pub processes_peak: Option<u64>,
    /// Page faults served without I/O.
    pub minor_faults: u64,
    /// Page faults that needed I/O.
    pub major_faults: u64,
    /// Times a process gave up the processor to wait.
    pub voluntary_switches: u64,
    /// Times a process was made to give up the processor.
    pub involuntary_switches: u64,
    /// Bytes read from block devices.
    pub bytes_read: u64,
    /// Bytes written to block devices.
    pub bytes_written: u64,
    /// Bytes written to the standard output; `None` where nobody counted: with a limit on the output it is.
    pub stdout_bytes: Option<u64>,
    /// Bytes written to the standard error; as for `stdout_bytes`. 0 if both are one file: then the standard output has them all.
    pub stderr_bytes: Option<u64>,
    /// Time lost for want of resources, where the sandbox has a cgroup of version 2 and the kernel keeps count.
    pub pressure: Option<Pressure>,
}

impl Usage {
    /// Nothing.
    pub(crate) const NONE: Usage = Usage {
        wall: Duration::ZERO,
        user: Duration::ZERO,
        system: Duration::ZERO,
        memory: 0,
        memory_peak: 0,
        memory_source: MemorySource::LargestProcess,
        max_rss: 0,
        processes: 0,
        processes_peak: None,
        minor_faults: 0,
        major_faults: 0,
        voluntary_switches: 0,
        involuntary_switches: 0,
        bytes_read: 0,
        bytes_written: 0,
        stdout_bytes: None,
        stderr_bytes: None,
        pressure: None,
    };

    /// User and system time together.
    pub fn cpu(&self) -> Duration {
        self.user + self.system
    }
}

impl From<message::Usage> for Usage {
    fn from(raw: message::Usage) -> Usage {
        const BLOCK: u64 = 512;
        let max_rss = raw.max_rss_kib.saturating_mul(1024);
        let sampled = raw.memory_peak > 0;
        Usage {
            wall: Duration::from_nanos(raw.wall_ns),
            user: Duration::from_micros(raw.user_us),
            system: Duration::from_micros(raw.system_us),
            memory_peak: raw.memory_peak.max(max_rss),
            memory_source: if sampled { MemorySource::Sampled } else { MemorySource::LargestProcess },
            max_rss,
            processes_peak: (raw.processes_peak > 0).then_some(raw.processes_peak),
            minor_faults: raw.minor_faults,
            major_faults: raw.major_faults,
            voluntary_switches: raw.voluntary_switches,
            involuntary_switches: raw.involuntary_switches,
            bytes_read: raw.blocks_in.saturating_mul(BLOCK),
            bytes_written: raw.blocks_out.saturating_mul(BLOCK),
            ..Usage::NONE
        }
    }
}
