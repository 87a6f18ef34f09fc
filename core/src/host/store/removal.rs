//! Removes directories of the store, also those that their owner closed to itself.

use nix::dir::{Dir, Type};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

/// Removes what is at a path, with all below it. It is no error if nothing is there.
///
/// The program that makes the files of a layer ends with the process that imports it, but a moment
/// later. Until then it may make files in what is being removed.
pub fn remove(path: &Path) -> io::Result<()> {
    const TRIES: u32 = 1000;
    for _ in 0..TRIES {
        match try_remove(path) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTEMPTY) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
    try_remove(path)
}

fn try_remove(path: &Path) -> io::Result<()> {
    let status = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        status => status?,
    };
    if !status.is_dir() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(nix::fcntl::AT_FDCWD, path)?;
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Lets the owner change a directory and all below it. Images have directories without write
/// permission, and the kernel makes one without any for an overlay.
///
/// Each name is one below an open directory: a path of the image's with that of the store before it
/// can be longer than the kernel takes.
fn open_up<P: ?Sized + nix::NixPath>(above: BorrowedFd<'_>, name: &P) -> io::Result<()> {
    // The store is the caller's alone, and the kind of the file is known: it is no link.
    fchmodat(above, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink)?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut directory = Dir::from_fd(openat(above, name, flags, Mode::empty())?)?;
    let mut below = Vec::new();
    for entry in directory.iter() {
        let entry = entry?;
        let name = entry.file_name();
        // A file system that does not tell the kind is none that images are kept on.
        if entry.file_type() == Some(Type::Directory) && name != c"." && name != c".." {
            below.push(name.to_owned());
        }
    }
    below.iter().try_for_each(|name| open_up(directory.as_fd(), name.as_c_str()))
}
