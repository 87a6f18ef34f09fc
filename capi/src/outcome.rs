//! `seclude_outcome`: how a command ended, what it used, what held it: the one structure whose fields C sees.

use crate::boundary::{Answer, Structure};
use crate::error::seclude_error;
use crate::limits;
use seclude_core::{Ended, Enforced, MemorySource, Outcome, Protection, Usage};
use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::time::Duration;

/// It ended by itself; `value` is the exit code, 0 to 255.
pub const SECLUDE_ENDED_EXITED: i32 = 1;
/// A signal killed it; `value` is its number.
pub const SECLUDE_ENDED_SIGNALED: i32 = 2;
/// It was still running when its wall time was over; `limit` in nanoseconds.
pub const SECLUDE_ENDED_WALL_TIME: i32 = 3;
/// It used up its processor time; `limit` in nanoseconds.
pub const SECLUDE_ENDED_CPU_TIME: i32 = 4;
/// There was no more memory for it; `limit` in bytes.
pub const SECLUDE_ENDED_MEMORY_LIMIT: i32 = 5;
/// It was refused a process or thread, and failed; `limit` is their number.
pub const SECLUDE_ENDED_PROCESS_LIMIT: i32 = 6;
/// It wrote more than it may; `limit` in bytes.
pub const SECLUDE_ENDED_OUTPUT_LIMIT: i32 = 7;
/// It failed, and a tmpfs of limited size is full; `limit` in bytes or files, whichever ran out.
pub const SECLUDE_ENDED_SCRATCH_FULL: i32 = 8;
/// The caller killed it: `seclude_child_kill`.
pub const SECLUDE_ENDED_KILLED: i32 = 9;
/// The warden was killed from outside, and with it all that ran inside; `value` is the signal that killed the warden, 0 if nobody can tell.
pub const SECLUDE_ENDED_WARDEN_LOST: i32 = 10;
/// It made a system call that its filter answers with `SECLUDE_SECCOMP_KILL`, somewhere inside; `value` is the call's number, whose name
/// `seclude_syscall_name` tells, or -1 if it was another architecture's.
pub const SECLUDE_ENDED_SYSCALL: i32 = 11;

/// The peak of memory is the cgroup's own: all that was charged to it, files in memory and kernel structures among them.
pub const SECLUDE_MEMORY_CGROUP: i32 = 1;
/// It is the largest sum of the processes' peaks (VmHWM) that the warden saw at an interval.
pub const SECLUDE_MEMORY_SAMPLED: i32 = 2;
/// It is the largest single process alone (`ru_maxrss`): nobody counted the sum.
pub const SECLUDE_MEMORY_LARGEST_PROCESS: i32 = 3;

/// What nobody counted, where 0 is a count: `UINT64_MAX`.
pub const SECLUDE_UNKNOWN: u64 = u64::MAX;

