//! Copies that become files below a directory. What has been made can be undone.

use super::acting::Actor;
use super::created::{self, Created};
use super::failed;
use super::sink::Sink;
use crate::base::error::{Error, ErrorKind, Result};
use crate::host::{file_size, socket};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat};
use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A directory that copies are put into.
pub struct Disk {
    /// The user whose rights apply to writing, and who owns the copies.
    pub writer: Actor,
    place: OwnedFd,
    /// What has been made in `place`, without the directories that are being filled.
    created: Vec<Created>,
    /// The directories that are being filled, outer ones first.
    open: Vec<Level>,
    /// The file that is being written, and its length so far.
    file: Option<(File, u64)>,
    /// The caller's limit on the size of files.
    largest: u64,
    /// What to do if that limit is too low, for the hint of the error.
    remedy: &'static str,
}

struct Level {
    name: CString,
    directory: OwnedFd,
    status: FileStat,
    contents: Vec<Created>,
}

impl Disk {
    pub fn new(writer: Actor, place: OwnedFd, remedy: &'static str) -> Result<Disk> {
        let (created, open) = (Vec::new(), Vec::new());
        let largest = file_size::limit()?;
        Ok(Disk { writer, place, created, open, file: None, largest, remedy })
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

    /// Removes what has been made, with the same rights that made it. What these rights cannot
    /// remove stays.
    pub fn undo(mut self) {
        while self.close().is_some() {}
        let _ = self.writer.act(|| created::undo(self.place.as_fd(), &self.created));
    }

    fn check_size(&self, bytes: u64, at: &Path) -> Result<()> {
        let action = format!("copy {}", at.display());
        file_size::check(bytes, self.largest, &action, self.remedy).map_err(|error| error.at(at))
    }
}

impl Sink for Disk {
    fn enter(&mut self, at: &Path, name: &CString) -> Result<()> {
        const LIST: OFlag = OFlag::O_RDONLY
            .union(OFlag::O_DIRECTORY)
            .union(OFlag::O_NOFOLLOW)
            .union(OFlag::O_CLOEXEC);
        // Only the owner has rights to the directory while it is filled. The final mode comes last.
        let new = self.writer.act(|| -> nix::Result<(OwnedFd, FileStat, bool)> {
            mkdirat(self.here(), name.as_c_str(), Mode::S_IRWXU)?;
            let new = openat(self.here(), name.as_c_str(), LIST, Mode::empty())?;
            let status = fstat(&new)?;
            let empty = created::is_empty(new.as_fd())?;
            Ok((new, status, empty))
        })?;
        let (directory, status, empty) =
            new.map_err(|errno| failed(at, "make a directory for", errno))?;
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
        let changed = self.writer.act(|| fchmod(&directory, mode | Mode::S_IRWXU))?;
        changed.map_err(|errno| failed(at, "set the mode of the copy of", errno))
    }

    fn begin(&mut self, at: &Path, name: &CString, length: u64) -> Result<()> {
        const NEW: OFlag = OFlag::O_WRONLY
            .union(OFlag::O_CREAT)
            .union(OFlag::O_EXCL)
            .union(OFlag::O_NOFOLLOW)
            .union(OFlag::O_CLOEXEC);
        self.check_size(length, at)?;
        let new = self.writer.act(|| -> nix::Result<(OwnedFd, FileStat)> {
            let new = openat(self.here(), name.as_c_str(), NEW, Mode::S_IRUSR | Mode::S_IWUSR)?;
            let status = fstat(&new)?;
            Ok((new, status))
        })?;
        let (new, status) = new.map_err(|errno| failed(at, "make a file for", errno))?;
        self.note(Created::file(name, &status));
        // If a standard stream is closed, the new file could get its number. What another thread
        // prints would then end up in the copy.
        self.file = Some((File::from(socket::above_stdio(new)?), 0));
        Ok(())
    }

    fn write(&mut self, at: &Path, bytes: &[u8]) -> Result<()> {
        let Some((mut file, written)) = self.file.take() else { return Ok(()) };
        let length = written + bytes.len() as u64;
        self.check_size(length, at)?;
        file.write_all(bytes).map_err(|error| {
            Error::io(format!("write the copy of {}", at.display()), error).at(at)
        })?;
        self.file = Some((file, length));
        Ok(())
    }

    fn end(&mut self, at: &Path, mode: Mode) -> Result<()> {
        let Some((file, _)) = self.file.take() else { return Ok(()) };
        let changed = self.writer.act(|| fchmod(&file, mode | Mode::S_IRUSR | Mode::S_IWUSR))?;
        changed.map_err(|errno| failed(at, "set the mode of the copy of", errno))
    }
}
