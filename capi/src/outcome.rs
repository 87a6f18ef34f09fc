//! `seclude_outcome`: how a command ended, what it used, what held it: the one structure whose fields C sees.

use crate::boundary::{Answer, Structure};
use crate::error::seclude_error;
use seclude_core::{Ended, Enforced, Outcome, Protection};
use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::time::Duration;

/// It ended by itself; `value` is the exit code, 0 to 255.
pub const SECLUDE_ENDED_EXITED: i32 = 1;
/// A signal killed it; `value` is its number.
pub const SECLUDE_ENDED_SIGNALED: i32 = 2;
/// It was still running when its wall time was over.
pub const SECLUDE_ENDED_WALL_TIME: i32 = 3;
/// The caller killed it: `seclude_child_kill`.
pub const SECLUDE_ENDED_KILLED: i32 = 4;

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

/// How a command ended, what it used, and which protections were in force while it ran.
///
/// Functions that fill it take its size, `sizeof(seclude_outcome)`, so that programs and libraries of different versions
/// agree: fields are only ever added at the end, a field that the library does not know reads 0, and one that the program does not
/// know is not written.
///
/// The sums are of all processes that were waited for, by their parents or by the warden: a process whose parent ignores SIGCHLD
/// is reaped by the kernel and counted by nobody.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct seclude_outcome {
    /// How it ended: one of `SECLUDE_ENDED_...`.
    pub ended: i32,
    /// The exit code or the signal; 0 where there is neither.
    pub value: i32,
    /// The same as one number: the exit code, or minus the signal. An end by a limit or by the caller was brought about by SIGKILL
    /// and reads -9.
    pub returncode: i32,
    /// 1 if it exited with code 0, else 0.
    pub success: i32,
    /// The `SECLUDE_PROTECTION_...` that were really enforced, joined by `|`, as the warden reported them after having done it.
    pub enforced: u64,
    /// From the command's start to the end of the last process inside, in nanoseconds.
    pub wall_ns: u64,
    /// Processor time in user mode, of the whole tree, in nanoseconds.
    pub user_ns: u64,
    /// Processor time in the kernel, of the whole tree, in nanoseconds.
    pub system_ns: u64,
    /// The largest resident set that any single process of the tree had, in bytes. The caller's own size is no part of it.
    pub max_rss: u64,
    /// Page faults served without I/O.
    pub minor_faults: u64,
    /// Page faults that needed I/O.
    pub major_faults: u64,
    /// Times a process gave up the processor to wait.
    pub voluntary_switches: u64,
    /// Times a process was made to give up the processor.
    pub involuntary_switches: u64,
    /// Blocks of 512 bytes read from a device.
    pub blocks_in: u64,
    /// Blocks of 512 bytes written to a device.
    pub blocks_out: u64,
}

impl Structure for seclude_outcome {}

impl seclude_outcome {
    pub(crate) fn new(outcome: &Outcome) -> Answer<seclude_outcome> {
        let usage = &outcome.usage;
        let (ended, value) = ended(outcome.ended)?;
        Ok(seclude_outcome {
            ended,
            value,
            returncode: outcome.ended.returncode(),
            success: outcome.success().into(),
            enforced: enforced(outcome.enforced),
            wall_ns: nanoseconds(usage.wall),
            user_ns: nanoseconds(usage.user),
            system_ns: nanoseconds(usage.system),
            max_rss: usage.max_rss,
            minor_faults: usage.minor_faults,
            major_faults: usage.major_faults,
            voluntary_switches: usage.voluntary_switches,
            involuntary_switches: usage.involuntary_switches,
            blocks_in: usage.blocks_in,
            blocks_out: usage.blocks_out,
        })
    }
}

fn ended(ended: Ended) -> Answer<(i32, i32)> {
    match ended {
        Ended::Exited(code) => Ok((SECLUDE_ENDED_EXITED, code)),
        Ended::Signaled(signal) => Ok((SECLUDE_ENDED_SIGNALED, signal)),
        Ended::WallTime => Ok((SECLUDE_ENDED_WALL_TIME, 0)),
        Ended::Killed => Ok((SECLUDE_ENDED_KILLED, 0)),
        other => Err(seclude_error::internal("outcome", &format!("\"{other}\" has no number in C"))),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// What C calls each protection: number and name.
const PROTECTIONS: [(Protection, u64, &CStr); 23] = [
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
];

pub(crate) fn enforced(set: Enforced) -> u64 {
    PROTECTIONS.iter().filter(|(protection, ..)| set.contains(*protection)).fold(0, |bits, (_, bit, _)| bits | bit)
}

/// The name of a `SECLUDE_ENDED_...`: "exited", "signaled", "wall-time", "killed", the same in every language. NULL for any
/// other number. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_ended_name(ended: c_int) -> *const c_char {
    let name = match ended {
        SECLUDE_ENDED_EXITED => c"exited",
        SECLUDE_ENDED_SIGNALED => c"signaled",
        SECLUDE_ENDED_WALL_TIME => c"wall-time",
        SECLUDE_ENDED_KILLED => c"killed",
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

    #[test]
    fn every_protection_of_the_core_has_one_bit_and_its_own_name() {
        assert_eq!(PROTECTIONS.len(), Protection::ALL.len());
        for (index, (protection, bit, name)) in PROTECTIONS.iter().enumerate() {
            assert_eq!((*bit, name.to_str()), (1 << index, Ok(protection.name())));
            assert!(Protection::ALL.contains(protection));
        }
    }

    #[test]
    fn every_end_has_the_name_of_the_core() {
        for end in [Ended::Exited(3), Ended::Signaled(9), Ended::WallTime, Ended::Killed] {
            let (number, _) = ended(end).expect("a number");
            // SAFETY: a name of ours, never NULL for these.
            let name = unsafe { CStr::from_ptr(seclude_ended_name(number)) };
            assert_eq!(name.to_str(), Ok(end.name()));
        }
        assert!(seclude_ended_name(0).is_null());
    }

    #[test]
    fn the_structure_has_no_padding_and_keeps_its_first_size() {
        assert_eq!(size_of::<seclude_outcome>(), 4 * 4 + 11 * 8);
    }
}
