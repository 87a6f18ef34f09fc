//! Copies that become files below a directory. What has been made can be undone.

use super::created::{self, Created};
use super::filling::Filling;
use super::{Attributes, Contents, Sink, failed, find};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::sys;
use crate::host::socket;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{linkat, symlinkat};
use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the owner of a file may always do with it.
const OWN: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// A directory that copies are put into.
pub struct Disk {
    place: OwnedFd,
    /// What has been made in `place`, without the directories that are being filled.
    created: Vec<Created>,
    /// The directories that are being filled, outer ones first.
    open: Vec<Level>,
    filling: Filling,
    /// The copies of files that have further hard links, by the identity of the original.
    linked: HashMap<Identity, FirstLink>,
}

/// The device and inode numbers of a file.
type Identity = (u64, u64);

/// A copy that further hard links to the original become hard links to.
struct FirstLink {
    /// Its path below the place of the copies.
    path: PathBuf,
    identity: Identity,
}

struct Level {
    name: CString,
    directory: OwnedFd,
    status: FileStat,
    contents: Vec<Created>,
}

impl Disk {
    /// `remedy` is what to do if the caller's limit on the size of files is too low, for the hint
    /// of the error.
    pub fn new(place: OwnedFd, remedy: &'static str) -> Result<Disk> {
        let (created, open) = (Vec::new(), Vec::new());
        let (filling, linked) = (Filling::new(remedy)?, HashMap::new());
        Ok(Disk { place, created, open, filling, linked })
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.place.as_fd(), |level| level.directory.as_fd())
    }

    fn note(&mut self, created: Created) {
        self.open.last_mut().map_or(&mut self.created, |level| &mut level.contents).push(created);
    }

    /// Ends the innermost directory without setting its permissions.
    fn close(&mut self) -> Option<OwnedFd> {
        let Level { name, directory, status, contents } = self.open.pop()?;
        self.note(Created::directory(&name, &status, contents));
        Some(directory)
    }
}

impl Disk {
    /// The path of a new entry below the place of the copies.
    fn path_of(&self, name: &CString) -> PathBuf {
        let above = self.open.iter().map(|level| &level.name);
        above.chain([name]).map(|name| OsStr::from_bytes(name.to_bytes())).collect()
    }

    /// Makes a hard link to an earlier copy. Returns whether that was possible: a process may have
    /// put something else in the place of the copy, or the file system has no hard links.
    fn link_to(&mut self, first: Identity, name: &CString) -> bool {
        let Some(first) = self.linked.get(&first) else { return false };
        let make = || -> nix::Result<FileStat> {
            let found = find(self.place.as_fd(), &first.path, OFlag::O_PATH)?;
            if created::identity(&fstat(&found)?) != first.identity {
                return Err(Errno::ESTALE);
            }
            let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
            let follow = AtFlags::AT_SYMLINK_FOLLOW;
            linkat(AT_FDCWD, itself.as_str(), self.here(), name.as_c_str(), follow)?;
            fstat(&found)
        };
        let Ok(status) = make() else { return false };
        self.note(Created::file(name, &status));
        true
    }
}

impl Sink for Disk {
    fn enter(&mut self, at: &Path, name: &CString) -> Result<()> {
        const LIST: OFlag = OFlag::O_RDONLY
            .union(OFlag::O_DIRECTORY)
            .union(OFlag::O_NOFOLLOW)
            .union(OFlag::O_CLOEXEC);
        // Only the owner has rights to the directory while it is filled. The final mode comes last.
        let make = || -> nix::Result<(OwnedFd, FileStat, bool)> {
            mkdirat(self.here(), name.as_c_str(), Mode::S_IRWXU)?;
            let new = openat(self.here(), name.as_c_str(), LIST, Mode::empty())?;
            let status = fstat(&new)?;
            let empty = created::is_empty(new.as_fd())?;
            Ok((new, status, empty))
        };
        let (directory, status, empty) =
            make().map_err(|errno| failed(at, "make a directory for", errno))?;
        if !empty {
            return Err(displaced(at, "make a directory for"));
        }
        self.open.push(Level { name: name.clone(), directory, status, contents: Vec::new() });
        Ok(())
    }

