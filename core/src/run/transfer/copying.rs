//! One copy on its way. Each entry of a tree is looked at by descriptor, counted against the
//! bounds, read with the rights of the source's side, and handed to a [`Sink`].

use super::acting::Actor;
use super::sink::Sink;
use super::{Copied, Transfer, failed};
use crate::base::error::{Error, ErrorKind, Result};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::ffi::{CString, OsStr};
use std::fs::OpenOptions;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// The deepest level of directories that a copy enters.
pub const DEPTH_MAX: usize = 64;

/// The most memory that the list of skipped paths may take, in bytes, and what each path costs
/// besides its own bytes.
const SKIPPED_MAX: usize = 4 << 20;
const SKIPPED_EACH: usize = 64;

pub const LIST: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

pub struct Copying<'a, S> {
    pub transfer: &'a Transfer,
    pub copied: Copied,
    /// The memory that the list of skipped paths takes, in bytes.
    pub skipped: usize,
    /// The number of names that have been listed and not been looked at yet.
    pub pending: u64,
    /// The current path, for errors.
    pub at: PathBuf,
    /// The user whose rights apply to reading.
    pub reader: Actor,
    pub sink: S,
}

impl<'a, S: Sink> Copying<'a, S> {
    pub fn new(transfer: &'a Transfer, reader: Actor, sink: S) -> Copying<'a, S> {
        let (copied, at) = (Copied::default(), PathBuf::new());
        Copying { transfer, copied, skipped: 0, pending: 0, at, reader, sink }
    }

    pub fn failed(&self, action: &str, errno: Errno) -> Error {
        failed(&self.at, action, errno)
    }

    fn exceeded(&self, what: &str, most: u64) -> Error {
        self.transfer.exceeded(&self.at, what, most)
    }

    /// Whether one entry more would be too many. Skipped entries count too: they take time and
    /// memory, and there may be any number of them.
    fn is_full(&self) -> bool {
        let known = self.copied.entries + self.copied.skipped.len() as u64 + self.pending;
        known >= self.transfer.max_entries
    }

    /// Copies one entry. `found` refers to it by O_PATH: opening a device or a pipe for reading
    /// could block or have an effect.
    pub fn copy_entry(
        &mut self,
        found: BorrowedFd<'_>,
        name: &CString,
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
        if self.is_full() {
            return Err(self.transfer.too_many(&self.at));
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
            if depth == DEPTH_MAX {
                return Err(self.exceeded("directories, one within the other", DEPTH_MAX as u64));
            }
            self.sink.enter(&self.at, name)?;
            self.copy_contents(found, depth)?;
            self.sink.leave(&self.at, mode)
        } else {
            let length = u64::try_from(status.st_size).unwrap_or(0);
            if length > self.transfer.max_bytes.saturating_sub(self.copied.bytes) {
                return Err(self.exceeded("bytes", self.transfer.max_bytes));
            }
            self.copy_file(found, name, mode, length)
        }
    }

    /// Copies the entries of a directory, in byte order of their names.
    fn copy_contents(&mut self, found: BorrowedFd<'_>, depth: usize) -> Result<()> {
        for name in self.list(found)? {
            self.pending -= 1;
            self.at.push(OsStr::from_bytes(name.to_bytes()));
            let path = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let next = self.reader.act(|| openat(found, name.as_c_str(), path, Mode::empty()))?;
            let next = next.map_err(|errno| self.failed("find", errno))?;
            self.copy_entry(next.as_fd(), &name, depth + 1)?;
            self.at.pop();
        }
        Ok(())
    }

    /// The names in a directory, sorted. No more are kept than may be copied: a process can create
    /// names as fast as they are read.
    fn list(&mut self, found: BorrowedFd<'_>) -> Result<Vec<CString>> {
        let list = self.reader.act(|| Dir::openat(found, c".", LIST, Mode::empty()))?;
        let mut list = list.map_err(|errno| self.failed("list", errno))?;
        let mut names = Vec::new();
        for entry in list.iter() {
            let entry = entry.map_err(|errno| self.failed("list", errno))?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            if self.is_full() {
                self.at.push(OsStr::from_bytes(entry.file_name().to_bytes()));
                return Err(self.transfer.too_many(&self.at));
            }
            self.pending += 1;
            names.push(entry.file_name().to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn copy_file(
        &mut self,
        found: BorrowedFd<'_>,
        name: &CString,
        mode: Mode,
        length: u64,
    ) -> Result<()> {
        let failed = |at: &PathBuf, action: &str, error: std::io::Error| {
            Error::io(format!("{action} {}", at.display()), error).at(at)
        };
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
        self.sink.begin(&self.at, name, length)?;
        let mut buffer = vec![0; 64 * 1024];
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
            self.sink.write(&self.at, &buffer[..count])?;
        }
        self.sink.end(&self.at, mode)
    }
}
