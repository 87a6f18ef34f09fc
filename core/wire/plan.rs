//! The plan: a sandbox as a flat list of steps, which the warden applies in order.
//!
//! The library decides which steps there are and in which order (`core/src/plan.rs`). The warden
//! only applies them. A step is one thing that can fail with one errno. The warden reports a
//! failure with the index of the step, from which the library names it in full. Every path inside
//! the sandbox (`at`) is absolute and has no `.` or `..` component, which the library has checked.

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

/// Attributes of a mount, as the MOUNT_ATTR_ bits of `mount_setattr(2)`.
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

/// Placeholders for the process ids of wardens in a seccomp filter.
///
/// A filter compares arguments with the process id of a warden that is not PID 1. The library does
/// not know this id when it compiles the filter, so it writes a placeholder, which no process has
/// as its id. The warden replaces the placeholder before it loads the filter.
pub mod guard {
    /// The placeholder for the warden's own process id.
    pub const OWN: u32 = 0x7ec1_0de1;
    /// The placeholder for the negative of that id, by which kill(2) names the warden's process
    /// group.
    pub const OWN_GROUP: u32 = 0x7ec1_0de2;
    /// The placeholder for [`FIRST_ENTRANT`], the first process id that this cell reserves for the
    /// wardens of entering commands. It stays in place if the cell has reserved none.
    pub const ENTRANTS: u32 = 0x7ec1_0d40;
    /// The bits of an argument to compare with [`ENTRANTS`].
    pub const RESERVED_MASK: u32 = !(ENTRANTS_COUNT - 1);
    /// The first reserved process id, a multiple of [`ENTRANTS_COUNT`].
    pub const FIRST_ENTRANT: u32 = 64;
    pub const ENTRANTS_COUNT: u32 = 64;
    /// The value for `ns_last_pid` after which the kernel gives out no process id below 300 again
    /// (RESERVED_PIDS in kernel/pid.c).
    pub const LAST_RESERVED: u32 = 299;
}

/// The rules of the Landlock rulesets, in [`Step::Landlock`].
pub mod landlock {
    /// Files are read only below `readable`, changed only below `writable`, and devices are written
    /// only below `devices`.
    pub const FILES: u32 = 1 << 0;
    /// No signal reaches a process outside.
    pub const SIGNALS: u32 = 1 << 1;
    /// No abstract socket of a process outside can be reached.
    pub const SOCKETS: u32 = 1 << 2;
    /// Only these TCP ports can be bound.
    pub const BIND: u32 = 1 << 3;
    /// Only these TCP ports can be connected to.
    pub const CONNECT: u32 = 1 << 4;
    /// No process inside needs to mount anything. A ruleset may then restrict files, which forbids
    /// every mount.
    pub const MOUNTLESS: u32 = 1 << 5;
    /// Nothing but Landlock enforces the rules for files and signals. So the kernel must have them.
    pub const ALONE: u32 = 1 << 6;
}

