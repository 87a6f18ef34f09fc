//! Copying files and trees out of, and into, places that somebody hostile may have filled, and may change meanwhile.
//!
//! Everything is found by descriptor, one name at a time, and no symbolic link is followed. Only regular files and directories are copied; what is copied is counted
//! against bounds as it is read, not as it is promised.

use crate::error::{Error, ErrorKind, Result};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, setfsgid, setfsuid, unlinkat};
use std::ffi::{CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// How files and trees are copied, and how much of them at most.
///
/// ```no_run
/// # fn main() -> seclude::Result<()> {
/// // What a program left in a directory that was bound writable.
/// let copied = seclude::Transfer::new().max_bytes(seclude::MiB(1)).copy("/srv/work/7", "out", "/srv/results/7")?;
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

/// What has been copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Files and directories.
    pub entries: u64,
    /// Bytes in files.
    pub bytes: u64,
    /// What is neither a file nor a directory, below the copied path; left out with [`Transfer::skip_special`].
    pub skipped: Vec<PathBuf>,
}

impl Default for Transfer {
    fn default() -> Transfer {
        Transfer { max_bytes: 256 << 20, max_entries: 10_000, skips: false }
    }
}

/// Directories are entered so deep, and no deeper.
const DEPTH_MAX: usize = 64;

impl Transfer {
    /// At most 256 MiB in 10,000 files and directories, 64 deep.
    pub fn new() -> Transfer {
        Transfer::default()
    }

    /// At most so many bytes in files. A file counts with its length, holes included.
    #[must_use]
    pub fn max_bytes(self, bytes: impl Into<u64>) -> Transfer {
        Transfer { max_bytes: bytes.into(), ..self }
    }

    /// At most so many files and directories.
    #[must_use]
    pub fn max_entries(self, number: u64) -> Transfer {
        Transfer { max_entries: number, ..self }
    }

    /// Leaves out symbolic links, pipes, sockets and devices, and tells them. Without a word from here, they are an error.
    #[must_use]
    pub fn skip_special(self) -> Transfer {
        Transfer { skips: true, ..self }
    }

    /// Copies the file or tree at `path`, relative to the directory `base`, to `to`, which must not exist yet. No link in `path` or below it is followed; `base` is
    /// the caller's word. The copies are the caller's, with the permissions of the originals but for set-user-id and sticky bits. After an
    /// error, nothing is left at `to`.
    pub fn copy(&self, base: impl AsRef<Path>, path: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Copied> {
        let (base, path, to) = (base.as_ref(), path.as_ref(), to.as_ref());
        let directory = open_directory(base)?;
        let (parent, name) = split(to)?;
        self.run((directory.as_fd(), path), (open_directory(parent)?.as_fd(), &name), None)
    }

    /// From a path below a directory to a name in one, whose owner the copies are to have.
    pub(crate) fn run(
        &self,
        from: (BorrowedFd<'_>, &Path),
        to: (BorrowedFd<'_>, &CString),
        owner: Option<(u32, u32)>,
    ) -> Result<Copied> {
        let mut copying = Copying { transfer: self, copied: Copied::default(), at: from.1.into(), owner };
        let source = find(from.0, from.1, OFlag::O_PATH).map_err(|errno| copying.failed("find", errno))?;
        if fstatat(to.0, to.1.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok() {
            return Err(copying.failed("copy, for there is something already where it is to be,", Errno::EEXIST));
        }
        match copying.one(source.as_fd(), to, 0) {
            Ok(()) => Ok(copying.copied),
            Err(error) => {
                remove(to.0, to.1);
                Err(error)
            }
        }
    }
}

/// Opens what stands at `path` below `base`, and not behind any link.
pub(crate) fn find(base: BorrowedFd<'_>, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let bounds = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat2(base, path, OpenHow::new().flags(flags).resolve(bounds)) {
        // Before Linux 5.6, or where a filter refuses the call. The kernel itself has no reason for EPERM here.
        Err(Errno::ENOSYS | Errno::EPERM) => walk(base, path, flags),
        result => result,
    }
}

/// The same, one component at a time.
fn walk(base: BorrowedFd<'_>, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    const STEP: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
    let open = |directory: BorrowedFd<'_>, name: &OsStr, flags: OFlag| {
        let found = openat(directory, name, STEP, Mode::empty())?;
        if SFlag::from_bits_truncate(fstat(&found)?.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFLNK {
            return Err(Errno::ELOOP);
        }
        // O_NOFOLLOW is among them: what has become a link meanwhile is not followed.
        if flags == STEP { Ok(found) } else { openat(directory, name, flags, Mode::empty()) }
    };
    // The directories that lead to where it is, without the first.
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

/// While this lives, what this thread makes belongs to others: `setfsuid(2)`.
struct Acting(Option<(nix::unistd::Uid, nix::unistd::Gid)>);

impl Acting {
    fn as_owner(owner: Option<(u32, u32)>) -> Acting {
        Acting(owner.map(|(uid, gid)| {
            let gid = setfsgid(gid.into());
            (setfsuid(uid.into()), gid)
        }))
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        if let Some((uid, gid)) = self.0 {
            setfsuid(uid);
            setfsgid(gid);
        }
    }
}

struct Copying<'a> {
    transfer: &'a Transfer,
    copied: Copied,
    /// Where it is, for errors.
    at: PathBuf,
    /// Whose the copies are, if not the caller's.
    owner: Option<(u32, u32)>,
}

impl Copying<'_> {
    fn failed(&self, action: &str, errno: Errno) -> Error {
        let error = Error::new(ErrorKind::Io, format!("{action} {}", self.at.display())).errno(errno as i32).at(&self.at);
        match errno {
            Errno::ELOOP => error.hint("a part of it is a symbolic link, and none is followed"),
            Errno::EXDEV => error.hint("it leads out of the directory"),
            Errno::EEXIST => error.hint("choose another place, or remove what is there"),
            _ => error,
        }
    }

    fn bounded(&self, what: &str, most: u64) -> Error {
        Error::new(ErrorKind::Invalid, format!("copy {}", self.at.display()))
            .because(format!("there are more than {most} {what}"))
            .errno(libc::EFBIG)
            .hint("raise the bound, if that is what it should be")
    }

    /// Copies what `found` stands for, which nobody has opened yet.
    fn one(&mut self, found: BorrowedFd<'_>, to: (BorrowedFd<'_>, &CString), depth: usize) -> Result<()> {
        let status = fstat(found).map_err(|errno| self.failed("look at", errno))?;
        let kind = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
        if kind != SFlag::S_IFREG && kind != SFlag::S_IFDIR {
            if self.transfer.skips {
                self.copied.skipped.push(self.at.clone());
                return Ok(());
            }
            let error = Error::new(ErrorKind::Invalid, format!("copy {}", self.at.display()))
                .because("it is neither a file nor a directory");
            return Err(error.at(&self.at).hint("leave such things out (skip_special)"));
        }
        self.copied.entries += 1;
        if self.copied.entries > self.transfer.max_entries {
            return Err(self.bounded("files and directories", self.transfer.max_entries));
        }
        let mode = Mode::from_bits_truncate(status.st_mode & 0o777);
        if kind == SFlag::S_IFDIR {
            self.directory(found, to, mode, depth)
        } else {
            let length = u64::try_from(status.st_size).unwrap_or(0);
            if length > self.transfer.max_bytes.saturating_sub(self.copied.bytes) {
                return Err(self.bounded("bytes", self.transfer.max_bytes));
            }
            self.file(found, to, mode)
        }
    }

    fn directory(&mut self, found: BorrowedFd<'_>, to: (BorrowedFd<'_>, &CString), mode: Mode, depth: usize) -> Result<()> {
        const LIST: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
        if depth == DEPTH_MAX {
            return Err(self.bounded("directories, one within the other", DEPTH_MAX as u64));
        }
        // Ours alone while it is filled; what it is to be comes last.
        let acting = Acting::as_owner(self.owner);
        mkdirat(to.0, to.1.as_c_str(), Mode::S_IRWXU).map_err(|errno| self.failed("make a directory for", errno))?;
        let made =
            openat(to.0, to.1.as_c_str(), LIST, Mode::empty()).map_err(|errno| self.failed("open the directory for", errno))?;
        drop(acting);
        let mut list = Dir::openat(found, c".", LIST, Mode::empty()).map_err(|errno| self.failed("list", errno))?;
        for entry in list.iter() {
            let entry = entry.map_err(|errno| self.failed("list", errno))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.at.push(OsStr::from_bytes(name.to_bytes()));
            let next = openat(found, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty());
            let next = next.map_err(|errno| self.failed("find", errno))?;
            self.one(next.as_fd(), (made.as_fd(), &name.to_owned()), depth + 1)?;
            self.at.pop();
        }
        fchmod(&made, mode | Mode::S_IRWXU).map_err(|errno| self.failed("set the mode of the copy of", errno))
    }

