//! Copies trees between directories that a hostile program may have filled, and may change during
//! the copy.
//!
//! Each entry is found by descriptor, one name at a time, and no symbolic link is followed. A file
//! is opened only after its descriptor has shown that it is a regular one. The bounds apply to what
//! is read, not to what the file's size promises. Each side of a copy has its own rights
//! ([`acting`]): inside a sandbox, a privileged caller acts with those of the sandbox's user, so
//! that a program inside cannot misuse the caller's.
//!
//! [`copy`] does all of it. For other targets than a directory, [`session`] gives the rights,
//! [`Copying`] walks, and a [`Sink`] receives the entries.

use crate::base::error::{Error, ErrorKind, Result};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

mod acting;
mod contents;
mod copying;
pub mod created;
mod disk;
mod filling;
mod progress;
mod sink;

pub use acting::{Actor, Owner, privileged_caller, session};
pub use contents::Contents;
pub use copying::{Copying, LIST};
pub use disk::Disk;
pub use progress::{CopyProgress, Watcher};
pub use sink::{Attributes, Sink};

/// The bounds of a copy, and what else applies to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The most bytes in files. A file counts with its length, holes included.
    pub max_bytes: u64,
    /// The most entries, skipped ones included.
    pub max_entries: u64,
    /// Whether what cannot be copied is skipped. Otherwise it is an error.
    pub skips: bool,
    /// Whether symbolic links, hard links and times of modification are kept.
    pub archive: bool,
    /// The caller's function that is told about the progress.
    pub watcher: Option<Watcher>,
}

/// What a copy contains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The number of files and directories, and of symbolic links that were copied
    /// ([`Transfer::archive`](crate::Transfer::archive)).
    pub entries: u64,
    /// The number of bytes in files. Further hard links to a file add none.
    pub bytes: u64,
    /// The paths below the copied one that cannot be copied, and were left out with
    /// [`Transfer::skip_special`](crate::Transfer::skip_special). They count against
    /// [`Transfer::max_entries`](crate::Transfer::max_entries). All paths together take at most
    /// 4 MiB.
    pub skipped: Vec<PathBuf>,
}

impl Rules {
    /// The error for one entry more than the bound.
    pub fn too_many(&self, at: &Path) -> Error {
        let what = if self.skips {
            "files, directories and other things"
        } else {
            "files and directories"
        };
        exceeded(at, what, self.max_entries)
    }
}

/// The error for more than a bound.
fn exceeded(at: &Path, what: &str, most: u64) -> Error {
    Error::new(ErrorKind::Invalid, format!("copy {}", at.display()))
        .because(format!("there are more than {most} {what}"))
        .errno(libc::EFBIG)
        .hint("raise the bound, if that is what it should be")
}

/// One side of a copy: a path below a directory. It is used with the rights of `owner`, or without
/// one with the caller's.
pub struct Side<'a> {
    pub directory: OwnedFd,
    pub path: &'a Path,
    /// The path as the caller gave it, for errors.
    pub shown: &'a Path,
    pub owner: Option<Owner>,
}

/// Copies from a path below one directory to a path below another, which must not exist yet. After
/// an error nothing of the copy is left.
pub fn copy(rules: &Rules, from: Side<'_>, to: Side<'_>) -> Result<Copied> {
    session(&[from.owner, to.owner], rules.watcher.as_ref(), |ticker| {
        let (reader, writer) = (Actor::new(from.owner)?, Actor::new(to.owner)?);
        let source = reader.act(|| find(from.directory.as_fd(), from.path, OFlag::O_PATH))?;
        let source = source.map_err(|errno| failed(from.path, "find", errno))?;
        let (parent, name) = split(to.path)?;
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let place = writer.act(|| find(to.directory.as_fd(), parent, directory))?;
        let shown = to.shown.parent().unwrap_or(to.shown);
        let place = place
            .map_err(|errno| Error::io(format!("find {}", shown.display()), errno).at(shown))?;
        if writer.act(|| fstatat(&place, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW))?.is_ok() {
            let action = "copy, for there is something already where it is to be,";
            return Err(failed(from.path, action, Errno::EEXIST));
        }
        let sink = Disk::new(place, ", or lower max_bytes")?;
        let mut copying = Copying::new(rules, &reader, &writer, sink, ticker)?;
        copying.at = from.path.into();
        match copying.copy_entry(source, &name, 0).and_then(|()| copying.finish()) {
            Ok(()) => Ok(copying.copied),
            Err(error) => {
                copying.undo();
                Err(error)
            }
        }
    })
}

/// The error of a system call about one entry of a copy.
pub fn failed(at: &Path, action: &str, errno: Errno) -> Error {
    let error =
        Error::new(ErrorKind::Io, format!("{action} {}", at.display())).errno(errno as i32).at(at);
    match errno {
        Errno::ELOOP => error.hint("a part of it is a symbolic link, and none is followed"),
        Errno::EXDEV => error.hint("it leads out of the directory"),
        Errno::EEXIST => error.hint("choose another place, or remove what is there"),
        _ => error,
    }
}

pub fn path_of(name: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(name.to_bytes()))
}

/// Opens `path` below `base` without following any link.
pub fn find(base: BorrowedFd<'_>, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let bounds = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat2(base, path, OpenHow::new().flags(flags).resolve(bounds)) {
        // openat2(2) is missing before Linux 5.6, or a filter refuses it. Here the kernel itself
        // never returns EPERM.
        Err(Errno::ENOSYS | Errno::EPERM) => walk(base, path, flags),
        result => result,
    }
}

/// The same without openat2(2), one component at a time.
fn walk(base: BorrowedFd<'_>, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    const STEP: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
    let open = |directory: BorrowedFd<'_>, name: &OsStr, flags: OFlag| {
        let found = openat(directory, name, STEP, Mode::empty())?;
        if SFlag::from_bits_truncate(fstat(&found)?.st_mode & SFlag::S_IFMT.bits())
            == SFlag::S_IFLNK
        {
            return Err(Errno::ELOOP);
        }
        // `flags` contain O_NOFOLLOW, so a link that has taken the place meanwhile is not followed.
        if flags == STEP { Ok(found) } else { openat(directory, name, flags, Mode::empty()) }
    };
    // The open directories on the way to the current one, without `base`.
    let mut above: Vec<OwnedFd> = Vec::new();
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        let here = above.last().map_or(base, AsFd::as_fd);
        let name = match component {
            Component::Normal(name) => name,
            Component::CurDir => continue,
            Component::ParentDir => {
                above.pop().ok_or(Errno::EXDEV)?;
                continue;
            }
            Component::RootDir | Component::Prefix(_) => return Err(Errno::EXDEV),
        };
        let flags = if components.peek().is_none() { flags } else { STEP };
        let next = open(here, name, flags)?;
        above.push(next);
    }
    above.pop().map_or_else(|| openat(base, ".", flags, Mode::empty()), Ok)
}

pub fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(AT_FDCWD, path, flags, Mode::empty())
        .map_err(|errno| Error::io(format!("open the directory {}", path.display()), errno))
}

/// Splits `path` into the directory that contains it and its name there.
pub fn split(path: &Path) -> Result<(&Path, CString)> {
    let name = path.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
    let name = name.ok_or_else(|| {
        Error::invalid(format!("path {}", path.display()), "has no name of its own")
    })?;
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent, name))
}