/// Protections, as the bits with which the warden reports what it has really applied.
pub mod protection {
    /// All five capability sets of the command are empty.
    pub const CAPABILITIES: u64 = 1 << 0;
    /// Locked securebits take the special meaning from user id 0.
    pub const SECUREBITS: u64 = 1 << 1;
    /// `no_new_privs` is set.
    pub const NO_NEW_PRIVS: u64 = 1 << 2;
    /// The session keyring is new.
    pub const KEYRING: u64 = 1 << 3;
    /// The command leads a session of its own, without the caller's terminal.
    pub const SESSION: u64 = 1 << 4;
    /// Nobody inside can make user namespaces.
    pub const NO_NESTED_USERS: u64 = 1 << 5;
    /// There are no supplementary groups.
    pub const GROUPS: u64 = 1 << 6;
    /// The root is read-only.
    pub const READ_ONLY_ROOT: u64 = 1 << 7;
    /// The kernel's global knobs and lists in `/proc` are masked or read-only.
    pub const MASKED_PROC: u64 = 1 << 8;
    /// No process inside can trace the warden or read its memory.
    pub const WARDEN_HIDDEN: u64 = 1 << 9;
    /// The kernel kills everything inside when the warden ends.
    pub const KILL_BY_NAMESPACE: u64 = 1 << 10;
    /// The warden itself kills everything inside. If it is killed from outside, it cannot.
    pub const KILL_BY_WARDEN: u64 = 1 << 11;
    /// The sandbox has a file system of its own, and that of the caller is out of reach.
    pub const ROOT: u64 = 1 << 12;
    /// The kernel writes no core dumps.
    pub const NO_CORE: u64 = 1 << 13;
    /// The caller kills what the warden could not, by a cgroup around everything.
    pub const KILL_BY_CGROUP: u64 = 1 << 14;
    /// No process inside can change the limits, the priority or the processors of the warden.
    /// Either a filter refuses every call that names the process id of the warden, or the warden is
    /// in none of their process trees.
    pub const WARDEN_GUARDED: u64 = 1 << 22;
    /// A seccomp filter decides which system calls the command may make.
    pub const FILTERED: u64 = 1 << 15;
    /// A seccomp filter decides which system calls the warden may make.
    pub const FILTERED_WARDEN: u64 = 1 << 20;
    /// Landlock restricts the command to the files that the plan shows it, and to writing where the
    /// plan allows it.
    pub const LANDLOCK_FILES: u64 = 1 << 16;
    /// Landlock keeps the signals of the command inside.
    pub const LANDLOCK_SIGNALS: u64 = 1 << 17;
    /// Landlock keeps the command from abstract sockets that were made outside.
    pub const LANDLOCK_SOCKETS: u64 = 1 << 18;
    /// Landlock restricts the command to the TCP ports that the policy names.
    pub const LANDLOCK_PORTS: u64 = 1 << 19;
    /// The command runs as another user than the caller. Only the caller knows this, so the warden
    /// never reports it.
    pub const OTHER_USER: u64 = 1 << 21;
    /// The kernel kills a process group at once, and no process can make one while the warden
    /// kills.
    pub const KILL_BY_GROUP: u64 = 1 << 23;
}

wire_data! {
    /// One line of an id map: `count` ids from `inside` on are the ids from `outside` on in the
    /// parent user namespace (user_namespaces(7)).
    struct IdRange { inside: u32, outside: u32, count: u32, }
}

/// For [`Step::Overlay`]: the changes are not kept.
pub const NOT_KEPT: u32 = u32::MAX;

/// The most supplementary groups of a command.
pub const GROUPS_MAX: usize = 64;

