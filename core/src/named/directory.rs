//! The directory of a user's published cells: the user's own, that nobody else may write to, and locked while it is worked on.
//!
//! The environment variable SECLUDE_CELLS names it; else it is in XDG_RUNTIME_DIR, for root in `/run`, and for who has neither in `/tmp`.

use super::{NamedCell, read};
use crate::error::{Error, Result};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "SECLUDE_CELLS";
const SUFFIX: &str = ".cell";
/// An entry that is longer is none of ours.
const LONGEST: u64 = 16 << 20;

/// It, locked.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    lock: Flock<File>,
}

impl Directory {
    pub fn open() -> Result<Directory> {
        let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let uid = geteuid();
        let path = given(VARIABLE)
            .or_else(|| given("XDG_RUNTIME_DIR").map(|path| path.join("seclude")))
            .unwrap_or_else(|| if uid.is_root() { "/run/seclude".into() } else { format!("/tmp/seclude-{uid}").into() });
        let made = DirBuilder::new().mode(0o700).recursive(true).create(&path);
        made.map_err(|error| failed("make the directory of published cells", &path, error))?;
        Directory::at(&path)
    }

    pub fn at(path: &Path) -> Result<Directory> {
        const ACTION: &str = "open the directory of published cells";
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = open(path, flags, Mode::empty()).map_err(|errno| failed(ACTION, path, errno))?;
        let status = fstat(&opened).map_err(|errno| failed(ACTION, path, errno))?;
        if status.st_uid != geteuid().as_raw() || status.st_mode & 0o022 != 0 {
            return Err(Error::invalid(format!("directory {}", path.display()), "others than the caller can write to it")
                .at(path)
                .hint("name another: SECLUDE_CELLS"));
        }
        let lock = Flock::lock(File::from(opened), FlockArg::LockExclusive);
        let lock = lock.map_err(|(_, errno)| failed("lock the directory of published cells", path, errno))?;
        Ok(Directory { path: path.into(), lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn names(&self) -> Result<Vec<String>> {
        let list = |errno| failed("list the published cells", &self.path, errno);
        let mut directory =
            Dir::openat(self.lock.as_fd(), ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
                .map_err(list)?;
        let mut names = Vec::new();
        for entry in directory.iter() {
            let entry = entry.map_err(list)?;
            names.extend(entry.file_name().to_str().ok().and_then(|name| name.strip_suffix(SUFFIX)).map(str::to_owned));
        }
        Ok(names)
    }

    /// The living cell of this name. What is left of another one is removed.
    pub fn living(&self, name: &str) -> Result<Option<NamedCell>> {
        match self.read(name)? {
            Some(cell) if cell.warden.lives()? => Ok(Some(cell)),
            Some(cell) if !cell.warden.is_judged_here()? => Ok(None),
            _ => {
                self.remove(name);
                Ok(None)
            }
        }
    }

    /// The entry of this name; `None` if there is none, or what stands there is no entry.
    pub fn read(&self, name: &str) -> Result<Option<NamedCell>> {
        let failed = |error: std::io::Error| failed(&format!("read the published cell {name} in"), &self.path, error);
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(self.lock.as_fd(), &*file_name(name), flags, Mode::empty()) {
            // A socket's ENXIO, a link's ELOOP, a stranger's EACCES: nothing that this user has published.
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO | Errno::EACCES) => return Ok(None),
            opened => opened.map_err(|errno| failed(errno.into()))?,
        };
        let mut bytes = Vec::new();
        match File::from(file).take(LONGEST).read_to_end(&mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => return Ok(None),
            result => result.map_err(failed)?,
        };
        Ok(str::from_utf8(&bytes).ok().and_then(|text| read(name, text)))
    }

    /// Writes an entry, in one stroke for those who read it.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        const DRAFT: &str = ".draft";
        let failed = |error: std::io::Error| failed(&format!("publish the cell {name}"), &self.path, error);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let draft = openat(self.lock.as_fd(), DRAFT, flags, Mode::from_bits_truncate(0o600));
        draft.map_err(std::io::Error::from).and_then(|draft| File::from(draft).write_all(text.as_bytes())).map_err(failed)?;
        renameat(self.lock.as_fd(), DRAFT, self.lock.as_fd(), &*file_name(name)).map_err(|errno| failed(errno.into()))
    }

    pub fn remove(&self, name: &str) {
        let _: std::result::Result<(), Errno> = unlinkat(self.lock.as_fd(), &*file_name(name), UnlinkatFlags::NoRemoveDir);
    }
}

fn file_name(name: &str) -> String {
    format!("{name}{SUFFIX}")
}

fn failed(action: &str, path: &Path, error: impl Into<std::io::Error>) -> Error {
    Error::io(format!("{action} {}", path.display()), error).at(path)
}