/// A user namespace of its own.
pub const SECLUDE_PROTECTION_USER_NAMESPACE: u64 = 0x1;
/// A mount namespace of its own.
pub const SECLUDE_PROTECTION_MOUNT_NAMESPACE: u64 = 0x2;
/// A process tree of its own.
pub const SECLUDE_PROTECTION_PID_NAMESPACE: u64 = 0x4;
/// A network of its own.
pub const SECLUDE_PROTECTION_NET_NAMESPACE: u64 = 0x8;
/// System V IPC and POSIX message queues of its own.
pub const SECLUDE_PROTECTION_IPC_NAMESPACE: u64 = 0x10;
/// Host and domain name of its own.
pub const SECLUDE_PROTECTION_UTS_NAMESPACE: u64 = 0x20;
/// A view of the cgroup tree of its own.
pub const SECLUDE_PROTECTION_CGROUP_NAMESPACE: u64 = 0x40;
/// Clocks of its own.
pub const SECLUDE_PROTECTION_TIME_NAMESPACE: u64 = 0x80;
/// A file system of its own: the caller's is out of reach.
pub const SECLUDE_PROTECTION_OWN_ROOT: u64 = 0x100;
/// The root is mounted read-only.
pub const SECLUDE_PROTECTION_READ_ONLY_ROOT: u64 = 0x200;
/// The global parts of `/proc` are masked or read-only.
pub const SECLUDE_PROTECTION_MASKED_PROC: u64 = 0x400;
/// All five capability sets are empty.
pub const SECLUDE_PROTECTION_NO_CAPABILITIES: u64 = 0x800;
/// User id 0 has no meaning of its own (locked securebits).
pub const SECLUDE_PROTECTION_LOCKED_SECUREBITS: u64 = 0x1000;
/// No program executed inside gains privileges.
pub const SECLUDE_PROTECTION_NO_NEW_PRIVILEGES: u64 = 0x2000;
/// No supplementary groups. Missing for an unprivileged caller who has some: the kernel does not let it drop them.
pub const SECLUDE_PROTECTION_NO_GROUPS: u64 = 0x4000;
/// No user namespaces can be made inside.
pub const SECLUDE_PROTECTION_NO_NESTED_USERS: u64 = 0x8000;
/// A session keyring of its own.
pub const SECLUDE_PROTECTION_OWN_KEYRING: u64 = 0x1_0000;
/// A session of its own, without a terminal.
pub const SECLUDE_PROTECTION_OWN_SESSION: u64 = 0x2_0000;
/// No core dumps.
pub const SECLUDE_PROTECTION_NO_CORE_DUMPS: u64 = 0x4_0000;
/// The warden can be neither traced nor read from inside.
pub const SECLUDE_PROTECTION_HIDDEN_WARDEN: u64 = 0x8_0000;
/// Everything inside ends with the warden: the kernel sees to it.
pub const SECLUDE_PROTECTION_KILL_BY_NAMESPACE: u64 = 0x10_0000;
/// Everything inside is ended by the warden, one process after another. Weaker: whoever kills the warden from outside frees it.
pub const SECLUDE_PROTECTION_KILL_BY_WARDEN: u64 = 0x20_0000;
/// What the warden could not end, the caller ends through a cgroup around it all: together with the one above, where one can be made.
pub const SECLUDE_PROTECTION_KILL_BY_CGROUP: u64 = 0x40_0000;
/// A seccomp filter decides which system calls are made.
pub const SECLUDE_PROTECTION_SECCOMP_FILTER: u64 = 0x80_0000;
/// A seccomp filter decides which system calls the warden makes. Missing where the command's kills, or asks the caller, at every call that it does not
/// name.
pub const SECLUDE_PROTECTION_FILTERED_WARDEN: u64 = 0x100_0000;
/// Landlock holds it to the files that it is shown, and to writing where it may.
pub const SECLUDE_PROTECTION_LANDLOCK_FILES: u64 = 0x200_0000;
/// Landlock keeps its signals inside.
pub const SECLUDE_PROTECTION_LANDLOCK_SIGNALS: u64 = 0x400_0000;
/// Landlock keeps it from abstract sockets made outside.
pub const SECLUDE_PROTECTION_LANDLOCK_SOCKETS: u64 = 0x800_0000;
/// Landlock holds it to the TCP ports that the policy names.
pub const SECLUDE_PROTECTION_LANDLOCK_PORTS: u64 = 0x1000_0000;
/// Nothing inside can change the warden: its limits, its priority, its processors. Missing where the command has
/// joined a process tree, for there the warden is a process like others of its user.
pub const SECLUDE_PROTECTION_GUARDED_WARDEN: u64 = 0x2000_0000;
/// The command is another user than the caller, so that the caller's files and processes are not its own. Missing where the
/// caller can map no id but its own: an unprivileged caller, or one whose user namespace has no other.
pub const SECLUDE_PROTECTION_OTHER_USER: u64 = 0x4000_0000;

