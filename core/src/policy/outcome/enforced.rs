//! The protections and limits that were in force while a command ran.

use crate::base::declared::Word;
use crate::policy::{Limit, Mechanism, Namespace};
use crate::wire::plan::{namespace, protection};
use std::fmt;

macro_rules! protections {
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal $set:ident $bit:expr;)*) => {
        /// A protection that was in force while a command ran.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Protection { $($(#[doc = $doc])* $variant,)* }

        impl Protection {
            /// Every protection, in the order of declaration.
            pub const ALL: &[Protection] = &[$(Protection::$variant,)*];

            #[doc(hidden)]
            pub const WORDS: &[Word] =
                &[$(Word { variant: stringify!($variant), name: $name, doc: concat!($($doc),*) },)*];

            /// The name. It is the same in every language.
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
    /// The command has its own user namespace.
    UserNamespace "user-namespace" namespaces namespace::USER;
    /// The command has its own mount namespace.
    MountNamespace "mount-namespace" namespaces namespace::MOUNT;
    /// The command has its own process tree.
    PidNamespace "pid-namespace" namespaces namespace::PID;
    /// The command has its own network.
    NetNamespace "net-namespace" namespaces namespace::NET;
    /// The command has its own System V IPC and POSIX message queues.
    IpcNamespace "ipc-namespace" namespaces namespace::IPC;
    /// The command has its own host and domain name.
    UtsNamespace "uts-namespace" namespaces namespace::UTS;
    /// The command has its own view of the cgroup tree.
    CgroupNamespace "cgroup-namespace" namespaces namespace::CGROUP;
    /// The command has its own clocks.
    TimeNamespace "time-namespace" namespaces namespace::TIME;
    /// The command has its own root file system and cannot reach the caller's.
    OwnRoot "own-root" protections protection::ROOT;
    /// The root is mounted read-only.
    ReadOnlyRoot "read-only-root" protections protection::READ_ONLY_ROOT;
    /// The global parts of `/proc` are masked or read-only.
    MaskedProc "masked-proc" protections protection::MASKED_PROC;
    /// All five capability sets are empty.
    NoCapabilities "no-capabilities" protections protection::CAPABILITIES;
    /// User id 0 has no special privileges (locked securebits).
    LockedSecurebits "locked-securebits" protections protection::SECUREBITS;
    /// No program executed inside gains privileges.
    NoNewPrivileges "no-new-privileges" protections protection::NO_NEW_PRIVS;
    /// The command has no supplementary groups. Missing for a command that names some, and for an
    /// unprivileged caller with supplementary groups, because the kernel does not let it drop them.
    NoGroups "no-groups" protections protection::GROUPS;
    /// No user namespaces can be created inside.
    NoNestedUsers "no-nested-users" protections protection::NO_NESTED_USERS;
    /// The command has its own session keyring.
    OwnKeyring "own-keyring" protections protection::KEYRING;
    /// The command has its own session, without a controlling terminal.
    OwnSession "own-session" protections protection::SESSION;
    /// Core dumps are disabled.
    NoCoreDumps "no-core-dumps" protections protection::NO_CORE;
    /// The warden can be neither traced nor read from inside.
    HiddenWarden "hidden-warden" protections protection::WARDEN_HIDDEN;
    /// The kernel kills all processes inside when the warden ends.
    KillByNamespace "kill-by-namespace" protections protection::KILL_BY_NAMESPACE;
    /// The warden kills the processes inside, one after another. This is weaker: if the warden is
    /// killed from outside, they survive.
    KillByWarden "kill-by-warden" protections protection::KILL_BY_WARDEN;
    /// The caller kills any process that the warden could not kill, through the sandbox's cgroup.
    /// Present together with `kill-by-warden`, if a cgroup can be created.
    KillByCgroup "kill-by-cgroup" protections protection::KILL_BY_CGROUP;
    /// A seccomp filter restricts the system calls of the command.
    SeccompFilter "seccomp-filter" protections protection::FILTERED;
    /// A seccomp filter restricts the system calls of the warden. Missing if the command's filter
    /// kills, or asks the caller, at every call that it does not name.
    FilteredWarden "filtered-warden" protections protection::FILTERED_WARDEN;
    /// Landlock restricts the command to its visible files, and to writing where it may.
    LandlockFiles "landlock-files" protections protection::LANDLOCK_FILES;
    /// Landlock prevents signals to processes outside.
    LandlockSignals "landlock-signals" protections protection::LANDLOCK_SIGNALS;
    /// Landlock prevents connections to abstract sockets created outside.
    LandlockSockets "landlock-sockets" protections protection::LANDLOCK_SOCKETS;
    /// Landlock restricts the command to the TCP ports in the policy.
    LandlockPorts "landlock-ports" protections protection::LANDLOCK_PORTS;
    /// No process inside can change the warden's limits, priority or processors. Missing if the
    /// command has joined an existing process tree, where other processes may run as the same user.
    GuardedWarden "guarded-warden" protections protection::WARDEN_GUARDED;
    /// The command runs as another user than the caller, so the caller's files and processes are
    /// not its own. Missing if the caller can map only its own id: an unprivileged caller, or one
    /// in a user namespace without other ids.
    OtherUser "other-user" protections protection::OTHER_USER;
    /// The kernel kills a process group at once, and no process inside can make another group while
    /// the warden kills, so no fork bomb outruns it. Present together with `kill-by-warden` and
    /// without `kill-by-cgroup`, from Linux 5.9. Missing if the filter kills or asks the caller at
    /// any call, or if the caller itself is behind a filter that asks somebody: the kernel allows
    /// one such filter.
    KillByGroup "kill-by-group" protections protection::KILL_BY_GROUP;
}

/// The protections and limits that were in force while a command ran.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Enforced {
    namespaces: u64,
    protections: u64,
    landlock: u32,
    limits: Mechanisms,
}

