//! The sandbox: a reusable policy, and the methods that build it. The setters that take a single
//! value are in `plain`.

mod compiled;
mod confined;
mod explain;
mod for_tests;
pub(crate) mod images;
mod networks;
mod plain;
mod text;

use compiled::Compiled;

use crate::base::error::{Error, Result};
use crate::policy::seccomp::Seccomp;
use crate::policy::{
    BestEffort, Bind, Capability, Clock, Demand, Entry, File, Ids, Io, Limit, Limits, Namespace,
    Policy, Resource, System, Tmpfs,
};
use crate::run::egress::Decider;
use crate::run::network::Network;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A policy: what a program sees and what it may use. Nothing runs yet.
///
/// A sandbox is a value. It is cheap to clone, it can be compared, and many threads can use it at
/// once. A new sandbox is safe by default:
///
/// - Every namespace except the time namespace is private.
/// - The network has only a loopback device.
/// - The host's `/usr` is read-only. Only the sandbox's own `/tmp` and `/dev/shm` are writable.
/// - The user id has no rights outside, and there are no privileges.
///
/// Each method opens or changes one thing. Mistakes are reported when a command is started, or by
/// [`Sandbox::check`].
///
/// ```
/// # fn main() -> seclude::Result<()> {
/// use seclude::{MiB, Sandbox};
/// use std::time::Duration;
///
/// let sandbox = Sandbox::new().tmpfs("/tmp", MiB(64)).wall_time(Duration::from_secs(5));
/// let output = sandbox.command("echo").arg("hello").output()?;
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Sandbox {
    policy: Policy,
    /// The private network that it is a member of.
    network: Option<Network>,
    /// Decides about destinations that no rule is about.
    decider: Option<Decider>,
    /// The images whose layers the policy names by their paths.
    held: Arc<Vec<images::Held>>,
    /// The plans and the warden's image, made at the first start and shared by all clones. A
    /// changed policy starts with an empty set.
    compiled: Arc<Compiled>,
}

impl Sandbox {
    /// Creates a sandbox with the default policy.
    pub fn new() -> Sandbox {
        Sandbox::default()
    }

