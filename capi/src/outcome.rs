//! `seclude_outcome`: how a command ended, what it used, and what was enforced. C sees the fields
//! of this structure.
//!
//! The file is longer than 400 lines because most of it is generated sections.

use crate::boundary::{Answer, Structure};
use crate::error::seclude_error;
use crate::limits;
use crate::words::{Words, name_of, number_of};
use seclude_core::{Ended, Enforced, Outcome, Usage};
use std::ffi::{c_char, c_int};
use std::time::Duration;

// faces: begin ends as C constants
/// The command exited by itself. The value is the exit code, 0 to 255.
pub const SECLUDE_ENDED_EXITED: i32 = 1;
/// A signal killed the command, and no limit was involved. The value is the signal number.
pub const SECLUDE_ENDED_SIGNALED: i32 = 2;
/// The command was still running when its wall time was over. The limit is in nanoseconds.
pub const SECLUDE_ENDED_WALL_TIME: i32 = 3;
/// All processes together used up their processor time. The limit is in nanoseconds.
pub const SECLUDE_ENDED_CPU_TIME: i32 = 4;
/// The command ran out of memory, even if its first process continued. The limit is in bytes.
pub const SECLUDE_ENDED_MEMORY_LIMIT: i32 = 5;
/// The command was refused a process or thread, and failed. The limit is a number of processes.
pub const SECLUDE_ENDED_PROCESS_LIMIT: i32 = 6;
/// The command wrote more than its output limit, or more than 64 MiB to a captured stream without a
/// limit. The limit is in bytes.
pub const SECLUDE_ENDED_OUTPUT_LIMIT: i32 = 7;
/// The command failed, and a tmpfs with a limited size or number of files is full. The limit is in
/// bytes or files, whichever ran out.
pub const SECLUDE_ENDED_SCRATCH_FULL: i32 = 8;
/// The caller killed the command.
pub const SECLUDE_ENDED_KILLED: i32 = 9;
/// The warden was killed from outside, and all processes inside ended with it. The value is the
/// signal that killed the warden, or 0 if unknown.
pub const SECLUDE_ENDED_WARDEN_LOST: i32 = 10;
/// A process inside made a system call for which the filter has the action `kill`. The value is the
/// call.
pub const SECLUDE_ENDED_SYSCALL: i32 = 11;
// faces: end

// faces: begin memory sources as C constants
/// The peak of the cgroup: everything charged to it, including files in memory and kernel
/// structures.
pub const SECLUDE_MEMORY_CGROUP: i32 = 1;
/// The largest sum of the processes' peaks (VmHWM) that the warden sampled. It does not exceed a
/// sampled limit that was kept.
pub const SECLUDE_MEMORY_SAMPLED: i32 = 2;
/// The peak of the largest single process (`ru_maxrss`). The sum was not counted.
pub const SECLUDE_MEMORY_LARGEST_PROCESS: i32 = 3;
// faces: end

/// A number that was not counted, where 0 is a count: `UINT64_MAX`.
pub const SECLUDE_UNKNOWN: u64 = u64::MAX;

