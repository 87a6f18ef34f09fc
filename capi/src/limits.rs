//! The limits of a sandbox: their setters, and the constants for limits and mechanisms.

use crate::boundary::{Answer, bytes, numbers};
use crate::error::seclude_error;
use crate::sandbox::{build, seclude_sandbox};
use crate::words::{Words, name_of, number_of, word_of};
use seclude_core::{Io, Limit, Mechanism, Resource};
use std::ffi::{c_char, c_int};
use std::time::Duration;

/// No limit, as a size, a number or a resource: `UINT64_MAX`.
pub const SECLUDE_UNLIMITED: u64 = u64::MAX;

// A limit's number is its index in `mechanisms` of the outcome, so they count from 0 without a gap.

// faces: begin limits as C constants
/// Memory, in bytes.
pub const SECLUDE_LIMIT_MEMORY: c_int = 0;
/// Swap space, in bytes.
pub const SECLUDE_LIMIT_SWAP: c_int = 1;
/// Processor time of all processes together.
pub const SECLUDE_LIMIT_CPU_TIME: c_int = 2;
/// The number of processors, which may have a fraction.
pub const SECLUDE_LIMIT_CPUS: c_int = 3;
/// The weight when competing for processor time.
pub const SECLUDE_LIMIT_CPU_WEIGHT: c_int = 4;
/// The set of allowed processors.
pub const SECLUDE_LIMIT_CPU_SET: c_int = 5;
/// Processes and threads at one time.
pub const SECLUDE_LIMIT_PIDS: c_int = 6;
/// Bytes and operations per second, for each device.
pub const SECLUDE_LIMIT_IO: c_int = 7;
/// Elapsed time since the start of the command.
pub const SECLUDE_LIMIT_WALL_TIME: c_int = 8;
/// Bytes written to each of standard output and standard error.
pub const SECLUDE_LIMIT_OUTPUT: c_int = 9;
/// Saved processor time that may be used beyond the quota.
pub const SECLUDE_LIMIT_CPU_BURST: c_int = 10;
// faces: end

// faces: begin mechanisms as C constants
/// The kernel enforces the limit exactly, by a controller of cgroup v2.
pub const SECLUDE_MECHANISM_CGROUP_V2: c_int = 1;
/// The kernel enforces the limit exactly, by a controller of cgroup v1.
pub const SECLUDE_MECHANISM_CGROUP_V1: c_int = 2;
/// The kernel enforces the limit exactly, by `setrlimit(2)` in the sandbox's own user namespace.
pub const SECLUDE_MECHANISM_RLIMIT: c_int = 3;
/// The warden enforces the limit exactly, because everything limited passes through it.
pub const SECLUDE_MECHANISM_WARDEN: c_int = 4;
/// The warden samples the usage at intervals. Usage above the limit between two samples goes
/// unnoticed.
pub const SECLUDE_MECHANISM_SAMPLED: c_int = 5;
// faces: end

const LIMITS: &Words<c_int> = &[
    // faces: begin limits with their names
    (SECLUDE_LIMIT_MEMORY, c"memory"),
    (SECLUDE_LIMIT_SWAP, c"swap"),
    (SECLUDE_LIMIT_CPU_TIME, c"cpu_time"),
    (SECLUDE_LIMIT_CPUS, c"cpus"),
    (SECLUDE_LIMIT_CPU_WEIGHT, c"cpu_weight"),
    (SECLUDE_LIMIT_CPU_SET, c"cpu_set"),
    (SECLUDE_LIMIT_PIDS, c"pids"),
    (SECLUDE_LIMIT_IO, c"io"),
    (SECLUDE_LIMIT_WALL_TIME, c"wall_time"),
    (SECLUDE_LIMIT_OUTPUT, c"output"),
    (SECLUDE_LIMIT_CPU_BURST, c"cpu_burst"),
    // faces: end
];

const MECHANISMS: &Words<c_int> = &[
    // faces: begin mechanisms with their names
    (SECLUDE_MECHANISM_CGROUP_V2, c"cgroup-v2"),
    (SECLUDE_MECHANISM_CGROUP_V1, c"cgroup-v1"),
    (SECLUDE_MECHANISM_RLIMIT, c"rlimit"),
    (SECLUDE_MECHANISM_WARDEN, c"warden"),
    (SECLUDE_MECHANISM_SAMPLED, c"sampled"),
    // faces: end
];

/// The numbers of each limit that is enforced and of its mechanism.
pub(crate) fn mechanisms(
    limits: impl Iterator<Item = (Limit, Mechanism)>,
) -> impl Iterator<Item = (usize, u8)> {
    limits.filter_map(|(limit, mechanism)| {
        let (place, number) =
            (number_of(LIMITS, limit.name())?, number_of(MECHANISMS, mechanism.name())?);
        Some((usize::try_from(place).ok()?, u8::try_from(number).ok()?))
    })
}

