//! Copies that become files below a directory. What has been made can be undone.

use super::created::{self, Created};
use super::filling::Filling;
use super::{Contents, Sink, failed};
use crate::base::error::{Error, ErrorKind, Result};
use crate::host::socket;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

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
        Ok(Disk { place, created, open, filling: Filling::new(remedy)? })
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
            // Do not note it, so that the undo leaves it alone.
            let action = format!("make a directory for {}", at.display());
            return Err(Error::new(ErrorKind::Io, action)
                .because("a process has put another one in its place")
                .at(at));
        }
        self.open.push(Level { name: name.clone(), directory, status, contents: Vec::new() });
        Ok(())
    }

    fn leave(&mut self, at: &Path, mode: Mode) -> Result<()> {
        let Some(directory) = self.close() else { return Ok(()) };
        fchmod(&directory, mode | Mode::S_IRWXU)
            .map_err(|errno| failed(at, "set the mode of the copy of", errno))
    }

    fn file(&mut self, name: &CString, contents: &mut Contents<'_>, mode: Mode) -> Result<()> {
        const NEW: OFlag = OFlag::O_WRONLY
            .union(OFlag::O_CREAT)
            .union(OFlag::O_EXCL)
            .union(OFlag::O_NOFOLLOW)
            .union(OFlag::O_CLOEXEC);
        let mode = mode | OWN;
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
        Ok(())
    }

    /// Removes what has been made, with the same rights that made it. What these rights cannot
    /// remove stays.
    fn undo(&mut self) {
        while self.close().is_some() {}
        created::undo(self.place.as_fd(), &self.created);
    }
}
