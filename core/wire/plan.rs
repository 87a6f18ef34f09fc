//! The plan: a sandbox as a flat list of steps, which the warden applies in order.
//!
//! The library decides what happens and in which order (`core/src/plan.rs`); the warden only
//! carries it out. A step is one thing that can fail with one errno; a failure is told as the
//! step's index, so the library can name it in full. All paths inside (`at`) are absolute and free
//! of `.` and `..`; the library has checked them.

use super::codec::{List, wire_data};
use core::ffi::CStr;

/// The kinds of namespace, as the kernel's clone flags.
pub mod namespace {
    /// CLONE_NEWTIME
    pub const TIME: u64 = 0x80;
    /// CLONE_NEWNS
    pub const MOUNT: u64 = 0x2_0000;
    /// CLONE_NEWCGROUP
    pub const CGROUP: u64 = 0x200_0000;
    /// CLONE_NEWUTS
    pub const UTS: u64 = 0x400_0000;
    /// CLONE_NEWIPC
    pub const IPC: u64 = 0x800_0000;
    /// CLONE_NEWUSER
    pub const USER: u64 = 0x1000_0000;
    /// CLONE_NEWPID
    pub const PID: u64 = 0x2000_0000;
    /// CLONE_NEWNET
    pub const NET: u64 = 0x4000_0000;
}

/// Attributes of a mount, as `mount_setattr(2)`'s MOUNT_ATTR_ bits.
pub mod attribute {
    /// MOUNT_ATTR_RDONLY
    pub const READ_ONLY: u64 = 0x1;
    /// MOUNT_ATTR_NOSUID
    pub const NO_SUID: u64 = 0x2;
    /// MOUNT_ATTR_NODEV
    pub const NO_DEV: u64 = 0x4;
    /// MOUNT_ATTR_NOEXEC
    pub const NO_EXEC: u64 = 0x8;
}

/// How a filter knows a warden that is not PID 1. No process has one of these two ids: the warden
/// that loads the filter puts what it means into its place.
pub mod guard {
    /// Its own number.
    pub const OWN: u32 = 0x7ec1_0de1;
    /// The numbers of wardens whose commands enter this cell, if they are kept for those:
    /// [`FIRST_ENTRANT`].
    pub const ENTRANTS: u32 = 0x7ec1_0d40;
    /// What of an argument is compared with [`ENTRANTS`].
    pub const RESERVED_MASK: u32 = !(ENTRANTS_COUNT - 1);
    /// The first of them; a multiple of their number.
    pub const FIRST_ENTRANT: u32 = 64;
    pub const ENTRANTS_COUNT: u32 = 64;
    /// In a tree whose last process had this number the kernel gives none below any more:
    /// RESERVED_PIDS of its pid.c, less one.
    pub const LAST_RESERVED: u32 = 299;
}

/// What a Landlock ruleset is to rule, in [`Step::Landlock`].
pub mod landlock {
    /// Files: nothing is read but below `readable`, nothing is changed but below `writable`, no
    /// device is written but below `devices`.
    pub const FILES: u32 = 1 << 0;
    /// No signal reaches who is outside.
    pub const SIGNALS: u32 = 1 << 1;
    /// No abstract socket of who is outside is reached.
    pub const SOCKETS: u32 = 1 << 2;
    /// No TCP port is bound but these.
    pub const BIND: u32 = 1 << 3;
    /// No TCP port is connected to but these.
    pub const CONNECT: u32 = 1 << 4;
    /// Nobody inside is to mount anything: a ruleset may speak of files, which forbids it.
    pub const MOUNTLESS: u32 = 1 << 5;
}

