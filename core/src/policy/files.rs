//! The entries that a policy puts into the sandbox's file system. Each kind is declared once, with
//! its values and their meaning.
//!
//! This list generates the types (`types`), their checks, the text reader and writer
//! (`spec::files`), the methods of [`Sandbox`](crate::Sandbox) and the C functions of plain kinds,
//! the classes of Python, and the tables in docs/policy.md.
//!
//! To add a kind: add it here, answer the questions below for it, give it steps in `plan::files`,
//! and run `make faces`.

pub mod types;

use super::Namespace;
use std::path::Path;
use types::{Bind, Entry, File};

/// Passes every kind of entry to the macro `$apply`: who writes the methods that add it (below),
/// the type, the key in policies, the required values, and the optional ones.
///
/// `plain` kinds have only paths and modes: their methods in Rust and C are generated. Those of
/// `own` kinds are written by hand.
///
/// | kind of value | in Rust |
/// |---|---|
/// | `path` | a path, or the text of a link |
/// | `paths` | a list of paths |
/// | `place` | a path; in policies, the default is the path under the entry's own key |
/// | `data` | bytes |
/// | `directory` | an optional path |
/// | `text` | an optional text |
/// | `flag` | a method without an argument |
/// | `size` | a number of bytes |
/// | `count` | a 64-bit number |
/// | `mode` | the permission bits, 0 to 0o7777 |
macro_rules! for_each_entry {
    ($apply:ident) => {
        $apply! {
            /// A bind mount: a file or directory of the host that is visible inside. It is
            /// read-only by default.
            ///
            /// Mounts below a directory are visible, too. Set-user-ID bits have no effect, and
            /// neither do device nodes unless `devices` is set. Mount points are created only in
            /// the sandbox's own file systems: below a bound directory, the mount point must exist.
            own Bind = bind (
                /// The path outside.
                path source = bind,
                /// The path inside. In policies and in Python, the default is the path outside.
                place at = at,
            ) {
                /// Lets the command write, as far as the file permissions let its user outside the
                /// sandbox.
                ///
                /// A privileged caller's command runs as another host user (`host_ids`). If the
                /// owner, group and mode of every file in the source deny that user, the start
                /// fails with an error of kind `source-unreadable`, which names the user and a
                /// remedy. One writable file or directory in the source is enough to pass. It must
                /// exist at the start, even if other files become writable later.
                flag writable,
                /// Skips the bind if the source does not exist.
                flag optional,
                /// Forbids to execute files in the bind.
                flag noexec,
                /// Allows to open device nodes in the bind, such as `/dev/kvm`.
                flag devices,
                /// Refuses symbolic links in the path of the source.
                ///
                /// Use it if the path leads through a directory that an earlier sandboxed program
                /// could write to: that program may have left a link there.
                flag nofollow,
                /// Makes the caller's files in the bind the command's, and what the command makes
                /// there the caller's.
                ///
                /// An unprivileged caller has it so in any case. For a privileged caller's command,
                /// which runs as another host user (`host_ids`), the kernel translates the owners
                /// (Linux 5.12, on a tmpfs 6.3; `mount_setattr(2)`). Files of others belong to
                /// nobody inside. No command of the sandbox can then set the set-user-ID and
                /// set-group-ID bits, which would be the caller's outside. The bind must hold no
                /// such programs either. Excludes `optional` and a shared user namespace, and if it
                /// is writable, `nested`, the capabilities `setfcap` and `fsetid`, and the profile
                /// `unconfined`.
                flag idmapped,
            }
            /// A tmpfs: an empty, writable file system in memory.
            own Tmpfs = tmpfs (
                /// The path inside.
                path at = tmpfs,
            ) {
                /// Limits the size in bytes. The kernel rounds it up to whole pages. Without a
                /// size, its own default applies: half of the machine's memory.
                size size,
                /// Limits the number of files and directories, including the root directory of the
                /// tmpfs.
                count inodes,
                /// Sets the mode of the root directory, 0 to 0o7777. Default: 0o1777.
                mode mode = 0o1777,
                /// Forbids to execute files in the tmpfs.
                flag noexec,
            }
            /// A writable view of directories of the host: an overlay file system. Nothing is
            /// written to the directories. What the sandbox changes is kept in memory, and is gone
            /// when the sandbox ends, unless `kept` names a place for it.
            ///
            /// At `/`, the directories are the root, with the programs of another system: see
            /// docs/roots.md. Their `/dev`, `/proc` and `/tmp` are covered by the sandbox's own.
            /// Elsewhere, mounts below the directories are not visible. Set-user-ID bits and device
            /// nodes have no effect.
            ///
            /// For a privileged caller's command, the owner of each file is the user with the same
            /// number inside, so id 0 owns what the host's root owns (Linux 5.19;
            /// `mount_setattr(2)`). For an unprivileged caller's command, the caller's files are
            /// the command's, and all others belong to nobody. Needs Linux 5.11, and without `kept`
            /// 6.6: the kernel keeps no attributes of users on a tmpfs before.
            own Overlay = overlay (
                /// The directories outside, at most 64, the lowest first. What is in several is the
                /// one in the last of them. May be empty with an `image`.
                paths layers = layers,
                /// The path inside.
                path at = overlay,
            ) {
                /// Limits the size of the changes in bytes. A file counts whole once it is changed.
                /// Default: 64 MiB.
                size size,
                /// Limits the number of changed files and directories. Default: 65536.
                count inodes,
                /// Keeps the changes in this directory of the host's, instead of in memory. A later
                /// sandbox with the same layers goes on with them. One sandbox at a time can use
                /// it. A reset of a cell leaves them. The directory must exist, be the caller's own
                /// and be closed to other users (mode 0700), for whom the changes could be
                /// set-user-ID programs of the caller's.
                ///
                /// Without `size` and `inodes` they are not bounded. With one of them, they are in
                /// a file system of their own, an ext4 in a file of the directory, of about this
                /// size and at least 1 MiB. Only the host's root as the caller can have that, with
                /// e2fsprogs and Linux 5.8.
                directory kept,
                /// Shows the image with this name in the store, below the `layers`: see
                /// docs/images.md. It is found at the first start, and stays in the store as long
                /// as the policy is in use.
                text image,
                /// The path of the store with the image. By default it is the caller's own store.
                directory store,
            }
            /// A directory that shows the sandbox's POSIX message queues as files, usually at
            /// `/dev/mqueue` (`mq_overview(7)`).
            ///
            /// Programs can list, read and remove queues there. `mq_open(3)` works without it. The
            /// queues belong to the ipc namespace, which must be the sandbox's own. Each copy of a
            /// template has its own queues, and all commands of a cell share theirs.
            plain Mqueue = mqueue (
                /// The path inside.
                path at = mqueue,
            ) {}
            /// A disk image: a file with a squashfs or an erofs file system, which is visible
            /// inside, read-only. Only for the host's root as the caller, because the kernel lets
            /// nobody else mount it.
            ///
            /// The kernel reads the image, and one that is made to harm it endangers the whole
            /// host: use only images that you trust. The files keep their owners, so those of the
            /// host's root belong to nobody inside, and the command can read what everybody may.
            /// Set-user-ID bits and device nodes have no effect. The image must not change while it
            /// is in use. squashfs takes a loop device and Linux 5.8, as erofs does before Linux
            /// 6.12.
            plain DiskImage = disk_image (
                /// The image outside.
                path source = disk_image,
                /// The path inside.
                path at = at,
            ) {}
            /// The parts of the host's `/sys` that programs read to learn how much they may use,
            /// usually at `/sys`. All of it is read-only.
            ///
            /// These are the numbers, the topology and the caches of processors
            /// (`devices/system/cpu`), the memory nodes (`devices/system/node`), the settings of
            /// transparent huge pages, and in `fs/cgroup` the sandbox's own cgroup with its limits
            /// and counters. docs/hardware.md lists the files, and says what of the host they
            /// reveal. Entries can add others below.
            ///
            /// `fs/cgroup` is empty without a limit that a cgroup enforces, and if the cgroup
            /// namespace is not the sandbox's own.
            plain Sys = sys (
                /// The path inside.
                path at = sys,
            ) {}
            /// A proc file system of the sandbox's process tree. If the pid namespace is shared,
            /// the caller's `/proc` is bound. Only with `exact_files`; other sandboxes have a
            /// `/proc`.
            plain Proc = proc (
                /// The path inside.
                path at = proc,
            ) {}
            /// The sandbox's own device directory: a tmpfs with `null`, `zero`, `full`, `random`,
            /// `urandom`, `tty`, pseudo-terminals, the usual links, and a directory `shm`. Only
            /// with `exact_files`; other sandboxes have a `/dev`.
            plain Dev = dev (
                /// The path inside.
                path at = dev,
            ) {}
            /// Makes an existing mount read-only, without the mounts below it. Only with
            /// `exact_files`.
            plain ReadOnly = read_only (
                /// The path inside: that of a mount.
                path at = read_only,
            ) {}
            /// Changes the mode of an existing file or directory. Only with `exact_files`.
            plain Chmod = chmod (
                /// The path inside.
                path at = chmod,
            ) {
                /// Sets the mode, 0 to 0o7777. Default: 0o755.
                mode mode = 0o755,
            }
            /// An empty directory.
            plain Dir = dir (
                /// The path inside.
                path at = dir,
            ) {
                /// Sets the mode, 0 to 0o7777. Default: 0o755.
                mode mode = 0o755,
            }
            /// A symbolic link. The arguments have the order of `symlink(2)`.
            plain Symlink = symlink (
                /// The text of the link.
                path target = target,
                /// The path inside.
                path at = symlink,
            ) {}
            /// A regular file with given contents.
            own File = file (
                /// The path inside.
                path at = file,
                /// The contents.
                data data = data,
            ) {
                /// Sets the mode, 0 to 0o7777. Default: 0o644.
                mode mode = 0o644,
                /// Mounts the file at its path, over an existing file, and read-only unless
                /// `writable` is set. Only with `exact_files`.
                flag bound,
                /// Lets the command write to a `bound` file. Nothing is written outside.
                flag writable,
            }
        }
    };
}
pub(crate) use for_each_entry;

