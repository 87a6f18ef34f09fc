//! What a command used. The figures are declared in `core/wire/usage.rs`.

use crate::base::declared::{Figure, named};
use crate::wire::usage::{self as told, UNKNOWN, for_each_figure};
use std::time::Duration;

named! {
    /// Where a peak of memory comes from.
    MemorySource {
        /// The cgroup's own peak: all that was charged to it, files in memory and kernel structures
        /// among them.
        Cgroup = "cgroup",
        /// The largest sum of the processes' peaks (VmHWM) that the warden saw at an interval, and
        /// no more than a sampled limit that was kept to.
        Sampled = "sampled",
        /// The largest single process alone (`ru_maxrss`): nobody counted the sum.
        LargestProcess = "largest-process",
    }
}

/// How long something inside stood still for want of a resource: the kernel's pressure stall
/// information, `total`s (Linux 4.20).
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

/// What each kind of figure is in Rust: its type, its unit in words, where it starts, how the
/// report's number becomes it.
#[rustfmt::skip] // A table.
macro_rules! rust {
    (type time) => { Duration };
    (type bytes) => { u64 };
    (type count) => { u64 };
    (type bytes_if_known) => { Option<u64> };
    (type count_if_known) => { Option<u64> };
    (unit time) => { "" };
    (unit bytes) => { " In bytes." };
    (unit count) => { "" };
    (unit bytes_if_known) => { " In bytes. `None` where nobody counted." };
    (unit count_if_known) => { " `None` where nobody counted." };
    (none time) => { Duration::ZERO };
    (none bytes) => { 0 };
    (none count) => { 0 };
    (none bytes_if_known) => { None };
    (none count_if_known) => { None };
    (from time $told:expr) => { Duration::from_nanos($told) };
    (from bytes $told:expr) => { $told };
    (from count $told:expr) => { $told };
    (from bytes_if_known $told:expr) => { Some($told).filter(|number| *number != UNKNOWN) };
    (from count_if_known $told:expr) => { Some($told).filter(|number| *number != UNKNOWN) };
    (number time $figure:expr) => { u64::try_from($figure.as_micros()).ok() };
    (number bytes $figure:expr) => { Some($figure) };
    (number count $figure:expr) => { Some($figure) };
    (number bytes_if_known $figure:expr) => { $figure };
    (number count_if_known $figure:expr) => { $figure };
}

macro_rules! usage {
    ($($(#[doc = $doc:literal])* $kind:ident $name:ident,)*) => {
        /// What the command and everything that it started used: the cgroup's counters where there
        /// is one, else `getrusage(2)` of all processes that were waited for, by their parents or
        /// by the warden.
        ///
        /// Without a cgroup, a process whose parent ignores SIGCHLD is reaped by the kernel and
        /// counted by nobody. The caller's own size and earlier runs are no part of any number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Usage {
            $($(#[doc = $doc])* #[doc = rust!(unit $kind)] pub $name: rust!(type $kind),)*
            /// Where `memory_peak` comes from.
            pub memory_source: MemorySource,
            /// Time lost for want of resources, where the sandbox has a cgroup of version 2 and the
            /// kernel keeps count.
            pub pressure: Option<Pressure>,
        }

        impl Usage {
            /// Nothing.
            pub(crate) const NONE: Usage = Usage {
                $($name: rust!(none $kind),)*
                memory_source: MemorySource::LargestProcess,
                pressure: None,
            };

            /// Every figure by its name, times in microseconds; `None` where nobody counted.
            #[doc(hidden)]
            pub fn figures(&self) -> Vec<(&'static str, Option<u64>)> {
                vec![$((stringify!($name), rust!(number $kind self.$name)),)*]
            }

            fn of(told: told::Usage) -> Usage {
                Usage { $($name: rust!(from $kind told.$name),)* ..Usage::NONE }
            }
        }

        /// What the other faces and the documentation say of each figure.
        pub const FIGURES: &[Figure] =
            &[$(Figure { name: stringify!($name), kind: stringify!($kind), doc: concat!($($doc),*) },)*];
    };
}
for_each_figure!(usage);

impl Usage {
    /// User and system time together.
    pub fn cpu(&self) -> Duration {
        self.user + self.system
    }
}

impl From<told::Usage> for Usage {
    fn from(told: told::Usage) -> Usage {
        let (memory_peak, memory_source) = match told.memory_peak {
            0 => (told.max_rss, MemorySource::LargestProcess),
            sampled => (sampled, MemorySource::Sampled),
        };
        Usage { memory_peak, memory_source, ..Usage::of(told) }
    }
}
