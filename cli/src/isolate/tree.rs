//! Changes what is in a box: gives it to the program's user, removes special files, or everything.
//!
//! A program may have left anything in its box: links, deep trees, directories that nobody may
//! enter. Nothing here follows a link, and nothing leaves the file system of the box.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, unlinkat};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How deep directories can be nested in a box. Each level takes a descriptor.
const DEPTH: u32 = 128;

/// Opens a directory that is no link.
pub fn open(path: &Path) -> Result<OwnedFd> {
    open_in(AT_FDCWD, path.as_os_str())
}

fn open_in(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// The path of an open directory, for what takes no descriptor opened with O_PATH.
fn path(directory: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", directory.as_raw_fd()).into()
}

/// The names in a directory. The program may have closed it to its owner, who is then the caller.
fn names(directory: &OwnedFd) -> Result<Vec<OsString>> {
    let listed = match fs::read_dir(path(directory)) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            unlock(directory)?;
            fs::read_dir(path(directory))?
        }
        listed => listed?,
    };
    listed.map(|entry| Ok(entry?.file_name())).collect()
}

fn unlock(directory: &OwnedFd) -> Result<()> {
    fs::set_permissions(path(directory), fs::Permissions::from_mode(0o700))
}

/// What is done to everything below a directory.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// Gives it to this user and group. A file with further names elsewhere is left alone.
    Give(u32),
    /// Removes what is neither a file nor a directory.
    Plain,
}

/// Changes everything below a directory. What is nested too deep keeps its owner, and is removed
/// with the special files.
pub fn change(directory: &OwnedFd, what: Change) -> Result<()> {
    change_below(directory, what, fstat(directory)?.st_dev, 0)
}

fn change_below(directory: &OwnedFd, what: Change, device: u64, depth: u32) -> Result<()> {
    for name in names(directory)? {
        let found = match fstatat(directory, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::EACCES) => {
                unlock(directory)?;
                fstatat(directory, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?
            }
            found => found?,
        };
        if found.st_dev != device {
            continue;
        }
        match what {
            Change::Give(id) => give(directory, &name, &found, id)?,
            Change::Plain if !is(&found, SFlag::S_IFREG) && !is(&found, SFlag::S_IFDIR) => {
                remove_name(directory, &name)?;
            }
            Change::Plain => {}
        }
        if is(&found, SFlag::S_IFDIR) {
            let inner = open_in(directory.as_fd(), &name)?;
            match what {
                _ if depth < DEPTH => change_below(&inner, what, device, depth + 1)?,
                Change::Give(_) => {}
                Change::Plain => empty(&inner)?,
            }
        }
    }
    Ok(())
}

fn is(found: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == kind
}

fn give(directory: &OwnedFd, name: &OsStr, found: &FileStat, id: u32) -> Result<()> {
    let shared = !is(found, SFlag::S_IFDIR) && found.st_nlink > 1;
    if shared || (found.st_uid, found.st_gid) == (id, id) {
        return Ok(());
    }
    let (user, group) = (Some(Uid::from_raw(id)), Some(Gid::from_raw(id)));
    Ok(fchownat(directory, name, user, group, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

/// Removes a file. Its directory may be closed to its owner.
fn remove_name(directory: &OwnedFd, name: &OsStr) -> std::result::Result<(), Errno> {
    match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EACCES) => {
            unlock(directory).map_err(|_| Errno::EACCES)?;
            unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)
        }
        done => done,
    }
}

/// Removes everything below a directory, however deep it is: the directories in a directory move to
/// the top before it goes.
pub fn empty(top: &OwnedFd) -> Result<()> {
    unlock(top)?;
    let mut serial = 0_u64;
    loop {
        let all = names(top)?;
        if all.is_empty() {
            return Ok(());
        }
        for name in all {
            match remove_name(top, &name) {
                Err(Errno::EISDIR) => {}
                done => {
                    done?;
                    continue;
                }
            }
            let inner = open_in(top.as_fd(), &name)?;
            unlock(&inner)?;
            for child in names(&inner)? {
                match remove_name(&inner, &child) {
                    Err(Errno::EISDIR) => lift(&inner, &child, top, &mut serial)?,
                    done => done?,
                }
            }
            unlinkat(top, name.as_os_str(), UnlinkatFlags::RemoveDir)?;
        }
    }
}

/// Moves a directory to the top under a new name.
fn lift(from: &OwnedFd, name: &OsStr, top: &OwnedFd, serial: &mut u64) -> Result<()> {
    // A directory that moves must be writable, because its entry `..` changes.
    unlock(&open_in(from.as_fd(), name)?)?;
    loop {
        *serial += 1;
        let free = format!(".{serial}");
        match renameat(from, name, top, free.as_str()) {
            Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {}
            done => return done.map_err(Error::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn scratch(name: &str) -> PathBuf {
        let place =
            std::env::temp_dir().join(format!("seclude-isolate-{name}-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        place
    }

    #[test]
    fn everything_goes_and_nothing_outside() {
        let place = scratch("empty");
        let (inner, outside) = (place.join("box"), place.join("outside"));
        fs::create_dir_all(inner.join("a/b/.1")).unwrap();
        fs::create_dir(inner.join(".2")).unwrap();
        fs::write(inner.join(".1"), "").unwrap();
        fs::write(inner.join("a/b/file"), "").unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        symlink(&outside, inner.join("a/link")).unwrap();
        symlink(&outside, inner.join("link")).unwrap();
        fs::set_permissions(inner.join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        empty(&open(&inner).unwrap()).unwrap();
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 0);
        assert!(outside.join("kept").exists());
        symlink(&outside, place.join("top")).unwrap();
        open(&place.join("top")).unwrap_err();
        fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn special_files_go_and_plain_ones_stay() {
        let place = scratch("plain");
        fs::create_dir(place.join("a")).unwrap();
        fs::write(place.join("a/file"), "").unwrap();
        symlink("/etc/passwd", place.join("a/link")).unwrap();
        change(&open(&place).unwrap(), Change::Plain).unwrap();
        assert!(place.join("a/file").exists() && !place.join("a/link").is_symlink());
        fs::remove_dir_all(place).unwrap();
    }
}
