//! How a command ended, what it used, and what held it.

use crate::policy::Namespace;
use crate::wire::message::{self, end};
use crate::wire::plan::{namespace, protection};
use std::fmt;
use std::time::Duration;

/// How a command ended. The cases never overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// It ended by itself with this exit code, 0 to 255.
    Exited(i32),
    /// This signal killed it.
    Signaled(i32),
    /// It was still running when its wall time was over.
    WallTime,
    /// The caller killed it: [`Child::kill`](crate::Child::kill).
    Killed,
}

impl Ended {
    /// Whether the command exited with code 0.
    pub fn success(self) -> bool {
        self == Ended::Exited(0)
    }

    /// The end as `subprocess` and shells with negative numbers tell it: the exit code, or minus the signal.
    /// An end by a limit or by the caller was brought about by SIGKILL and reads -9.
    pub fn returncode(self) -> i32 {
        match self {
            Ended::Exited(code) => code,
            Ended::Signaled(signal) => -signal,
            Ended::WallTime | Ended::Killed => -libc::SIGKILL,
        }
    }

    /// The name of the case: `exited`, `signaled`, `wall-time`, `killed`.
    pub fn name(self) -> &'static str {
        match self {
            Ended::Exited(_) => "exited",
            Ended::Signaled(_) => "signaled",
            Ended::WallTime => "wall-time",
            Ended::Killed => "killed",
        }
    }

    pub(crate) fn from_report(how: u32, value: i32) -> Option<Ended> {
        match how {
            end::EXITED => Some(Ended::Exited(value)),
            end::SIGNALED => Some(Ended::Signaled(value)),
            end::WALL_TIME => Some(Ended::WallTime),
            end::KILLED => Some(Ended::Killed),
            _ => None,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Exited(code) => write!(f, "exited with code {code}"),
            Ended::Signaled(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "killed by {name}"),
                Err(_) => write!(f, "killed by signal {signal}"),
            },
            Ended::WallTime => f.write_str("stopped by the wall time limit"),
            Ended::Killed => f.write_str("killed by the caller"),
        }
    }
}

/// What the command and everything that it started used (`getrusage(2)`).
///
/// The sums are of all processes that were waited for, by their parents or by the warden. A process whose parent ignores
/// SIGCHLD is reaped by the kernel and counted by nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// From the command's start to the end of the last process inside.
    pub wall: Duration,
    /// Processor time in user mode, of the whole tree.
    pub user: Duration,
    /// Processor time in the kernel, of the whole tree.
    pub system: Duration,
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

impl From<message::Usage> for Usage {
    fn from(raw: message::Usage) -> Usage {
        Usage {
            wall: Duration::from_nanos(raw.wall_ns),
            user: Duration::from_micros(raw.user_us),
            system: Duration::from_micros(raw.system_us),
            max_rss: raw.max_rss_kib.saturating_mul(1024),
            minor_faults: raw.minor_faults,
            major_faults: raw.major_faults,
            voluntary_switches: raw.voluntary_switches,
            involuntary_switches: raw.involuntary_switches,
            blocks_in: raw.blocks_in,
            blocks_out: raw.blocks_out,
        }
    }
}

/// How a command ended, what it used, and which protections were in force while it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// What it used.
    pub usage: Usage,
    /// What was really enforced, as the warden reported it after having done it.
    pub enforced: Enforced,
}

impl Outcome {
    /// Whether the command exited with code 0.
    pub fn success(&self) -> bool {
        self.ended.success()
    }
}

