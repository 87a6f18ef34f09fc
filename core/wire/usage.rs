//! Resource usage of a command: every figure, declared once.
//!
//! This list generates the warden's report, `seclude::Usage`, the fields of `seclude_outcome` in C
//! and of `Usage` in Python, and the table in docs/outcomes.md. To add a figure, add it here and
//! count it in `core/warden/watch.rs` or where the cgroup counters are read. Then run `make faces`.

/// Passes every figure to the macro `$apply`: its documentation, kind and name.
///
/// - `time`: nanoseconds here, a `Duration` in Rust, nanoseconds in C, seconds in Python.
/// - `bytes`, `count`: a number.
/// - `bytes_if_known`, `count_if_known`: a number, or [`UNKNOWN`] where the host lacks what counts
///   it.
macro_rules! for_each_figure {
    ($apply:ident) => {
        $apply! {
            /// Time from the start of the command to the end of the last process inside.
            time wall,
            /// Processor time of the whole tree in user mode.
            time user,
            /// Processor time of the whole tree in the kernel.
            time system,
            /// How long processes that were ready to run had to wait because the limit `cpus` was
            /// used up, added up over the processors. 0 without that limit, and for a command in a
            /// cell, where the limit is the cell's.
            time throttled,
            /// Memory in use while the command runs; 0 afterwards.
            bytes memory,
            /// The most memory in use at one time.
            bytes memory_peak,
            /// The most memory seen, without the pages of files: `RssAnon` and `RssShmem` of the
            /// processes, or `anon` and `shmem` of the cgroup. The warden samples it every 5
            /// milliseconds or less often, where the memory of the sandbox, or of this command in a
            /// cell, is limited.
            bytes_if_known anonymous_peak,
            /// The largest resident set of any single process of the tree.
            bytes max_rss,
            /// Processes and threads inside while the command runs, without the warden; 0
            /// afterwards.
            count processes,
            /// The most processes and threads at one time: from the cgroup since Linux 6.1, else
            /// sampled.
            count_if_known processes_peak,
            /// Page faults served without I/O.
            count minor_faults,
            /// Page faults that needed I/O.
            count major_faults,
            /// How often a process gave up the processor to wait.
            count voluntary_switches,
            /// How often the kernel took the processor from a process.
            count involuntary_switches,
            /// Bytes read from block devices.
            bytes bytes_read,
            /// Bytes written to block devices.
            bytes bytes_written,
            /// Bytes written to the standard output. Counted only with a limit on the output.
            bytes_if_known stdout_bytes,
            /// Bytes written to the standard error. Counted only with a limit on the output. 0 if
            /// both streams are one file: then `stdout_bytes` counts both.
            bytes_if_known stderr_bytes,
        }
    };
}
#[allow(unused_imports, reason = "the warden needs nothing but the report")]
pub(crate) use for_each_figure;

/// The value of a figure that nothing counted.
pub const UNKNOWN: u64 = u64::MAX;

/// The value of a figure before anything is counted.
#[rustfmt::skip] // A table.
macro_rules! nothing {
    (time) => { 0 };
    (bytes) => { 0 };
    (count) => { 0 };
    (bytes_if_known) => { UNKNOWN };
    (count_if_known) => { UNKNOWN };
}

macro_rules! report {
    ($($(#[doc = $doc:literal])* $kind:ident $name:ident,)*) => {
        super::codec::wire_data! {
            /// Resource usage of one command and its descendants, as far as the warden saw it.
            struct Usage {
                $($(#[doc = $doc])* $name: u64,)*
                /// Nanoseconds of processor time that the cgroup's meter counted, without the
                /// warden's own time; 0 without a meter.
                meter: u64,
            }
        }

        impl Usage {
            /// Nothing counted.
            pub const NONE: Usage = Usage { $($name: nothing!($kind),)* meter: 0 };
        }
    };
}
for_each_figure!(report);
