//! A process that is watched from one call to the next: by its descriptor, or by another one if the
//! caller has closed that.

use crate::base::kept::{Identity, Kept};
use crate::base::sys;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

/// A process, by its pidfd.
#[derive(Debug)]
pub struct Watched {
    pidfd: Kept,
    /// As the caller counts; 0 if the caller's `/proc` does not tell.
    pid: u32,
    /// In place of one that the caller has closed.
    anew: OnceLock<Kept>,
    /// In place of one that cannot be had again.
    readable: OnceLock<Kept>,
}

impl Watched {
    pub fn new(pidfd: OwnedFd, pid: u32) -> Watched {
        Watched { pidfd: pidfd.into(), pid, anew: OnceLock::new(), readable: OnceLock::new() }
    }

    /// As the caller counts.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its descriptor. `None`: the caller has closed it, and the process is gone, or this kernel
    /// cannot tell it from another one that has got its number (before Linux 6.9).
    pub fn get(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.intact().or_else(|| {
            let identity = self.pidfd.identity().filter(|_| self.pid != 0)?;
            if self.anew.get().is_none() {
                let anew = sys::pidfd_open(self.pid)
                    .ok()
                    .filter(|anew| Identity::of(anew.as_fd()).as_ref() == Ok(identity))?;
                let _ = self.anew.set(anew.into());
            }
            self.anew.get()?.intact()
        })
    }

    /// What becomes readable when the process ends. If its descriptor cannot be had, something that
    /// is readable now: who polls it then asks how things stand.
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
    fn a_process_whose_descriptor_was_closed_is_found_again_or_asked_after() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        // Under a number that no other test's next descriptor gets.
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
        // Before Linux 6.9 there is no telling.
        if let Some(anew) = living.get() {
            assert!(!ends_soon(anew));
            sys::pidfd_send_signal(anew, libc::SIGKILL).unwrap();
        } else {
            child.kill().unwrap();
        }
        child.wait().unwrap();
        assert!(ended.get().is_none());
        assert!(ends_soon(living.pollable()) && ends_soon(ended.pollable()));
    }
}
