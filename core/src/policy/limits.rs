//! The limits of a sandbox as a whole: what all that runs inside may use together.

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
        /// Processor time of the whole tree.
        CpuTime = "cpu_time",
        /// Processors, as a number that may have a fraction.
        Cpus = "cpus",
        /// The share of processor time under contention.
        CpuWeight = "cpu_weight",
        /// Which processors.
        CpuSet = "cpu_set",
        /// Processes and threads at one time.
        Pids = "pids",
        /// Bytes and operations a second, for each device.
        Io = "io",
        /// Time from the start.
        WallTime = "wall_time",
        /// Bytes written to the standard output, and to the standard error.
        Output = "output",
    }
}

named! {
    /// What enforces a limit.
    Mechanism {
        /// A controller of cgroup v2: the kernel, exactly.
        CgroupV2 = "cgroup-v2",
        /// A controller of cgroup v1: the kernel, exactly.
        CgroupV1 = "cgroup-v1",
        /// `setrlimit(2)` in a user namespace of the sandbox's own: the kernel, exactly.
        Rlimit = "rlimit",
        /// The warden, which all of it passes through.
        Warden = "warden",
        /// The warden, which looks at an interval: what is above the limit between two looks is not seen.
        Sampled = "sampled",
    }
}

/// How far a limit must be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Exactly, or the command does not start.
    Exact,
    /// As well as this host can, or not at all.
    BestEffort,
}

/// A number of processors. Compared by its bits, so that a policy stays a value.
#[derive(Debug, Clone, Copy)]
pub struct Cores(pub f64);

impl PartialEq for Cores {
    fn eq(&self, other: &Cores) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Cores {}

/// How fast what runs inside may read and write, on the device that holds a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Io {
    pub(crate) path: PathBuf,
    pub(crate) read_bytes: Option<u64>,
    pub(crate) write_bytes: Option<u64>,
    pub(crate) read_operations: Option<u64>,
    pub(crate) write_operations: Option<u64>,
}

impl Io {
    /// No limit yet, on the block device that holds `path`, a path of the caller's, or that is this
    /// node itself.
    pub fn new(path: impl AsRef<Path>) -> Io {
        Io {
            path: path.as_ref().into(),
            read_bytes: None,
            write_bytes: None,
            read_operations: None,
            write_operations: None,
        }
    }

    /// At most so many bytes a second read from the device.
    pub fn read_bytes(mut self, per_second: impl Into<u64>) -> Io {
        self.read_bytes = Some(per_second.into());
        self
    }

    /// At most so many bytes a second written to the device.
    pub fn write_bytes(mut self, per_second: impl Into<u64>) -> Io {
        self.write_bytes = Some(per_second.into());
        self
    }

    /// At most so many read operations a second.
    pub fn read_operations(mut self, per_second: u64) -> Io {
        self.read_operations = Some(per_second);
        self
    }

    /// At most so many write operations a second.
    pub fn write_operations(mut self, per_second: u64) -> Io {
        self.write_operations = Some(per_second);
        self
    }

    /// The four rates: name in policies, and value.
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
    pub cpu_weight: Option<u32>,
    pub cpu_set: Option<BTreeSet<u32>>,
    pub pids: Option<u64>,
    pub io: Vec<Io>,
    pub wall_time: Option<Duration>,
    /// The signal that a command gets when its wall time is over, and how long it then has.
    pub grace: Option<(i32, Duration)>,
    pub output: Option<u64>,
    pub demands: BTreeMap<Limit, Demand>,
}

/// What one command may use of what its sandbox may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    pub memory: Option<u64>,
    pub cpu_time: Option<Duration>,
    pub pids: Option<u64>,
}

impl Share {
    /// Those that it sets.
    pub fn limits(&self) -> impl Iterator<Item = Limit> {
        let set = [
            (Limit::Memory, self.memory.is_some()),
            (Limit::CpuTime, self.cpu_time.is_some()),
            (Limit::Pids, self.pids.is_some()),
        ];
        set.into_iter().filter(|(_, set)| *set).map(|(limit, _)| limit)
    }

    /// The limits of a command that is the only one: the tighter of these and the whole's.
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

    /// The limits of one command among others: these, and of the whole's those that are each
    /// command's own.
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
    /// Whether the policy sets this one.
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
        }
    }

    pub fn demand(&self, limit: Limit) -> Option<Demand> {
        self.demands.get(&limit).copied()
    }
}
