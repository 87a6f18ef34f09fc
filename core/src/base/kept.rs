//! Descriptors that the library keeps from one call to the next.
//!
//! A caller can close descriptors that it does not know: `closefrom(3)`, or a daemon's loop over
//! all numbers. The kernel gives the free numbers to whatever the caller opens next. So a kept
//! descriptor is used, and closed, only while it is what it was.
//!
//! What another thread closes between the look and the use is not noticed: nothing can be done
//! about that here.

use crate::base::error::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};
use std::fs;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// A descriptor, and what it was when it was taken over.
#[derive(Debug)]
pub struct Kept {
    fd: ManuallyDrop<OwnedFd>,
    /// Or why that is not known: it was closed already, or `fstat(2)` is refused to this caller.
    identity: nix::Result<Identity>,
}

/// What an open descriptor stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    anonymous: Option<Anonymous>,
}

/// All anonymous inodes are one inode: seccomp listeners, and before Linux 6.9 pidfds. `/proc`
/// tells these apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Anonymous {
    /// `anon_inode:[pidfd]` and its like.
    kind: PathBuf,
    /// The process behind a pidfd; -1 once that has been reaped.
    pid: Option<String>,
}

/// ANON_INODE_FS_MAGIC of <linux/magic.h>.
const ANONYMOUS: FsType = FsType(0x0904_1934);

const CAUSE: &str = "the caller has closed a descriptor of the library's";
const REMEDY: &str = "close only what the caller has opened itself: closefrom(3) and close_range(2) close a library's descriptors too";

impl Kept {
    /// The descriptor, if it still is what it was.
    pub fn get(&self) -> Result<BorrowedFd<'_>> {
        self.intact()
            .ok_or_else(|| explained(Error::io("use a descriptor that was kept", Errno::EBADF)))
    }

    /// The same, for a caller that can do without it.
    pub fn intact(&self) -> Option<BorrowedFd<'_>> {
        let intact = match &self.identity {
            Ok(identity) => identity.is_of(self.fd.as_fd()),
            // A caller that may not ask must not lose what works.
            Err(errno) => *errno != Errno::EBADF,
        };
        intact.then(|| self.fd.as_fd())
    }

    /// The descriptor, whatever it is by now: for its number alone.
    pub fn unchecked(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Its identity when it was taken over, if no other descriptor of any process can have the
    /// same.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref().ok().filter(|identity| identity.anonymous.is_none())
    }

    /// A copy of it for a short time.
    pub fn try_clone(&self) -> Result<OwnedFd> {
        self.get()?.try_clone_to_owned().map_err(|error| Error::io("copy a descriptor", error))
    }

    /// Gives it away; what is not ours any more, too.
    pub fn into_unchecked(self) -> OwnedFd {
        let number = self.fd.as_raw_fd();
        std::mem::forget(self);
        crate::base::sys::own(number)
    }
}

/// The caller has closed it: that is the cause, and what to do about it is known.
pub fn explained(error: Error) -> Error {
    error.because(CAUSE).hint(REMEDY)
}

/// A copy of a descriptor that a caller has named by its number: `what` it is to be. For the
/// library's faces in other languages, so that its failures are of one kind in all of them.
pub fn copy_of(what: &str, fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    fd.try_clone_to_owned().map_err(|error| match error.raw_os_error() {
        Some(libc::EBADF) => Error::invalid(what, "bad file descriptor")
            .errno(libc::EBADF)
            .hint("it is not open in this process: pass one that is"),
        _ => Error::io(what, error),
    })
}

impl From<OwnedFd> for Kept {
    /// Under a number of 3 or more, if there is one: a caller may have closed its standard streams,
    /// and put others there later.
    fn from(fd: OwnedFd) -> Kept {
        let moved =
            if fd.as_raw_fd() > 2 { None } else { fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(3)).ok() };
        let fd = moved.map_or(fd, crate::base::sys::own);
        Kept { identity: Identity::of(fd.as_fd()), fd: ManuallyDrop::new(fd) }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The number is not ours any more, if it is something else by now.
        if self.intact().is_some() {
            drop(crate::base::sys::own(self.fd.as_raw_fd()));
        }
    }
}

impl Identity {
    /// What this descriptor stands for. EBADF: it is closed.
    pub fn of(fd: BorrowedFd<'_>) -> nix::Result<Identity> {
        let status = fstat(fd)?;
        let kind = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
        // They show as files of no kind.
        let plain = kind.is_empty() || kind == SFlag::S_IFREG;
        let anonymous =
            plain && fstatfs(fd).is_ok_and(|system| system.filesystem_type() == ANONYMOUS);
        let anonymous = if anonymous { Anonymous::of(fd) } else { None };
        Ok(Identity { device: status.st_dev, inode: status.st_ino, anonymous })
    }

    /// Whether this descriptor stands for it, as far as can be told.
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
    /// `None`: the caller's `/proc` does not tell.
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

    /// Whether it can have become this.
    fn may_be(&self, now: &Anonymous) -> bool {
        self.kind == now.kind && (self.pid == now.pid || now.pid.as_deref() == Some("-1"))
    }
}

/// A pipe or terminal that has been handed to a caller in a type that anybody can make: which
/// number it had, and what it was.
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

    /// Whether a descriptor has the number of the marked one, and is another by now.
    pub fn is_lost(&self, fd: &impl AsFd) -> bool {
        fd.as_fd().as_raw_fd() == self.number && !self.identity.is_of(fd.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::close;
    use std::io::{self, Read, Write};

    /// The same under a number of its own, which no other test's next descriptor gets.
    fn moved(fd: impl Into<OwnedFd>, number: i32) -> OwnedFd {
        let number = fcntl(fd.into(), FcntlArg::F_DUPFD_CLOEXEC(number)).expect("there is room");
        crate::base::sys::own(number)
    }

    /// Closes what is kept behind its back, and opens something else under its number.
    fn replace(kept: BorrowedFd<'_>, other: impl AsFd) -> OwnedFd {
        close(kept.as_raw_fd()).expect("it is open");
        let replaced =
            fcntl(other, FcntlArg::F_DUPFD_CLOEXEC(kept.as_raw_fd())).expect("there is room");
        assert_eq!(replaced, kept.as_raw_fd());
        crate::base::sys::own(replaced)
    }

    #[test]
    fn what_is_not_ours_any_more_is_neither_used_nor_closed() {
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
    fn what_is_ours_is_closed() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(Kept::from(OwnedFd::from(reader)));
        assert_eq!(writer.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_process_is_told_from_another() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let own = crate::base::sys::own_pidfd().unwrap();
        let same = crate::base::sys::own_pidfd().unwrap();
        let other = crate::base::sys::pidfd_open(child.id()).unwrap();
        let is = |fd: &OwnedFd| Identity::of(own.as_fd()).unwrap().is_of(fd.as_fd());
        assert!(is(&same) && !is(&other));
        // As a process does that has been reaped.
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
