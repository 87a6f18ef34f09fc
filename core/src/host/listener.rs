//! Decides about system calls, one by one, from outside the sandbox: `seccomp_unotify(2)`.

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

/// Receives the system calls that a filter leaves to the caller
/// ([`Action::Notify`](crate::Action::Notify)).
/// [`Child::take_listener`](crate::Child::take_listener) returns it.
///
/// A thread that makes such a call stops until the call is answered. The descriptor is readable
/// when a call waits. It reports a hang-up when no process is left that could make one. Once the
/// listener and its notifications are dropped, every such call fails with ENOSYS. The descriptor
/// can also be used directly, by the interface of `seccomp_unotify(2)`.
#[derive(Debug)]
pub struct Listener(Arc<Kept>);

impl Listener {
    pub(crate) fn new(fd: OwnedFd) -> Listener {
        Listener(Arc::new(fd.into()))
    }

    /// Waits for the next call. Returns `None` once no process is left that could make one.
    ///
    /// # Errors
    ///
    /// An error if the descriptor was closed or the kernel refuses the request.
    pub fn receive(&self) -> Result<Option<Notification>> {
        loop {
            if let Some(next) = self.next(None)? {
                return Ok(next);
            }
        }
    }

    /// Like [`Listener::receive`], but waits no longer than `time`. Also returns `None` if no call
    /// came in that time.
    ///
    /// # Errors
    ///
    /// As [`Listener::receive`].
    pub fn receive_within(&self, time: Duration) -> Result<Option<Notification>> {
        Ok(self.next(Some(Instant::now() + time))?.flatten())
    }

    /// `Some(None)`: no process is left that could make a call. `None`: the deadline has passed, or
    /// the thread that made the call is gone.
    fn next(&self, deadline: Option<Instant>) -> Result<Option<Option<Notification>>> {
        if wait_readable(&[self.0.get()?], deadline)?.is_none() {
            return Ok(None);
        }
        // Before Linux 6.11 the receive request blocks for ever when no process is left that could
        // make a call. So receive only what poll(2) has announced.
        if !self.has(PollFlags::POLLIN)? {
            return Ok(if self.is_deserted()? { Some(None) } else { None });
        }
        match sys::seccomp_receive(self.0.get()?) {
            Ok(raw) => {
                Ok(Some(Some(Notification { listener: self.0.clone(), raw, answered: false })))
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(Error::io("receive a system call", error)),
        }
    }

    /// Whether no process is left that could make a call. For callers whose event loop does not
    /// report a hang-up.
    ///
    /// # Errors
    ///
    /// An error if the descriptor was closed or cannot be polled.
    pub fn is_deserted(&self) -> Result<bool> {
        Ok(!self.has(PollFlags::POLLIN)? && self.has(PollFlags::POLLHUP)?)
    }

    /// Whether poll(2) reports this state now.
    fn has(&self, state: PollFlags) -> Result<bool> {
        let mut polled = [PollFd::new(self.0.get()?, PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO)
            .map_err(|errno| Error::io("receive a system call", errno))?;
        Ok(polled[0].revents().is_some_and(|events| events.contains(state)))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.unchecked()
    }
}

/// A system call that waits for an answer. If it is dropped without one, the call fails with EPERM.
///
/// Its pointer arguments lead to memory that other threads of the program can change at any time.
/// So never decide on these contents and then call [`Notification::allow`]. Act on the program's
/// behalf instead, and answer with the result.
#[derive(Debug)]
pub struct Notification {
    listener: Arc<Kept>,
    raw: SeccompNotification,
    answered: bool,
}

impl Notification {
    /// The system call.
    pub fn syscall(&self) -> Syscall {
        if self.raw.architecture == NATIVE {
            Syscall::new(self.raw.number)
        } else {
            Syscall::foreign(self.raw.number)
        }
    }

    /// The six arguments, as they are in the registers.
    pub fn arguments(&self) -> [u64; 6] {
        self.raw.arguments
    }

    /// The id of the thread that makes the call, in the caller's pid namespace.
    pub fn pid(&self) -> u32 {
        self.raw.pid
    }

    /// The instruction pointer of the program at the call.
    pub fn instruction(&self) -> u64 {
        self.raw.instruction
    }

    /// Reads the program's memory at an address. Returns the number of bytes read, which is smaller
    /// than the buffer where nothing is mapped.
    ///
    /// # Errors
    ///
    /// ENOENT if the thread has ended or was interrupted. Otherwise an error if the caller may not
    /// read the program's memory (`ptrace(2)`).
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize> {
        let failed =
            |error| Error::io(format!("read the memory of process {}", self.raw.pid), error);
        let memory = File::open(format!("/proc/{}/mem", self.raw.pid)).map_err(failed)?;
        // Only after the open is it certain that this id still belongs to the thread that made the
        // call (seccomp_unotify(2)).
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

    /// Reads the NUL-terminated string at an address, a path for example. Returns it without the
    /// NUL. At most 4096 bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if there is no NUL within 4096 bytes. Otherwise as
    /// [`Notification::read`].
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

    /// Lets the kernel carry out the call, with whatever its pointer arguments lead to by then.
    /// Linux 5.5.
    ///
    /// # Errors
    ///
    /// ENOENT if the thread has ended or was interrupted.
    pub fn allow(mut self) -> Result<()> {
        const CONTINUE: u32 = 1;
        self.answer(0, 0, CONTINUE)
    }

    /// Answers that the call succeeded, with this result.
    ///
    /// # Errors
    ///
    /// ENOENT if the thread has ended or was interrupted.
    pub fn succeed(mut self, value: i64) -> Result<()> {
        self.answer(value, 0, 0)
    }

    /// Answers that the call failed, with this error number, 1 to 4095.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the number is out of range. ENOENT if the thread has ended or was
    /// interrupted.
    pub fn fail(mut self, errno: i32) -> Result<()> {
        if !(1..4096).contains(&errno) {
            return Err(Error::invalid(format!("errno {errno}"), "is not 1 to 4095"));
        }
        self.answer(0, -errno, 0)
    }

    /// Answers that the call succeeded, with a new descriptor of the program as its result: a copy
    /// of `fd`, as for an `open(2)`. Returns the descriptor's number. Linux 5.9.
    ///
    /// # Errors
    ///
    /// ENOENT if the thread has ended or was interrupted. Otherwise the kernel's error, such as
    /// EMFILE if the program has too many descriptors.
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
        .because("the thread that made it has ended, or was interrupted")
        .errno(libc::ENOENT)
}
