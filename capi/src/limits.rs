//! The limits of a sandbox as a whole: their setters, and what C calls a limit and what holds it.

use crate::boundary::{Answer, bytes, numbers};
use crate::error::seclude_error;
use crate::sandbox::{SECLUDE_UNLIMITED, build, seclude_sandbox};
use seclude_core::{Io, Limit, Mechanism};
use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::time::Duration;

/// Memory: `seclude_sandbox_memory`. The numbers count up from 0, without a gap.
pub const SECLUDE_LIMIT_MEMORY: c_int = 0;
/// Swap space: `seclude_sandbox_swap`.
pub const SECLUDE_LIMIT_SWAP: c_int = 1;
/// Processor time of the whole tree: `seclude_sandbox_cpu_time`.
pub const SECLUDE_LIMIT_CPU_TIME: c_int = 2;
/// Processors, as a number that may have a fraction: `seclude_sandbox_cpus`.
pub const SECLUDE_LIMIT_CPUS: c_int = 3;
/// The share of processor time under contention: `seclude_sandbox_cpu_weight`.
pub const SECLUDE_LIMIT_CPU_WEIGHT: c_int = 4;
/// Which processors: `seclude_sandbox_cpu_set`.
pub const SECLUDE_LIMIT_CPU_SET: c_int = 5;
/// Processes and threads at one time: `seclude_sandbox_pids`.
pub const SECLUDE_LIMIT_PIDS: c_int = 6;
/// Bytes and operations a second: `seclude_sandbox_io`.
pub const SECLUDE_LIMIT_IO: c_int = 7;
/// Time from the start: `seclude_sandbox_wall_time`.
pub const SECLUDE_LIMIT_WALL_TIME: c_int = 8;
/// Bytes written to the standard output, and to the standard error: `seclude_sandbox_output`.
pub const SECLUDE_LIMIT_OUTPUT: c_int = 9;

/// A controller of cgroup v2 holds the limit: the kernel, exactly.
pub const SECLUDE_MECHANISM_CGROUP_V2: c_int = 1;
/// A controller of cgroup v1 holds it: the kernel, exactly.
pub const SECLUDE_MECHANISM_CGROUP_V1: c_int = 2;
/// setrlimit(2) in a user namespace of the sandbox's own holds it: the kernel, exactly.
pub const SECLUDE_MECHANISM_RLIMIT: c_int = 3;
/// The warden holds it, which all of it passes through.
pub const SECLUDE_MECHANISM_WARDEN: c_int = 4;
/// The warden looks at an interval: what is above the limit between two looks is not seen.
pub const SECLUDE_MECHANISM_SAMPLED: c_int = 5;

/// What C calls each limit: number and name.
const LIMITS: [(Limit, c_int, &CStr); 10] = [
    (Limit::Memory, SECLUDE_LIMIT_MEMORY, c"memory"),
    (Limit::Swap, SECLUDE_LIMIT_SWAP, c"swap"),
    (Limit::CpuTime, SECLUDE_LIMIT_CPU_TIME, c"cpu_time"),
    (Limit::Cpus, SECLUDE_LIMIT_CPUS, c"cpus"),
    (Limit::CpuWeight, SECLUDE_LIMIT_CPU_WEIGHT, c"cpu_weight"),
    (Limit::CpuSet, SECLUDE_LIMIT_CPU_SET, c"cpu_set"),
    (Limit::Pids, SECLUDE_LIMIT_PIDS, c"pids"),
    (Limit::Io, SECLUDE_LIMIT_IO, c"io"),
    (Limit::WallTime, SECLUDE_LIMIT_WALL_TIME, c"wall_time"),
    (Limit::Output, SECLUDE_LIMIT_OUTPUT, c"output"),
];

/// What C calls each mechanism: number and name.
const MECHANISMS: [(Mechanism, c_int, &CStr); 5] = [
    (Mechanism::CgroupV2, SECLUDE_MECHANISM_CGROUP_V2, c"cgroup-v2"),
    (Mechanism::CgroupV1, SECLUDE_MECHANISM_CGROUP_V1, c"cgroup-v1"),
    (Mechanism::Rlimit, SECLUDE_MECHANISM_RLIMIT, c"rlimit"),
    (Mechanism::Warden, SECLUDE_MECHANISM_WARDEN, c"warden"),
    (Mechanism::Sampled, SECLUDE_MECHANISM_SAMPLED, c"sampled"),
];

