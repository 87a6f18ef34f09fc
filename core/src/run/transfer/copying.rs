//! One copy on its way. Each entry of a tree is looked at by descriptor, counted against the
//! bounds, and copied with the rights of its side.

use super::acting::Actor;
use super::created::{self, Created};
use super::{Copied, Transfer};
use crate::base::error::{Error, ErrorKind, Result};
use crate::host::{file_size, socket};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, mkdirat};
use std::ffi::{CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The deepest level of directories that a copy enters.
const DEPTH_MAX: usize = 64;

/// The most memory that the list of skipped paths may take, in bytes, and what each path costs
/// besides its own bytes.
const SKIPPED_MAX: usize = 4 << 20;
const SKIPPED_EACH: usize = 64;

const LIST: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

pub struct Copying<'a> {
    pub transfer: &'a Transfer,
    pub copied: Copied,
    /// The memory that the list of skipped paths takes, in bytes.
    pub skipped: usize,
    /// The current path, for errors.
    pub at: PathBuf,
    /// The user whose rights apply to reading.
    pub reader: Actor,
    /// The user whose rights apply to writing, and who owns the copies.
    pub writer: Actor,
}

impl Copying<'_> {
    pub fn failed(&self, action: &str, errno: Errno) -> Error {
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
    pub fn copy_entry(
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
