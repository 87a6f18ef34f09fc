//! Copying files and trees out of, and into, places that somebody hostile may have filled, and may
//! change meanwhile.
//!
//! Everything is found by descriptor, one name at a time, and no symbolic link is followed. Only
//! regular files and directories are copied; what is copied is counted against bounds as it is
//! read, not as it is promised. What a privileged caller does inside a sandbox it does with the
//! rights of the sandbox's user (`acting`), so that nothing inside can have it done what the user
//! could not do.

use crate::base::error::{Error, ErrorKind, Result};
use crate::host::file_size;
use crate::host::socket;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

mod acting;
mod made;

use acting::Actor;
pub(crate) use acting::Owner;
use made::Made;

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
    /// What is neither a file nor a directory, below the copied path; left out with
    /// [`Transfer::skip_special`]. It counts against [`Transfer::max_entries`], and all the
    /// paths together have at most 4 MiB.
    pub skipped: Vec<PathBuf>,
}

impl Default for Transfer {
    fn default() -> Transfer {
        Transfer { max_bytes: 256 << 20, max_entries: 10_000, skips: false }
    }
}

/// Directories are entered so deep, and no deeper.
const DEPTH_MAX: usize = 64;

/// So much the list of what was left out may take, and no more: a path counts with what it costs
/// besides its bytes.
const SKIPPED_MAX: usize = 4 << 20;
const SKIPPED_EACH: usize = 64;

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

    /// At most so many files and directories, and other things that are left out.
    #[must_use]
    pub fn max_entries(self, number: u64) -> Transfer {
        Transfer { max_entries: number, ..self }
    }

    /// Leaves out symbolic links, pipes, sockets and devices, and tells them. Without a word from
    /// here, they are an error.
    #[must_use]
    pub fn skip_special(self) -> Transfer {
        Transfer { skips: true, ..self }
    }

    /// Copies the file or tree at `path`, relative to the directory `base`, to `to`, which must not
    /// exist yet. No link in `path` or below it is followed; `base` is the caller's word. The
    /// copies are the caller's, with the permissions of the originals but for set-user-id and
    /// sticky bits. After an error, nothing is left at `to` but what others have put there
    /// meanwhile.
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

    /// From a path below a directory to a path below another one.
    pub(crate) fn run(&self, from: Side<'_>, to: Side<'_>) -> Result<Copied> {
        acting::apart(&[from.owner, to.owner], || {
            let (reads, makes) = (Actor::new(from.owner)?, Actor::new(to.owner)?);
            let mut copying = Copying {
                transfer: self,
                copied: Copied::default(),
                skipped: 0,
                at: from.path.into(),
                reads,
                makes,
            };
            let source =
                copying.reads.act(|| find(from.directory.as_fd(), from.path, OFlag::O_PATH))?;
            let source = source.map_err(|errno| copying.failed("find", errno))?;
            let (parent, name) = split(to.path)?;
            let directory = OFlag::O_PATH | OFlag::O_DIRECTORY;
            let place = copying.makes.act(|| find(to.directory.as_fd(), parent, directory))?;
            let shown = to.shown.parent().unwrap_or(to.shown);
            let place = place
                .map_err(|errno| Error::io(format!("find {}", shown.display()), errno).at(shown))?;
            if copying
                .makes
                .act(|| fstatat(&place, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW))?
                .is_ok()
            {
                return Err(copying.failed(
                    "copy, for there is something already where it is to be,",
                    Errno::EEXIST,
                ));
            }
            let mut made = Vec::new();
            let result = copying.one(source.as_fd(), (place.as_fd(), &name), &mut made, 0);
            match result {
                Ok(()) => Ok(copying.copied),
                Err(error) => {
                    // What cannot be undone with the rights with which it was made is not ours to
                    // undo.
                    let _ = copying.makes.act(|| made::undo(place.as_fd(), &made));
                    Err(error)
                }
            }
        })
    }
}

/// Where one side of a copy is: a path below a directory, found with the rights of `owner` if that
/// is not the caller itself.
pub(crate) struct Side<'a> {
    pub directory: OwnedFd,
    pub path: &'a Path,
    /// The same as the caller wrote it.
    pub shown: &'a Path,
    pub owner: Option<Owner>,
}

pub(crate) fn path_of(name: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(name.to_bytes()))
}

/// Opens what stands at `path` below `base`, and not behind any link.
pub(crate) fn find(base: BorrowedFd<'_>, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let bounds = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat2(base, path, OpenHow::new().flags(flags).resolve(bounds)) {
        // Before Linux 5.6, or where a filter refuses the call. The kernel itself has no reason for
        // EPERM here.
        Err(Errno::ENOSYS | Errno::EPERM) => walk(base, path, flags),
        result => result,
    }
}

