//! Descriptors that the library keeps open from one call to the next.
//!
//! A caller can close descriptors that it did not open, with `closefrom(3)` or a daemon's loop over
//! all numbers. The kernel then reuses the number for the next file that the caller opens. So the
//! library compares the identity of a kept descriptor before it uses or closes it.
//!
//! A descriptor that another thread closes between the check and the use goes unnoticed. User space
//! cannot prevent this race.

use crate::base::error::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};
use std::fs;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// A descriptor, with the identity of its file when the library took ownership.
#[derive(Debug)]
pub struct Kept {
    fd: ManuallyDrop<OwnedFd>,
    /// An error if the identity is unknown: the descriptor was already closed (EBADF), or a filter
    /// refuses `fstat(2)` to this process.
    identity: nix::Result<Identity>,
}

/// The identity of an open file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    anonymous: Option<Anonymous>,
}

/// Tells anonymous inodes apart by what `/proc` shows of them.
///
/// Seccomp listeners share one inode with all other anonymous files, and before Linux 6.9 pidfds do
/// too. Device and inode numbers are therefore not enough.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Anonymous {
    /// The target of the link in `/proc/self/fd`, such as `anon_inode:[pidfd]`.
    kind: PathBuf,
    /// The process that a pidfd refers to. -1 once that process has been reaped.
    pid: Option<String>,
}

/// ANON_INODE_FS_MAGIC of <linux/magic.h>.
const ANONYMOUS: FsType = FsType(0x0904_1934);

const CAUSE: &str = "the caller has closed a descriptor of the library's";
const REMEDY: &str = "close only what the caller has opened itself: closefrom(3) and close_range(2) close a library's descriptors too";

impl Kept {
    /// The descriptor, if it still refers to the same file.
    ///
    /// # Errors
    ///
    /// `Io` with EBADF if the caller has closed or replaced it.
    pub fn get(&self) -> Result<BorrowedFd<'_>> {
        self.intact()
            .ok_or_else(|| explained(Error::io("use a descriptor that was kept", Errno::EBADF)))
    }

    /// The same as [`Kept::get`], for code that can continue without the descriptor.
    pub fn intact(&self) -> Option<BorrowedFd<'_>> {
        let intact = match &self.identity {
            Ok(identity) => identity.is_of(self.fd.as_fd()),
            // Where a filter refuses fstat(2), the descriptor must stay usable.
            Err(errno) => *errno != Errno::EBADF,
        };
        intact.then(|| self.fd.as_fd())
    }

    /// The descriptor without a check. It may refer to another file by now, so only its number is
    /// meaningful.
    pub fn unchecked(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The identity at the time of taking ownership. `None` if it is not unique, as that of an
    /// anonymous inode.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref().ok().filter(|identity| identity.anonymous.is_none())
    }

    /// Duplicates the descriptor.
    ///
    /// # Errors
    ///
    /// As [`Kept::get`], or the error of `fcntl(2)`.
    pub fn try_clone(&self) -> Result<OwnedFd> {
        self.get()?.try_clone_to_owned().map_err(|error| Error::io("copy a descriptor", error))
    }

    /// Gives up ownership without a check, even if the descriptor refers to another file by now.
    pub fn into_unchecked(self) -> OwnedFd {
        let number = self.fd.as_raw_fd();
        std::mem::forget(self);
        crate::base::sys::own(number)
    }
}

/// Adds the cause and the remedy to an error: the caller has closed the library's descriptor.
pub fn explained(error: Error) -> Error {
    error.because(CAUSE).hint(REMEDY)
}

/// Duplicates a descriptor that a caller passed by number. `what` names its purpose in the error.
///
/// The C and Python bindings use it, so that the same mistake gives the same error in every
/// language.
///
/// # Errors
///
/// `Invalid` with EBADF if the descriptor is not open; else the error of `fcntl(2)`.
pub fn copy_of(what: &str, fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    fd.try_clone_to_owned().map_err(|error| match error.raw_os_error() {
        Some(libc::EBADF) => Error::invalid(what, "bad file descriptor")
            .errno(libc::EBADF)
            .hint("it is not open in this process: pass one that is"),
        _ => Error::io(what, error),
    })
}

/// Duplicates the open descriptor with this number, for the command line.
///
/// # Errors
///
/// As [`copy_of`].
pub fn copy_of_number(what: &str, number: i32) -> Result<OwnedFd> {
    copy_of(what, crate::base::sys::borrow(number))
}

impl From<OwnedFd> for Kept {
    /// Moves the descriptor to a number of 3 or more, if one is free. A caller may have closed its
    /// standard streams, and may open others under these numbers later.
    fn from(fd: OwnedFd) -> Kept {
        let moved =
            if fd.as_raw_fd() > 2 { None } else { fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(3)).ok() };
        let fd = moved.map_or(fd, crate::base::sys::own);
        Kept { identity: Identity::of(fd.as_fd()), fd: ManuallyDrop::new(fd) }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // If the number refers to another file by now, it belongs to the caller.
        if self.intact().is_some() {
            drop(crate::base::sys::own(self.fd.as_raw_fd()));
        }
    }
}

impl Identity {
    /// The identity of an open descriptor.
    ///
    /// # Errors
    ///
    /// The error of `fstat(2)`: EBADF if the descriptor is closed.
    pub fn of(fd: BorrowedFd<'_>) -> nix::Result<Identity> {
        let status = fstat(fd)?;
        let kind = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
        // Anonymous inodes have no file type in st_mode.
        let plain = kind.is_empty() || kind == SFlag::S_IFREG;
        let anonymous =
            plain && fstatfs(fd).is_ok_and(|system| system.filesystem_type() == ANONYMOUS);
        let anonymous = if anonymous { Anonymous::of(fd) } else { None };
        Ok(Identity { device: status.st_dev, inode: status.st_ino, anonymous })
    }