macro_rules! protections {
    ($($(#[$meta:meta])* $variant:ident $name:literal $set:ident $bit:expr;)*) => {
        /// A protection that held while a command ran.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Protection { $($(#[$meta])* $variant,)* }

        impl Protection {
            /// Every protection there is.
            pub const ALL: &[Protection] = &[$(Protection::$variant,)*];

            /// Its name, as the other languages and the case table spell it.
            pub fn name(self) -> &'static str {
                match self { $(Protection::$variant => $name,)* }
            }

            fn is_in(self, set: &Enforced) -> bool {
                match self { $(Protection::$variant => set.$set & $bit != 0,)* }
            }
        }
    };
}

protections! {
    /// A user namespace of its own.
    UserNamespace "user-namespace" namespaces namespace::USER;
    /// A mount namespace of its own.
    MountNamespace "mount-namespace" namespaces namespace::MOUNT;
    /// A process tree of its own.
    PidNamespace "pid-namespace" namespaces namespace::PID;
    /// A network of its own.
    NetNamespace "net-namespace" namespaces namespace::NET;
    /// System V IPC and POSIX message queues of its own.
    IpcNamespace "ipc-namespace" namespaces namespace::IPC;
    /// Host and domain name of its own.
    UtsNamespace "uts-namespace" namespaces namespace::UTS;
    /// A view of the cgroup tree of its own.
    CgroupNamespace "cgroup-namespace" namespaces namespace::CGROUP;
    /// Clocks of its own.
    TimeNamespace "time-namespace" namespaces namespace::TIME;
    /// A file system of its own: the caller's is out of reach.
    OwnRoot "own-root" protections protection::ROOT;
    /// The root is mounted read-only.
    ReadOnlyRoot "read-only-root" protections protection::READ_ONLY_ROOT;
    /// The global parts of `/proc` are masked or read-only.
    MaskedProc "masked-proc" protections protection::MASKED_PROC;
    /// All five capability sets are empty.
    NoCapabilities "no-capabilities" protections protection::CAPABILITIES;
    /// User id 0 has no meaning of its own (locked securebits).
    LockedSecurebits "locked-securebits" protections protection::SECUREBITS;
    /// No program executed inside gains privileges.
    NoNewPrivileges "no-new-privileges" protections protection::NO_NEW_PRIVS;
    /// No supplementary groups. Missing for an unprivileged caller who has some: the kernel does not let it drop them.
    NoGroups "no-groups" protections protection::GROUPS;
    /// No user namespaces can be made inside.
    NoNestedUsers "no-nested-users" protections protection::NO_NESTED_USERS;
    /// A session keyring of its own.
    OwnKeyring "own-keyring" protections protection::KEYRING;
    /// A session of its own, without a terminal.
    OwnSession "own-session" protections protection::SESSION;
    /// No core dumps.
    NoCoreDumps "no-core-dumps" protections protection::NO_CORE;
    /// The warden can be neither traced nor read from inside.
    HiddenWarden "hidden-warden" protections protection::WARDEN_HIDDEN;
    /// Everything inside ends with the warden: the kernel sees to it.
    KillByNamespace "kill-by-namespace" protections protection::KILL_BY_NAMESPACE;
    /// Everything inside is ended by the warden, one process after another. Weaker: whoever kills the warden from outside frees what is inside.
    KillByWarden "kill-by-warden" protections protection::KILL_BY_WARDEN;
    /// What the warden could not end, the caller ends through a cgroup around it all: together with `KillByWarden`, where one can be made.
    KillByCgroup "kill-by-cgroup" protections protection::KILL_BY_CGROUP;
}

/// The set of protections that were in force.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Enforced {
    namespaces: u64,
    protections: u64,
}

impl Enforced {
    pub(crate) fn new(namespaces: u64, protections: u64) -> Enforced {
        Enforced { namespaces, protections }
    }

    /// Whether `protection` was in force.
    pub fn contains(&self, protection: Protection) -> bool {
        protection.is_in(self)
    }

    /// The protections that were in force.
    pub fn iter(&self) -> impl Iterator<Item = Protection> + '_ {
        Protection::ALL.iter().copied().filter(|protection| protection.is_in(self))
    }

    /// Whether the command had a namespace of this kind of its own.
    pub fn private(&self, kind: Namespace) -> bool {
        self.namespaces & kind.flag() != 0
    }
}

impl fmt::Debug for Enforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Protection::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_reads_as_subprocess_would_tell_it() {
        assert_eq!(Ended::Exited(3).returncode(), 3);
        assert_eq!(Ended::Signaled(15).returncode(), -15);
        assert_eq!(Ended::WallTime.returncode(), -9);
        assert_eq!(Ended::Signaled(11).to_string(), "killed by SIGSEGV");
    }
}
