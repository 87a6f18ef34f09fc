//! What a sandbox's policy holds: plain data, comparable, and the same in all languages.
//!
//! Nothing here asks the system anything. `Sandbox` is the way to write a policy in Rust, `spec` in
//! JSON and TOML; `check` refuses what makes no sense; `plan` turns the rest into the warden's
//! steps.

mod check;
mod files;
mod keys;
mod limits;
mod namespaces;
pub mod outcome;
pub mod profile;
mod rlimits;
pub mod seccomp;
pub mod spec;

pub(crate) use check::check_inside;
pub use files::{Bind, Entry, GiB, KiB, MiB, Tmpfs};
pub(crate) use keys::for_each_key;
pub(crate) use limits::{Cores, Demand, Limits, Share};
pub use limits::{Io, Limit, Mechanism};
pub use namespaces::{Clock, Namespace};
pub use rlimits::Resource;

use seccomp::{Profile, Seccomp};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The user that a command is, inside, if nothing else is said.
pub const DEFAULT_ID: u32 = 1000;
/// The first host id of the range that a privileged caller's sandboxes map to, if nothing else is
/// said: a range that Linux distributions leave unused (systemd's list of ids calls it so).
pub const DEFAULT_HOST_IDS: u32 = 0x7000_0000;
/// How many ids a privileged caller's sandbox maps, where the caller has so many.
pub const HOST_IDS: u32 = 65536;

/// Where the programs come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum System {
    /// The host's `/usr` and what belongs to it, read-only.
    #[default]
    Host,
    /// A directory that holds another system: its top level, read-only.
    Root(PathBuf),
    /// Nothing but what the policy's files bring.
    Empty,
}

/// A whole policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Namespaces that exist, and are entered ([`Sandbox::join`](crate::Sandbox::join)): never
    /// part of a policy as text.
    pub joined: BTreeSet<Namespace>,
    pub share: BTreeSet<Namespace>,
    pub unshare: BTreeSet<Namespace>,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub clock_offsets: BTreeMap<Clock, i64>,
    pub uid: u32,
    pub gid: u32,
    pub user: String,
    pub home: PathBuf,
    /// The first of the ids outside that were asked for; `None`: any that fit.
    pub host_ids: Option<u32>,
    pub system: System,
    pub files: Vec<Entry>,
    /// The names in the host's `/etc` that are shown; `None`: those of the profile.
    pub etc: Option<Vec<String>>,
    pub writable_root: bool,
    /// Pseudo-terminals of its own; `None`: where the policy leaves room for them.
    pub terminals: Option<bool>,
    pub nested: bool,
    /// The seccomp filter; the default depends on the rest.
    pub seccomp: Option<Seccomp>,
    /// Further filters, as the kernel takes them.
    pub seccomp_bpf: Vec<Vec<u8>>,
    /// Landlock as a second wall.
    pub landlock: bool,
    /// The only TCP ports that may be bound, and connected to.
    pub tcp_bind: Option<BTreeSet<u16>>,
    pub tcp_connect: Option<BTreeSet<u16>>,
    pub rlimits: BTreeMap<Resource, (u64, u64)>,
    pub limits: Limits,
    /// The cgroup below which the sandbox's own is made, instead of one that is found.
    pub cgroup: Option<PathBuf>,
    pub warden: Option<PathBuf>,
    /// Make mounts the way old kernels need it, to test that way on new ones.
    pub classic_mounts: bool,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            joined: BTreeSet::new(),
            share: BTreeSet::new(),
            unshare: BTreeSet::new(),
            hostname: None,
            domainname: None,
            clock_offsets: BTreeMap::new(),
            uid: DEFAULT_ID,
            gid: DEFAULT_ID,
            user: "user".into(),
            home: "/tmp".into(),
            host_ids: None,
            system: System::Host,
            files: Vec::new(),
            etc: None,
            writable_root: false,
            terminals: None,
            nested: false,
            seccomp: None,
            seccomp_bpf: Vec::new(),
            landlock: true,
            tcp_bind: None,
            tcp_connect: None,
            rlimits: BTreeMap::new(),
            limits: Limits::default(),
            cgroup: None,
            warden: None,
            classic_mounts: false,
        }
    }
}

impl Policy {
    /// Whether a namespace of this kind is the sandbox's own.
    pub fn private(&self, kind: Namespace) -> bool {
        if self.joined.contains(&kind) {
            return false;
        }
        match kind {
            Namespace::Time => self.unshare.contains(&kind) || !self.clock_offsets.is_empty(),
            Namespace::User
            | Namespace::Mount
            | Namespace::Pid
            | Namespace::Net
            | Namespace::Ipc
            | Namespace::Uts
            | Namespace::Cgroup => !self.share.contains(&kind),
        }
    }

    /// Whether there are pseudo-terminals of the sandbox's own.
    pub fn has_terminals(&self) -> bool {
        self.terminals.unwrap_or_else(|| {
            self.private(Namespace::Mount) && self.instead_of_terminals().is_none()
        })
    }

    /// What the policy puts where terminals would be.
    pub(crate) fn instead_of_terminals(&self) -> Option<&Entry> {
        let usual = [profile::TERMINAL.1, profile::TERMINALS]
            .map(|place| Path::new(OsStr::from_bytes(place.to_bytes())));
        let hides = |entry: &Entry| match entry {
            Entry::Bind(_) | Entry::Tmpfs(_) | Entry::Symlink { .. } | Entry::File { .. } => true,
            Entry::Dir { .. } => false,
        };
        let covers = |entry: &&Entry| {
            hides(entry) && usual.iter().any(|place| place.starts_with(entry.at()))
        };
        self.files.iter().find(covers)
    }

    /// The seccomp filter that holds if nothing is said, or what is said.
    pub fn filter(&self) -> Seccomp {
        let usual = if self.nested { Profile::Nested } else { Profile::Default };
        let filter = self.seccomp.clone().unwrap_or_else(|| usual.into());
        // It tells of a network, and of nobody else's if that is the sandbox's own.
        if self.private(Namespace::Net) { filter.with_routes() } else { filter }
    }

    /// The private kinds, as clone flags.
    pub fn flags(&self) -> u64 {
        Namespace::ALL
            .iter()
            .filter(|kind| self.private(**kind))
            .fold(0, |flags, kind| flags | kind.flag())
    }
}