/// What a Landlock ruleset allows below an entry, beyond reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// What the rules for the root allow.
    AsRoot,
    /// To write to device nodes.
    Devices,
    /// To write.
    Write,
}

/// The questions that every kind of entry answers.
impl Entry {
    /// The bind, if this is one. Only binds have a source that is opened before the ids change.
    pub(crate) fn bind(&self) -> Option<&Bind> {
        match self {
            Entry::Bind(bind) => Some(bind),
            Entry::Tmpfs(_)
            | Entry::Overlay(_)
            | Entry::Mqueue(_)
            | Entry::Sys(_)
            | Entry::DiskImage(_)
            | Entry::Proc(_)
            | Entry::Dev(_)
            | Entry::ReadOnly(_)
            | Entry::Chmod(_)
            | Entry::Dir(_)
            | Entry::Symlink(_)
            | Entry::File(_) => None,
        }
    }

    /// Whether the entry is the root of the sandbox.
    pub(crate) fn is_root(&self) -> bool {
        matches!(self, Entry::Overlay(overlay) if overlay.at == Path::new("/"))
    }

    /// Whether the entry describes a file system of its own order, which only `exact_files` has.
    pub(crate) fn needs_order(&self) -> bool {
        match self {
            Entry::Proc(_) | Entry::Dev(_) | Entry::ReadOnly(_) | Entry::Chmod(_) => true,
            Entry::File(File { bound, writable, .. }) => *bound || *writable,
            Entry::Bind(_)
            | Entry::Tmpfs(_)
            | Entry::Overlay(_)
            | Entry::Mqueue(_)
            | Entry::Sys(_)
            | Entry::DiskImage(_)
            | Entry::Dir(_)
            | Entry::Symlink(_) => false,
        }
    }

