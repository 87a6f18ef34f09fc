//! Copies files and trees between the host and places that a hostile program may have filled, and
//! may change during the copy.
//!
//! Each entry is found by descriptor, one name at a time, and no symbolic link is followed. Only
//! regular files and directories are copied. The bounds apply to what is read, not to what the
//! file's size promises. Inside a sandbox, a privileged caller acts with the rights of the
//! sandbox's user (`acting`), so that a program inside cannot misuse the caller's rights.

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
mod created;

use acting::Actor;
pub(crate) use acting::Owner;
use created::Created;

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

/// The deepest level of directories that a copy enters.
const DEPTH_MAX: usize = 64;

/// The most memory that the list of skipped paths may take, in bytes, and what each path costs
/// besides its own bytes.
const SKIPPED_MAX: usize = 4 << 20;
const SKIPPED_EACH: usize = 64;

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
    /// [`ErrorKind::Invalid`] if a bound is exceeded, or if there is something that is neither a
    /// file nor a directory. [`ErrorKind::Io`] if a file cannot be read or written, or if `to`
    /// exists. After an error the copy is removed, except for what other processes have put into
    /// it.
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
            let mut copying = Copying {
                transfer: self,
                copied: Copied::default(),
                skipped: 0,
                at: from.path.into(),
                reader,
                writer,
            };
            let source =
                copying.reader.act(|| find(from.directory.as_fd(), from.path, OFlag::O_PATH))?;
            let source = source.map_err(|errno| copying.failed("find", errno))?;
            let (parent, name) = split(to.path)?;
            let directory = OFlag::O_PATH | OFlag::O_DIRECTORY;
            let place = copying.writer.act(|| find(to.directory.as_fd(), parent, directory))?;
            let shown = to.shown.parent().unwrap_or(to.shown);
            let place = place
                .map_err(|errno| Error::io(format!("find {}", shown.display()), errno).at(shown))?;
            if copying
                .writer
                .act(|| fstatat(&place, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW))?
                .is_ok()
            {
                return Err(copying.failed(
                    "copy, for there is something already where it is to be,",
                    Errno::EEXIST,
                ));
            }
            let mut created = Vec::new();
            let result =
                copying.copy_entry(source.as_fd(), (place.as_fd(), &name), &mut created, 0);
            match result {
                Ok(()) => Ok(copying.copied),
                Err(error) => {
                    // Undo with the same rights that made the files. What these rights cannot
                    // remove stays.
                    let _ = copying.writer.act(|| created::undo(place.as_fd(), &created));
                    Err(error)
                }
            }
        })
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

const LIST: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

