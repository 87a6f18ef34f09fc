//! The policy of a sandbox: plain, comparable data that is the same in all languages.
//!
//! Nothing here makes a system call. `Sandbox` builds a policy in Rust, and `spec` reads it from
//! JSON or TOML. `check` rejects invalid policies, and `plan` compiles valid ones into the warden's
//! steps.

mod capabilities;
mod check;
mod confined;
pub mod devices;
pub mod egress;
mod files;
mod ids;
mod keys;
mod limits;
mod namespaces;
pub mod outcome;
pub mod ports;
pub mod profile;
mod rlimits;
pub mod seccomp;
mod size;
pub mod spec;

pub use capabilities::Capability;
pub(crate) use check::check_inside;
pub(crate) use confined::Confined;
pub use confined::{BestEffort, Isolation};
pub use files::types as entries;
pub use files::types::{Bind, Entry, File, Overlay, Tmpfs};
pub(crate) use files::{Access, for_each_entry};
pub use ids::Ids;
pub(crate) use keys::for_each_key;
pub(crate) use limits::{Cores, Demand, Limits, QUOTA_PERIOD, Share};
pub use limits::{Io, Limit, Mechanism};
pub use namespaces::{Clock, Namespace};
pub use rlimits::Resource;
pub use size::{GiB, KiB, MiB};

use seccomp::{Profile, Seccomp};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The default user and group id of a command inside the sandbox.
pub const DEFAULT_ID: u32 = 1000;
/// The default first host id of the range that a privileged caller's sandboxes map to. systemd's
/// list of ids names this range as unused by Linux distributions.
pub const DEFAULT_HOST_IDS: u32 = 0x7000_0000;
/// The number of ids that a privileged caller's sandbox maps. It maps fewer if the caller's user
/// namespace has fewer.
pub const HOST_IDS: u32 = 65536;

/// The name that stands for the network of the host, which no private network has.
pub const HOST_NETWORK: &str = "host";

/// The source of the programs in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum System {
    /// The host's `/usr` and its companions, read-only.
    #[default]
    Host,
    /// The top level of this directory, which holds another system, read-only.
    Root(PathBuf),
    /// Nothing. Only the files of the policy are visible.
    Empty,
}