    /// Whether the entry is a mount, which hides everything created below its path earlier.
    pub(crate) fn is_mount(&self) -> bool {
        match self {
            Entry::Bind(_)
            | Entry::Tmpfs(_)
            | Entry::Overlay(_)
            | Entry::Mqueue(_)
            | Entry::Sys(_)
            | Entry::DiskImage(_)
            | Entry::Proc(_)
            | Entry::Dev(_) => true,
            Entry::ReadOnly(_)
            | Entry::Chmod(_)
            | Entry::Dir(_)
            | Entry::Symlink(_)
            | Entry::File(_) => false,
        }
    }

    /// Whether each copy of a template mounts a new one, because copies must not share it.
    pub(crate) fn is_mounted_by_each_copy(&self) -> bool {
        match self {
            Entry::Tmpfs(_)
            | Entry::Overlay(_)
            | Entry::Mqueue(_)
            | Entry::Proc(_)
            | Entry::Dev(_) => true,
            // Each copy mounts its cgroup only.
            Entry::Sys(_)
            | Entry::DiskImage(_)
            | Entry::Bind(_)
            | Entry::ReadOnly(_)
            | Entry::Chmod(_)
            | Entry::Dir(_)
            | Entry::Symlink(_)
            | Entry::File(_) => false,
        }
    }