/// Protections, as the bits in which the warden reports what it has really applied.
pub mod protection {
    /// All five capability sets of the command are empty.
    pub const CAPABILITIES: u64 = 1 << 0;
    /// Securebits keep user id 0 from meaning anything, locked.
    pub const SECUREBITS: u64 = 1 << 1;
    /// `no_new_privs` is set.
    pub const NO_NEW_PRIVS: u64 = 1 << 2;
    /// A session keyring of its own.
    pub const KEYRING: u64 = 1 << 3;
    /// A session of its own, without a terminal.
    pub const SESSION: u64 = 1 << 4;
    /// No further user namespaces.
    pub const NO_NESTED_USERS: u64 = 1 << 5;
    /// No supplementary groups.
    pub const GROUPS: u64 = 1 << 6;
    /// The root is read-only.
    pub const READ_ONLY_ROOT: u64 = 1 << 7;
    /// The kernel's global knobs and lists in `/proc` are masked or read-only.
    pub const MASKED_PROC: u64 = 1 << 8;
    /// The warden can be neither traced nor read.
    pub const WARDEN_HIDDEN: u64 = 1 << 9;
    /// The kernel kills everything inside when the warden ends.
    pub const KILL_BY_NAMESPACE: u64 = 1 << 10;
    /// The warden itself ends what is inside: it cannot if it is killed from outside.
    pub const KILL_BY_WARDEN: u64 = 1 << 11;
    /// A file system of its own, the caller's out of reach.
    pub const ROOT: u64 = 1 << 12;
    /// No core dumps.
    pub const NO_CORE: u64 = 1 << 13;
    /// The caller ends what the warden could not, by a cgroup around it all.
    pub const KILL_BY_CGROUP: u64 = 1 << 14;
    /// Nobody inside can change the warden's limits, priority or processors: it is PID 1 and a
    /// filter refuses what names it, or it is in no process tree of theirs.
    pub const WARDEN_GUARDED: u64 = 1 << 22;
    /// A seccomp filter decides which system calls the command may make.
    pub const FILTERED: u64 = 1 << 15;
    /// A seccomp filter decides which system calls the warden may make.
    pub const FILTERED_WARDEN: u64 = 1 << 20;
    /// Landlock holds the command to the files that the plan shows it, and to writing where it may.
    pub const LANDLOCK_FILES: u64 = 1 << 16;
    /// Landlock keeps the command's signals inside.
    pub const LANDLOCK_SIGNALS: u64 = 1 << 17;
    /// Landlock keeps the command from abstract sockets made outside.
    pub const LANDLOCK_SOCKETS: u64 = 1 << 18;
    /// Landlock holds the command to the TCP ports that the policy names.
    pub const LANDLOCK_PORTS: u64 = 1 << 19;
    /// The command is another user than the caller. Only the caller knows: the warden never reports
    /// it.
    pub const OTHER_USER: u64 = 1 << 21;
}

wire_data! {
    /// One line of an id map: `count` ids from `inside` on are those from `outside` on in the user namespace around it
    /// (user_namespaces(7)).
    struct IdRange { inside: u32, outside: u32, count: u32, }
}