// faces: begin protections as C constants
/// The command has its own user namespace.
pub const SECLUDE_PROTECTION_USER_NAMESPACE: u64 = 0x1;
/// The command has its own mount namespace.
pub const SECLUDE_PROTECTION_MOUNT_NAMESPACE: u64 = 0x2;
/// The command has its own process tree.
pub const SECLUDE_PROTECTION_PID_NAMESPACE: u64 = 0x4;
/// The command has its own network.
pub const SECLUDE_PROTECTION_NET_NAMESPACE: u64 = 0x8;
/// The command has its own System V IPC and POSIX message queues.
pub const SECLUDE_PROTECTION_IPC_NAMESPACE: u64 = 0x10;
/// The command has its own host and domain name.
pub const SECLUDE_PROTECTION_UTS_NAMESPACE: u64 = 0x20;
/// The command has its own view of the cgroup tree.
pub const SECLUDE_PROTECTION_CGROUP_NAMESPACE: u64 = 0x40;
/// The command has its own clocks.
pub const SECLUDE_PROTECTION_TIME_NAMESPACE: u64 = 0x80;
/// The command has its own root file system and cannot reach the caller's.
pub const SECLUDE_PROTECTION_OWN_ROOT: u64 = 0x100;
/// The root is mounted read-only.
pub const SECLUDE_PROTECTION_READ_ONLY_ROOT: u64 = 0x200;
/// The global parts of `/proc` are masked or read-only.
pub const SECLUDE_PROTECTION_MASKED_PROC: u64 = 0x400;
/// All five capability sets are empty.
pub const SECLUDE_PROTECTION_NO_CAPABILITIES: u64 = 0x800;
/// User id 0 has no special privileges (locked securebits).
pub const SECLUDE_PROTECTION_LOCKED_SECUREBITS: u64 = 0x1000;
/// No program executed inside gains privileges.
pub const SECLUDE_PROTECTION_NO_NEW_PRIVILEGES: u64 = 0x2000;
/// The command has no supplementary groups. Missing for a command that names some, and for an
/// unprivileged caller with supplementary groups, because the kernel does not let it drop them.
pub const SECLUDE_PROTECTION_NO_GROUPS: u64 = 0x4000;
/// No user namespaces can be created inside.
pub const SECLUDE_PROTECTION_NO_NESTED_USERS: u64 = 0x8000;
/// The command has its own session keyring.
pub const SECLUDE_PROTECTION_OWN_KEYRING: u64 = 0x10000;
/// The command has its own session, without a controlling terminal.
pub const SECLUDE_PROTECTION_OWN_SESSION: u64 = 0x20000;
/// Core dumps are disabled.
pub const SECLUDE_PROTECTION_NO_CORE_DUMPS: u64 = 0x40000;
/// The warden can be neither traced nor read from inside.
pub const SECLUDE_PROTECTION_HIDDEN_WARDEN: u64 = 0x80000;
/// The kernel kills all processes inside when the warden ends.
pub const SECLUDE_PROTECTION_KILL_BY_NAMESPACE: u64 = 0x100000;
/// The warden kills the processes inside, one after another. This is weaker: if the warden is
/// killed from outside, they survive.
pub const SECLUDE_PROTECTION_KILL_BY_WARDEN: u64 = 0x200000;
/// The caller kills any process that the warden could not kill, through the sandbox's cgroup.
/// Present together with `kill-by-warden`, if a cgroup can be created.
pub const SECLUDE_PROTECTION_KILL_BY_CGROUP: u64 = 0x400000;
/// A seccomp filter restricts the system calls of the command.
pub const SECLUDE_PROTECTION_SECCOMP_FILTER: u64 = 0x800000;
/// A seccomp filter restricts the system calls of the warden. Missing if the command's filter
/// kills, or asks the caller, at every call that it does not name.
pub const SECLUDE_PROTECTION_FILTERED_WARDEN: u64 = 0x1000000;
/// Landlock restricts the command to its visible files, and to writing where it may.
pub const SECLUDE_PROTECTION_LANDLOCK_FILES: u64 = 0x2000000;
/// Landlock prevents signals to processes outside.
pub const SECLUDE_PROTECTION_LANDLOCK_SIGNALS: u64 = 0x4000000;
/// Landlock prevents connections to abstract sockets created outside.
pub const SECLUDE_PROTECTION_LANDLOCK_SOCKETS: u64 = 0x8000000;
/// Landlock restricts the command to the TCP ports in the policy.
pub const SECLUDE_PROTECTION_LANDLOCK_PORTS: u64 = 0x10000000;
/// No process inside can change the warden's limits, priority or processors. Missing if the command
/// has joined an existing process tree, where other processes may run as the same user.
pub const SECLUDE_PROTECTION_GUARDED_WARDEN: u64 = 0x20000000;
/// The command runs as another user than the caller, so the caller's files and processes are not
/// its own. Missing if the caller can map only its own id: an unprivileged caller, or one in a user
/// namespace without other ids.
pub const SECLUDE_PROTECTION_OTHER_USER: u64 = 0x40000000;
/// The kernel kills a process group at once, and no process inside can make another group while the
/// warden kills, so no fork bomb outruns it. Present together with `kill-by-warden` and without
/// `kill-by-cgroup`, from Linux 5.9. Missing if the filter kills or asks the caller at any call, or
/// if the caller itself is behind a filter that asks somebody: the kernel allows one such filter.
pub const SECLUDE_PROTECTION_KILL_BY_GROUP: u64 = 0x80000000;
// faces: end