    /// Whether the default entries below its path are left out.
    pub(crate) fn replaces_what_is_below(&self) -> bool {
        match self {
            // The default entries are mounted over the root.
            Entry::Overlay(_) => !self.is_root(),
            Entry::Bind(_)
            | Entry::Tmpfs(_)
            | Entry::Mqueue(_)
            | Entry::Sys(_)
            | Entry::DiskImage(_)
            | Entry::Proc(_)
            | Entry::Dev(_)
            | Entry::Symlink(_)
            | Entry::File(_) => true,
            Entry::ReadOnly(_) | Entry::Chmod(_) | Entry::Dir(_) => false,
        }
    }

    /// Why no other entry can be below it, or `None` if one can.
    pub(crate) fn bar_below(&self) -> Option<&'static str> {
        match self {
            Entry::Mqueue(_) => Some("holds message queues alone"),
            Entry::Symlink(_) | Entry::File(_) => Some("is not a directory"),
            Entry::Bind(_)
            | Entry::Tmpfs(_)
            | Entry::Overlay(_)
            | Entry::Sys(_)
            | Entry::DiskImage(_)
            | Entry::Proc(_)
            | Entry::Dev(_)
            | Entry::ReadOnly(_)
            | Entry::Chmod(_)
            | Entry::Dir(_) => None,
        }
    }

    /// The namespace that the sandbox must have of its own for this entry.
    pub(crate) fn needed_namespace(&self) -> Option<Namespace> {
        match self {
            Entry::Mqueue(_) => Some(Namespace::Ipc),
            Entry::Bind(_)
            | Entry::Tmpfs(_)
            | Entry::Overlay(_)
            | Entry::Sys(_)
            | Entry::DiskImage(_)
            | Entry::Proc(_)
            | Entry::Dev(_)
            | Entry::ReadOnly(_)
            | Entry::Chmod(_)
            | Entry::Dir(_)
            | Entry::Symlink(_)
            | Entry::File(_) => None,
        }
    }

    pub(crate) fn access(&self) -> Access {
        match self {
            Entry::Bind(Bind { writable: true, .. })
            | Entry::Tmpfs(_)
            | Entry::Overlay(_)
            | Entry::Mqueue(_)
            | Entry::Dev(_)
            | Entry::File(File { writable: true, .. }) => Access::Write,
            Entry::Bind(Bind { devices: true, .. }) | Entry::Proc(_) => Access::Devices,
            Entry::Bind(_)
            | Entry::Sys(_)
            | Entry::DiskImage(_)
            | Entry::ReadOnly(_)
            | Entry::Chmod(_)
            | Entry::Dir(_)
            | Entry::Symlink(_)
            | Entry::File(_) => Access::AsRoot,
        }
    }
}
