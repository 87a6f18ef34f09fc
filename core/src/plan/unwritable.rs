//! Refuses a writable bind in which the command could write nothing. The command of a privileged
//! caller is another user outside, to whom the caller's files say nothing. Without this look the
//! program fails later with an error of its own, which does not tell the cause.
//!
//! Only what is certain is refused: the owner, the group and the mode of every file in the tree
//! deny it. Where anything else may decide, the bind passes, and the kernel judges each access.

use crate::base::error::{Error, ErrorKind, Result};
use crate::plan::idmap::Mapping;
use crate::policy::{Bind, Namespace, Policy};
use nix::sys::stat::lstat;
use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC,
    XFS_SUPER_MAGIC, statfs,
};
use std::ffi::CString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How many files of a tree are looked at. A larger tree passes.
const FILES_MAX: usize = 1000;

/// The file systems that judge by owner, group and mode alone. The first is also ext2 and ext3.
/// Over a network the server judges, and FUSE asks its own daemon.
const JUDGED_BY_MODE: [FsType; 5] =
    [EXT4_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC];

/// Refuses each writable bind of the policy in which the command could write nothing.
///
/// # Errors
///
/// `SourceUnreadable`, which names the user that the command is outside.
pub fn check(policy: &Policy, mapping: Mapping) -> Result<()> {
    // The command of an unprivileged caller has the caller's own rights, and who it is in a user
    // namespace that is joined is known only there.
    let Some((uid, gid)) = mapping.known_owner(policy) else { return Ok(()) };
    if !policy.private(Namespace::Mount) {
        return Ok(());
    }
    let user = User { uid, gid };
    let binds = policy.files.iter().filter_map(|entry| entry.bind());
    binds.filter(|bind| bind.writable).try_for_each(|bind| user.check(bind))
}

/// What the command is outside: no other groups, and no capability that counts there.
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    fn check(&self, bind: &Bind) -> Result<()> {
        let Ok(status) = fs::metadata(&bind.source) else {
            // What is missing or cannot be reached, the warden tells.
            return Ok(());
        };
        if !self.is_shut_out(&bind.source, &status) || keeps_groups() {
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
            .hint(format!("chown {uid} {source}, or let others write (chmod o+{bits} {source}), or start as a user who may")))
    }

    /// Whether it is certain that this user can change nothing at `top`, which has this status.
    fn is_shut_out(&self, top: &Path, status: &Metadata) -> bool {
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
                // Not fs::symlink_metadata, whose statx(2) would have automount points mounted.
                let Some(path) = entry.ok().map(|entry| entry.path()).filter(|_| seen <= FILES_MAX)
                else {
                    return false;
                };
                let Ok(found) = lstat(&path) else { return false };
                let kind = found.st_mode & libc::S_IFMT;
                if kind == libc::S_IFLNK {
                    continue;
                }
                // A mount point: another file system's rules.
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

    /// Whether it is certain that this user may not write to the file itself, nor grant itself
    /// that.
    fn is_denied(&self, path: &Path, (owner, group, mode): (u32, u32, u32)) -> bool {
        const OTHERS: u32 = 0o002;
        const GROUP: u32 = 0o020;
        // An owner can change the mode.
        let granted =
            owner == self.uid || mode & OTHERS != 0 || group == self.gid && mode & GROUP != 0;
        !granted && !has_list(path) && is_judged_by_mode(path)
    }
}

/// Whether the file has an access control list (acl(5)), or may have one.
fn has_list(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return true };
    crate::base::sys::has_attribute(&path, c"system.posix_acl_access").unwrap_or(true)
}

fn is_judged_by_mode(path: &Path) -> bool {
    statfs(path).is_ok_and(|status| JUDGED_BY_MODE.contains(&status.filesystem_type()))
}

/// Whether the command may have kept the caller's supplementary groups: setgroups(2) is denied in
/// some user namespaces (user_namespaces(7)).
fn keeps_groups() -> bool {
    fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny")
}