/// How a command ended, what it used, and which protections and limits were in force while it ran.
///
/// Functions that fill it take its size, `sizeof(seclude_outcome)`, so that programs and libraries of different versions
/// agree: fields are only ever added at the end, a field that the library does not know reads 0, and one that the program does not
/// know is not written.
///
/// What it used are the cgroup's counters where the sandbox has one, else the sums over all processes that were waited for, by their
/// parents or by the warden: a process whose parent ignores SIGCHLD is then reaped by the kernel and counted by nobody. The
/// caller's own size and earlier runs are no part of any number.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct seclude_outcome {
    /// How it ended: one of `SECLUDE_ENDED_...`. 0 while it runs.
    pub ended: i32,
    /// The exit code, the signal or the system call; 0 where there is none.
    pub value: i32,
    /// The same as one number: the exit code, or minus the signal. A process limit and full scratch
    /// space kill nothing, and read as `status`. Every other end, by a limit or by the caller, reads
    /// -9, as if by SIGKILL.
    pub returncode: i32,
    /// 1 if it exited with code 0, else 0.
    pub success: i32,
    /// How its first process itself ended, whatever the end of the whole is called: its exit code, or minus the signal that killed
    /// it, which may be ours.
    pub status: i32,
    /// 1 if somebody saw that, else 0, and `status` says nothing.
    pub status_known: i32,
    /// Where `memory_peak` comes from: one of `SECLUDE_MEMORY_...`.
    pub memory_source: i32,
    /// 1 if the kernel kept count of the pressure on it: a cgroup of version 2, Linux 4.20. Else 0, and so are the `pressure_...`.
    pub pressure_known: i32,
    /// The value of the limit that is the end, in the unit that `SECLUDE_ENDED_...` tells; 0 where the end is no limit.
    pub limit: u64,
    /// The `SECLUDE_PROTECTION_...` that were really enforced, joined by `|`, as the warden reported them after having done it.
    pub enforced: u64,
    /// What held each limit, by its `SECLUDE_LIMIT_...`: one of `SECLUDE_MECHANISM_...`, 0 where nothing did.
    pub mechanisms: [u8; 32],
    /// From the command's start to the end of the last process inside, in nanoseconds.
    pub wall_ns: u64,
    /// Processor time in user mode, of the whole tree, in nanoseconds.
    pub user_ns: u64,
    /// Processor time in the kernel, of the whole tree, in nanoseconds.
    pub system_ns: u64,
    /// Bytes of memory in use, while it runs; 0 afterwards.
    pub memory: u64,
    /// The most bytes of memory that were in use at one time.
    pub memory_peak: u64,
    /// The largest resident set that any single process of the tree had, in bytes.
    pub max_rss: u64,
    /// Processes and threads inside, while it runs, the warden not counted; 0 afterwards.
    pub processes: u64,
    /// The most processes and threads at one time, by a cgroup of Linux 6.1, or sampled; 0 where nobody counted.
    pub processes_peak: u64,
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
    /// Bytes written to the standard output; `SECLUDE_UNKNOWN` where nobody counted: with a limit on the output it is.
    pub stdout_bytes: u64,
    /// Bytes written to the standard error, as `stdout_bytes`. 0 if both are one file: then the standard output has them all.
    pub stderr_bytes: u64,
    /// How long at least one process waited for a processor, in nanoseconds: pressure stall information.
    pub pressure_cpu_some_ns: u64,
    /// How long at least one process waited for memory.
    pub pressure_memory_some_ns: u64,
    /// How long all processes waited for memory.
    pub pressure_memory_full_ns: u64,
    /// How long at least one process waited for I/O.
    pub pressure_io_some_ns: u64,
    /// How long all processes waited for I/O.
    pub pressure_io_full_ns: u64,
    /// The end in words, with a NUL behind them: "stopped by the memory limit of 67108864 bytes". "" while it runs.
    pub text: [c_char; 96],
    /// 1 if the caller's side ended it, because the warden had not a second after it should have: it was stopped from outside, or
    /// got no processor. What ended it is still the limit, or `seclude_child_kill`. Else 0.
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

    /// What is known of a command that has not ended, or whose end is not asked for.
    pub(crate) fn running(usage: &Usage, enforced: &Enforced) -> seclude_outcome {
        let pressure = usage.pressure.unwrap_or_default();
        let mut mechanisms = [0; 32];
        limits::mechanisms(enforced.limits()).for_each(|(limit, mechanism)| mechanisms[limit] = mechanism);
        seclude_outcome {
            ended: 0,
            value: 0,
            returncode: 0,
            success: 0,
            status: 0,
            status_known: 0,
            memory_source: memory_source(usage.memory_source),
            pressure_known: usage.pressure.is_some().into(),
            limit: 0,
            enforced: self::enforced(enforced),
            mechanisms,
            wall_ns: nanoseconds(usage.wall),
            user_ns: nanoseconds(usage.user),
            system_ns: nanoseconds(usage.system),
            memory: usage.memory,
            memory_peak: usage.memory_peak,
            max_rss: usage.max_rss,
            processes: usage.processes,
            processes_peak: usage.processes_peak.unwrap_or(0),
            minor_faults: usage.minor_faults,
            major_faults: usage.major_faults,
            voluntary_switches: usage.voluntary_switches,
            involuntary_switches: usage.involuntary_switches,
            bytes_read: usage.bytes_read,
            bytes_written: usage.bytes_written,
            stdout_bytes: usage.stdout_bytes.unwrap_or(SECLUDE_UNKNOWN),
            stderr_bytes: usage.stderr_bytes.unwrap_or(SECLUDE_UNKNOWN),
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

fn ended(ended: Ended) -> Answer<(i32, i32)> {
    match ended {
        Ended::Exited(code) => Ok((SECLUDE_ENDED_EXITED, code)),
        Ended::Signaled(signal) => Ok((SECLUDE_ENDED_SIGNALED, signal)),
        Ended::WallTime => Ok((SECLUDE_ENDED_WALL_TIME, 0)),
        Ended::CpuTime => Ok((SECLUDE_ENDED_CPU_TIME, 0)),
        Ended::MemoryLimit => Ok((SECLUDE_ENDED_MEMORY_LIMIT, 0)),
        Ended::ProcessLimit => Ok((SECLUDE_ENDED_PROCESS_LIMIT, 0)),
        Ended::OutputLimit => Ok((SECLUDE_ENDED_OUTPUT_LIMIT, 0)),
        Ended::ScratchFull => Ok((SECLUDE_ENDED_SCRATCH_FULL, 0)),
        Ended::Killed => Ok((SECLUDE_ENDED_KILLED, 0)),
        Ended::Syscall(call) => Ok((SECLUDE_ENDED_SYSCALL, if call.is_foreign() { -1 } else { call.number() })),
        Ended::WardenLost(signal) => Ok((SECLUDE_ENDED_WARDEN_LOST, signal)),
        other => Err(seclude_error::internal("outcome", &format!("\"{other}\" has no number in C"))),
    }
}

fn memory_source(source: MemorySource) -> i32 {
    match source {
        MemorySource::Cgroup => SECLUDE_MEMORY_CGROUP,
        MemorySource::Sampled => SECLUDE_MEMORY_SAMPLED,
        MemorySource::LargestProcess => SECLUDE_MEMORY_LARGEST_PROCESS,
    }
}

/// A text in a field of the structure, cut where there is no more room; always with a NUL behind it.
fn words<const ROOM: usize>(text: &str) -> [c_char; ROOM] {
    let mut field = [0; ROOM];
    text.bytes().take(ROOM - 1).zip(&mut field).for_each(|(byte, place)| *place = c_char::from_ne_bytes([byte]));
    field
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// What C calls each protection: number and name.
const PROTECTIONS: [(Protection, u64, &CStr); 31] = [
    (Protection::UserNamespace, SECLUDE_PROTECTION_USER_NAMESPACE, c"user-namespace"),
    (Protection::MountNamespace, SECLUDE_PROTECTION_MOUNT_NAMESPACE, c"mount-namespace"),
    (Protection::PidNamespace, SECLUDE_PROTECTION_PID_NAMESPACE, c"pid-namespace"),
    (Protection::NetNamespace, SECLUDE_PROTECTION_NET_NAMESPACE, c"net-namespace"),
    (Protection::IpcNamespace, SECLUDE_PROTECTION_IPC_NAMESPACE, c"ipc-namespace"),
    (Protection::UtsNamespace, SECLUDE_PROTECTION_UTS_NAMESPACE, c"uts-namespace"),
    (Protection::CgroupNamespace, SECLUDE_PROTECTION_CGROUP_NAMESPACE, c"cgroup-namespace"),
    (Protection::TimeNamespace, SECLUDE_PROTECTION_TIME_NAMESPACE, c"time-namespace"),
    (Protection::OwnRoot, SECLUDE_PROTECTION_OWN_ROOT, c"own-root"),
    (Protection::ReadOnlyRoot, SECLUDE_PROTECTION_READ_ONLY_ROOT, c"read-only-root"),
    (Protection::MaskedProc, SECLUDE_PROTECTION_MASKED_PROC, c"masked-proc"),
    (Protection::NoCapabilities, SECLUDE_PROTECTION_NO_CAPABILITIES, c"no-capabilities"),
    (Protection::LockedSecurebits, SECLUDE_PROTECTION_LOCKED_SECUREBITS, c"locked-securebits"),
    (Protection::NoNewPrivileges, SECLUDE_PROTECTION_NO_NEW_PRIVILEGES, c"no-new-privileges"),
    (Protection::NoGroups, SECLUDE_PROTECTION_NO_GROUPS, c"no-groups"),
    (Protection::NoNestedUsers, SECLUDE_PROTECTION_NO_NESTED_USERS, c"no-nested-users"),
    (Protection::OwnKeyring, SECLUDE_PROTECTION_OWN_KEYRING, c"own-keyring"),
    (Protection::OwnSession, SECLUDE_PROTECTION_OWN_SESSION, c"own-session"),
    (Protection::NoCoreDumps, SECLUDE_PROTECTION_NO_CORE_DUMPS, c"no-core-dumps"),
    (Protection::HiddenWarden, SECLUDE_PROTECTION_HIDDEN_WARDEN, c"hidden-warden"),
    (Protection::KillByNamespace, SECLUDE_PROTECTION_KILL_BY_NAMESPACE, c"kill-by-namespace"),
    (Protection::KillByWarden, SECLUDE_PROTECTION_KILL_BY_WARDEN, c"kill-by-warden"),
    (Protection::KillByCgroup, SECLUDE_PROTECTION_KILL_BY_CGROUP, c"kill-by-cgroup"),
    (Protection::SeccompFilter, SECLUDE_PROTECTION_SECCOMP_FILTER, c"seccomp-filter"),
    (Protection::FilteredWarden, SECLUDE_PROTECTION_FILTERED_WARDEN, c"filtered-warden"),
    (Protection::LandlockFiles, SECLUDE_PROTECTION_LANDLOCK_FILES, c"landlock-files"),
    (Protection::LandlockSignals, SECLUDE_PROTECTION_LANDLOCK_SIGNALS, c"landlock-signals"),
    (Protection::LandlockSockets, SECLUDE_PROTECTION_LANDLOCK_SOCKETS, c"landlock-sockets"),
    (Protection::LandlockPorts, SECLUDE_PROTECTION_LANDLOCK_PORTS, c"landlock-ports"),
    (Protection::GuardedWarden, SECLUDE_PROTECTION_GUARDED_WARDEN, c"guarded-warden"),
    (Protection::OtherUser, SECLUDE_PROTECTION_OTHER_USER, c"other-user"),
];

pub(crate) fn enforced(set: &Enforced) -> u64 {
    PROTECTIONS.iter().filter(|(protection, ..)| set.contains(*protection)).fold(0, |bits, (_, bit, _)| bits | bit)
}

/// The name of a `SECLUDE_ENDED_...`: "exited", "wall-time", "memory-limit", the same in every language. NULL for any other number.
/// Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_ended_name(ended: c_int) -> *const c_char {
    let name = match ended {
        SECLUDE_ENDED_EXITED => c"exited",
        SECLUDE_ENDED_SIGNALED => c"signaled",
        SECLUDE_ENDED_WALL_TIME => c"wall-time",
        SECLUDE_ENDED_CPU_TIME => c"cpu-time",
        SECLUDE_ENDED_MEMORY_LIMIT => c"memory-limit",
        SECLUDE_ENDED_PROCESS_LIMIT => c"process-limit",
        SECLUDE_ENDED_OUTPUT_LIMIT => c"output-limit",
        SECLUDE_ENDED_SCRATCH_FULL => c"scratch-full",
        SECLUDE_ENDED_KILLED => c"killed",
        SECLUDE_ENDED_WARDEN_LOST => c"warden-lost",
        SECLUDE_ENDED_SYSCALL => c"syscall",
        _ => return ptr::null(),
    };
    name.as_ptr()
}

/// The name of a `SECLUDE_MEMORY_...`: "cgroup", the same in every language. NULL for any other number. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_memory_source_name(source: c_int) -> *const c_char {
    let name = match source {
        SECLUDE_MEMORY_CGROUP => c"cgroup",
        SECLUDE_MEMORY_SAMPLED => c"sampled",
        SECLUDE_MEMORY_LARGEST_PROCESS => c"largest-process",
        _ => return ptr::null(),
    };
    name.as_ptr()
}

/// The name of one `SECLUDE_PROTECTION_...`: "no-capabilities", the same in every language. NULL for any other number, so
/// that a loop over the bits of `enforced` skips what this library does not know. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_protection_name(protection: u64) -> *const c_char {
    PROTECTIONS.iter().find(|(_, bit, _)| *bit == protection).map_or(ptr::null(), |(.., name)| name.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use seclude_core::Syscall;

    #[test]
    fn every_protection_of_the_core_has_one_bit_and_its_own_name() {
        assert_eq!(PROTECTIONS.len(), Protection::ALL.len());
        for (index, (protection, bit, name)) in PROTECTIONS.iter().enumerate() {
            assert_eq!((*bit, name.to_str()), (1 << index, Ok(protection.name())));
            assert!(Protection::ALL.contains(protection));
        }
    }

    fn name<'a>(name: *const c_char) -> &'a str {
        assert!(!name.is_null());
        // SAFETY: a name of ours, which lives for ever.
        unsafe { CStr::from_ptr(name) }.to_str().expect("UTF-8")
    }

    #[test]
    fn every_end_has_the_name_of_the_core_and_a_number_of_its_own() {
        let ends = [
            Ended::Exited(3),
            Ended::Signaled(9),
            Ended::WallTime,
            Ended::CpuTime,
            Ended::MemoryLimit,
            Ended::ProcessLimit,
            Ended::OutputLimit,
            Ended::ScratchFull,
            Ended::Killed,
            Ended::WardenLost(9),
            Ended::Syscall(Syscall::new(1)),
        ];
        for (place, end) in ends.into_iter().enumerate() {
            let (number, _) = ended(end).expect("a number");
            assert_eq!((number, name(seclude_ended_name(number))), (place as i32 + 1, end.name()));
        }
        assert!(seclude_ended_name(0).is_null() && seclude_ended_name(12).is_null());
    }

    #[test]
    fn every_source_of_a_peak_has_the_name_of_the_core() {
        for source in MemorySource::ALL {
            assert_eq!(name(seclude_memory_source_name(memory_source(*source))), source.name());
        }
        assert!(seclude_memory_source_name(0).is_null());
    }

    #[test]
    fn words_are_cut_before_the_last_place() {
        assert_eq!(words::<4>("ab").map(|letter| letter as u8), *b"ab\0\0");
        assert_eq!(words::<4>("abcdef").map(|letter| letter as u8), *b"abc\0");
    }

    #[test]
    fn the_structure_has_no_padding_and_keeps_its_first_size() {
        assert_eq!(size_of::<seclude_outcome>(), 8 * 4 + 2 * 8 + 32 + 21 * 8 + 96 + 2 * 4);
    }
}
