//! What a copy has made so far, so that it can be undone: by name, but only where the very thing
//! that was made still stands.

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

/// A file, or a directory and what has been made in it.
pub struct Made {
    name: CString,
    /// Its device and inode, as its descriptor told them.
    identity: (u64, u64),
    within: Option<Vec<Made>>,
}

impl Made {
    pub fn file(name: &CString, status: &FileStat) -> Made {
        Made { name: name.clone(), identity: identity(status), within: None }
    }

    pub fn directory(name: &CString, status: &FileStat, within: Vec<Made>) -> Made {
        Made { within: Some(within), ..Made::file(name, status) }
    }
}

fn identity(status: &FileStat) -> (u64, u64) {
    (status.st_dev, status.st_ino)
}

/// Removes what was made in the directory `parent`, last things first. Others may have renamed it
/// meanwhile, and put something of theirs in its place: that stays. So does what they have put into
/// a directory, and the directory with it.
///
/// Between the look and the removal they may exchange it once more. What is removed then is what
/// the rights of this thread allow, and these are no more than theirs.
pub fn undo(parent: BorrowedFd<'_>, made: &[Made]) {
    const FOUND: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
    for made in made.iter().rev() {
        let name = made.name.as_c_str();
        let Ok(found) = openat(parent, name, FOUND, Mode::empty()) else { continue };
        if !fstat(&found).is_ok_and(|status| identity(&status) == made.identity) {
            continue;
        }
        let flag = match &made.within {
            Some(within) => {
                undo(found.as_fd(), within);
                UnlinkatFlags::RemoveDir
            }
            None => UnlinkatFlags::NoRemoveDir,
        };
        let _: Result<(), Errno> = unlinkat(parent, name, flag);
    }
}

/// Whether there is nothing in a directory.
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