fn limit(number: c_int) -> Answer<Limit> {
    let known = word_of(LIMITS, number, Limit::from_name);
    known.ok_or_else(|| {
        seclude_error::invalid(&format!("limit {number}"), "no limit has this number")
    })
}

// ---- setters

// faces: begin plain limits
/// The largest amount of memory for all processes inside together, including the warden, its kernel
/// structures and files in memory (tmpfs). No swap is used unless `swap` allows it. Default: no
/// limit. The other limits have the same default, except `output`. In bytes.
///
/// With a cgroup, the kernel kills a process when it can reclaim no more memory. The command then
/// ends with `memory-limit`, even if its first process continues. Without a cgroup, the warden
/// samples the sum of the memory of all processes every few milliseconds, without files in memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_memory(sandbox: *mut seclude_sandbox, bytes: u64) {
    build(sandbox, |sandbox| Ok(sandbox.memory(bytes)));
}

/// The largest amount of swap in addition to `memory`. Needs a cgroup, and a kernel that accounts
/// swap. In bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_swap(sandbox: *mut seclude_sandbox, bytes: u64) {
    build(sandbox, |sandbox| Ok(sandbox.swap(bytes)));
}

/// The largest processor time, user and system, of all processes inside together. When it is used
/// up, all processes inside are killed and the command ends with `cpu-time`. In milliseconds, 1 or
/// more.
///
/// The warden reads the cgroup's counter at intervals that shrink with the remaining time. Without
/// a cgroup it reads the sum over all processes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cpu_time(
    sandbox: *mut seclude_sandbox,
    milliseconds: u64,
) {
    build(sandbox, |sandbox| Ok(sandbox.cpu_time(Duration::from_millis(milliseconds))));
}

/// The number of processors that the sandbox may keep busy at once: 0.01 to 8192. Needs a cgroup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cpus(sandbox: *mut seclude_sandbox, cpus: f64) {
    build(sandbox, |sandbox| Ok(sandbox.cpus(cpus)));
}

/// The unused processor time of `cpus` that the sandbox can save up and use later, beyond its
/// quota: at most what `cpus` gives in 100 ms. For programs that mostly wait, and must then answer
/// quickly. Default: none. Needs `cpus`, a cgroup and Linux 5.14. In milliseconds, 1 or more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cpu_burst(
    sandbox: *mut seclude_sandbox,
    milliseconds: u64,
) {
    build(sandbox, |sandbox| Ok(sandbox.cpu_burst(Duration::from_millis(milliseconds))));
}

/// The weight of the sandbox when it competes for processor time: 1 to 10000. The usual weight is
/// 100. Needs a cgroup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cpu_weight(
    sandbox: *mut seclude_sandbox,
    cpu_weight: u32,
) {
    build(sandbox, |sandbox| Ok(sandbox.cpu_weight(cpu_weight)));
}

/// The largest number of processes and threads at one time, without the warden. The kernel refuses
/// to create more (EAGAIN). A command that was refused one and does not exit with code 0 ends with
/// `process-limit`.
///
/// Without a cgroup, refusals are not counted. The end is then `process-limit` if the command was
/// seen at its limit and failed. Before Linux 5.14 a limit without a cgroup is sampled: nothing is
/// refused, and the warden kills the processes that it sees above the limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_pids(sandbox: *mut seclude_sandbox, pids: u64) {
    build(sandbox, |sandbox| Ok(sandbox.pids(pids)));
}

/// The largest duration of a command. When it is over, all processes inside are killed and the
/// command ends with `wall-time`. In milliseconds, 1 or more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_wall_time(
    sandbox: *mut seclude_sandbox,
    milliseconds: u64,
) {
    build(sandbox, |sandbox| Ok(sandbox.wall_time(Duration::from_millis(milliseconds))));
}

/// The largest number of bytes to each of standard output and standard error, whether they are
/// collected or passed on. A command that writes more is killed and ends with `output-limit`.
/// Exactly the allowed number of bytes arrives. In bytes.
///
/// Both streams are then pipes to the warden, which passes on what it reads. If both are the same
/// file, they count as one stream. By default only collected streams are limited, to 64 MiB each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_output(sandbox: *mut seclude_sandbox, bytes: u64) {
    build(sandbox, |sandbox| Ok(sandbox.output(bytes)));
}
// faces: end

