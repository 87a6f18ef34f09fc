//! Running without namespaces, where the host denies them and the policy allows it.
//!
//! Other means hold the command then: Landlock, the seccomp filter, `no_new_privs`, the limits and
//! the warden. What only a namespace could give is an error, unless the policy does without it too.

use super::seccomp::{Action, Profile};
use super::{Bind, Entry, Limit, Namespace, Policy, System};
use crate::base::declared::named;
use crate::base::error::{Error, ErrorKind, Result};

named! {
    /// What a sandbox may do without where the host denies namespaces
    /// ([`Sandbox::best_effort`](crate::Sandbox::best_effort)).
    ///
    /// Only with `Namespaces` does a sandbox run there at all. Each of the others concerns
    /// something that the policy asks for by name. `docs/confined.md` compares both ways to run.
    Isolation {
        /// All namespaces. Landlock (Linux 6.2) then restricts files, and the seccomp filter
        /// restricts the network, System V IPC and calls that change other processes.
        Namespaces = "namespaces",
        /// A view of the file system of its own: another root, binds at another path, tmpfs,
        /// files, directories and links.
        Files = "files",
        /// A process tree of its own, if the policy unshares it.
        Processes = "processes",
        /// A network of its own, if the policy unshares it.
        Network = "network",
        /// A host name or domain name.
        Names = "names",
        /// Shifted clocks.
        Clocks = "clocks",
        /// Private pseudo-terminals, if the policy requires them.
        Terminals = "terminals",
        /// Keeping signals inside, which takes Linux 6.12 without a process tree of its own.
        Signals = "signals",
    }
}

/// What [`Sandbox::best_effort`](crate::Sandbox::best_effort) takes: a limit, or a part of the
/// isolation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BestEffort {
    /// A limit that the host may not be able to enforce.
    Limit(Limit),
    /// A part of the isolation that the host may deny.
    Isolation(Isolation),
}

impl BestEffort {
    /// The name in policies.
    pub fn name(self) -> &'static str {
        match self {
            BestEffort::Limit(limit) => limit.name(),
            BestEffort::Isolation(isolation) => isolation.name(),
        }
    }
}

impl From<Limit> for BestEffort {
    fn from(limit: Limit) -> BestEffort {
        BestEffort::Limit(limit)
    }
}

impl From<Isolation> for BestEffort {
    fn from(isolation: Isolation) -> BestEffort {
        BestEffort::Isolation(isolation)
    }
}

/// The Landlock ABI that restricts files completely: the first with a right to truncate.
pub const LANDLOCK_FILES: u32 = 3;
/// The Landlock ABI that keeps signals inside.
pub const LANDLOCK_SIGNALS: u32 = 6;

/// How a sandbox without namespaces is held. Part of a policy that [`Policy::confined`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confined {
    /// The command may use all the caller's files, because the policy shares the mount namespace.
    pub files: bool,
    /// The command may use the host's network, because the policy shares it.
    pub network: bool,
    /// The command may use the host's System V IPC and message queues.
    pub ipc: bool,
    /// Landlock keeps signals inside.
    pub signals: bool,
    /// The command's user is not the caller's.
    pub other_user: bool,
}

impl Policy {
    /// Whether the policy allows to run without namespaces. Namespaces that the caller names cannot
    /// be left out.
    pub fn may_be_confined(&self) -> bool {
        self.dispensable.contains(&Isolation::Namespaces)
            && self.joined.is_empty()
            && !self.has_given_network()
    }

    /// The policy as a sandbox without namespaces can apply it. `denial` says why there are none,
    /// and `landlock` is the kernel's Landlock ABI, or 0.
    ///
    /// # Errors
    ///
    /// `NamespacesDenied`, with what the policy needs namespaces for.
    pub fn confined(&self, denial: &Error, landlock: u32) -> Result<Policy> {
        let refuse = |why: String, hint: String| {
            Err(Error::new(ErrorKind::NamespacesDenied, "run without namespaces")
                .because(format!("{why}; there are none: {denial}"))
                .hint(hint))
        };
        for (isolation, need) in self.needs(landlock) {
            if !self.dispensable.contains(&isolation) {
                let name = isolation.name();
                let hint = format!("name {name:?} in best_effort, too, to run without that");
                return refuse(need, hint);
            }
        }
        if let Some((need, hint)) = self.indispensable(landlock) {
            return refuse(need.into(), hint.into());
        }
        let held = Confined {
            files: !self.private(Namespace::Mount),
            network: !self.private(Namespace::Net),
            ipc: !self.private(Namespace::Ipc),
            signals: landlock >= LANDLOCK_SIGNALS,
            other_user: false,
        };
        let system = match self.system {
            System::Host | System::Root(_) if !self.exact_files => System::Host,
            System::Host | System::Root(_) | System::Empty => System::Empty,
        };
        let kept = |entry: &&Entry| matches!(entry, Entry::Bind(bind) if is_in_place(bind));
        Ok(Policy {
            share: Namespace::ALL.iter().copied().collect(),
            unshare: Default::default(),
            hostname: None,
            domainname: None,
            clock_offsets: Default::default(),
            files: self.files.iter().filter(kept).cloned().collect(),
            etc: self.etc.clone().filter(|_| system == System::Host),
            system,
            writable_root: false,
            exact_files: false,
            terminals: None,
            proc_subset: false,
            as_pid_1: false,
            devices: Vec::new(),
            nested: false,
            confined: Some(held),
            ..self.clone()
        })
    }