    fn file(&mut self, found: BorrowedFd<'_>, to: (BorrowedFd<'_>, &CString), mode: Mode) -> Result<()> {
        const NEW: OFlag =
            OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_EXCL).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
        let failed = |at: &Path, action: &str, error: std::io::Error| Error::io(format!("{action} {}", at.display()), error).at(at);
        // The very file that was looked at, by its descriptor: whatever stands at its name by now.
        let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
        let mut source = OpenOptions::new().read(true).open(itself).map_err(|error| failed(&self.at, "open", error))?;
        let acting = Acting::as_owner(self.owner);
        let made = openat(to.0, to.1.as_c_str(), NEW, Mode::S_IRUSR | Mode::S_IWUSR);
        drop(acting);
        let mut made = File::from(made.map_err(|errno| self.failed("make a file for", errno))?);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = source.read(&mut buffer).map_err(|error| failed(&self.at, "read", error))?;
            if count == 0 {
                break;
            }
            // It may have grown since it was looked at.
            self.copied.bytes += count as u64;
            if self.copied.bytes > self.transfer.max_bytes {
                return Err(self.bounded("bytes", self.transfer.max_bytes));
            }
            made.write_all(&buffer[..count]).map_err(|error| failed(&self.at, "write the copy of", error))?;
        }
        fchmod(&made, mode | Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| self.failed("set the mode of the copy of", errno))
    }
}

/// Removes what we have made ourselves, and nothing that a link leads to.
fn remove(parent: BorrowedFd<'_>, name: &CString) {
    if unlinkat(parent, name.as_c_str(), UnlinkatFlags::NoRemoveDir) != Err(Errno::EISDIR) {
        return;
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    if let Ok(mut list) = Dir::openat(parent, name.as_c_str(), flags, Mode::empty()) {
        let names: Vec<CString> = list.iter().flatten().map(|entry| entry.file_name().to_owned()).collect();
        for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
            remove(list.as_fd(), name);
        }
    }
    let _ = unlinkat(parent, name.as_c_str(), UnlinkatFlags::RemoveDir);
}

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(nix::fcntl::AT_FDCWD, path, flags, Mode::empty())
        .map_err(|errno| Error::io(format!("open the directory {}", path.display()), errno))
}

/// The directory in which `path` stands or is to be made, and its name there.
pub(crate) fn split(path: &Path) -> Result<(&Path, CString)> {
    let name = path.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
    let name = name.ok_or_else(|| Error::invalid(format!("path {}", path.display()), "has no name of its own"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent, name))
}
