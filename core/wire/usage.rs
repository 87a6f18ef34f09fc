//! What a command can have used: every figure, declared once.
//!
//! From this list come the warden's report, `seclude::Usage`, the fields of C's `seclude_outcome`
//! and of Python's `Usage`, and the table in docs/outcomes.md. To add a figure, add it here, and
//! count it in `core/warden/watch.rs` or where a cgroup's counters are read; then `make faces`.

/// Hands every figure to the macro `$apply`: documentation, kind and name.
///
/// - `time`: nanoseconds here, a `Duration` in Rust, nanoseconds in C, seconds in Python.
/// - `bytes`, `count`: a number.
/// - `bytes_if_known`, `count_if_known`: a number, or [`UNKNOWN`], where it takes something that a
///   host may not have.
macro_rules! for_each_figure {
    ($apply:ident) => {
        $apply! {
            /// From the command's start to the end of the last process inside.
            time wall,
            /// Processor time in user mode, of the whole tree.
            time user,
            /// Processor time in the kernel, of the whole tree.
            time system,
            /// How long processes were ready to run and had to wait, because the limit `cpus` was
            /// used up: added up over the processors. 0 without that limit.
            time throttled,
            /// Memory in use, while it runs; 0 afterwards.
            bytes memory,
            /// The most memory that was in use at one time.
            bytes memory_peak,
            /// The most memory that was seen without the pages of files: `RssAnon` and `RssShmem`
            /// of the processes, or `anon` and `shmem` of the cgroup. The warden looks every 5
            /// milliseconds or less often, where the memory of the sandbox, or of this command in a
            /// cell, is limited.
            bytes_if_known anonymous_peak,
            /// The largest resident set that any single process of the tree had.
            bytes max_rss,
            /// Processes and threads inside, while it runs, the warden not counted; 0 afterwards.
            count processes,
            /// The most processes and threads at one time: by a cgroup of Linux 6.1, or sampled.
            count_if_known processes_peak,
            /// Page faults served without I/O.
            count minor_faults,
            /// Page faults that needed I/O.
            count major_faults,
            /// Times a process gave up the processor to wait.
            count voluntary_switches,
            /// Times a process was made to give up the processor.
            count involuntary_switches,
            /// What was read from block devices.
            bytes bytes_read,
            /// What was written to block devices.
            bytes bytes_written,
            /// What was written to the standard output. Counted only with a limit on the output.
            bytes_if_known stdout_bytes,
            /// What was written to the standard error. Counted only with a limit on the output; 0
            /// if both streams are one file: then `stdout_bytes` counts them all.
            bytes_if_known stderr_bytes,
        }
    };
}
#[allow(unused_imports, reason = "the warden needs nothing but the report")]
pub(crate) use for_each_figure;

/// What nobody counted.
pub const UNKNOWN: u64 = u64::MAX;

/// Before anything is counted.
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
            /// What one command and its descendants have used, as far as the warden saw it.
            struct Usage {
                $($(#[doc = $doc])* $name: u64,)*
                /// Nanoseconds of processor time by the cgroup's meter, the warden's own part taken
                /// off; 0 without one.
                meter: u64,
            }
        }

        impl Usage {
            /// Nothing.
            pub const NONE: Usage = Usage { $($name: nothing!($kind),)* meter: 0 };
        }
    };
}
for_each_figure!(report);