/// The same, one component at a time.
fn walk(base: BorrowedFd<'_>, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    const STEP: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
    let open = |directory: BorrowedFd<'_>, name: &OsStr, flags: OFlag| {
        let found = openat(directory, name, STEP, Mode::empty())?;
        if SFlag::from_bits_truncate(fstat(&found)?.st_mode & SFlag::S_IFMT.bits())
            == SFlag::S_IFLNK
        {
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

const LIST: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

struct Copying<'a> {
    transfer: &'a Transfer,
    copied: Copied,
    /// What the list of what was left out takes.
    skipped: usize,
    /// Where it is, for errors.
    at: PathBuf,
    /// The user whose rights decide what is read.
    reads: Actor,
    /// The user whose rights decide what is made, and who owns the copies.
    makes: Actor,
}

impl Copying<'_> {
    fn failed(&self, action: &str, errno: Errno) -> Error {
        let error = Error::new(ErrorKind::Io, format!("{action} {}", self.at.display()))
            .errno(errno as i32)
            .at(&self.at);
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

    /// Copies what `found` stands for, which nobody has opened yet, and notes in `made` what it
    /// makes.
    fn one(
        &mut self,
        found: BorrowedFd<'_>,
        to: (BorrowedFd<'_>, &CString),
        made: &mut Vec<Made>,
        depth: usize,
    ) -> Result<()> {
        let status = fstat(found).map_err(|errno| self.failed("look at", errno))?;
        let kind = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
        let special = kind != SFlag::S_IFREG && kind != SFlag::S_IFDIR;
        if special && !self.transfer.skips {
            let error = Error::new(ErrorKind::Invalid, format!("copy {}", self.at.display()))
                .because("it is neither a file nor a directory");
            return Err(error.at(&self.at).hint("leave such things out (skip_special)"));
        }
        // What is left out counts, too: it is looked at and told, and there may be any number of
        // it.
        if self.copied.entries + self.copied.skipped.len() as u64 >= self.transfer.max_entries {
            let what = if self.transfer.skips {
                "files, directories and other things"
            } else {
                "files and directories"
            };
            return Err(self.bounded(what, self.transfer.max_entries));
        }
        if special {
            self.skipped += self.at.as_os_str().len() + SKIPPED_EACH;
            if self.skipped > SKIPPED_MAX {
                return Err(self
                    .bounded("bytes in the paths of what was left out", SKIPPED_MAX as u64)
                    .hint("copy parts of it"));
            }
            self.copied.skipped.push(self.at.clone());
            return Ok(());
        }
        self.copied.entries += 1;
        let mode = Mode::from_bits_truncate(status.st_mode & 0o777);
        if kind == SFlag::S_IFDIR {
            self.directory(found, to, mode, made, depth)
        } else {
            let length = u64::try_from(status.st_size).unwrap_or(0);
            if length > self.transfer.max_bytes.saturating_sub(self.copied.bytes) {
                return Err(self.bounded("bytes", self.transfer.max_bytes));
            }
            self.file(found, to, mode, length, made)
        }
    }

    fn directory(
        &mut self,
        found: BorrowedFd<'_>,
        to: (BorrowedFd<'_>, &CString),
        mode: Mode,
        made: &mut Vec<Made>,
        depth: usize,
    ) -> Result<()> {
        if depth == DEPTH_MAX {
            return Err(self.bounded("directories, one within the other", DEPTH_MAX as u64));
        }
        // Its owner's alone while it is filled; what it is to be comes last.
        let new = self.makes.act(|| -> nix::Result<(OwnedFd, FileStat, bool)> {
            mkdirat(to.0, to.1.as_c_str(), Mode::S_IRWXU)?;
            let new = openat(to.0, to.1.as_c_str(), LIST, Mode::empty())?;
            let status = fstat(&new)?;
            let empty = made::is_empty(new.as_fd())?;
            Ok((new, status, empty))
        })?;
        let (new, status, empty) =
            new.map_err(|errno| self.failed("make a directory for", errno))?;
        if !empty {
            // Not noted as made, so that it stays as it is.
            return Err(Error::new(
                ErrorKind::Io,
                format!("make a directory for {}", self.at.display()),
            )
            .because("a process has put another one in its place")
            .at(&self.at));
        }
        let mut within = Vec::new();
        let filled = self.fill(found, new.as_fd(), &mut within, depth);
        made.push(Made::directory(to.1, &status, within));
        filled?;
        let changed = self.makes.act(|| fchmod(&new, mode | Mode::S_IRWXU))?;
        changed.map_err(|errno| self.failed("set the mode of the copy of", errno))
    }

    /// Copies what is in a directory.
    fn fill(
        &mut self,
        found: BorrowedFd<'_>,
        new: BorrowedFd<'_>,
        made: &mut Vec<Made>,
        depth: usize,
    ) -> Result<()> {
        let list = self.reads.act(|| Dir::openat(found, c".", LIST, Mode::empty()))?;
        let mut list = list.map_err(|errno| self.failed("list", errno))?;
        for entry in list.iter() {
            let entry = entry.map_err(|errno| self.failed("list", errno))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.at.push(OsStr::from_bytes(name.to_bytes()));
            let path = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let next = self.reads.act(|| openat(found, name, path, Mode::empty()))?;
            let next = next.map_err(|errno| self.failed("find", errno))?;
            self.one(next.as_fd(), (new, &name.to_owned()), made, depth + 1)?;
            self.at.pop();
        }
        Ok(())
    }

    fn file(
        &mut self,
        found: BorrowedFd<'_>,
        to: (BorrowedFd<'_>, &CString),
        mode: Mode,
        length: u64,
        made: &mut Vec<Made>,
    ) -> Result<()> {
        const NEW: OFlag = OFlag::O_WRONLY
            .union(OFlag::O_CREAT)
            .union(OFlag::O_EXCL)
            .union(OFlag::O_NOFOLLOW)
            .union(OFlag::O_CLOEXEC);
        let failed = |at: &Path, action: &str, error: std::io::Error| {
            Error::io(format!("{action} {}", at.display()), error).at(at)
        };
        let largest = file_size::limit()?;
        let within = |bytes: u64, at: &Path| {
            file_size::check(
                bytes,
                largest,
                &format!("copy {}", at.display()),
                ", or lower max_bytes",
            )
            .map_err(|error| error.at(at))
        };
        within(length, &self.at)?;
        // The very file that was looked at, by its descriptor: whatever stands at its name by now.
        // Without O_NONBLOCK, opening would wait as long as a process inside holds a lease
        // on it.
        let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
        let source = self
            .reads
            .act(|| OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(itself))?;
        let mut source = source.map_err(|error| match error.raw_os_error() {
            Some(libc::EWOULDBLOCK) => failed(&self.at, "open", error)
                .hint("a process holds a lease on it (fcntl(2), F_SETLEASE)"),
            _ => failed(&self.at, "open", error),
        })?;
        let new = self.makes.act(|| -> nix::Result<(OwnedFd, FileStat)> {
            let new = openat(to.0, to.1.as_c_str(), NEW, Mode::S_IRUSR | Mode::S_IWUSR)?;
            let status = fstat(&new)?;
            Ok((new, status))
        })?;
        let (new, status) = new.map_err(|errno| self.failed("make a file for", errno))?;
        made.push(Made::file(to.1, &status));
        // What another thread prints to a standard stream that is closed must not come into the
        // copy.
        let mut new = File::from(socket::above_stdio(new)?);
        let mut buffer = vec![0; 64 * 1024];
        let mut written = 0;
        loop {
            let count =
                source.read(&mut buffer).map_err(|error| failed(&self.at, "read", error))?;
            if count == 0 {
                break;
            }
            // It may have grown since it was looked at.
            self.copied.bytes += count as u64;
            if self.copied.bytes > self.transfer.max_bytes {
                return Err(self.bounded("bytes", self.transfer.max_bytes));
            }
            written += count as u64;
            within(written, &self.at)?;
            new.write_all(&buffer[..count])
                .map_err(|error| failed(&self.at, "write the copy of", error))?;
        }
        let changed = self.makes.act(|| fchmod(&new, mode | Mode::S_IRUSR | Mode::S_IWUSR))?;
        changed.map_err(|errno| self.failed("set the mode of the copy of", errno))
    }
}

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(nix::fcntl::AT_FDCWD, path, flags, Mode::empty())
        .map_err(|errno| Error::io(format!("open the directory {}", path.display()), errno))
}

/// The directory in which `path` stands or is to be made, and its name there.
pub(crate) fn split(path: &Path) -> Result<(&Path, CString)> {
    let name = path.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
    let name = name.ok_or_else(|| {
        Error::invalid(format!("path {}", path.display()), "has no name of its own")
    })?;
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent, name))
}