/// A complete policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Existing namespaces that the sandbox enters ([`Sandbox::join`](crate::Sandbox::join)). A
    /// policy as text never contains them.
    pub joined: BTreeSet<Namespace>,
    pub share: BTreeSet<Namespace>,
    pub unshare: BTreeSet<Namespace>,
    /// The name of the private network that the sandbox is a member of.
    pub network: Option<String>,
    /// The address in that network. With `None`, the network chooses one.
    pub address: Option<String>,
    /// The ports of the sandbox that are published on the host.
    pub ports: Vec<String>,
    /// The rules that let the sandbox reach something outside, and those that deny that.
    pub egress: Vec<String>,
    pub egress_deny: Vec<String>,
    /// Whether the caller decides about destinations that no rule is about.
    pub egress_ask: bool,
    /// The addresses to which names lead there.
    pub egress_names: Vec<String>,
    /// The files with the credentials that the caller adds there.
    pub egress_credentials: Vec<String>,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub clock_offsets: BTreeMap<Clock, i64>,
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups of a command that names them
    /// ([`Command::groups`](crate::Command::groups)). With `None` it has none, as far as the
    /// kernel lets the warden drop the caller's. A policy as text never contains them.
    pub groups: Option<Vec<u32>>,
    pub user: String,
    pub home: PathBuf,
    /// The first host id to map. With `None`, the library chooses the range.
    pub host_ids: Option<u32>,
    /// Whether a privileged caller's command keeps the caller's own ids outside.
    pub as_caller: bool,
    pub ids: Option<Ids>,
    pub system: System,
    pub files: Vec<Entry>,
    /// The visible names in the host's `/etc`. With `None`, those of the profile.
    pub etc: Option<Vec<String>>,
    pub writable_root: bool,
    /// Whether the entries in `files` are all there is, applied in their order.
    pub exact_files: bool,
    /// Whether the sandbox has its own pseudo-terminals. With `None`, it has them unless the
    /// policy puts something else in their place.
    pub terminals: Option<bool>,
    /// Whether `/proc` shows processes alone.
    pub proc_subset: bool,
    /// Whether the command is process 1 of its process tree.
    pub as_pid_1: bool,
    /// The classes of the host's devices, and the devices of specifications.
    pub devices: Vec<String>,
    /// The directories with specifications. If empty, the usual ones.
    pub cdi_spec_dirs: Vec<String>,
    pub nested: bool,
    /// The capabilities that the command keeps.
    pub capabilities: BTreeSet<Capability>,
    /// The seccomp filter. With `None`, the default depends on `nested`.
    pub seccomp: Option<Seccomp>,
    /// Additional filters as BPF programs.
    pub seccomp_bpf: Vec<Vec<u8>>,
    /// Whether a Landlock ruleset repeats what the mounts and namespaces enforce.
    pub landlock: bool,
    /// The only TCP ports that may be bound. With `None`, all of them.
    pub tcp_bind: Option<BTreeSet<u16>>,
    /// The only TCP ports that may be connected to. With `None`, all of them.
    pub tcp_connect: Option<BTreeSet<u16>>,
    pub rlimits: BTreeMap<Resource, (u64, u64)>,
    pub limits: Limits,
    /// What the sandbox may do without where the host denies namespaces.
    pub dispensable: BTreeSet<Isolation>,
    /// How the sandbox is held without namespaces. A policy as text never contains it.
    pub confined: Option<Confined>,
    /// The parent of the sandbox's cgroup. With `None`, the library looks for one.
    pub cgroup: Option<PathBuf>,
    pub warden: Option<PathBuf>,
    /// Use mount(2) as old kernels require, so that tests cover this path on new kernels.
    pub classic_mounts: bool,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            joined: BTreeSet::new(),
            share: BTreeSet::new(),
            unshare: BTreeSet::new(),
            network: None,
            address: None,
            ports: Vec::new(),
            egress: Vec::new(),
            egress_deny: Vec::new(),
            egress_ask: false,
            egress_names: Vec::new(),
            egress_credentials: Vec::new(),
            hostname: None,
            domainname: None,
            clock_offsets: BTreeMap::new(),
            uid: DEFAULT_ID,
            gid: DEFAULT_ID,
            groups: None,
            user: "user".into(),
            home: "/tmp".into(),
            host_ids: None,
            as_caller: false,
            ids: None,
            system: System::Host,
            files: Vec::new(),
            etc: None,
            writable_root: false,
            exact_files: false,
            terminals: None,
            proc_subset: false,
            as_pid_1: false,
            devices: Vec::new(),
            cdi_spec_dirs: Vec::new(),
            nested: false,
            capabilities: BTreeSet::new(),
            seccomp: None,
            seccomp_bpf: Vec::new(),
            landlock: true,
            tcp_bind: None,
            tcp_connect: None,
            rlimits: BTreeMap::new(),
            limits: Limits::default(),
            dispensable: BTreeSet::new(),
            confined: None,
            cgroup: None,
            warden: None,
            classic_mounts: false,
        }
    }
}

/// What the changes to an overlay may have that are kept in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub size: u64,
    pub inodes: u64,
}

impl Overlay {
    /// The bounds of what is kept in a directory, if the policy names one of them.
    pub(crate) fn bounds_of_kept(&self) -> Option<Bounds> {
        self.kept.as_ref()?;
        self.size.or(self.inodes)?;
        let (size, inodes) = profile::CHANGES;
        Some(Bounds { size: self.size.unwrap_or(size), inodes: self.inodes.unwrap_or(inodes) })
    }
}

