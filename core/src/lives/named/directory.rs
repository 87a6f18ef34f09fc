//! The directory of a user's published cells: the user's own, that nobody else may write to, and
//! locked while it is worked on.
//!
//! The lock is on a file in it that nobody else may open. Any user who may open a file or a
//! directory, if only to read it, can lock it and keep it locked: flock(2).
//!
//! The environment variable SECLUDE_CELLS names it; else it is in XDG_RUNTIME_DIR, for root in
//! `/run`, and for who has neither in `/tmp`.

use super::{Life, NamedCell, read};
use crate::base::error::{Error, Result};
use crate::host::file_size;
use crate::host::socket;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "SECLUDE_CELLS";
const SUFFIX: &str = ".cell";
/// An entry that is longer is none of ours.
const LONGEST: u64 = 16 << 20;

const LOCK: &str = ".lock";

/// The directory, locked.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    opened: OwnedFd,
    _lock: Flock<File>,
}

/// What stands under a name.
pub enum Found {
    Cell(Box<NamedCell>),
    /// Something that is no entry of ours.
    Other,
    Nothing,
}

impl Directory {
    pub fn open() -> Result<Directory> {
        let given = |name: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let uid = geteuid();
        let path = given(VARIABLE)
            .or_else(|| given("XDG_RUNTIME_DIR").map(|path| path.join("seclude")))
            .unwrap_or_else(|| {
                if uid.is_root() {
                    "/run/seclude".into()
                } else {
                    format!("/tmp/seclude-{uid}").into()
                }
            });
        let made = DirBuilder::new().mode(0o700).recursive(true).create(&path);
        made.map_err(|error| failed("make the directory of published cells", &path, error))?;
        Directory::at(&path)
    }

    pub fn at(path: &Path) -> Result<Directory> {
        const ACTION: &str = "open the directory of published cells";
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened =
            open(path, flags, Mode::empty()).map_err(|errno| failed(ACTION, path, errno))?;
        let status = fstat(&opened).map_err(|errno| failed(ACTION, path, errno))?;
        if status.st_uid != geteuid().as_raw() || status.st_mode & 0o022 != 0 {
            return Err(Error::invalid(
                format!("directory {}", path.display()),
                "others than the caller can write to it",
            )
            .at(path)
            .hint("name another: SECLUDE_CELLS"));
        }
        let lock = lock(opened.as_fd(), path)?;
        Ok(Directory { path: path.into(), opened, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn names(&self) -> Result<Vec<String>> {
        let list = |errno| failed("list the published cells", &self.path, errno);
        let mut directory = Dir::openat(
            self.opened.as_fd(),
            ".",
            OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .map_err(list)?;
        let mut names = Vec::new();
        for entry in directory.iter() {
            let entry = entry.map_err(list)?;
            names.extend(
                entry
                    .file_name()
                    .to_str()
                    .ok()
                    .and_then(|name| name.strip_suffix(SUFFIX))
                    .map(str::to_owned),
            );
        }
        Ok(names)
    }

    /// The living cell of this name. What is left of another one is removed.
    pub fn living(&self, name: &str) -> Result<Option<NamedCell>> {
        match self.read(name)? {
            Found::Cell(cell) => match cell.warden.life() {
                Life::Lives => return Ok(Some(*cell)),
                Life::Unknown => {}
                Life::Ended => self.remove(name),
            },
            Found::Other => self.remove(name),
            Found::Nothing => {}
        }
        Ok(None)
    }

    /// An entry that cannot be read is an error: it may be a living cell's.
    pub fn read(&self, name: &str) -> Result<Found> {
        let failed = |error: std::io::Error| {
            failed(&format!("read the entry of the cell {name} in"), &self.path, error)
        };
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(self.opened.as_fd(), &*file_name(name), flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(Found::Nothing),
            // A link, a socket, a device that is not there.
            Err(Errno::ELOOP | Errno::ENXIO | Errno::ENODEV) => return Ok(Found::Other),
            result => result.map_err(|errno| failed(errno.into()))?,
        };
        let mut bytes = Vec::new();
        match File::from(file).take(LONGEST).read_to_end(&mut bytes) {
            Err(error) if error.raw_os_error() == Some(libc::EISDIR) => return Ok(Found::Other),
            result => result.map_err(failed)?,
        };
        let cell = String::from_utf8(bytes).ok().and_then(|text| read(name, &text));
        Ok(cell.map_or(Found::Other, |cell| Found::Cell(Box::new(cell))))
    }

    /// Writes an entry, in one stroke for those who read it.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        const DRAFT: &str = ".draft";
        let action = format!("publish the cell {name}");
        file_size::check(text.len() as u64, file_size::limit()?, &action, "")?;
        let failed = |error: std::io::Error| failed(&action, &self.path, error);
        let flags = OFlag::O_WRONLY
            | OFlag::O_CREAT
            | OFlag::O_TRUNC
            | OFlag::O_NOFOLLOW
            | OFlag::O_CLOEXEC;
        let draft = openat(self.opened.as_fd(), DRAFT, flags, Mode::from_bits_truncate(0o600));
        // What another thread prints to a standard stream that is closed must not come into the
        // entry.
        let draft = socket::above_stdio(draft.map_err(|errno| failed(errno.into()))?)?;
        File::from(draft).write_all(text.as_bytes()).map_err(failed)?;
        renameat(self.opened.as_fd(), DRAFT, self.opened.as_fd(), &*file_name(name))
            .map_err(|errno| failed(errno.into()))
    }

    pub fn remove(&self, name: &str) {
        let _: std::result::Result<(), Errno> =
            unlinkat(self.opened.as_fd(), &*file_name(name), UnlinkatFlags::NoRemoveDir);
    }
}

/// Locks the directory against the caller's other processes, and against nobody else's.
fn lock(directory: BorrowedFd<'_>, path: &Path) -> Result<Flock<File>> {
    const ACTION: &str = "lock the directory of published cells";
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let opened = openat(directory, LOCK, flags, Mode::S_IRUSR | Mode::S_IWUSR)
        .map_err(|errno| failed(ACTION, path, errno))?;
    let status = fstat(&opened).map_err(|errno| failed(ACTION, path, errno))?;
    let is_file = status.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
    if !is_file || status.st_uid != geteuid().as_raw() || status.st_mode & 0o077 != 0 {
        let place = path.join(LOCK);
        return Err(Error::invalid(
            format!("lock {}", place.display()),
            "others than the caller could hold it",
        )
        .at(place)
        .hint("remove it"));
    }
    Flock::lock(File::from(opened), FlockArg::LockExclusive)
        .map_err(|(_, errno)| failed(ACTION, path, errno))
}

fn file_name(name: &str) -> String {
    format!("{name}{SUFFIX}")
}

fn failed(action: &str, path: &Path, error: impl Into<std::io::Error>) -> Error {
    Error::io(format!("{action} {}", path.display()), error).at(path)
}
