//! A process that the library watches from one call to the next. If the caller closes the pidfd,
//! the library opens another one.

use crate::base::kept::{Identity, Kept};
use crate::base::sys;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

/// A watched process.
#[derive(Debug)]
pub struct Watched {
    pidfd: Kept,
    /// The id in the caller's pid namespace. 0 if the caller's `/proc` does not show it.
    pid: u32,
    /// Replaces a pidfd that the caller has closed.
    reopened: OnceLock<Kept>,
    /// An always readable pipe. It replaces a pidfd that cannot be opened again.
    readable: OnceLock<Kept>,
}

impl Watched {
    pub fn new(pidfd: OwnedFd, pid: u32) -> Watched {
        Watched { pidfd: pidfd.into(), pid, reopened: OnceLock::new(), readable: OnceLock::new() }
    }

    /// The id in the caller's pid namespace. 0 if unknown.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A pidfd of the process.
    ///
    /// `None` if the caller has closed the pidfd, and it cannot be opened again. Either the process
    /// is gone, or the kernel (before Linux 6.9) gives pidfds no inode of their own, so that a
    /// process which reuses the id could not be told apart.
    pub fn get(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.intact().or_else(|| {
            let identity = self.pidfd.identity().filter(|_| self.pid != 0)?;
            if self.reopened.get().is_none() {
                let reopened = sys::pidfd_open(self.pid)
                    .ok()
                    .filter(|pidfd| Identity::of(pidfd.as_fd()).as_ref() == Ok(identity))?;
                let _ = self.reopened.set(reopened.into());
            }
            self.reopened.get()?.intact()
        })
    }

    /// A descriptor that becomes readable when the process ends. Without a pidfd it is readable at
    /// once, so that a caller which polls it goes on to ask for the state of the process.
    pub fn pollable(&self) -> BorrowedFd<'_> {
        self.get().or_else(|| self.readable()).unwrap_or(self.pidfd.unchecked())
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        if self.readable.get().is_none() {
            let (reader, mut writer) = io::pipe().ok()?;
            writer.write_all(b"x").ok()?;
            let _ = self.readable.set(OwnedFd::from(reader).into());
        }
        self.readable.get()?.intact()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::socket::wait_readable;
    use std::os::fd::AsRawFd;
    use std::time::Instant;

    fn ends_soon(fd: BorrowedFd<'_>) -> bool {
        wait_readable(&[fd], Some(Instant::now())).unwrap().is_some()
    }

    #[test]
    fn a_closed_pidfd_is_reopened_or_reads_as_ended() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        // A high number, which no other test's next descriptor gets.
        let moved = |fd: OwnedFd, number| {
            sys::own(
                nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(number))
                    .expect("there is room"),
            )
        };
        let pidfd = || moved(sys::pidfd_open(child.id()).unwrap(), 700);
        let (living, ended) =
            (Watched::new(pidfd(), child.id()), Watched::new(pidfd(), child.id()));
        assert!(!ends_soon(living.pollable()));
        for process in [&living, &ended] {
            nix::unistd::close(process.get().unwrap().as_raw_fd()).unwrap();
        }
        // Before Linux 6.9 the pidfd cannot be opened again.
        if let Some(reopened) = living.get() {
            assert!(!ends_soon(reopened));
            sys::pidfd_send_signal(reopened, libc::SIGKILL).unwrap();
        } else {
            child.kill().unwrap();
        }
        child.wait().unwrap();
        assert!(ended.get().is_none());
        assert!(ends_soon(living.pollable()) && ends_soon(ended.pollable()));
    }
}