/// How a command ended, what it used, and which protections and limits were active while it ran.
///
/// Functions that fill it take its size, `sizeof(seclude_outcome)`, so that programs and libraries
/// of different versions work together. Later versions only add fields at the end. Fields that the
/// library does not know are set to 0. Fields that the program does not know are not written.
///
/// The numbers come from the cgroup's counters if the sandbox has a cgroup. Otherwise they are sums
/// over all processes that their parents or the warden waited for. A process whose parent ignores
/// SIGCHLD is reaped by the kernel, and then missing from these sums. No number includes the size
/// of the caller or earlier runs.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct seclude_outcome {
    /// How it ended: one of `SECLUDE_ENDED_...`. 0 while it runs.
    pub ended: i32,
    /// The exit code, the signal, or the number of the system call, of which
    /// `seclude_syscall_name` returns the name: -1 for a call of another architecture. 0 if
    /// the end has no value.
    pub value: i32,
    /// The end as one number: the exit code, or minus the signal. A process limit and a full tmpfs
    /// kill nothing, so for those it equals `status`. For every other end, by a limit or by the
    /// caller, it is -9, as after SIGKILL.
    pub returncode: i32,
    /// 1 if the command exited with code 0, otherwise 0.
    pub success: i32,
    /// How the command's first process itself ended: its exit code, or minus the signal that
    /// killed it. The signal may be one that the library sent.
    pub status: i32,
    /// 1 if `status` is known, otherwise 0.
    pub status_known: i32,
    /// The source of `memory_peak`: one of `SECLUDE_MEMORY_...`.
    pub memory_source: i32,
    /// 1 if the kernel counted pressure (cgroup v2, Linux 4.20), otherwise 0, and the
    /// `pressure_...` are 0.
    pub pressure_known: i32,
    /// The value of the limit that ended the command, in the unit that `SECLUDE_ENDED_...` names.
    /// 0 if no limit did.
    pub limit: u64,
    /// The protections that were active, `SECLUDE_PROTECTION_...` joined by `|`, as the warden
    /// reported them after it had applied them.
    pub enforced: u64,
    /// What enforced each limit, one of `SECLUDE_MECHANISM_...`, indexed by `SECLUDE_LIMIT_...`. 0
    /// if nothing did.
    pub mechanisms: [u8; 32],
    // faces: begin figures as C fields
    /// Time from the start of the command to the end of the last process inside. In nanoseconds.
    pub wall_ns: u64,
    /// Processor time of the whole tree in user mode. In nanoseconds.
    pub user_ns: u64,
    /// Processor time of the whole tree in the kernel. In nanoseconds.
    pub system_ns: u64,
    /// How long processes that were ready to run had to wait because the limit `cpus` was used up,
    /// added up over the processors. 0 without that limit, and for a command in a cell, where the
    /// limit is the cell's. In nanoseconds.
    pub throttled_ns: u64,
    /// Memory in use while the command runs; 0 afterwards. In bytes.
    pub memory: u64,
    /// The most memory in use at one time. In bytes.
    pub memory_peak: u64,
    /// The most memory seen, without the pages of files: `RssAnon` and `RssShmem` of the processes,
    /// or `anon` and `shmem` of the cgroup. The warden samples it every 5 milliseconds or less
    /// often, where the memory of the sandbox, or of this command in a cell, is limited. In bytes.
    /// `SECLUDE_UNKNOWN` if it was not counted.
    pub anonymous_peak: u64,
    /// The largest resident set of any single process of the tree. In bytes.
    pub max_rss: u64,
    /// Processes and threads inside while the command runs, without the warden; 0 afterwards.
    pub processes: u64,
    /// The most processes and threads at one time: from the cgroup since Linux 6.1, else sampled.
    /// `SECLUDE_UNKNOWN` if it was not counted.
    pub processes_peak: u64,
    /// Page faults served without I/O.
    pub minor_faults: u64,
    /// Page faults that needed I/O.
    pub major_faults: u64,
    /// How often a process gave up the processor to wait.
    pub voluntary_switches: u64,
    /// How often the kernel took the processor from a process.
    pub involuntary_switches: u64,
    /// Bytes read from block devices. In bytes.
    pub bytes_read: u64,
    /// Bytes written to block devices. In bytes.
    pub bytes_written: u64,
    /// Bytes written to the standard output. Counted only with a limit on the output. In bytes.
    /// `SECLUDE_UNKNOWN` if it was not counted.
    pub stdout_bytes: u64,
    /// Bytes written to the standard error. Counted only with a limit on the output. 0 if both
    /// streams are one file: then `stdout_bytes` counts both. In bytes. `SECLUDE_UNKNOWN` if it was
    /// not counted.
    pub stderr_bytes: u64,
    // faces: end
    /// How long at least one process waited for a processor: pressure stall information, in
    /// nanoseconds.
    pub pressure_cpu_some_ns: u64,
    /// How long at least one process waited for memory, in nanoseconds.
    pub pressure_memory_some_ns: u64,
    /// How long all processes waited for memory, in nanoseconds.
    pub pressure_memory_full_ns: u64,
    /// How long at least one process waited for I/O, in nanoseconds.
    pub pressure_io_some_ns: u64,
    /// How long all processes waited for I/O, in nanoseconds.
    pub pressure_io_full_ns: u64,
    /// The end in words, with a NUL at its end: "stopped by the memory limit of 67108864 bytes".
    /// "" while the command runs.
    pub text: [c_char; 96],
    /// 1 if the caller's process ended the command because the warden had not done so within a
    /// second, for example because it was stopped from outside or got no processor. Otherwise 0.
    /// `ended` is not affected: it is still the limit, or `SECLUDE_ENDED_KILLED`.
    pub by_caller: i32,
    /// Always 0.
    pub reserved: i32,
}