impl Policy {
    /// Whether the sandbox makes its own namespace of this kind.
    pub fn private(&self, kind: Namespace) -> bool {
        if self.joined.contains(&kind) || kind == Namespace::Net && self.has_given_network() {
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

    /// Whether the caller makes the sandbox's network namespace, which then belongs to a user
    /// namespace above the sandbox's own.
    pub fn has_given_network(&self) -> bool {
        self.network.is_some() || !self.ports.is_empty() || self.has_way_out()
    }

    /// Whether the sandbox can reach anything outside.
    pub fn has_way_out(&self) -> bool {
        self.egress_ask || !self.egress.is_empty()
    }

    /// Whether the sandbox has its network to itself, made by it or by the caller.
    pub fn has_own_network(&self) -> bool {
        self.private(Namespace::Net) || self.has_given_network()
    }

    /// Whether the sandbox has its own pseudo-terminals.
    pub fn has_terminals(&self) -> bool {
        if self.exact_files {
            return self.has_own_devices();
        }
        self.terminals.unwrap_or_else(|| {
            self.private(Namespace::Mount) && self.entry_over_terminals().is_none()
        })
    }

    /// The capabilities that the command keeps, as bits.
    pub(crate) fn capability_set(&self) -> u64 {
        self.capabilities.iter().fold(0, |set, one| set | 1 << one.number())
    }

    /// The capabilities that the warden needs for this policy, as bits: those that the command
    /// keeps, and for an overlay those over files, with which the kernel copies a file to change.
    pub(crate) fn setup_capabilities(&self) -> u64 {
        /// CAP_CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID.
        const OVER_FILES: u64 = 0b11111;
        let has_overlay = self.files.iter().any(|entry| matches!(entry, Entry::Overlay(_)));
        self.capability_set() | if has_overlay { OVER_FILES } else { 0 }
    }

    pub(crate) fn binds(&self) -> impl Iterator<Item = &Bind> {
        self.files.iter().filter_map(Entry::bind)
    }

    /// The overlay that is the root. With `exact_files` it is an entry like the others.
    pub(crate) fn root_overlay(&self) -> Option<&Overlay> {
        self.files.iter().filter(|entry| entry.is_root() && !self.exact_files).find_map(|entry| {
            if let Entry::Overlay(overlay) = entry { Some(overlay) } else { None }
        })
    }

    /// The overlay whose changes a cell knows: the root, or the first one.
    pub(crate) fn first_overlay(&self) -> Option<&Overlay> {
        self.root_overlay().or_else(|| {
            self.files.iter().find_map(|entry| match entry {
                Entry::Overlay(overlay) => Some(overlay),
                _ => None,
            })
        })
    }

    /// The directories in which overlays keep their changes, with the bounds of those.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (&Path, Option<Bounds>)> {
        self.files.iter().filter_map(|entry| match entry {
            Entry::Overlay(overlay) => Some((overlay.kept.as_deref()?, overlay.bounds_of_kept())),
            _ => None,
        })
    }

    /// Whether the sandbox shows its own cgroups to the command.
    pub(crate) fn shows_cgroups(&self) -> bool {
        let shown = self.files.iter().any(|entry| matches!(entry, Entry::Sys(_)));
        shown && self.private(Namespace::Cgroup)
    }

    /// Whether the root is read-only. With `exact_files`, an entry can make it so.
    pub(crate) fn has_read_only_root(&self) -> bool {
        !self.writable_root && !self.exact_files && self.root_overlay().is_none()
    }

    /// Whether a `dev` entry mounts devices of the sandbox's own.
    pub(crate) fn has_own_devices(&self) -> bool {
        self.files.iter().any(|entry| matches!(entry, Entry::Dev(_)))
    }

    /// The entry that the policy puts on `/dev/tty` or `/dev/pts`, or above them, if any.
    pub(crate) fn entry_over_terminals(&self) -> Option<&Entry> {
        let terminal_paths = [profile::TERMINAL.1, profile::TERMINALS]
            .map(|place| Path::new(OsStr::from_bytes(place.to_bytes())));
        let covers = |entry: &&Entry| {
            entry.replaces_what_is_below()
                && terminal_paths.iter().any(|place| place.starts_with(entry.at()))
        };
        self.files.iter().find(covers)
    }

    /// The seccomp filter: that of the policy, or the default.
    pub fn filter(&self) -> Seccomp {
        let default = if self.nested { Profile::Nested } else { Profile::Default };
        let filter = self.seccomp.clone().unwrap_or_else(|| default.into());
        // NETLINK_ROUTE reveals the network's devices and addresses. That is harmless only if the
        // network is the sandbox's own.
        let own = self.has_own_network();
        let filter = if own { filter.with_routes() } else { filter };
        let makes_callers_files = self.binds().any(|bind| bind.idmapped && bind.writable);
        let filter = if makes_callers_files { seccomp::without_set_ids(filter) } else { filter };
        match self.confined {
            Some(held) => seccomp::restrict(filter, held),
            None => filter,
        }
    }

    /// The kinds of the sandbox's own namespaces, as clone flags.
    pub fn flags(&self) -> u64 {
        Namespace::ALL
            .iter()
            .filter(|kind| self.private(**kind))
            .fold(0, |flags, kind| flags | kind.flag())
    }
}
