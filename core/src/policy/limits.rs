//! The limits of a sandbox, which all processes inside share.

use crate::base::declared::named;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

named! {
    /// A limit on a sandbox as a whole.
    Limit {
        /// Memory, in bytes.
        Memory = "memory",
        /// Swap space, in bytes.
        Swap = "swap",
        /// Processor time of all processes together.
        CpuTime = "cpu_time",
        /// The number of processors, which may have a fraction.
        Cpus = "cpus",
        /// The weight when competing for processor time.
        CpuWeight = "cpu_weight",
        /// The set of allowed processors.
        CpuSet = "cpu_set",
        /// Processes and threads at one time.
        Pids = "pids",
        /// Bytes and operations per second, for each device.
        Io = "io",
        /// Elapsed time since the start of the command.
        WallTime = "wall_time",
        /// Bytes written to each of standard output and standard error.
        Output = "output",
        /// Saved processor time that may be used beyond the quota.
        CpuBurst = "cpu_burst",
    }
}

impl Limit {
    /// Whether the warden can hold the limit by looking at the processes at intervals, where no
    /// cgroup does.
    pub(crate) fn can_be_sampled(self) -> bool {
        match self {
            Limit::Memory | Limit::CpuTime | Limit::Pids => true,
            Limit::Swap
            | Limit::Cpus
            | Limit::CpuWeight
            | Limit::CpuSet
            | Limit::Io
            | Limit::WallTime
            | Limit::Output
            | Limit::CpuBurst => false,
        }
    }
}

named! {
    /// The mechanism that enforces a limit.
    Mechanism {
        /// The kernel enforces the limit exactly, by a controller of cgroup v2.
        CgroupV2 = "cgroup-v2",
        /// The kernel enforces the limit exactly, by a controller of cgroup v1.
        CgroupV1 = "cgroup-v1",
        /// The kernel enforces the limit exactly, by `setrlimit(2)` in the sandbox's own user
        /// namespace.
        Rlimit = "rlimit",
        /// The warden enforces the limit exactly, because everything limited passes through it.
        Warden = "warden",
        /// The warden samples the usage at intervals. Usage above the limit between two samples
        /// goes unnoticed.
        Sampled = "sampled",
    }
}

/// The period of a quota of processor time.
pub const QUOTA_PERIOD: Duration = Duration::from_millis(100);

/// How strictly a limit must be enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Exactly, or the command does not start.
    Exact,
    /// As well as this host can, or not at all.
    BestEffort,
}

/// A number of processors. The comparison is by bits, so that policies can implement `Eq`.
#[derive(Debug, Clone, Copy)]
pub struct Cores(pub f64);

impl PartialEq for Cores {
    fn eq(&self, other: &Cores) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Cores {}

/// The rates at which a sandbox may read from and write to one block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Io {
    pub(crate) path: PathBuf,
    pub(crate) read_bytes: Option<u64>,
    pub(crate) write_bytes: Option<u64>,
    pub(crate) read_operations: Option<u64>,
    pub(crate) write_operations: Option<u64>,
}

impl Io {
    /// No rates yet, for the block device that holds `path`. `path` is outside the sandbox, and may
    /// be the device node itself.
    pub fn new(path: impl AsRef<Path>) -> Io {
        Io {
            path: path.as_ref().into(),
            read_bytes: None,
            write_bytes: None,
            read_operations: None,
            write_operations: None,
        }
    }

    /// Limits the number of bytes read from the device per second.
    pub fn read_bytes(mut self, per_second: impl Into<u64>) -> Io {
        self.read_bytes = Some(per_second.into());
        self
    }

    /// Limits the number of bytes written to the device per second.
    pub fn write_bytes(mut self, per_second: impl Into<u64>) -> Io {
        self.write_bytes = Some(per_second.into());
        self
    }

    /// Limits the number of read operations per second.
    pub fn read_operations(mut self, per_second: u64) -> Io {
        self.read_operations = Some(per_second);
        self
    }

    /// Limits the number of write operations per second.
    pub fn write_operations(mut self, per_second: u64) -> Io {
        self.write_operations = Some(per_second);
        self
    }

    /// The four rates, each with its name in policies.
    pub(crate) fn rates(&self) -> [(&'static str, Option<u64>); 4] {
        [
            ("read_bytes", self.read_bytes),
            ("write_bytes", self.write_bytes),
            ("read_operations", self.read_operations),
            ("write_operations", self.write_operations),
        ]
    }
}

/// All limits of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    pub memory: Option<u64>,
    pub swap: Option<u64>,
    pub cpu_time: Option<Duration>,
    pub cpus: Option<Cores>,
    pub cpu_burst: Option<Duration>,
    pub cpu_weight: Option<u32>,
    pub cpu_set: Option<BTreeSet<u32>>,
    pub pids: Option<u64>,
    pub io: Vec<Io>,
    pub wall_time: Option<Duration>,
    /// The signal that a command gets when its wall time is over, and the time until it is killed.
    pub grace: Option<(i32, Duration)>,
    pub output: Option<u64>,
    pub demands: BTreeMap<Limit, Demand>,
}

/// The limits of one command, as its share of the sandbox's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    pub memory: Option<u64>,
    pub cpu_time: Option<Duration>,
    pub pids: Option<u64>,
}

impl Share {
    /// The limits that are set.
    pub fn limits(&self) -> impl Iterator<Item = Limit> {
        let set = [
            (Limit::Memory, self.memory.is_some()),
            (Limit::CpuTime, self.cpu_time.is_some()),
            (Limit::Pids, self.pids.is_some()),
        ];
        set.into_iter().filter(|(_, set)| *set).map(|(limit, _)| limit)
    }

    /// The limits of a command that has the sandbox to itself: the tighter of its own and the
    /// sandbox's (`whole`).
    pub fn over(&self, whole: &Limits) -> Limits {
        fn tighter<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.into_iter().chain(other).min()
        }
        Limits {
            memory: tighter(self.memory, whole.memory),
            cpu_time: tighter(self.cpu_time, whole.cpu_time),
            pids: tighter(self.pids, whole.pids),
            ..whole.clone()
        }
    }

    /// The limits of a command in a cell: its own, and those limits of the sandbox (`whole`) that
    /// apply to each command separately.
    pub fn alone(&self, whole: &Limits) -> Limits {
        Limits {
            memory: self.memory,
            swap: self.memory.and(whole.swap),
            cpu_time: self.cpu_time,
            pids: self.pids,
            wall_time: whole.wall_time,
            grace: whole.grace,
            output: whole.output,
            ..Limits::default()
        }
    }
}

impl Limits {
    /// Whether the policy sets this limit.
    pub fn sets(&self, limit: Limit) -> bool {
        match limit {
            Limit::Memory => self.memory.is_some(),
            Limit::Swap => self.swap.is_some(),
            Limit::CpuTime => self.cpu_time.is_some(),
            Limit::Cpus => self.cpus.is_some(),
            Limit::CpuWeight => self.cpu_weight.is_some(),
            Limit::CpuSet => self.cpu_set.is_some(),
            Limit::Pids => self.pids.is_some(),
            Limit::Io => !self.io.is_empty(),
            Limit::WallTime => self.wall_time.is_some(),
            Limit::Output => self.output.is_some(),
            Limit::CpuBurst => self.cpu_burst.is_some(),
        }
    }

    pub fn demand(&self, limit: Limit) -> Option<Demand> {
        self.demands.get(&limit).copied()
    }
}