    pub(crate) fn from_policy(policy: Policy) -> Sandbox {
        Sandbox { policy, ..Sandbox::default() }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    fn with(mut self, change: impl FnOnce(&mut Policy)) -> Sandbox {
        change(&mut self.policy);
        self.compiled = Arc::default();
        self
    }

    /// Sets the supplementary groups of the one command that this sandbox is for.
    pub(crate) fn groups(self, groups: Option<Vec<u32>>) -> Sandbox {
        self.with(|policy| policy.groups = groups)
    }

    /// Checks the policy without starting anything.
    ///
    /// # Errors
    ///
    /// The first mistake in the policy.
    pub fn check(&self) -> Result<()> {
        self.policy.check()?;
        self.needed_decider()?;
        self.check_network()
    }

    fn check_network(&self) -> Result<()> {
        let Policy { hostname, address, .. } = &self.policy;
        self.needed_network()?
            .map_or(Ok(()), |network| network.check(hostname.as_deref(), address.as_deref()))
    }

    /// The private network that it is a member of.
    pub(crate) fn needed_network(&self) -> Result<Option<&Network>> {
        match (&self.policy.network, &self.network) {
            (Some(name), None) => Err(Error::invalid(
                format!("network {name}"),
                "the policy names it, and nothing gives it",
            )
            .hint("make a network and give it to the sandbox")),
            (_, network) => Ok(network.as_ref()),
        }
    }

    // ---- namespaces

    /// Shares the caller's namespace of this kind.
    ///
    /// - `User`: needs CAP_SYS_ADMIN. It also needs [`Sandbox::nested`], because only a private
    ///   user namespace can prevent nesting. Ids are the host's.
    /// - `Mount`: the caller's files, unchanged. The policy cannot add any.
    /// - `Pid`: the caller's processes are visible in `/proc`. The warden ends the process tree
    ///   itself, which is weaker than the kernel's guarantee: if the warden is killed from outside,
    ///   the processes inside live on.
    /// - `Net`: the caller's network and abstract sockets.
    /// - `Ipc`, `Uts`, `Cgroup`: the caller's.
    /// - `Time`: shared by default.
    pub fn share(self, kind: Namespace) -> Sandbox {
        self.with(|policy| {
            policy.share.insert(kind);
        })
    }

    /// Makes a private namespace of this kind. That is the default for every kind except `Time`.
    pub fn unshare(self, kind: Namespace) -> Sandbox {
        self.with(|policy| {
            policy.unshare.insert(kind);
        })
    }

    /// Shifts a clock by `seconds`, which may be negative, in a private time namespace (Linux 5.6).
    pub fn clock_offset(self, clock: Clock, seconds: i64) -> Sandbox {
        self.with(|policy| {
            policy.clock_offsets.insert(clock, seconds);
        })
    }

    /// Sets how many user and group ids the sandbox has. By default, a privileged caller's has a
    /// range, and others have one.
    ///
    /// The range of an unprivileged caller consists of its subordinate ids (`subuid(5)`), which
    /// `newuidmap(1)` maps. Id 0 inside is the caller, so the command should be 0 (`uid`, `gid`):
    /// the others own nothing of the caller's.
    pub fn ids(self, ids: Ids) -> Sandbox {
        self.with(|policy| policy.ids = Some(ids))
    }

    /// Makes each command and each cell of this sandbox a member of a private network.
    ///
    /// It has an address of its own there ([`Sandbox::address`]) and, if a host name is set
    /// ([`Sandbox::hostname`]), a name that the other members find in `/etc/hosts`. Two members
    /// cannot have the same name at once.
    pub fn network(self, network: &Network) -> Sandbox {
        let mut sandbox = self.with(|policy| policy.network = Some(network.name().into()));
        sandbox.network = Some(network.clone());
        sandbox
    }

    // ---- files

    /// Takes the programs from `directory`, the root of another system, in place of the host's
    /// `/usr`. Its top-level entries are visible read-only, except `/dev`, `/proc`, `/run`, `/sys`
    /// and `/tmp`. Nothing is ever written to it.
    pub fn root(self, directory: impl AsRef<Path>) -> Sandbox {
        self.with(|policy| policy.system = System::Root(directory.as_ref().into()))
    }

    /// Makes the root empty: only what the policy binds is visible.
    pub fn empty_root(self) -> Sandbox {
        self.with(|policy| policy.system = System::Empty)
    }

    /// Selects the entries of the host's `/etc` that are visible, read-only. Nothing else of it is.
    /// The last part of a name such as `ssl/certs` may contain `*`, which stands for any
    /// characters. The list may be empty. Entries that do not exist, or that not every user may
    /// read, are skipped.
    ///
    /// The default is a list of what programs in `/usr` need: see `docs/policy.md`. With another
    /// root ([`Sandbox::root`]) the default is that root's own `/etc`, and with an empty root
    /// nothing.
    pub fn etc(self, names: impl IntoIterator<Item = impl Into<String>>) -> Sandbox {
        self.with(|policy| policy.etc = Some(names.into_iter().map(Into::into).collect()))
    }

    /// Makes a file or directory of the caller's visible at `at`, read-only.
    pub fn bind_ro(self, source: impl AsRef<Path>, at: impl AsRef<Path>) -> Sandbox {
        self.bind(Bind::new(source, at))
    }

    /// Makes a file or directory of the caller's visible at `at`, writable.
    pub fn bind_rw(self, source: impl AsRef<Path>, at: impl AsRef<Path>) -> Sandbox {
        self.bind(Bind::new(source, at).writable())
    }

    /// Makes a file or directory of the caller's visible.
    ///
    /// Mount points are created only in the sandbox's own file systems. Below a bound directory of
    /// the caller's, the mount point must exist.
    pub fn bind(self, bind: Bind) -> Sandbox {
        self.entry(bind)
    }

    /// Mounts an empty, writable file system in memory, of `size` bytes.
    pub fn tmpfs(self, at: impl AsRef<Path>, size: impl Into<u64>) -> Sandbox {
        self.entry(Tmpfs::new(at).size(size))
    }

    /// Creates a file of mode 644 with the given bytes.
    pub fn file(self, at: impl AsRef<Path>, data: impl Into<Vec<u8>>) -> Sandbox {
        self.entry(File::new(at, data))
    }

    /// Adds an entry of any kind to the file system, with its optional values.
    ///
    /// ```
    /// # use seclude::{Dir, Sandbox};
    /// let sandbox = Sandbox::new().entry(Dir::new("/work").mode(0o1777));
    /// ```
    pub fn entry(self, entry: impl Into<Entry>) -> Sandbox {
        self.with(|policy| policy.files.push(entry.into().tidied()))
    }

    /// Requires private pseudo-terminals: `/dev/pts`, `/dev/ptmx` and `/dev/tty` (`pts(4)`).
    ///
    /// Programs inside can then open pseudo-terminals, and a command can have one as its standard
    /// streams ([`Stdio::pty`](crate::Stdio::pty)). The caller's terminals are never visible there.
    /// Input cannot be pushed back into a terminal (TIOCSTI) unless the system call filter is
    /// removed.
    ///
    /// They exist by default, unless the policy puts something else at these paths or shares the
    /// mount namespace. With this method, such a policy is an error.
    pub fn terminals(self) -> Sandbox {
        self.with(|policy| policy.terminals = Some(true))
    }

    /// Makes no pseudo-terminals.
    pub fn no_terminals(self) -> Sandbox {
        self.with(|policy| policy.terminals = Some(false))
    }

    // ---- hardening, and limits of single processes

    /// Lets the command keep a capability (`capabilities(7)`) in the sandbox's user namespace. May
    /// be called several times. By default it keeps none.
    ///
    /// With a shared user namespace and [`Sandbox::as_caller`], it is the caller's own capability,
    /// which acts on the whole host. With [`Capability::SysAdmin`] or [`Capability::SysPtrace`], a
    /// program can undo mounts of the sandbox or stop the warden. Only for programs that the caller
    /// trusts.
    ///
    /// The start fails if the caller, in a shared user namespace, does not have it.
    pub fn capability(self, capability: Capability) -> Sandbox {
        self.with(|policy| {
            policy.capabilities.insert(capability);
        })
    }

    /// Sets which system calls programs inside may make: a profile, or a profile with rules. The
    /// default is [`Profile::Default`](crate::Profile::Default), and
    /// [`Profile::Nested`](crate::Profile::Nested) with [`Sandbox::nested`].
    ///
    /// See `seccomp(2)`. [`Action::Kill`](crate::Action::Kill) needs Linux 5.0,
    /// [`Action::Notify`](crate::Action::Notify) Linux 5.5.
    pub fn seccomp(self, filter: impl Into<Seccomp>) -> Sandbox {
        self.with(|policy| policy.seccomp = Some(filter.into()))
    }

    /// Adds a seccomp filter in the kernel's format: 1 to 4096 instructions (`struct sock_filter`)
    /// of 8 bytes each.
    ///
    /// May be called several times. The filters are loaded after the sandbox's own, in this order,
    /// and the kernel applies the strictest result. Each filter must allow `execve`, and also
    /// `seccomp` if another filter follows.
    pub fn seccomp_bpf(self, program: impl Into<Vec<u8>>) -> Sandbox {
        self.with(|policy| policy.seccomp_bpf.push(program.into()))
    }

    /// Disables the Landlock ruleset.
    ///
    /// By default Landlock enforces once more what mounts and namespaces enforce: which files may
    /// be read and written, and that signals and abstract sockets do not leave the sandbox. It uses
    /// the highest ABI of the kernel (`landlock(7)`, Linux 5.19). [`Enforced`](crate::Enforced)
    /// says what is active, and by which ABI. There is no ruleset where the kernel lacks Landlock,
    /// and with [`Sandbox::nested`]. With a shared ipc namespace, the ruleset has no rules about
    /// files.
    pub fn no_landlock(self) -> Sandbox {
        self.with(|policy| policy.landlock = false)
    }

    /// Allows only these TCP ports to be bound. An empty list allows none. Landlock enforces this;
    /// it is an error on kernels without ABI 4 (Linux 6.7).
    pub fn tcp_bind(self, ports: impl IntoIterator<Item = u16>) -> Sandbox {
        self.with(|policy| policy.tcp_bind = Some(ports.into_iter().collect()))
    }

    /// Allows only connections to these TCP ports, on any host. An empty list allows none. Like
    /// [`Sandbox::tcp_bind`]. UDP is not restricted: use a filter that refuses UDP sockets.
    pub fn tcp_connect(self, ports: impl IntoIterator<Item = u16>) -> Sandbox {
        self.with(|policy| policy.tcp_connect = Some(ports.into_iter().collect()))
    }

    /// Sets a resource limit of each process, soft and hard (`setrlimit(2)`). `u64::MAX` means
    /// unlimited.
    ///
    /// The defaults are: `core` 1 byte (no dump, not even through a pipe), `nofile` 1024 soft and
    /// 10240 hard, `memlock` 8 MiB, `stack` 8 MiB soft and the caller's hard limit, `sigpending`
    /// 4096. Other limits are the caller's.
    pub fn rlimit(self, resource: Resource, soft: u64, hard: u64) -> Sandbox {
        self.with(|policy| {
            policy.rlimits.insert(resource, (soft, hard));
        })
    }

    // ---- limits of the sandbox as a whole (docs/limits.md)

    /// Restricts the command to these processors, numbered from 0. Needs a cgroup.
    pub fn cpu_set(self, processors: impl IntoIterator<Item = u32>) -> Sandbox {
        self.limit(|limits| limits.cpu_set = Some(processors.into_iter().collect()))
    }

    /// Limits reads and writes on one device. May be called for several devices. Needs a cgroup.
    pub fn io(self, io: Io) -> Sandbox {
        self.limit(|limits| limits.io.push(io))
    }

    /// Sends `signal` to the command's process group when the wall time is over, and kills the
    /// command `time` later.
    ///
    /// The end is [`Ended::WallTime`](crate::Ended::WallTime) in both cases.
    /// [`Outcome::status`](crate::Outcome::status) says how the first process ended.
    pub fn wall_time_grace(self, signal: i32, time: Duration) -> Sandbox {
        self.limit(|limits| limits.grace = Some((signal, time)))
    }

    /// Requires that the kernel or the warden enforces this limit exactly. If it could only be
    /// sampled, the start fails. The limit must be set.
    pub fn require(self, limit: Limit) -> Sandbox {
        self.limit(|limits| {
            limits.demands.insert(limit, Demand::Exact);
        })
    }

    /// Continues without this limit where the host cannot enforce it, or without this part of the
    /// isolation where the host denies namespaces. [`Enforced`](crate::Enforced) says what is in
    /// force.
    ///
    /// By default, a limit that cannot even be sampled is an error, and so are denied namespaces.
    /// With [`Isolation::Namespaces`](crate::Isolation::Namespaces) the command then runs without
    /// them, as the caller's own user or as another one if the caller may change users. Landlock
    /// (Linux 6.2) lets it read the host's programs and the binds, and write where they are
    /// writable. It has no network unless the policy shares the host's, and no unix sockets but
    /// pairs. It may not change the owner, mode, times and attributes of files if its user is the
    /// caller's. Whatever the policy asks for by name and this cannot give is an error, unless it
    /// is named, too. `docs/confined.md` has the whole comparison.
    ///
    /// The first start of such a sandbox finds out whether the host denies namespaces, which takes
    /// as long as another start.
    pub fn best_effort(self, what: impl Into<BestEffort>) -> Sandbox {
        self.with(|policy| match what.into() {
            BestEffort::Limit(limit) => {
                policy.limits.demands.insert(limit, Demand::BestEffort);
            }
            BestEffort::Isolation(isolation) => {
                policy.dispensable.insert(isolation);
            }
        })
    }

    fn limit(self, change: impl FnOnce(&mut Limits)) -> Sandbox {
        self.with(|policy| change(&mut policy.limits))
    }

    // ---- for tests

    /// Makes mounts by `mount(2)` alone, as on kernels before 5.12. For tests of that code path.
    #[doc(hidden)]
    pub fn classic_mounts(self) -> Sandbox {
        self.with(|policy| policy.classic_mounts = true)
    }
}

impl PartialEq for Sandbox {
    fn eq(&self, other: &Sandbox) -> bool {
        self.policy == other.policy
            && self.network == other.network
            && self.decider == other.decider
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sandbox").field(&self.policy).finish()
    }
}
