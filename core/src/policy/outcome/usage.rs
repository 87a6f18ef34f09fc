//! The resources that a command used. `core/wire/usage.rs` declares the figures.

use crate::base::declared::{Figure, named};
use crate::wire::usage::{self as report, UNKNOWN, for_each_figure};
use std::time::Duration;

named! {
    /// The source of the figure `memory_peak`.
    MemorySource {
        /// The peak of the cgroup: everything charged to it, including files in memory and kernel
        /// structures.
        Cgroup = "cgroup",
        /// The largest sum of the processes' peaks (VmHWM) that the warden sampled. It does not
        /// exceed a sampled limit that was kept.
        Sampled = "sampled",
        /// The peak of the largest single process (`ru_maxrss`). The sum was not counted.
        LargestProcess = "largest-process",
    }
}

/// The time that processes inside waited for a resource: the `total` fields of the kernel's
/// pressure stall information (Linux 4.20).
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

/// Maps each kind of figure to Rust: its type, its unit in words, its initial value, the conversion
/// from the report's number, and the conversion to a plain number.
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
    (unit bytes_if_known) => { " In bytes. `None` if not counted." };
    (unit count_if_known) => { " `None` if not counted." };
    (none time) => { Duration::ZERO };
    (none bytes) => { 0 };
    (none count) => { 0 };
    (none bytes_if_known) => { None };
    (none count_if_known) => { None };
    (from time $value:expr) => { Duration::from_nanos($value) };
    (from bytes $value:expr) => { $value };
    (from count $value:expr) => { $value };
    (from bytes_if_known $value:expr) => { Some($value).filter(|number| *number != UNKNOWN) };
    (from count_if_known $value:expr) => { Some($value).filter(|number| *number != UNKNOWN) };
    (number time $figure:expr) => { u64::try_from($figure.as_micros()).ok() };
    (number bytes $figure:expr) => { Some($figure) };
    (number count $figure:expr) => { Some($figure) };
    (number bytes_if_known $figure:expr) => { $figure };
    (number count_if_known $figure:expr) => { $figure };
}

macro_rules! usage {
    ($($(#[doc = $doc:literal])* $kind:ident $name:ident,)*) => {
        /// The resources that the command and all its descendants used.
        ///
        /// The figures come from the cgroup's counters if there is a cgroup. Otherwise they come
        /// from `getrusage(2)` and cover all processes that a parent or the warden has waited for.
        /// A process whose parent ignores SIGCHLD is then not counted, because the kernel reaps it.
        /// No figure includes the caller's own memory or earlier commands.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Usage {
            $($(#[doc = $doc])* #[doc = rust!(unit $kind)] pub $name: rust!(type $kind),)*
            /// The source of `memory_peak`.
            pub memory_source: MemorySource,
            /// The time spent waiting for resources. `None` unless the sandbox has a v2 cgroup and
            /// the kernel provides pressure stall information.
            pub pressure: Option<Pressure>,
        }

        impl Usage {
            /// No usage.
            pub(crate) const NONE: Usage = Usage {
                $($name: rust!(none $kind),)*
                memory_source: MemorySource::LargestProcess,
                pressure: None,
            };

            /// Every figure with its name. Times are in microseconds. `None` if not counted.
            #[doc(hidden)]
            pub fn figures(&self) -> Vec<(&'static str, Option<u64>)> {
                vec![$((stringify!($name), rust!(number $kind self.$name)),)*]
            }

            fn of(report: report::Usage) -> Usage {
                Usage { $($name: rust!(from $kind report.$name),)* ..Usage::NONE }
            }
        }

        /// The names, kinds and documentation of all figures, for the other languages.
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

impl From<report::Usage> for Usage {
    fn from(report: report::Usage) -> Usage {
        let (memory_peak, memory_source) = match report.memory_peak {
            0 => (report.max_rss, MemorySource::LargestProcess),
            sampled => (sampled, MemorySource::Sampled),
        };
        Usage { memory_peak, memory_source, ..Usage::of(report) }
    }
}