/// Runs everything on these processors only: `count` numbers, which begin at 0; at least one. Takes
/// a cgroup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cpu_set(
    sandbox: *mut seclude_sandbox,
    processors: *const u32,
    count: usize,
) {
    build(sandbox, |sandbox| match numbers("processors", processors, count)? {
        [] => Err(seclude_error::invalid("processors", "none is named")),
        processors => Ok(sandbox.cpu_set(processors.iter().copied())),
    });
}

/// Limits reads and writes of one block device: the one that holds the caller's file `path`, or the
/// device node `path` itself.
///
/// The limits are bytes and operations per second, each 1 or more, or `SECLUDE_UNLIMITED`. Call it
/// once for each device. Takes a cgroup.
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

/// Sends `signal` to the command's process group when the wall time is over, and kills
/// `milliseconds` later.
///
/// The end is `SECLUDE_ENDED_WALL_TIME` in either case. `status` in the outcome tells how the
/// command's first process ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_wall_time_grace(
    sandbox: *mut seclude_sandbox,
    signal: c_int,
    milliseconds: u64,
) {
    build(sandbox, |sandbox| {
        Ok(sandbox.wall_time_grace(signal, Duration::from_millis(milliseconds)))
    });
}

/// Requires that this limit, a `SECLUDE_LIMIT_...` that the policy sets, is enforced exactly, by
/// the kernel or by the warden.
///
/// If the host can only sample it, the command does not start (`SECLUDE_ELIMIT_UNAVAILABLE`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_require(sandbox: *mut seclude_sandbox, limit: c_int) {
    build(sandbox, |sandbox| Ok(sandbox.require(self::limit(limit)?)));
}

/// Runs commands without this limit, a `SECLUDE_LIMIT_...`, where the host cannot enforce it.
/// `mechanisms` in the outcome shows that.
///
/// By default, a limit that the host cannot even sample is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_best_effort(sandbox: *mut seclude_sandbox, limit: c_int) {
    build(sandbox, |sandbox| Ok(sandbox.best_effort(self::limit(limit)?)));
}

/// Sets a resource limit of each process, as setrlimit(2) does.
///
/// `resource` is an `RLIMIT_...` of `<sys/resource.h>`. `SECLUDE_UNLIMITED` is no limit. The
/// defaults are: core 1 byte (no dump, not even through a pipe), nofile 1024 (hard limit 10240),
/// memlock 8 MiB, stack 8 MiB (hard limit: the caller's), sigpending 4096, and the rest as the
/// caller has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_rlimit(
    sandbox: *mut seclude_sandbox,
    resource: c_int,
    soft: u64,
    hard: u64,
) {
    build(sandbox, |sandbox| {
        match Resource::ALL.iter().find(|known| i64::from(known.number()) == i64::from(resource)) {
            Some(resource) => Ok(sandbox.rlimit(*resource, soft, hard)),
            None => Err(seclude_error::invalid(
                &format!("rlimit {resource}"),
                "no resource that can be limited has this number",
            )),
        }
    });
}

// ---- names

/// Returns the name of a `SECLUDE_LIMIT_...`, which is its key in policies: "cpu_time".
///
/// NULL for any other number, so that a loop from 0 ends after the last limit. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_limit_name(limit: c_int) -> *const c_char {
    name_of(LIMITS, limit)
}

/// Returns the name of a `SECLUDE_MECHANISM_...`, which is the same in every language: "cgroup-v2".
/// NULL for any other number. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_mechanism_name(mechanism: c_int) -> *const c_char {
    name_of(MECHANISMS, mechanism)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::assert_complete;

    #[test]
    fn the_numbers_of_limits_have_no_gap() {
        assert_complete(LIMITS, Limit::ALL.iter().map(|limit| limit.name()));
        for (place, known) in Limit::ALL.iter().enumerate() {
            assert_eq!(limit(place as c_int).ok(), Some(*known));
        }
        for number in [-1, LIMITS.len() as c_int] {
            assert!(seclude_limit_name(number).is_null());
            assert_eq!(
                limit(number).expect_err("no limit").message(),
                format!("limit {number}: no limit has this number")
            );
        }
    }

    #[test]
    fn every_mechanism_has_a_number_that_is_not_zero() {
        assert_complete(MECHANISMS, Mechanism::ALL.iter().map(|mechanism| mechanism.name()));
        assert!(seclude_mechanism_name(0).is_null() && seclude_mechanism_name(6).is_null());
    }

    #[test]
    fn a_mechanism_stands_at_the_number_of_its_limit() {
        let held = [(Limit::Pids, Mechanism::CgroupV1), (Limit::CpuTime, Mechanism::Sampled)];
        assert_eq!(mechanisms(held.into_iter()).collect::<Vec<_>>(), [(6, 2), (2, 5)]);
    }
}