/// A limit's number for each mechanism that is in force, and the mechanism's.
pub(crate) fn mechanisms(limits: impl Iterator<Item = (Limit, Mechanism)>) -> impl Iterator<Item = (usize, u8)> {
    limits.filter_map(|(limit, mechanism)| {
        let (_, place, _) = LIMITS.iter().find(|(known, ..)| *known == limit)?;
        let (_, number, _) = MECHANISMS.iter().find(|(known, ..)| *known == mechanism)?;
        Some((usize::try_from(*place).ok()?, u8::try_from(*number).ok()?))
    })
}

fn limit(number: c_int) -> Answer<Limit> {
    let known = LIMITS.iter().find(|(_, known, _)| *known == number);
    known.map(|(limit, ..)| *limit).ok_or_else(|| seclude_error::invalid(&format!("limit {number}"), "no limit has this number"))
}

/// The name of a `SECLUDE_LIMIT_...`: "cpu_time", its key in policies. NULL for any other number, so that a loop from 0 on ends with
/// the last. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_limit_name(limit: c_int) -> *const c_char {
    LIMITS.iter().find(|(_, number, _)| *number == limit).map_or(ptr::null(), |(.., name)| name.as_ptr())
}

/// The name of a `SECLUDE_MECHANISM_...`: "cgroup-v2", the same in every language. NULL for any other number. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_mechanism_name(mechanism: c_int) -> *const c_char {
    MECHANISMS.iter().find(|(_, number, _)| *number == mechanism).map_or(ptr::null(), |(.., name)| name.as_ptr())
}

// ---- setters

/// At most so many bytes of memory, for all that runs inside, the warden and its kernel structures included; files in memory
/// (tmpfs) count. No swap is used unless `seclude_sandbox_swap` grants some. No limit if nothing is said, and so below.
///
/// By a cgroup, the kernel ends a process when there is nothing left to reclaim, and the end is `SECLUDE_ENDED_MEMORY_LIMIT` even if
/// the first process went on. Without one it is sampled: the sum of what the processes hold, looked at every few milliseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_memory(sandbox: *mut seclude_sandbox, bytes: u64) {
    build(sandbox, |sandbox| Ok(sandbox.memory(bytes)));
}

/// At most so many bytes of swap besides the memory. Takes a cgroup, and a kernel that counts swap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_swap(sandbox: *mut seclude_sandbox, bytes: u64) {
    build(sandbox, |sandbox| Ok(sandbox.swap(bytes)));
}

/// At most so many milliseconds of processor time, 1 or more, user and system, of all processes inside together. When they are used
/// up, everything inside is killed, and the end is `SECLUDE_ENDED_CPU_TIME`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cpu_time(sandbox: *mut seclude_sandbox, milliseconds: u64) {
    build(sandbox, |sandbox| Ok(sandbox.cpu_time(Duration::from_millis(milliseconds))));
}

/// At most so many processors' worth of time, a fraction allowed: 0.01 to 8192. Takes a cgroup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cpus(sandbox: *mut seclude_sandbox, number: f64) {
    build(sandbox, |sandbox| Ok(sandbox.cpus(number)));
}

/// The share of processor time where others want it too: 1 to 10000, 100 for who has said nothing. Takes a cgroup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cpu_weight(sandbox: *mut seclude_sandbox, weight: u32) {
    build(sandbox, |sandbox| Ok(sandbox.cpu_weight(weight)));
}

/// Runs on these processors only: `count` of them, at least 1, by their numbers from 0. Takes a cgroup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cpu_set(sandbox: *mut seclude_sandbox, processors: *const u32, count: usize) {
    build(sandbox, |sandbox| match numbers("processors", processors, count)? {
        [] => Err(seclude_error::invalid("processors", "none is named")),
        processors => Ok(sandbox.cpu_set(processors.iter().copied())),
    });
}

/// At most so many processes and threads at one time, the warden not counted. Who wants more is refused it (EAGAIN); if the command
/// then does not exit with code 0, its end is `SECLUDE_ENDED_PROCESS_LIMIT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_pids(sandbox: *mut seclude_sandbox, number: u64) {
    build(sandbox, |sandbox| Ok(sandbox.pids(number)));
}

/// Limits reading and writing on the block device that holds `path`, a path of the caller's, or that is this node itself: bytes and
/// operations a second, each 1 or more, or `SECLUDE_UNLIMITED`. May be said for several devices. Takes a cgroup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_io(
    sandbox: *mut seclude_sandbox,
    path: *const c_char,
    read_bytes: u64,
    write_bytes: u64,
    read_operations: u64,
    write_operations: u64,
) {
    type Rate = (u64, fn(Io, u64) -> Io);
    let rates: [Rate; 4] = [
        (read_bytes, Io::read_bytes),
        (write_bytes, Io::write_bytes),
        (read_operations, Io::read_operations),
        (write_operations, Io::write_operations),
    ];
    build(sandbox, |sandbox| {
        let io = Io::new(bytes("io path", path)?);
        let said = rates.iter().filter(|(rate, _)| *rate != SECLUDE_UNLIMITED);
        Ok(sandbox.io(said.fold(io, |io, (rate, apply)| apply(io, *rate))))
    });
}

