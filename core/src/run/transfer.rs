//! Copies files and trees between the host and places that a hostile program may have filled, and
//! may change during the copy.
//!
//! Each entry is found by descriptor, one name at a time, and no symbolic link is followed. Only
//! regular files and directories are copied. The bounds apply to what is read, not to what the
//! file's size promises. Inside a sandbox, a privileged caller acts with the rights of the
//! sandbox's user (`acting`), so that a program inside cannot misuse the caller's rights.

use crate::base::error::{Error, ErrorKind, Result};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

mod acting;
mod collecting;
mod copying;
mod created;
mod disk;
mod memory;
mod sink;

use acting::Actor;
pub(crate) use acting::{Owner, privileged_caller};
pub(crate) use collecting::{Tree, make_directory};
use copying::Copying;
use disk::Disk;

/// How to copy files and trees, and the bounds of a copy.
///
/// ```no_run
/// # fn main() -> seclude::Result<()> {
/// // Copies what a program has left in a directory that was bound writable.
/// let transfer = seclude::Transfer::new().max_bytes(seclude::MiB(1));
/// let copied = transfer.copy("/srv/work/7", "out", "/srv/results/7")?;
/// assert!(copied.bytes <= 1 << 20);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    max_bytes: u64,
    max_entries: u64,
    skips: bool,
}

/// What a copy contains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The number of files and directories.
    pub entries: u64,
    /// The number of bytes in files.
    pub bytes: u64,
    /// The paths below the copied one that are neither files nor directories, and were left out
    /// with [`Transfer::skip_special`]. They count against [`Transfer::max_entries`]. All paths
    /// together take at most 4 MiB.
    pub skipped: Vec<PathBuf>,
}

impl Default for Transfer {
    fn default() -> Transfer {
        Transfer { max_bytes: 256 << 20, max_entries: 10_000, skips: false }
    }
}

impl Transfer {
    /// Creates a transfer with the default bounds: 256 MiB in 10,000 files and directories, 64
    /// levels deep.
    pub fn new() -> Transfer {
        Transfer::default()
    }

    /// Sets the most bytes to copy. A file counts with its length, holes included.
    #[must_use]
    pub fn max_bytes(self, bytes: impl Into<u64>) -> Transfer {
        Transfer { max_bytes: bytes.into(), ..self }
    }

    /// Sets the most files and directories to copy. Skipped entries count too.
    #[must_use]
    pub fn max_entries(self, number: u64) -> Transfer {
        Transfer { max_entries: number, ..self }
    }

    /// Skips symbolic links, pipes, sockets and devices, and lists them in [`Copied::skipped`]. By
    /// default they are an error.
    #[must_use]
    pub fn skip_special(self) -> Transfer {
        Transfer { skips: true, ..self }
    }

    /// Copies the file or tree at `path`, relative to the directory `base`, to `to`. `to` must not
    /// exist yet.
    ///
    /// No symbolic link in `path` or below it is followed. `base` is trusted, and links in it are
    /// followed. The copies belong to the caller. They have the permissions of the originals,
    /// without the set-user-id, set-group-id and sticky bits. The owner can always read and write a
    /// copy, and search a directory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a bound is exceeded, or if there is
    /// something that is neither a file nor a directory. [`ErrorKind::Io`](crate::ErrorKind::Io) if
    /// a file cannot be read or written, or if `to` exists. After an error the copy is removed,
    /// except for what other processes have put into it.
    pub fn copy(
        &self,
        base: impl AsRef<Path>,
        path: impl AsRef<Path>,
        to: impl AsRef<Path>,
    ) -> Result<Copied> {
        let (base, path, to) = (base.as_ref(), path.as_ref(), to.as_ref());
        let directory = open_directory(base)?;
        let (parent, name) = split(to)?;
        let to = Side {
            directory: open_directory(parent)?,
            path: path_of(&name),
            shown: to,
            owner: None,
        };
        self.run(Side { directory, path, shown: path, owner: None }, to)
    }

    /// Copies from a path below one directory to a path below another.
    pub(crate) fn run(&self, from: Side<'_>, to: Side<'_>) -> Result<Copied> {
        acting::in_own_thread(&[from.owner, to.owner], || {
            let (reader, writer) = (Actor::new(from.owner)?, Actor::new(to.owner)?);
            let source = reader.act(|| find(from.directory.as_fd(), from.path, OFlag::O_PATH))?;
            let source = source.map_err(|errno| failed(from.path, "find", errno))?;
            let (parent, name) = split(to.path)?;
            let directory = OFlag::O_PATH | OFlag::O_DIRECTORY;
            let place = writer.act(|| find(to.directory.as_fd(), parent, directory))?;
            let shown = to.shown.parent().unwrap_or(to.shown);
            let place = place
                .map_err(|errno| Error::io(format!("find {}", shown.display()), errno).at(shown))?;
            if writer
                .act(|| fstatat(&place, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW))?
                .is_ok()
            {
                let action = "copy, for there is something already where it is to be,";
                return Err(failed(from.path, action, Errno::EEXIST));
            }
            let sink = Disk::new(writer, place, ", or lower max_bytes")?;
            let mut copying = Copying::new(self, reader, sink);
            copying.at = from.path.into();
            match copying.copy_entry(source.as_fd(), &name, 0) {
                Ok(()) => Ok(copying.copied),
                Err(error) => {
                    copying.sink.undo();
                    Err(error)
                }
            }
        })
    }

    fn too_many(&self, at: &Path) -> Error {
        let what = if self.skips {
            "files, directories and other things"
        } else {
            "files and directories"
        };
        self.exceeded(at, what, self.max_entries)
    }

    fn exceeded(&self, at: &Path, what: &str, most: u64) -> Error {
        Error::new(ErrorKind::Invalid, format!("copy {}", at.display()))
            .because(format!("there are more than {most} {what}"))
            .errno(libc::EFBIG)
            .hint("raise the bound, if that is what it should be")
    }
}

/// The error of a system call about one entry of a copy.
fn failed(at: &Path, action: &str, errno: Errno) -> Error {
    let error =
        Error::new(ErrorKind::Io, format!("{action} {}", at.display())).errno(errno as i32).at(at);
    match errno {
        Errno::ELOOP => error.hint("a part of it is a symbolic link, and none is followed"),
        Errno::EXDEV => error.hint("it leads out of the directory"),
        Errno::EEXIST => error.hint("choose another place, or remove what is there"),
        _ => error,
    }
}

/// One side of a copy: a path below a directory. It is used with the rights of `owner`, or without
/// one with the caller's.
pub(crate) struct Side<'a> {
    pub directory: OwnedFd,
    pub path: &'a Path,
    /// The path as the caller gave it, for errors.
    pub shown: &'a Path,
    pub owner: Option<Owner>,
}

pub(crate) fn path_of(name: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(name.to_bytes()))
}

/// Opens `path` below `base` without following any link.
pub(crate) fn find(base: BorrowedFd<'_>, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
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

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(nix::fcntl::AT_FDCWD, path, flags, Mode::empty())
        .map_err(|errno| Error::io(format!("open the directory {}", path.display()), errno))
}

/// Splits `path` into the directory that contains it and its name there.
pub(crate) fn split(path: &Path) -> Result<(&Path, CString)> {
    let name = path.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
    let name = name.ok_or_else(|| {
        Error::invalid(format!("path {}", path.display()), "has no name of its own")
    })?;
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent, name))
}