    /// Whether a descriptor has this identity. True if that cannot be determined.
    pub fn is_of(&self, fd: BorrowedFd<'_>) -> bool {
        let status = match fstat(fd) {
            Ok(status) => status,
            Err(errno) => return errno != Errno::EBADF,
        };
        (status.st_dev, status.st_ino) == (self.device, self.inode)
            && self
                .anonymous
                .as_ref()
                .is_none_or(|then| Anonymous::of(fd).is_none_or(|now| then.may_be(&now)))
    }
}

impl Anonymous {
    /// `None` if the caller's `/proc` does not show the descriptor.
    fn of(fd: BorrowedFd<'_>) -> Option<Anonymous> {
        let number = fd.as_raw_fd();
        let kind = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
        if !kind.as_os_str().as_encoded_bytes().ends_with(b"[pidfd]") {
            return Some(Anonymous { kind, pid: None });
        }
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
        let pid = text
            .lines()
            .find_map(|line| line.strip_prefix("Pid:"))
            .map(|pid| pid.trim().to_owned());
        Some(Anonymous { kind, pid })
    }

    /// Whether `now` can be the same file at a later time: a reaped process changes its id to -1.
    fn may_be(&self, now: &Anonymous) -> bool {
        self.kind == now.kind && (self.pid == now.pid || now.pid.as_deref() == Some("-1"))
    }
}

/// The number and identity of a pipe or terminal that the library gave to the caller.
///
/// The caller holds it in a public type that anyone can construct, so it cannot be a [`Kept`].
#[derive(Debug)]
pub struct Mark {
    number: i32,
    identity: Identity,
}

impl Mark {
    pub fn of(fd: &impl AsFd) -> Option<Mark> {
        let fd = fd.as_fd();
        Identity::of(fd).ok().map(|identity| Mark { number: fd.as_raw_fd(), identity })
    }

    /// Whether a descriptor has the marked number but refers to another file by now.
    pub fn is_lost(&self, fd: &impl AsFd) -> bool {
        fd.as_fd().as_raw_fd() == self.number && !self.identity.is_of(fd.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::close;
    use std::io::{self, Read, Write};

    /// Moves a descriptor to a high number, which no other test's next descriptor gets.
    fn moved(fd: impl Into<OwnedFd>, number: i32) -> OwnedFd {
        let number = fcntl(fd.into(), FcntlArg::F_DUPFD_CLOEXEC(number)).expect("there is room");
        crate::base::sys::own(number)
    }

    /// Closes a kept descriptor as a careless caller does, and reuses its number.
    fn replace(kept: BorrowedFd<'_>, other: impl AsFd) -> OwnedFd {
        close(kept.as_raw_fd()).expect("it is open");
        let replaced =
            fcntl(other, FcntlArg::F_DUPFD_CLOEXEC(kept.as_raw_fd())).expect("there is room");
        assert_eq!(replaced, kept.as_raw_fd());
        crate::base::sys::own(replaced)
    }

    #[test]
    fn a_replaced_descriptor_is_neither_used_nor_closed() {
        let (reader, _writer) = io::pipe().unwrap();
        let kept = Kept::from(moved(reader, 500));
        assert!(kept.get().is_ok());
        let (mut other, mut into) = io::pipe().unwrap();
        let replaced = replace(kept.unchecked(), &other);
        let error = kept.get().unwrap_err();
        assert_eq!(
            (error.kind(), error.raw_os_error()),
            (crate::base::error::ErrorKind::Io, Some(libc::EBADF))
        );
        assert!(
            error.to_string().contains("closed a descriptor of the library's; hint: close only"),
            "{error}"
        );
        drop(kept);
        into.write_all(b"x").unwrap();
        let mut byte = [0];
        io::PipeReader::from(replaced).read_exact(&mut byte).expect("it is open");
        drop(into);
        assert_eq!(other.read(&mut byte).unwrap(), 0);
    }

    #[test]
    fn an_intact_descriptor_is_closed_on_drop() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(Kept::from(OwnedFd::from(reader)));
        assert_eq!(writer.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn pidfds_of_different_processes_differ() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let own = crate::base::sys::own_pidfd().unwrap();
        let same = crate::base::sys::own_pidfd().unwrap();
        let other = crate::base::sys::pidfd_open(child.id()).unwrap();
        let is = |fd: &OwnedFd| Identity::of(own.as_fd()).unwrap().is_of(fd.as_fd());
        assert!(is(&same) && !is(&other));
        // The pidfd of a reaped process is still the same descriptor.
        let kept = Kept::from(other);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(kept.intact().is_some());
        let named =
            |pid: &str| Anonymous { kind: "anon_inode:[pidfd]".into(), pid: Some(pid.to_owned()) };
        assert!(
            named("7").may_be(&named("7"))
                && named("7").may_be(&named("-1"))
                && !named("7").may_be(&named("8"))
        );
        let other = Anonymous { kind: "anon_inode:[eventfd]".into(), pid: None };
        assert!(!named("7").may_be(&other) && !other.may_be(&named("7")));
    }

    #[test]
    fn a_marked_pipe_is_lost_only_under_its_own_number() {
        let (reader, writer) = io::pipe().unwrap();
        let reader = moved(reader, 600);
        let mark = Mark::of(&reader).unwrap();
        assert!(!mark.is_lost(&reader) && !mark.is_lost(&writer));
        let (_, other) = io::pipe().unwrap();
        let replaced = replace(reader.as_fd(), &other);
        std::mem::forget(reader);
        assert!(mark.is_lost(&replaced));
    }
}