/// How many milliseconds a command may take, 1 or more. When they are over, everything inside is killed, and the end is
/// `SECLUDE_ENDED_WALL_TIME`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_wall_time(sandbox: *mut seclude_sandbox, milliseconds: u64) {
    build(sandbox, |sandbox| Ok(sandbox.wall_time(Duration::from_millis(milliseconds))));
}

/// When the wall time is over, sends this signal to the command's process group first, and kills only so many milliseconds later. The
/// end is `SECLUDE_ENDED_WALL_TIME` either way; `status` in the outcome says what the command made of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_wall_time_grace(sandbox: *mut seclude_sandbox, signal: c_int, milliseconds: u64) {
    build(sandbox, |sandbox| Ok(sandbox.wall_time_grace(signal, Duration::from_millis(milliseconds))));
}

/// At most so many bytes to the standard output, and so many to the standard error, whether they are collected or passed on. Who writes
/// more is killed, and the end is `SECLUDE_ENDED_OUTPUT_LIMIT`; exactly the first so many bytes arrive.
///
/// Both streams are then pipes to the warden, which passes on what it reads. Streams that are the same file count as one. If nothing is
/// said, nothing is counted but what `seclude_command_output` collects: at most 64 MiB of each stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_output(sandbox: *mut seclude_sandbox, bytes: u64) {
    build(sandbox, |sandbox| Ok(sandbox.output(bytes)));
}

/// This limit, a `SECLUDE_LIMIT_...` that the policy sets, must be held by the kernel or at the warden's hands, exactly: where it can only
/// be sampled, the command does not start (`SECLUDE_ELIMIT_UNAVAILABLE`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_require(sandbox: *mut seclude_sandbox, limit: c_int) {
    build(sandbox, |sandbox| Ok(sandbox.require(self::limit(limit)?)));
}

/// Where this limit, a `SECLUDE_LIMIT_...`, cannot be held on this host, goes on without it; `mechanisms` in the outcome tells. If nothing
/// is said, a limit that cannot even be sampled is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_best_effort(sandbox: *mut seclude_sandbox, limit: c_int) {
    build(sandbox, |sandbox| Ok(sandbox.best_effort(self::limit(limit)?)));
}

/// Makes the sandbox's cgroup below this directory of a mounted cgroup v2 hierarchy, which the caller may write and no process is
/// directly in; controllers that it lacks are turned on in it. The environment variable SECLUDE_CGROUP does the same. If nothing is
/// said, one is looked for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cgroup(sandbox: *mut seclude_sandbox, directory: *const c_char) {
    build(sandbox, |sandbox| Ok(sandbox.cgroup(bytes("cgroup", directory)?)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name<'a>(name: *const c_char) -> &'a str {
        assert!(!name.is_null());
        // SAFETY: a name of ours, which lives for ever.
        unsafe { CStr::from_ptr(name) }.to_str().expect("UTF-8")
    }

    #[test]
    fn every_limit_has_the_core_s_name_and_its_place_without_a_gap() {
        assert_eq!(LIMITS.len(), Limit::ALL.len());
        for (place, known) in Limit::ALL.iter().enumerate() {
            let number = place as c_int;
            assert_eq!(name(seclude_limit_name(number)), known.name());
            assert_eq!(limit(number).ok(), Some(*known));
        }
        for number in [-1, LIMITS.len() as c_int] {
            assert!(seclude_limit_name(number).is_null());
            assert_eq!(limit(number).expect_err("no limit").message(), format!("limit {number}: no limit has this number"));
        }
    }

    #[test]
    fn every_mechanism_has_the_core_s_name_and_is_never_zero() {
        assert_eq!(MECHANISMS.len(), Mechanism::ALL.len());
        for (place, known) in Mechanism::ALL.iter().enumerate() {
            assert_eq!(name(seclude_mechanism_name(place as c_int + 1)), known.name());
        }
        assert!(seclude_mechanism_name(0).is_null() && seclude_mechanism_name(6).is_null());
    }

    #[test]
    fn what_holds_a_limit_stands_at_its_place() {
        let held = [(Limit::Pids, Mechanism::CgroupV1), (Limit::CpuTime, Mechanism::Sampled)];
        assert_eq!(mechanisms(held.into_iter()).collect::<Vec<_>>(), [(6, 2), (2, 5)]);
    }
}