    fn leave(&mut self, at: &Path, attributes: &Attributes) -> Result<()> {
        let Some(directory) = self.close() else { return Ok(()) };
        fchmod(&directory, attributes.mode | Mode::S_IRWXU)
            .map_err(|errno| failed(at, "set the mode of the copy of", errno))?;
        set_time(&directory, attributes)
            .map_err(|errno| failed(at, "set the time of the copy of", errno))
    }

    fn file(
        &mut self,
        name: &CString,
        contents: &mut Contents<'_>,
        attributes: &Attributes,
    ) -> Result<()> {
        const NEW: OFlag = OFlag::O_WRONLY
            .union(OFlag::O_CREAT)
            .union(OFlag::O_EXCL)
            .union(OFlag::O_NOFOLLOW)
            .union(OFlag::O_CLOEXEC);
        let original = contents.identity();
        if original.is_some_and(|original| self.link_to(original, name)) {
            return Ok(());
        }
        let mode = attributes.mode | OWN;
        self.filling.check_size(contents, contents.length())?;
        // Where others could find it, only the owner has rights to the file while it is filled.
        let first = if self.open.is_empty() { OWN } else { mode };
        let make = || -> nix::Result<(OwnedFd, FileStat)> {
            let new = openat(self.here(), name.as_c_str(), NEW, first)?;
            let status = fstat(&new)?;
            Ok((new, status))
        };
        let (new, status) = make().map_err(|errno| contents.failed("make a file for", errno))?;
        self.note(Created::file(name, &status));
        // If a standard stream is closed, the new file could get its number. What another thread
        // prints would then end up in the copy.
        let file = File::from(socket::above_stdio(new)?);
        self.filling.fill(contents, &file, &status)?;
        // The umask, or a default ACL of the directory, may have taken permissions away.
        if status.st_mode & 0o7777 != mode.bits() {
            fchmod(&file, mode)
                .map_err(|errno| contents.failed("set the mode of the copy of", errno))?;
        }
        set_time(&file, attributes)
            .map_err(|errno| contents.failed("set the time of the copy of", errno))?;
        if let Some(original) = original {
            let first =
                FirstLink { path: self.path_of(name), identity: created::identity(&status) };
            self.linked.insert(original, first);
        }
        Ok(())
    }

    fn link(
        &mut self,
        at: &Path,
        name: &CString,
        target: &CStr,
        attributes: &Attributes,
    ) -> Result<()> {
        const FOUND: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
        let make = || -> nix::Result<(OwnedFd, bool)> {
            symlinkat(target, self.here(), name.as_c_str())?;
            let new = openat(self.here(), name.as_c_str(), FOUND, Mode::empty())?;
            // Of anything but a link, this is an error, or no name.
            let is_ours = readlinkat(&new, c"").is_ok_and(|is| is.as_bytes() == target.to_bytes());
            Ok((new, is_ours))
        };
        let failed = |errno| failed(at, "make a link for", errno);
        let (new, is_ours) = make().map_err(failed)?;
        if !is_ours {
            return Err(displaced(at, "make a link for"));
        }
        self.note(Created::file(name, &fstat(&new).map_err(failed)?));
        let Some(modified) = &attributes.modified else { return Ok(()) };
        match sys::set_modified(new.as_fd(), modified) {
            // Before Linux 5.8 there is only a way by name, and a process may have put another
            // entry there.
            Err(Errno::EINVAL) | Ok(()) => Ok(()),
            Err(errno) => Err(super::failed(at, "set the time of the copy of", errno)),
        }
    }

    /// Removes what has been made, with the same rights that made it. What these rights cannot
    /// remove stays.
    fn undo(&mut self) {
        while self.close().is_some() {}
        created::undo(self.place.as_fd(), &self.created);
    }
}

fn set_time(copy: impl AsFd, attributes: &Attributes) -> nix::Result<()> {
    match &attributes.modified {
        Some(modified) => futimens(copy, &TimeSpec::UTIME_OMIT, modified),
        None => Ok(()),
    }
}

/// A new entry is another one than was made. It has not been noted, so that the undo leaves it
/// alone.
fn displaced(at: &Path, action: &str) -> Error {
    Error::new(ErrorKind::Io, format!("{action} {}", at.display()))
        .because("a process has put another one in its place")
        .at(at)
}
