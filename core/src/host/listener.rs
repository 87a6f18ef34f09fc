//! Deciding about system calls, one by one, from outside: `seccomp_unotify(2)`.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::Kept;
use crate::base::sys::{self, SeccompNotification};
use crate::host::socket::wait_readable;
use crate::policy::seccomp::{NATIVE, Syscall};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where calls are heard that a filter leaves to the caller
/// ([`Action::Notify`](crate::Action::Notify)):
/// [`Child::take_listener`](crate::Child::take_listener).
///
/// Who makes such a call stands still until it has an answer. Readable when one waits, hung up when
/// nobody can make one any more. Once the listener and its notifications are dropped, every such
/// call fails with ENOSYS. The descriptor speaks `seccomp_unotify(2)`, for who wants to.
#[derive(Debug)]
pub struct Listener(Arc<Kept>);

impl Listener {
    pub(crate) fn new(fd: OwnedFd) -> Listener {
        Listener(Arc::new(fd.into()))
    }

    /// The next call that waits for an answer; `None` once nobody is left who could make one.
    pub fn receive(&self) -> Result<Option<Notification>> {
        loop {
            if let Some(next) = self.next(None)? {
                return Ok(next);
            }
        }
    }

    /// The same, for so long: `None` too if none came in time.
    pub fn receive_within(&self, time: Duration) -> Result<Option<Notification>> {
        Ok(self.next(Some(Instant::now() + time))?.flatten())
    }

    /// `Some(None)`: the end. `None`: the time is over, or who called has gone.
    fn next(&self, deadline: Option<Instant>) -> Result<Option<Option<Notification>>> {
        if wait_readable(&[self.0.get()?], deadline)?.is_none() {
            return Ok(None);
        }
        // Before Linux 6.11, who asks for a call where nobody is left to make one waits for ever.
        if !self.has(PollFlags::POLLIN)? {
            return Ok(if self.is_deserted()? { Some(None) } else { None });
        }
        match sys::seccomp_receive(self.0.get()?) {
            Ok(raw) => {
                Ok(Some(Some(Notification { listener: self.0.clone(), raw, answered: false })))
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(Error::io("hear of a system call", error)),
        }
    }

    /// Whether nobody is left who could make a call, for who waits on the descriptor by a call that
    /// does not tell a hang-up.
    pub fn is_deserted(&self) -> Result<bool> {
        Ok(!self.has(PollFlags::POLLIN)? && self.has(PollFlags::POLLHUP)?)
    }

    /// Whether the descriptor is in this state now.
    fn has(&self, state: PollFlags) -> Result<bool> {
        let mut polled = [PollFd::new(self.0.get()?, PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO)
            .map_err(|errno| Error::io("hear of a system call", errno))?;
        Ok(polled[0].revents().is_some_and(|events| events.contains(state)))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.unchecked()
    }
}

/// A system call that waits for an answer. Dropped without one, it fails with EPERM.
///
/// What its arguments point at lies in memory that other threads of the program can change while
/// you look. So [`Notification::allow`] is no answer to "may it, with these contents": act for the
/// program instead, and answer with the result.
#[derive(Debug)]
pub struct Notification {
    listener: Arc<Kept>,
    raw: SeccompNotification,
    answered: bool,
}

impl Notification {
    /// Which call it is.
    pub fn syscall(&self) -> Syscall {
        if self.raw.architecture == NATIVE {
            Syscall::new(self.raw.number)
        } else {
            Syscall::foreign(self.raw.number)
        }
    }

    /// Its six arguments, as they stood in the registers.
    pub fn arguments(&self) -> [u64; 6] {
        self.raw.arguments
    }

    /// The thread that makes it, as the caller sees it.
    pub fn pid(&self) -> u32 {
        self.raw.pid
    }

    /// Where in the program it is made: the instruction pointer.
    pub fn instruction(&self) -> u64 {
        self.raw.instruction
    }

    /// Reads the program's memory at an address; how many bytes there were, which ends where
    /// nothing is mapped.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize> {
        let failed =
            |error| Error::io(format!("read the memory of process {}", self.raw.pid), error);
        let memory = File::open(format!("/proc/{}/mem", self.raw.pid)).map_err(failed)?;
        // Only now is it certain that this number is still who asked (seccomp_unotify(2)).
        if !sys::seccomp_waits(self.listener.get()?, self.raw.id) {
            return Err(gone());
        }
        let mut length = 0;
        while length < buffer.len() {
            match memory.read_at(&mut buffer[length..], address.wrapping_add(length as u64)) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.raw_os_error() == Some(libc::EIO) => break,
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(length)
    }

    /// The NUL-terminated string at an address, without the NUL: a path, say. At most 4096 bytes.
    pub fn read_string(&self, address: u64) -> Result<Vec<u8>> {
        const PATH_MAX: usize = 4096;
        let mut text = vec![0; PATH_MAX];
        let length = self.read(address, &mut text)?;
        match text[..length].iter().position(|byte| *byte == 0) {
            Some(end) => text.truncate(end),
            None => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("read a string of process {}", self.raw.pid),
                )
                .because("it has no end"));
            }
        }
        Ok(text)
    }

    /// Has the kernel carry it out, with whatever its arguments point at by then. Linux 5.5.
    pub fn allow(mut self) -> Result<()> {
        const CONTINUE: u32 = 1;
        self.answer(0, 0, CONTINUE)
    }

    /// It has succeeded, with this result.
    pub fn succeed(mut self, value: i64) -> Result<()> {
        self.answer(value, 0, 0)
    }

    /// It has failed, with this error number, 1 to 4095.
    pub fn fail(mut self, errno: i32) -> Result<()> {
        if !(1..4096).contains(&errno) {
            return Err(Error::invalid(format!("errno {errno}"), "is not 1 to 4095"));
        }
        self.answer(0, -errno, 0)
    }

    /// It has succeeded, and its result is a new descriptor of the program's, a copy of `fd`: the
    /// answer to an `open(2)`, say. The number. Linux 5.9.
    pub fn succeed_with_descriptor(
        mut self,
        fd: BorrowedFd<'_>,
        close_on_exec: bool,
    ) -> Result<i32> {
        let number =
            sys::seccomp_answer_descriptor(self.listener.get()?, self.raw.id, fd, close_on_exec)
                .map_err(unanswered)?;
        self.answered = true;
        Ok(number)
    }

    fn answer(&mut self, value: i64, error: i32, flags: u32) -> Result<()> {
        self.answered = true;
        sys::seccomp_answer(self.listener.get()?, self.raw.id, value, error, flags)
            .map_err(unanswered)
    }
}

impl Drop for Notification {
    fn drop(&mut self) {
        if !self.answered {
            let _ = self.answer(0, -libc::EPERM, 0);
        }
    }
}

fn unanswered(error: std::io::Error) -> Error {
    if error.raw_os_error() == Some(libc::ENOENT) {
        gone()
    } else {
        Error::io("answer a system call", error)
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Invalid, "answer a system call")
        .because("who made it has ended, or was interrupted")
        .errno(libc::ENOENT)
}