impl Structure for seclude_outcome {}

impl seclude_outcome {
    pub(crate) fn new(outcome: &Outcome) -> Answer<seclude_outcome> {
        let (ended, value) = ended(outcome.ended)?;
        Ok(seclude_outcome {
            ended,
            value,
            returncode: outcome.returncode(),
            success: outcome.success().into(),
            status: outcome.status.unwrap_or(0),
            status_known: outcome.status.is_some().into(),
            limit: outcome.limit.unwrap_or(0),
            text: words(&outcome.to_string()),
            by_caller: outcome.by_caller.into(),
            ..seclude_outcome::running(&outcome.usage, &outcome.enforced)
        })
    }

    /// The outcome of a running command: its usage, and zeros for its end.
    pub(crate) fn running(usage: &Usage, enforced: &Enforced) -> seclude_outcome {
        let pressure = usage.pressure.unwrap_or_default();
        let mut mechanisms = [0; 32];
        limits::mechanisms(enforced.limits())
            .for_each(|(limit, mechanism)| mechanisms[limit] = mechanism);
        seclude_outcome {
            ended: 0,
            value: 0,
            returncode: 0,
            success: 0,
            status: 0,
            status_known: 0,
            memory_source: number_of(MEMORY_SOURCES, usage.memory_source.name()).unwrap_or(0),
            pressure_known: usage.pressure.is_some().into(),
            limit: 0,
            enforced: self::enforced(enforced),
            mechanisms,
            // faces: begin figures of a usage
            wall_ns: nanoseconds(usage.wall),
            user_ns: nanoseconds(usage.user),
            system_ns: nanoseconds(usage.system),
            throttled_ns: nanoseconds(usage.throttled),
            memory: usage.memory,
            memory_peak: usage.memory_peak,
            anonymous_peak: usage.anonymous_peak.unwrap_or(SECLUDE_UNKNOWN),
            max_rss: usage.max_rss,
            processes: usage.processes,
            processes_peak: usage.processes_peak.unwrap_or(SECLUDE_UNKNOWN),
            minor_faults: usage.minor_faults,
            major_faults: usage.major_faults,
            voluntary_switches: usage.voluntary_switches,
            involuntary_switches: usage.involuntary_switches,
            bytes_read: usage.bytes_read,
            bytes_written: usage.bytes_written,
            stdout_bytes: usage.stdout_bytes.unwrap_or(SECLUDE_UNKNOWN),
            stderr_bytes: usage.stderr_bytes.unwrap_or(SECLUDE_UNKNOWN),
            // faces: end
            pressure_cpu_some_ns: nanoseconds(pressure.cpu_some),
            pressure_memory_some_ns: nanoseconds(pressure.memory_some),
            pressure_memory_full_ns: nanoseconds(pressure.memory_full),
            pressure_io_some_ns: nanoseconds(pressure.io_some),
            pressure_io_full_ns: nanoseconds(pressure.io_full),
            text: words(""),
            by_caller: 0,
            reserved: 0,
        }
    }
}