wire_data! {
    /// One step of set-up.
    enum Step<'a> {
        /// Takes back what a process has from its caller besides what a policy speaks of: ignored signals, umask, timer slack and the like.
        33 Attributes {}
        /// Tells the kernel which ids inside are which outside, for a caller that may map only itself.
        1 MapOwnIds { uid: u32, gid: u32, }
        /// Checks that the kernel's maps of the warden's user namespace are these lines and nothing else. `own`: outside are
        /// the ids of [`Setup`](super::message::Request::Setup) instead.
        34 CheckMaps { uids: IdRange, gids: IdRange, own: bool, }
        /// Waits until the caller has done what only it can: written maps of ranges, moved the warden into its cgroups.
        2 Await {}
        /// Becomes this user and group, without supplementary groups. Capabilities stay until `Seal`.
        3 BecomeUser { uid: u32, gid: u32, }
        /// Enters a time namespace with these offsets, in nanoseconds, once a command starts.
        4 TimeOffsets { monotonic: i64, boottime: i64, }
        5 HostName { name: &'a [u8], }
        6 DomainName { name: &'a [u8], }
        /// Brings up `lo`.
        7 Loopback {}
        /// Cuts every mount off from the caller's: nothing propagates either way.
        8 PrivateMounts {}
        /// Opens a path of the caller's, as the caller, and remembers it under the next number. Not `follow`: no symlink in it is followed.
        9 Source { path: &'a CStr, optional: bool, follow: bool, }
        /// The same for one device node, which must have this number.
        10 Device { path: &'a CStr, major: u32, minor: u32, }
        /// A new, empty tmpfs as the root to be.
        11 Root { size: u64, inodes: u64, }
        12 Directory { at: &'a CStr, mode: u32, }
        /// Mount points are made where the new root is our own; in a tree of the caller's they must exist.
        13 Bind { source: u32, at: &'a CStr, attributes: u64, }
        14 Tmpfs { at: &'a CStr, size: u64, inodes: u64, mode: u32, attributes: u64, }
        15 Symlink { at: &'a CStr, target: &'a CStr, }
        /// In a tree of the caller's, it is laid over the file of that name, and skipped if there is none and it is `optional`.
        16 File { at: &'a CStr, mode: u32, data: &'a [u8], optional: bool, }
        /// Shows entries of a source directory at `at`: symlinks as symlinks, the rest as binds. Those with these `names`, in which a
        /// `*` stands for any characters, and which everybody may read; if there are none, every entry; but for `except`.
        17 Populate { source: u32, at: &'a CStr, names: List<'a, &'a CStr>, except: List<'a, &'a CStr>, attributes: u64, }
        /// A fresh proc of our own pid namespace. `hide`: hidepid=invisible.
        18 Proc { at: &'a CStr, hide: bool, }
        /// Covers what exists of these with nothing: `/dev/null` (source number `null`) over files, an empty read-only tmpfs over directories.
        19 Mask { paths: List<'a, &'a CStr>, null: u32, }
        20 ReadOnly { paths: List<'a, &'a CStr>, }
        /// Forbids further user namespaces below this one. `given`: what stands at `/proc` inside is not ours to write to.
        21 NoNestedUsers { given: bool, }
        /// Makes the new root the root and lets go of the old one.
        22 Pivot {}
        23 ReadOnlyRoot {}
        /// Checks, once the ids have changed, that the command may enter (a directory) or read (a file) what was opened.
        24 Readable { source: u32, }
        /// A session keyring of our own. `dispensable`: the commands can make no call on keys, and may do without.
        25 Keyring { dispensable: bool, }
        /// A devpts of our own, from which the pseudo-terminals of commands come.
        32 Terminals { at: &'a CStr, }
        /// Gives up every privilege, for the warden and so for all that it starts.
        26 Seal {}
        /// Enters a cgroup namespace rooted at the cgroup the warden stands in.
        27 CgroupNamespace {}
        /// Keeps a view of every process inside, for the limits that are held by looking. `own`: by a proc of our own pid namespace in
        /// which nobody can hide, else by the one at `/proc`. `alone`: all in it but us is inside; else what descends from us.
        28 Watch { own: bool, alone: bool, }
        /// Makes ready a Landlock ruleset for the commands, at the highest ABI that the kernel has. What it lacks is left out, but for ports. What
        /// is said of signals and sockets the warden puts on itself: so all its commands are on one side.
        29 Landlock {
            rules: u32,
            readable: List<'a, &'a CStr>,
            writable: List<'a, &'a CStr>,
            devices: List<'a, &'a CStr>,
            bind: List<'a, u16>,
            connect: List<'a, u16>,
        }
        /// The file system of the template that this warden comes from is its own from now on: these protections hold already.
        31 AdoptRoot { protections: u64, }
        /// Keeps process ids for the wardens of commands that enter this cell, where the kernel lets nobody else have them.
        36 ReservePids {}
        /// The warden's own filter, which what it starts has too: these protections hold then. `entrant`: the command enters a cell,
        /// and its warden is out of the others' reach if it has one of the numbers that are kept for that.
        30 Filter { program: &'a [u8], protections: u64, entrant: bool, }
    }
}
