//! Rejects writable binds in which the command could write to nothing.
//!
//! The command of a privileged caller runs as another host user, which often has no permissions on
//! the caller's files. Without this check, the program would fail later with an error that does not
//! name the cause.
//!
//! A bind is rejected only if the owner, group and mode of every file in the tree deny writing. If
//! anything else may decide, the bind passes, and the kernel checks each access.

use crate::base::error::{Error, ErrorKind, Result};
use crate::plan::idmap::Mapping;
use crate::policy::{Bind, Entry, Namespace, Policy};
use nix::sys::stat::lstat;
use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, statfs,
};
use std::ffi::CString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The largest number of files to examine. A larger tree passes.
const FILES_MAX: usize = 1000;

/// XFS_SUPER_MAGIC of linux/magic.h, which the libc crate does not have for musl.
const XFS_SUPER_MAGIC: FsType = FsType(0x5846_5342);

/// The file systems that check access by owner, group and mode alone. The first one is also that of
/// ext2 and ext3. In contrast, a network file system leaves the decision to its server, and FUSE to
/// its daemon.
const MODE_ONLY: [FsType; 5] =
    [EXT4_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC];

/// Checks all writable binds of the policy.
///
/// # Errors
///
/// `SourceUnreadable` if the command could write to nothing in a bind. The error names the
/// command's host user.
pub fn check(policy: &Policy, mapping: Mapping) -> Result<()> {
    // The command of an unprivileged caller has the caller's own permissions. The host user of a
    // command in a joined user namespace is known only once a process is in there.
    let Some((uid, gid)) = mapping.known_owner(policy) else { return Ok(()) };
    // The caller's own user writes what the caller can.
    if !policy.private(Namespace::Mount) || policy.as_caller {
        return Ok(());
    }
    let user = User { uid, gid, groups: mapping.known_groups(policy) };
    // What an idmapped bind shows is the command's.
    let mut binds = policy.binds().filter(|bind| bind.writable && !bind.idmapped);
    binds.try_for_each(|bind| user.check(bind))
}

/// Checks that the command's user may open the device nodes among these entries.
///
/// # Errors
///
/// `SourceUnreadable`, with the command's host user, if it can neither read nor write a node.
pub fn check_devices(policy: &Policy, entries: &[Entry], mapping: Mapping) -> Result<()> {
    let Some((uid, gid)) = mapping.known_owner(policy) else { return Ok(()) };
    if policy.as_caller {
        return Ok(());
    }
    let user = User { uid, gid, groups: mapping.known_groups(policy) };
    let binds = entries.iter().filter_map(Entry::bind).filter(|bind| bind.devices);
    binds.map(|bind| bind.source.as_path()).try_for_each(|node| user.check_device(node))
}

/// The host user and groups of the command. It has no other groups, and no capabilities outside of
/// its user namespace.
struct User {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl User {
    fn check(&self, bind: &Bind) -> Result<()> {
        let Ok(status) = fs::metadata(&bind.source) else {
            // The warden reports a source that is missing or cannot be reached.
            return Ok(());
        };
        if !self.can_change_nothing(&bind.source, &status) || keeps_groups() {
            return Ok(());
        }
        let (source, at, uid) = (bind.source.display(), bind.at.display(), self.uid);
        let (what, bits) =
            if status.is_dir() { ("nothing in it", "rwX") } else { ("nothing to it", "rw") };
        Err(Error::new(ErrorKind::SourceUnreadable, format!("bind {source} on {at}"))
            .errno(libc::EACCES)
            .at(&bind.source)
            .because(format!(
                "writable, but the command is uid {uid} outside and may write {what} (owner {}, mode {:04o})",
                status.uid(),
                status.mode() & 0o7777
            ))
            .hint(format!("bind it idmapped, or chown {uid} {source}, or let others write (chmod o+{bits} {source}), or start as a user who may")))
    }

    fn check_device(&self, node: &Path) -> Result<()> {
        const READ_OR_WRITE: u32 = 0o6;
        let Ok(status) = fs::metadata(node) else { return Ok(()) };
        let (owner, group, mode) = (status.uid(), status.gid(), status.mode() & 0o7777);
        if !self.is_denied_by(node, (owner, group, mode), READ_OR_WRITE) || keeps_groups() {
            return Ok(());
        }
        let (shown, uid) = (node.display(), self.uid);
        Err(Error::new(ErrorKind::SourceUnreadable, format!("give the device {shown}"))
            .errno(libc::EACCES)
            .at(node)
            .because(format!(
                "the command is uid {uid} outside and may not open it (owner {owner}, group \
                 {group}, mode {mode:04o})"
            ))
            .hint(format!("let others use it (chmod o+rw {shown}), or start as a user who may")))
    }

    /// Whether it is certain that this user can write to nothing in the tree `top`, which has this
    /// status.
    fn can_change_nothing(&self, top: &Path, status: &Metadata) -> bool {
        if !self.is_denied(top, (status.uid(), status.gid(), status.mode())) {
            return false;
        }
        if !status.is_dir() {
            return status.is_file();
        }
        let (mut directories, mut seen) = (vec![top.to_owned()], 0);
        while let Some(directory) = directories.pop() {
            let Ok(entries) = fs::read_dir(&directory) else { return false };
            for entry in entries {
                seen += 1;
                // lstat(2) below instead of fs::symlink_metadata, whose statx(2) would trigger
                // automount points.
                let Some(path) = entry.ok().map(|entry| entry.path()).filter(|_| seen <= FILES_MAX)
                else {
                    return false;
                };
                let Ok(found) = lstat(&path) else { return false };
                let kind = found.st_mode & libc::S_IFMT;
                if kind == libc::S_IFLNK {
                    continue;
                }
                // At a mount point, the rules of another file system apply.
                let elsewhere = found.st_dev != status.dev();
                if elsewhere || !self.is_denied(&path, (found.st_uid, found.st_gid, found.st_mode))
                {
                    return false;
                }
                if kind == libc::S_IFDIR {
                    directories.push(path);
                }
            }
        }
        true
    }

    /// Whether it is certain that this user may neither write to the file itself nor change its
    /// mode.
    fn is_denied(&self, path: &Path, status: (u32, u32, u32)) -> bool {
        const WRITE: u32 = 0o2;
        self.is_denied_by(path, status, WRITE)
    }

    /// Whether it is certain that this user has none of these rights, and may not change the mode.
    fn is_denied_by(
        &self,
        path: &Path,
        (owner, group, mode): (u32, u32, u32),
        rights: u32,
    ) -> bool {
        // An owner could change the mode, and so counts as permitted.
        let is_member = group == self.gid || self.groups.contains(&group);
        let of_group = is_member && mode >> 3 & rights != 0;
        let granted = owner == self.uid || mode & rights != 0 || of_group;
        !granted && !has_acl(path) && checks_mode_only(path)
    }
}

/// Whether the file has an access control list (acl(5)). True if that cannot be determined.
fn has_acl(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return true };
    crate::base::sys::has_attribute(&path, c"system.posix_acl_access").unwrap_or(true)
}

fn checks_mode_only(path: &Path) -> bool {
    statfs(path).is_ok_and(|status| MODE_ONLY.contains(&status.filesystem_type()))
}

/// Whether the command keeps the caller's supplementary groups, because the user namespace denies
/// setgroups(2) (user_namespaces(7)).
fn keeps_groups() -> bool {
    fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny")
}