/// The mechanism that enforces each limit, indexed by the limit's position in [`Limit::ALL`].
pub(crate) type Mechanisms = [Option<Mechanism>; Limit::ALL.len()];

impl Enforced {
    pub(crate) fn new(
        namespaces: u64,
        protections: u64,
        landlock: u32,
        limits: Mechanisms,
    ) -> Enforced {
        Enforced { namespaces, protections, landlock, limits }
    }

    /// The version of the Landlock ABI in force. `None` if Landlock was not in force.
    pub fn landlock_abi(&self) -> Option<u32> {
        Some(self.landlock).filter(|abi| *abi > 0)
    }

    /// Whether `protection` was in force.
    pub fn contains(&self, protection: Protection) -> bool {
        protection.is_in(self)
    }

    /// The protections that were in force.
    pub fn iter(&self) -> impl Iterator<Item = Protection> + '_ {
        Protection::ALL.iter().copied().filter(|protection| protection.is_in(self))
    }

    /// The mechanism that enforced this limit. `None` if the limit was not enforced.
    pub fn mechanism(&self, limit: Limit) -> Option<Mechanism> {
        self.limits[limit as usize]
    }

    /// The limits that were in force, each with its mechanism.
    pub fn limits(&self) -> impl Iterator<Item = (Limit, Mechanism)> + '_ {
        Limit::ALL.iter().filter_map(|limit| Some((*limit, self.mechanism(*limit)?)))
    }

    /// Whether the command had its own namespace of this kind.
    pub fn private(&self, kind: Namespace) -> bool {
        self.namespaces & kind.flag() != 0
    }
}

impl fmt::Debug for Enforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.limits().map(|(limit, mechanism)| format!("{limit} by {mechanism}"));
        f.debug_set()
            .entries(self.iter().map(|protection| protection.name().to_owned()).chain(limits))
            .finish()
    }
}