wire_data! {
    /// One step of set-up.
    enum Step<'a> {
        /// Resets what a process inherits from the caller and no policy covers: ignored signals,
        /// umask, timer slack and others.
        33 Attributes {}
        /// Maps one user and one group id, for a caller that may map only its own.
        1 MapOwnIds { uid: u32, gid: u32, }
        /// Checks that the id maps of the warden's user namespace are exactly these lines. With
        /// `own`, the ids outside are those of [`Setup`](super::message::Request::Setup) instead.
        34 CheckMaps { uids: List<'a, IdRange>, gids: List<'a, IdRange>, own: bool, }
        /// Waits until the caller has written the id maps and moved the warden into its cgroups.
        /// The caller then gives this number of mount trees, which are attached nowhere. They are
        /// the next sources.
        2 Await { trees: u32, }
        /// Becomes this user and group, with these supplementary groups, at most [`GROUPS_MAX`].
        /// Unless `exact`, the caller's groups may stay where setgroups(2) is denied. Capabilities
        /// stay until `Seal`.
        3 BecomeUser { uid: u32, gid: u32, groups: List<'a, u32>, exact: bool, }
        /// Stays the caller's user and group. Checks that these are they.
        41 KeepUser { uid: u32, gid: u32, }
        /// Makes a time namespace with these offsets, in nanoseconds. Commands run in it, the
        /// warden itself does not.
        4 TimeOffsets { monotonic: i64, boottime: i64, }
        /// Sets the host name.
        5 HostName { name: &'a [u8], }
        /// Sets the NIS domain name.
        6 DomainName { name: &'a [u8], }
        /// Brings up `lo`.
        7 Loopback {}
        /// Makes every mount private: nothing propagates from or to the caller's mounts.
        8 PrivateMounts {}
        /// Opens a path of the caller, with the caller's rights, and stores it under the next
        /// source number. Without `follow`, a symlink in the path is an error.
        9 Source { path: &'a CStr, optional: bool, follow: bool, }
        /// Opens a device node of the caller in the same way. It must have this device number.
        10 Device { path: &'a CStr, major: u32, minor: u32, }
        /// Mounts a new, empty tmpfs, which becomes the root. With `anywhere`, later steps may
        /// mount on the root itself, and make entries and mount points in the caller's trees.
        11 Root { size: u64, inodes: u64, anywhere: bool, }
        /// Makes a directory. One that exists already may stay as it is.
        12 Directory { at: &'a CStr, mode: u32, }
        /// Binds a source. The warden makes the mount point where the new root is its own; in a
        /// tree of the caller it must exist. A `tree` that the caller has given is moved there.
        13 Bind { source: u32, at: &'a CStr, attributes: u64, tree: bool, }
        /// Mounts a tmpfs. A `size` in bytes or a number of `inodes` of 0 means the kernel's
        /// default.
        14 Tmpfs { at: &'a CStr, size: u64, inodes: u64, mode: u32, attributes: u64, }
        /// Mounts an overlay. The lower directories are sources, the topmost first. With `trees`,
        /// they are mount trees that the caller has given. The upper one is on a new tmpfs with
        /// this size in bytes and number of inodes, which the overlay covers; or in the source
        /// `kept`, if that is not [`NOT_KEPT`]. If they are `bounded`, it is reported when their
        /// place is full. With `lend`, `Report::Ready` brings the caller the directory with the
        /// changes.
        44 Overlay {
            at: &'a CStr,
            layers: List<'a, u32>,
            trees: bool,
            size: u64,
            inodes: u64,
            kept: u32,
            bounded: bool,
            lend: bool,
        }
        /// Mounts the message queues of the sandbox's own ipc namespace.
        37 MessageQueues { at: &'a CStr, }
        /// Makes a symlink. One that exists already may stay as it is.
        15 Symlink { at: &'a CStr, target: &'a CStr, }
        /// Makes a file. In a tree of the caller, it is mounted over the existing file; if there is
        /// none, an `optional` file is skipped.
        16 File { at: &'a CStr, mode: u32, data: &'a [u8], optional: bool, }
        /// Sends the caller the user and the network namespace, with `Report::Ready`.
        43 Lend {}
        /// Mounts a new file. The mount point is an existing file, or is made. With `callers`,
        /// `Report::Ready` brings the caller a descriptor that can write to the file.
        38 BoundFile { at: &'a CStr, mode: u32, data: &'a [u8], attributes: u64, callers: bool, }
        /// Makes the mount at `at` read-only, without those below it.
        39 Remount { at: &'a CStr, }
        /// Changes the mode of an existing file.
        40 Chmod { at: &'a CStr, mode: u32, }
        /// Shows entries of a source directory at `at`: symlinks as symlinks, directories and files
        /// as binds. With `names`, only entries that match one of them and that everybody may read;
        /// a `*` in a name matches any characters. Entries in `except` are left out.
        17 Populate {
            source: u32,
            at: &'a CStr,
            names: List<'a, &'a CStr>,
            except: List<'a, &'a CStr>,
            attributes: u64,
        }
        /// Shows these names of each directory in a source directory whose name is the prefix and a
        /// number, as far as there are any and everybody may read them.
        45 PopulateEach {
            source: u32,
            at: &'a CStr,
            prefix: &'a CStr,
            names: List<'a, &'a CStr>,
            attributes: u64,
        }
        /// Mounts the hierarchy of cgroups that has exactly these controllers, read-only. Without
        /// controllers, that of version 2. Its root is that of the cgroup namespace.
        46 Cgroup { at: &'a CStr, controllers: List<'a, &'a CStr>, }
        /// Makes a process tree below the warden's, with a process that later becomes the only
        /// command, as process 1 of it. The next `Proc` shows that tree.
        47 First {}
        /// Mounts a proc of the sandbox's own pid namespace. `hide` sets `hidepid=invisible`, and
        /// `subset` sets `subset=pid`.
        18 Proc { at: &'a CStr, hide: bool, subset: bool, }
        /// Covers the existing `paths`: files with `/dev/null` (source number `null`), directories
        /// with an empty read-only tmpfs.
        19 Mask { paths: List<'a, &'a CStr>, null: u32, }
        /// Mounts each existing path over itself, read-only.
        20 ReadOnly { paths: List<'a, &'a CStr>, }
        /// Forbids user namespaces below the one of the sandbox. With `given`, the policy mounts
        /// something else at `/proc`, and the warden opens the knob elsewhere.
        21 NoNestedUsers { given: bool, }
        /// Makes the new root the root and detaches the old one.
        22 Pivot {}
        /// Makes the root read-only.
        23 ReadOnlyRoot {}
        /// Checks, once the ids have changed, that the command may enter the source (a directory)
        /// or read it (a file).
        24 Readable { source: u32, }
        /// Checks that the caller's path exists and that the command may reach it.
        42 Reach { path: &'a CStr, }
        /// Makes a new session keyring. With `dispensable`, the filter of the commands refuses
        /// every call on keys, so set-up may continue without one.
        25 Keyring { dispensable: bool, }
        /// Mounts a devpts of the sandbox's own, from which the terminals of commands come.
        32 Terminals { at: &'a CStr, }
        /// Gives up every privilege but these capabilities, for the warden and everything that it
        /// starts. `unprivileged`: the caller may not lower the bounding set or set securebits,
        /// which then say nothing, because no program gains a capability.
        26 Seal { capabilities: u64, unprivileged: bool, }
        /// Makes a cgroup namespace with the warden's cgroup as its root.
        27 CgroupNamespace {}
        /// Opens the proc file system for process scans. With `own`, it is a new proc of the
        /// sandbox's own pid namespace in which no process can hide, else the one at `/proc`. With
        /// `alone`, every process in it but the warden is inside; else the descendants of the
        /// warden are.
        28 Watch { own: bool, alone: bool, }
        /// Makes a Landlock ruleset for the commands, at the highest ABI of the kernel. Rules that
        /// the kernel lacks are left out, but rules for ports are an error. The warden applies the
        /// rules for signals and sockets to itself, so that all its commands are in one Landlock
        /// domain.
        29 Landlock {
            rules: u32,
            readable: List<'a, &'a CStr>,
            writable: List<'a, &'a CStr>,
            devices: List<'a, &'a CStr>,
            bind: List<'a, u16>,
            connect: List<'a, u16>,
        }
        /// Uses the current root: the file system of the template that this warden was copied from.
        /// These protections are active already.
        31 AdoptRoot { protections: u64, }
        /// Reserves process ids for the wardens of commands that enter this cell, where the kernel
        /// can keep them from others.
        36 ReservePids {}
        /// Loads the filter of the warden, which everything that it starts inherits. These
        /// protections are active afterwards. With `entrant`, the command enters a cell. Its warden
        /// is guarded too if it has one of the reserved process ids.
        30 Filter { program: &'a [u8], protections: u64, entrant: bool, }
    }
}