    /// What the policy asks for that takes a namespace, each with a description.
    fn needs(&self, landlock: u32) -> Vec<(Isolation, String)> {
        let mut needs = Vec::new();
        match &self.system {
            System::Root(root) => {
                needs.push((Isolation::Files, format!("the root {} needs them", root.display())));
            }
            System::Host | System::Empty => {}
        }
        for entry in &self.files {
            if !matches!(entry, Entry::Bind(bind) if is_in_place(bind)) {
                let at = entry.at().display();
                needs.push((Isolation::Files, format!("the entry at {at} needs them")));
            }
        }
        if let Some((inner, outer)) = self.restricted_below_writable() {
            let (inner, outer) = (inner.at.display(), outer.at.display());
            needs.push((
                Isolation::Files,
                format!(
                    "the read-only bind at {inner} below the writable one at {outer} needs them"
                ),
            ));
        }
        let named = [
            (self.writable_root, Isolation::Files, "a writable root needs them"),
            (self.proc_subset, Isolation::Processes, "a /proc of processes alone needs them"),
            (self.as_pid_1, Isolation::Processes, "a command that is process 1 needs them"),
            (!self.devices.is_empty(), Isolation::Files, "the devices need them"),
            (self.unshare.contains(&Namespace::Mount), Isolation::Files, MOUNT),
            (self.unshare.contains(&Namespace::Pid), Isolation::Processes, TREE),
            (self.unshare.contains(&Namespace::Net), Isolation::Network, NETWORK),
            (self.unshare.contains(&Namespace::Uts), Isolation::Names, NAME),
            (self.hostname.is_some() || self.domainname.is_some(), Isolation::Names, NAME),
            (self.private(Namespace::Time), Isolation::Clocks, "clocks of its own need them"),
            (self.terminals == Some(true), Isolation::Terminals, TERMINALS),
            (landlock < LANDLOCK_SIGNALS, Isolation::Signals, SIGNALS),
        ];
        let named = named.into_iter().filter(|(asked, ..)| *asked);
        needs.extend(named.map(|(_, isolation, need)| (isolation, need.to_owned())));
        needs
    }

    /// A bind that is read-only below one that is writable. Landlock gives what any rule for a path
    /// gives, or for one above it.
    fn restricted_below_writable(&self) -> Option<(&Bind, &Bind)> {
        let binds = || self.files.iter().filter_map(Entry::bind);
        let above = |inner: &Bind| {
            binds().find(|outer| {
                outer.writable && inner.at != outer.at && inner.at.starts_with(&outer.at)
            })
        };
        binds().filter(|inner| !inner.writable).find_map(|inner| Some((inner, above(inner)?)))
    }

    /// What keeps the policy from running without namespaces in any case, and a remedy.
    fn indispensable(&self, landlock: u32) -> Option<(&'static str, &'static str)> {
        let filter = self.filter();
        let open = |action: Action| matches!(action, Action::Allow | Action::Log);
        if !self.landlock {
            Some(("only Landlock could restrict files, and the policy turns it off", "leave it on"))
        } else if landlock < LANDLOCK_FILES {
            Some((
                "only Landlock could restrict files, and this kernel has none that can",
                "Linux 6.2 has it, with landlock among its security modules (lsm=)",
            ))
        } else if filter.profile == Profile::Unconfined || filter.otherwise.is_some_and(open) {
            Some((
                "only a seccomp filter could restrict the network, and the policy's allows all \
                 calls that it does not name",
                "use another profile, with rules for what the program needs",
            ))
        } else if !self.capabilities.is_empty() {
            Some((
                "the capabilities would be the caller's own",
                "leave them out, or run with namespaces",
            ))
        } else {
            None
        }
    }
}

const MOUNT: &str = "a file system of its own needs them";
const TREE: &str = "a process tree of its own needs them";
const NETWORK: &str = "a network of its own needs them";
const NAME: &str = "a host name of its own needs them";
const TERMINALS: &str = "pseudo-terminals of its own need them";
const SIGNALS: &str = "without them, Landlock of Linux 6.12 keeps signals inside, and this kernel \
                       is older";

/// Whether a bind shows a path where it is, with rights that Landlock can restrict.
fn is_in_place(bind: &Bind) -> bool {
    bind.source == bind.at && !bind.noexec && !bind.nofollow && !bind.idmapped
}
