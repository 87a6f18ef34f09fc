//! What held a command: protections, and limits with what enforced them.

use crate::base::declared::Word;
use crate::policy::{Limit, Mechanism, Namespace};
use crate::wire::plan::{namespace, protection};
use std::fmt;

macro_rules! protections {
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal $set:ident $bit:expr;)*) => {
        /// A protection that held while a command ran.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Protection { $($(#[doc = $doc])* $variant,)* }

        impl Protection {
            /// Every protection there is.
            pub const ALL: &[Protection] = &[$(Protection::$variant,)*];

            #[doc(hidden)]
            pub const WORDS: &[Word] =
                &[$(Word { variant: stringify!($variant), name: $name, doc: concat!($($doc),*) },)*];

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
    /// No supplementary groups. Missing for an unprivileged caller who has some: the kernel does
    /// not let it drop them.
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
    /// Everything inside is ended by the warden, one process after another. Weaker: whoever kills
    /// the warden from outside frees what is inside.
    KillByWarden "kill-by-warden" protections protection::KILL_BY_WARDEN;
    /// What the warden could not end, the caller ends through a cgroup around it all: together with
    /// the one above, where a cgroup can be made.
    KillByCgroup "kill-by-cgroup" protections protection::KILL_BY_CGROUP;
    /// A seccomp filter decides which system calls are made.
    SeccompFilter "seccomp-filter" protections protection::FILTERED;
    /// A seccomp filter decides which system calls the warden makes. Missing where the command's
    /// kills, or asks the caller, at every call that it does not name.
    FilteredWarden "filtered-warden" protections protection::FILTERED_WARDEN;
    /// Landlock holds it to the files that it is shown, and to writing where it may.
    LandlockFiles "landlock-files" protections protection::LANDLOCK_FILES;
    /// Landlock keeps its signals inside.
    LandlockSignals "landlock-signals" protections protection::LANDLOCK_SIGNALS;
    /// Landlock keeps it from abstract sockets made outside.
    LandlockSockets "landlock-sockets" protections protection::LANDLOCK_SOCKETS;
    /// Landlock holds it to the TCP ports that the policy names.
    LandlockPorts "landlock-ports" protections protection::LANDLOCK_PORTS;
    /// Nothing inside can change the warden: its limits, its priority, its processors. Missing
    /// where the command has joined a process tree, for there the warden is a process like others
    /// of its user.
    GuardedWarden "guarded-warden" protections protection::WARDEN_GUARDED;
    /// The command is another user than the caller, so that the caller's files and processes are
    /// not its own. Missing where the caller can map no id but its own: an unprivileged caller, or
    /// one whose user namespace has no other.
    OtherUser "other-user" protections protection::OTHER_USER;
}

/// The protections and limits that were in force.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Enforced {
    namespaces: u64,
    protections: u64,
    landlock: u32,
    limits: Mechanisms,
}

/// What enforces each limit, by the limit's place in [`Limit::ALL`].
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

    /// The ABI of Landlock that was in force; `None` if it was not.
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

    /// What enforced this limit; `None` if nothing did.
    pub fn mechanism(&self, limit: Limit) -> Option<Mechanism> {
        self.limits[limit as usize]
    }

    /// The limits that were in force, each with what enforced it.
    pub fn limits(&self) -> impl Iterator<Item = (Limit, Mechanism)> + '_ {
        Limit::ALL.iter().filter_map(|limit| Some((*limit, self.mechanism(*limit)?)))
    }

    /// Whether the command had a namespace of this kind of its own.
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
