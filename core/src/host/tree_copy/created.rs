//! Records what a copy has created, so that it can be undone. The undo removes entries by name, but
//! only if the name still refers to the file that was created.

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

/// A file, or a directory and what has been created in it.
pub struct Created {
    name: CString,
    /// The device and inode numbers, read from the descriptor.
    identity: (u64, u64),
    contents: Option<Vec<Created>>,
}

impl Created {
    pub fn file(name: &CString, status: &FileStat) -> Created {
        Created { name: name.clone(), identity: identity(status), contents: None }
    }

    pub fn directory(name: &CString, status: &FileStat, contents: Vec<Created>) -> Created {
        Created { contents: Some(contents), ..Created::file(name, status) }
    }
}

pub fn identity(status: &FileStat) -> (u64, u64) {
    (status.st_dev, status.st_ino)
}

/// Removes what was created in the directory `parent`, last entries first. If another process has
/// renamed an entry meanwhile and put its own in place, that one stays. So does what it has put
/// into a directory, and the directory with it.
///
/// Another process may still exchange the entry between the check and the removal. The removal then
/// affects only what this thread's rights allow, and these are no more than the rights of that
/// process.
pub fn undo(parent: BorrowedFd<'_>, created: &[Created]) {
    const FOUND: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
    for created in created.iter().rev() {
        let name = created.name.as_c_str();
        let Ok(found) = openat(parent, name, FOUND, Mode::empty()) else { continue };
        if !fstat(&found).is_ok_and(|status| identity(&status) == created.identity) {
            continue;
        }
        let flag = match &created.contents {
            Some(contents) => {
                undo(found.as_fd(), contents);
                UnlinkatFlags::RemoveDir
            }
            None => UnlinkatFlags::NoRemoveDir,
        };
        let _: Result<(), Errno> = unlinkat(parent, name, flag);
    }
}

/// Whether a directory is empty.
pub fn is_empty(directory: BorrowedFd<'_>) -> nix::Result<bool> {
    const LIST: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
    let mut list = Dir::openat(directory, c".", LIST, Mode::empty())?;
    for entry in list.iter() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}
