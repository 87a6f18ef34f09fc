//! The sandbox: a reusable policy, and the way to write one. `plain` has the setters that take one
//! value.

mod compiled;
mod plain;
mod text;

use compiled::Compiled;

use crate::base::error::Result;
use crate::policy::seccomp::Seccomp;
use crate::policy::{
    Bind, Clock, Demand, Entry, Io, Limit, Limits, Namespace, Policy, Resource, System, Tmpfs,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What world a program sees and what it may use. Nothing runs yet.
///
/// A sandbox is a value: cheap to clone, comparable, usable from many threads at once. A new one is
/// safe by default: every namespace private but the clocks', no network but loopback, the host's
/// `/usr` read-only, nothing writable but `/tmp` and `/dev/shm`, which are its own, a user id that
/// means nothing outside, no privileges. Each method opens or shapes one thing.
///
/// Mistakes are told when a command is started, or by [`Sandbox::check`].
///
/// ```
/// # fn main() -> seclude::Result<()> {
/// let sandbox = seclude::Sandbox::new().tmpfs("/tmp", seclude::MiB(64)).wall_time(std::time::Duration::from_secs(5));
/// let output = sandbox.command("echo").arg("hello").output()?;
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Sandbox {
    policy: Policy,
    /// The plan and the warden's image, made at the first start and shared by all clones; a change
    /// starts afresh.
    compiled: Arc<Compiled>,
}

impl Sandbox {
    /// The default sandbox.
    pub fn new() -> Sandbox {
        Sandbox::default()
    }

    pub(crate) fn from_policy(policy: Policy) -> Sandbox {
        Sandbox { policy, compiled: Arc::default() }
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

    /// Tells the first mistake in the policy, without starting anything.
    pub fn check(&self) -> Result<()> {
        self.policy.check()
    }

    // ---- namespaces

    /// Shares the caller's namespace of this kind.
    ///
    /// - `User`: needs CAP_SYS_ADMIN, and [`Sandbox::nested`], which only a private user namespace
    ///   can turn off. Ids are the host's.
    /// - `Mount`: the caller's files, as they are; the policy cannot add any.
    /// - `Pid`: the caller's processes are visible in `/proc`; the warden ends the tree itself,
    ///   which is weaker than the kernel's promise: if the warden is killed from outside, what is
    ///   inside lives on.
    /// - `Net`: the caller's network and abstract sockets.
    /// - `Ipc`, `Uts`, `Cgroup`: the caller's. `Time` is shared anyway.
    pub fn share(self, kind: Namespace) -> Sandbox {
        self.with(|policy| {
            policy.share.insert(kind);
        })
    }

    /// A namespace of this kind of the sandbox's own. All but `Time` are, unless shared.
    pub fn unshare(self, kind: Namespace) -> Sandbox {
        self.with(|policy| {
            policy.unshare.insert(kind);
        })
    }

    /// Shifts a clock by so many seconds, forwards or back, in a time namespace of the sandbox's
    /// own (Linux 5.6).
    pub fn clock_offset(self, clock: Clock, seconds: i64) -> Sandbox {
        self.with(|policy| {
            policy.clock_offsets.insert(clock, seconds);
        })
    }

    // ---- files

    /// Takes the programs from `directory`, which holds another system, instead of from the host's
    /// `/usr`. Its top level is shown read-only, but for `/dev`, `/proc`, `/run`, `/sys` and
    /// `/tmp`; nothing is ever written to it.
    pub fn root(self, directory: impl AsRef<Path>) -> Sandbox {
        self.with(|policy| policy.system = System::Root(directory.as_ref().into()))
    }

    /// Takes no programs from anywhere: only what is bound.
    pub fn empty_root(self) -> Sandbox {
        self.with(|policy| policy.system = System::Empty)
    }

    /// Shows these of the host's `/etc`, read-only, and nothing else of it: names like `ssl/certs`,
    /// in whose last part a `*` stands for any characters. None at all is possible. What is not
    /// there, and what not everybody may read, is passed over.
    ///
    /// If nothing is said, what programs in `/usr` cannot do without: the list is in
    /// `docs/policy.md`. Of another root ([`Sandbox::root`]) its own `/etc` is shown, and of an
    /// empty one none.
    pub fn etc(self, names: impl IntoIterator<Item = impl Into<String>>) -> Sandbox {
        self.with(|policy| policy.etc = Some(names.into_iter().map(Into::into).collect()))
    }

    /// Shows a file or directory of the caller's, read-only.
    pub fn bind_ro(self, source: impl AsRef<Path>, at: impl AsRef<Path>) -> Sandbox {
        self.bind(Bind::new(source, at))
    }

    /// Shows a file or directory of the caller's, writable.
    pub fn bind_rw(self, source: impl AsRef<Path>, at: impl AsRef<Path>) -> Sandbox {
        self.bind(Bind::new(source, at).writable())
    }

    /// Shows a file or directory of the caller's.
    ///
    /// Mount points are made only in the sandbox's own file systems. In a directory of the caller's
    /// that is bound, the place must exist.
    pub fn bind(self, bind: Bind) -> Sandbox {
        self.entry(Entry::Bind(bind))
    }

    /// An empty, writable file system in memory of so many bytes.
    pub fn tmpfs(self, at: impl AsRef<Path>, size: impl Into<u64>) -> Sandbox {
        self.entry(Entry::Tmpfs(Tmpfs::new(at).size(size)))
    }

    /// An empty directory of mode 755.
    pub fn dir(self, at: impl AsRef<Path>) -> Sandbox {
        self.entry(Entry::Dir { at: at.as_ref().into(), mode: 0o755 })
    }

    /// A symbolic link at `at` with the text `target`.
    pub fn symlink(self, target: impl AsRef<Path>, at: impl AsRef<Path>) -> Sandbox {
        self.entry(Entry::Symlink { at: at.as_ref().into(), target: target.as_ref().into() })
    }

    /// A file of mode 644 made from bytes.
    pub fn file(self, at: impl AsRef<Path>, data: impl Into<Vec<u8>>) -> Sandbox {
        self.entry(Entry::File { at: at.as_ref().into(), data: data.into(), mode: 0o644 })
    }

    /// Anything that can stand in the file system.
    pub fn entry(self, entry: Entry) -> Sandbox {
        self.with(|policy| policy.files.push(entry.tidied()))
    }

    /// Insists on pseudo-terminals of the sandbox's own: `/dev/pts`, `/dev/ptmx` and `/dev/tty`
    /// (`pts(4)`), so that programs inside can make some, and a command can have one as its
    /// standard streams, [`Stdio::pty`](crate::Stdio::pty). None of the caller's is ever
    /// among them. Characters cannot be pushed back into one (TIOCSTI) unless the filter of system
    /// calls is taken off.
    ///
    /// They are there by default, unless the policy puts something else at their places or shares
    /// the mount namespace: then this is an error.
    pub fn terminals(self) -> Sandbox {
        self.with(|policy| policy.terminals = Some(true))
    }

    /// Leaves out pseudo-terminals of the sandbox's own.
    pub fn no_terminals(self) -> Sandbox {
        self.with(|policy| policy.terminals = Some(false))
    }

    // ---- hardening, and limits of single processes

    /// Which system calls programs inside may make: a profile, or one with rules over it.
    /// [`Profile::Default`](crate::Profile::Default) if nothing is said,
    /// [`Profile::Nested`](crate::Profile::Nested) with [`Sandbox::nested`]. `seccomp(2)`, Linux
    /// 5.0 for [`Action::Kill`](crate::Action::Kill), 5.5 for
    /// [`Action::Notify`](crate::Action::Notify).
    pub fn seccomp(self, filter: impl Into<Seccomp>) -> Sandbox {
        self.with(|policy| policy.seccomp = Some(filter.into()))
    }

    /// One more filter, as the kernel takes it: instructions of 8 bytes (`struct sock_filter`), 1
    /// to 4096. May be said several times; they are loaded after the sandbox's own, in this
    /// order, and of all answers the strictest holds. Each must let `execve` pass, and `seccomp` if
    /// another follows.
    pub fn seccomp_bpf(self, program: impl Into<Vec<u8>>) -> Sandbox {
        self.with(|policy| policy.seccomp_bpf.push(program.into()))
    }

    /// Leaves out the second wall. Without a word from here, Landlock says once more what the
    /// mounts and namespaces say, at the highest ABI that the kernel has (`landlock(7)`, Linux
    /// 5.19): what may be read and written, that signals and abstract sockets end at the sandbox.
    /// [`Enforced`](crate::Enforced) tells what it holds and by which ABI. Where the kernel lacks
    /// it, and with [`Sandbox::nested`], it is left out; with a shared ipc namespace, the part
    /// about files.
    pub fn no_landlock(self) -> Sandbox {
        self.with(|policy| policy.landlock = false)
    }

    /// Lets these TCP ports be bound and no others; none, if there are none. By Landlock: an error
    /// where the kernel has not its ABI 4 (Linux 6.7).
    pub fn tcp_bind(self, ports: impl IntoIterator<Item = u16>) -> Sandbox {
        self.with(|policy| policy.tcp_bind = Some(ports.into_iter().collect()))
    }

    /// Lets these TCP ports be connected to, wherever they are, and no others; as for
    /// [`Sandbox::tcp_bind`]. UDP is not ruled: a filter that refuses its sockets is.
    pub fn tcp_connect(self, ports: impl IntoIterator<Item = u16>) -> Sandbox {
        self.with(|policy| policy.tcp_connect = Some(ports.into_iter().collect()))
    }

    /// A resource limit of each process, soft and hard: `setrlimit(2)`. `u64::MAX` is no limit.
    /// Without a word from here, `core` is 1 byte (no dump, not even through a pipe), `nofile`
    /// 1024 of at most 10240, `memlock` 8 MiB, `stack` 8 MiB of at most what the caller has,
    /// `sigpending` 4096, and the rest as the caller has it.
    pub fn rlimit(self, resource: Resource, soft: u64, hard: u64) -> Sandbox {
        self.with(|policy| {
            policy.rlimits.insert(resource, (soft, hard));
        })
    }

    // ---- limits of the sandbox as a whole (docs/limits.md)

    /// Runs on these processors only, by their numbers from 0. Takes a cgroup.
    pub fn cpu_set(self, processors: impl IntoIterator<Item = u32>) -> Sandbox {
        self.limit(|limits| limits.cpu_set = Some(processors.into_iter().collect()))
    }

    /// Limits reading and writing on a device. May be said for several devices. Takes a cgroup.
    pub fn io(self, io: Io) -> Sandbox {
        self.limit(|limits| limits.io.push(io))
    }

    /// When the wall time is over, sends this signal to the command's process group first, and
    /// kills only so much later. The end is [`Ended::WallTime`](crate::Ended::WallTime) either
    /// way; [`Outcome::status`](crate::Outcome::status) says what the command made of it.
    pub fn wall_time_grace(self, signal: i32, time: Duration) -> Sandbox {
        self.limit(|limits| limits.grace = Some((signal, time)))
    }

    /// This limit must be held by the kernel or at the warden's hands, exactly: a sampled one is an
    /// error. The limit must be set.
    pub fn require(self, limit: Limit) -> Sandbox {
        self.limit(|limits| {
            limits.demands.insert(limit, Demand::Exact);
        })
    }

    /// Where this limit cannot be held on this host, goes on without it;
    /// [`Enforced::mechanism`](crate::Enforced::mechanism) tells. Without a word from
    /// here or from [`Sandbox::require`], one that cannot even be sampled is an error.
    pub fn best_effort(self, limit: Limit) -> Sandbox {
        self.limit(|limits| {
            limits.demands.insert(limit, Demand::BestEffort);
        })
    }

    fn limit(self, change: impl FnOnce(&mut Limits)) -> Sandbox {
        self.with(|policy| change(&mut policy.limits))
    }

    // ---- for tests

    /// Makes mounts by `mount(2)` alone, as on kernels before 5.12, whatever this kernel offers.
    /// For tests of that way.
    #[doc(hidden)]
    pub fn classic_mounts(self) -> Sandbox {
        self.with(|policy| policy.classic_mounts = true)
    }
}

impl PartialEq for Sandbox {
    fn eq(&self, other: &Sandbox) -> bool {
        self.policy == other.policy
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sandbox").field(&self.policy).finish()
    }
}