const ENDS: &Words<i32> = &[
    // faces: begin ends with their names
    (SECLUDE_ENDED_EXITED, c"exited"),
    (SECLUDE_ENDED_SIGNALED, c"signaled"),
    (SECLUDE_ENDED_WALL_TIME, c"wall-time"),
    (SECLUDE_ENDED_CPU_TIME, c"cpu-time"),
    (SECLUDE_ENDED_MEMORY_LIMIT, c"memory-limit"),
    (SECLUDE_ENDED_PROCESS_LIMIT, c"process-limit"),
    (SECLUDE_ENDED_OUTPUT_LIMIT, c"output-limit"),
    (SECLUDE_ENDED_SCRATCH_FULL, c"scratch-full"),
    (SECLUDE_ENDED_KILLED, c"killed"),
    (SECLUDE_ENDED_WARDEN_LOST, c"warden-lost"),
    (SECLUDE_ENDED_SYSCALL, c"syscall"),
    // faces: end
];

const MEMORY_SOURCES: &Words<i32> = &[
    // faces: begin memory sources with their names
    (SECLUDE_MEMORY_CGROUP, c"cgroup"),
    (SECLUDE_MEMORY_SAMPLED, c"sampled"),
    (SECLUDE_MEMORY_LARGEST_PROCESS, c"largest-process"),
    // faces: end
];

const PROTECTIONS: &Words<u64> = &[
    // faces: begin protections with their names
    (SECLUDE_PROTECTION_USER_NAMESPACE, c"user-namespace"),
    (SECLUDE_PROTECTION_MOUNT_NAMESPACE, c"mount-namespace"),
    (SECLUDE_PROTECTION_PID_NAMESPACE, c"pid-namespace"),
    (SECLUDE_PROTECTION_NET_NAMESPACE, c"net-namespace"),
    (SECLUDE_PROTECTION_IPC_NAMESPACE, c"ipc-namespace"),
    (SECLUDE_PROTECTION_UTS_NAMESPACE, c"uts-namespace"),
    (SECLUDE_PROTECTION_CGROUP_NAMESPACE, c"cgroup-namespace"),
    (SECLUDE_PROTECTION_TIME_NAMESPACE, c"time-namespace"),
    (SECLUDE_PROTECTION_OWN_ROOT, c"own-root"),
    (SECLUDE_PROTECTION_READ_ONLY_ROOT, c"read-only-root"),
    (SECLUDE_PROTECTION_MASKED_PROC, c"masked-proc"),
    (SECLUDE_PROTECTION_NO_CAPABILITIES, c"no-capabilities"),
    (SECLUDE_PROTECTION_LOCKED_SECUREBITS, c"locked-securebits"),
    (SECLUDE_PROTECTION_NO_NEW_PRIVILEGES, c"no-new-privileges"),
    (SECLUDE_PROTECTION_NO_GROUPS, c"no-groups"),
    (SECLUDE_PROTECTION_NO_NESTED_USERS, c"no-nested-users"),
    (SECLUDE_PROTECTION_OWN_KEYRING, c"own-keyring"),
    (SECLUDE_PROTECTION_OWN_SESSION, c"own-session"),
    (SECLUDE_PROTECTION_NO_CORE_DUMPS, c"no-core-dumps"),
    (SECLUDE_PROTECTION_HIDDEN_WARDEN, c"hidden-warden"),
    (SECLUDE_PROTECTION_KILL_BY_NAMESPACE, c"kill-by-namespace"),
    (SECLUDE_PROTECTION_KILL_BY_WARDEN, c"kill-by-warden"),
    (SECLUDE_PROTECTION_KILL_BY_CGROUP, c"kill-by-cgroup"),
    (SECLUDE_PROTECTION_SECCOMP_FILTER, c"seccomp-filter"),
    (SECLUDE_PROTECTION_FILTERED_WARDEN, c"filtered-warden"),
    (SECLUDE_PROTECTION_LANDLOCK_FILES, c"landlock-files"),
    (SECLUDE_PROTECTION_LANDLOCK_SIGNALS, c"landlock-signals"),
    (SECLUDE_PROTECTION_LANDLOCK_SOCKETS, c"landlock-sockets"),
    (SECLUDE_PROTECTION_LANDLOCK_PORTS, c"landlock-ports"),
    (SECLUDE_PROTECTION_GUARDED_WARDEN, c"guarded-warden"),
    (SECLUDE_PROTECTION_OTHER_USER, c"other-user"),
    (SECLUDE_PROTECTION_KILL_BY_GROUP, c"kill-by-group"),
    // faces: end
];