struct Copying<'a> {
    transfer: &'a Transfer,
    copied: Copied,
    /// The memory that the list of skipped paths takes, in bytes.
    skipped: usize,
    /// The current path, for errors.
    at: PathBuf,
    /// The user whose rights apply to reading.
    reader: Actor,
    /// The user whose rights apply to writing, and who owns the copies.
    writer: Actor,
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

    fn exceeded(&self, what: &str, most: u64) -> Error {
        Error::new(ErrorKind::Invalid, format!("copy {}", self.at.display()))
            .because(format!("there are more than {most} {what}"))
            .errno(libc::EFBIG)
            .hint("raise the bound, if that is what it should be")
    }

    /// Copies one entry. `found` refers to it by O_PATH: opening a device or a pipe for reading
    /// could block or have an effect. Notes in `created` what the copy creates.
    fn copy_entry(
        &mut self,
        found: BorrowedFd<'_>,
        to: (BorrowedFd<'_>, &CString),
        created: &mut Vec<Created>,
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
        // Skipped entries count against the bound too: they take time and memory, and there may be
        // any number of them.
        if self.copied.entries + self.copied.skipped.len() as u64 >= self.transfer.max_entries {
            let what = if self.transfer.skips {
                "files, directories and other things"
            } else {
                "files and directories"
            };
            return Err(self.exceeded(what, self.transfer.max_entries));
        }
        if special {
            self.skipped += self.at.as_os_str().len() + SKIPPED_EACH;
            if self.skipped > SKIPPED_MAX {
                return Err(self
                    .exceeded("bytes in the paths of what was left out", SKIPPED_MAX as u64)
                    .hint("copy parts of it"));
            }
            self.copied.skipped.push(self.at.clone());
            return Ok(());
        }
        self.copied.entries += 1;
        let mode = Mode::from_bits_truncate(status.st_mode & 0o777);
        if kind == SFlag::S_IFDIR {
            self.copy_directory(found, to, mode, created, depth)
        } else {
            let length = u64::try_from(status.st_size).unwrap_or(0);
            if length > self.transfer.max_bytes.saturating_sub(self.copied.bytes) {
                return Err(self.exceeded("bytes", self.transfer.max_bytes));
            }
            self.copy_file(found, to, mode, length, created)
        }
    }

    fn copy_directory(
        &mut self,
        found: BorrowedFd<'_>,
        to: (BorrowedFd<'_>, &CString),
        mode: Mode,
        created: &mut Vec<Created>,
        depth: usize,
    ) -> Result<()> {
        if depth == DEPTH_MAX {
            return Err(self.exceeded("directories, one within the other", DEPTH_MAX as u64));
        }
        // Only the owner has rights to the directory while it is filled. The final mode comes last.
        let new = self.writer.act(|| -> nix::Result<(OwnedFd, FileStat, bool)> {
            mkdirat(to.0, to.1.as_c_str(), Mode::S_IRWXU)?;
            let new = openat(to.0, to.1.as_c_str(), LIST, Mode::empty())?;
            let status = fstat(&new)?;
            let empty = created::is_empty(new.as_fd())?;
            Ok((new, status, empty))
        })?;
        let (new, status, empty) =
            new.map_err(|errno| self.failed("make a directory for", errno))?;
        if !empty {
            // Do not add it to `created`, so that the undo leaves it alone.
            return Err(Error::new(
                ErrorKind::Io,
                format!("make a directory for {}", self.at.display()),
            )
            .because("a process has put another one in its place")
            .at(&self.at));
        }
        let mut contents = Vec::new();
        let filled = self.copy_contents(found, new.as_fd(), &mut contents, depth);
        created.push(Created::directory(to.1, &status, contents));
        filled?;
        let changed = self.writer.act(|| fchmod(&new, mode | Mode::S_IRWXU))?;
        changed.map_err(|errno| self.failed("set the mode of the copy of", errno))
    }

    /// Copies the entries of a directory.
    fn copy_contents(
        &mut self,
        found: BorrowedFd<'_>,
        new: BorrowedFd<'_>,
        created: &mut Vec<Created>,
        depth: usize,
    ) -> Result<()> {
        let list = self.reader.act(|| Dir::openat(found, c".", LIST, Mode::empty()))?;
        let mut list = list.map_err(|errno| self.failed("list", errno))?;
        for entry in list.iter() {
            let entry = entry.map_err(|errno| self.failed("list", errno))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.at.push(OsStr::from_bytes(name.to_bytes()));
            let path = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let next = self.reader.act(|| openat(found, name, path, Mode::empty()))?;
            let next = next.map_err(|errno| self.failed("find", errno))?;
            self.copy_entry(next.as_fd(), (new, &name.to_owned()), created, depth + 1)?;
            self.at.pop();
        }
        Ok(())
    }

    fn copy_file(
        &mut self,
        found: BorrowedFd<'_>,
        to: (BorrowedFd<'_>, &CString),
        mode: Mode,
        length: u64,
        created: &mut Vec<Created>,
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
        let check_size = |bytes: u64, at: &Path| {
            file_size::check(
                bytes,
                largest,
                &format!("copy {}", at.display()),
                ", or lower max_bytes",
            )
            .map_err(|error| error.at(at))
        };
        check_size(length, &self.at)?;
        // Open the file that was checked, by its descriptor, whatever its name refers to by now.
        // O_NONBLOCK: if a process inside holds a lease on the file, open(2) would otherwise block
        // until the lease is given up.
        let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
        let source = self
            .reader
            .act(|| OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(itself))?;
        let mut source = source.map_err(|error| match error.raw_os_error() {
            Some(libc::EWOULDBLOCK) => failed(&self.at, "open", error)
                .hint("a process holds a lease on it (fcntl(2), F_SETLEASE)"),
            _ => failed(&self.at, "open", error),
        })?;
        let new = self.writer.act(|| -> nix::Result<(OwnedFd, FileStat)> {
            let new = openat(to.0, to.1.as_c_str(), NEW, Mode::S_IRUSR | Mode::S_IWUSR)?;
            let status = fstat(&new)?;
            Ok((new, status))
        })?;
        let (new, status) = new.map_err(|errno| self.failed("make a file for", errno))?;
        created.push(Created::file(to.1, &status));
        // If a standard stream is closed, the new file could get its number. What another thread
        // prints would then end up in the copy.
        let mut new = File::from(socket::above_stdio(new)?);
        let mut buffer = vec![0; 64 * 1024];
        let mut written = 0;
        loop {
            let count =
                source.read(&mut buffer).map_err(|error| failed(&self.at, "read", error))?;
            if count == 0 {
                break;
            }
            // The file may have grown since its size was checked.
            self.copied.bytes += count as u64;
            if self.copied.bytes > self.transfer.max_bytes {
                return Err(self.exceeded("bytes", self.transfer.max_bytes));
            }
            written += count as u64;
            check_size(written, &self.at)?;
            new.write_all(&buffer[..count])
                .map_err(|error| failed(&self.at, "write the copy of", error))?;
        }
        let changed = self.writer.act(|| fchmod(&new, mode | Mode::S_IRUSR | Mode::S_IWUSR))?;
        changed.map_err(|errno| self.failed("set the mode of the copy of", errno))
    }
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