/// The number of the end, and its value: the exit code, the signal or the system call.
fn ended(ended: Ended) -> Answer<(i32, i32)> {
    let number = number_of(ENDS, ended.name());
    let number = number.ok_or_else(|| {
        seclude_error::internal("outcome", &format!("\"{ended}\" has no number in C"))
    })?;
    let value = match ended {
        Ended::Exited(value) | Ended::Signaled(value) | Ended::WardenLost(value) => value,
        Ended::Syscall(call) if call.is_foreign() => -1,
        Ended::Syscall(call) => call.number(),
        _ => 0,
    };
    Ok((number, value))
}

/// A text as a field of the structure, truncated if it is too long, and always with a NUL at its
/// end.
fn words<const ROOM: usize>(text: &str) -> [c_char; ROOM] {
    let mut field = [0; ROOM];
    text.bytes()
        .take(ROOM - 1)
        .zip(&mut field)
        .for_each(|(byte, place)| *place = c_char::from_ne_bytes([byte]));
    field
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

pub(crate) fn enforced(set: &Enforced) -> u64 {
    set.iter()
        .filter_map(|protection| number_of(PROTECTIONS, protection.name()))
        .fold(0, |bits, bit| bits | bit)
}

/// Returns the name of a `SECLUDE_ENDED_...`, which is the same in every language: "exited",
/// "wall-time". NULL for any other number. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_ended_name(ended: c_int) -> *const c_char {
    name_of(ENDS, ended)
}

/// Returns the name of a `SECLUDE_MEMORY_...`, which is the same in every language: "cgroup". NULL
/// for any other number. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_memory_source_name(source: c_int) -> *const c_char {
    name_of(MEMORY_SOURCES, source)
}

/// Returns the name of one `SECLUDE_PROTECTION_...`, which is the same in every language:
/// "no-capabilities". Static: never freed.
///
/// NULL for any other number, so that a loop over the bits of `enforced` can skip those that this
/// library does not know.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_protection_name(protection: u64) -> *const c_char {
    name_of(PROTECTIONS, protection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::assert_complete;
    use seclude_core::{MemorySource, Protection, Syscall};

    #[test]
    fn every_word_of_the_core_has_a_number_and_none_is_zero() {
        assert_complete(ENDS, Ended::WORDS.iter().map(|word| word.name));
        assert_complete(MEMORY_SOURCES, MemorySource::ALL.iter().map(|source| source.name()));
        assert_complete(PROTECTIONS, Protection::ALL.iter().map(|protection| protection.name()));
        assert!(seclude_ended_name(0).is_null() && seclude_ended_name(12).is_null());
        assert!(seclude_memory_source_name(0).is_null() && seclude_protection_name(0).is_null());
    }

    #[test]
    fn every_protection_is_a_bit_of_its_own() {
        for (place, (bit, _)) in PROTECTIONS.iter().enumerate() {
            assert_eq!(*bit, 1 << place);
        }
    }

    #[test]
    fn an_end_has_a_value() {
        assert_eq!(ended(Ended::Exited(3)).ok(), Some((SECLUDE_ENDED_EXITED, 3)));
        assert_eq!(ended(Ended::WallTime).ok(), Some((SECLUDE_ENDED_WALL_TIME, 0)));
        assert_eq!(ended(Ended::Syscall(Syscall::new(1))).ok(), Some((SECLUDE_ENDED_SYSCALL, 1)));
    }

    #[test]
    fn words_are_cut_before_the_last_place() {
        assert_eq!(words::<4>("ab").map(|letter| letter as u8), *b"ab\0\0");
        assert_eq!(words::<4>("abcdef").map(|letter| letter as u8), *b"abc\0");
    }

    #[test]
    fn the_structure_has_no_padding() {
        let figures = seclude_core::schema::FIGURES.len();
        let pressure = 5;
        assert_eq!(
            size_of::<seclude_outcome>(),
            8 * 4 + 2 * 8 + 32 + (figures + pressure) * 8 + 96 + 2 * 4
        );
    }
}
