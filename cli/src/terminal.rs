//! A terminal of the program's own, connected to the caller's: keys go in, output comes out, and
//! changes of the window's size are passed on.

use crate::status::{Failure, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SpecialCharacterIndices, tcgetattr};
use nix::unistd::{read, tcgetpgrp};
use seclude::{RawMode, Terminal, WindowSize};
use std::io::{ErrorKind, Read, Stdin, Write, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd};

const PIECE: usize = 32 * 1024;

/// The connection of the caller's terminal with the program's.
pub struct Relay {
    terminal: Terminal,
    input: Stdin,
    raw: Option<RawMode>,
    /// Keys that the program's terminal has not taken yet.
    typed: Vec<u8>,
    /// The caller's terminal still gives keys.
    reads: bool,
    /// The program's terminal is still open inside.
    open: bool,
}

impl Relay {
    pub fn new(terminal: Terminal) -> Result<Relay> {
        let failed = |errno: Errno| Failure::new(format!("prepare a terminal: {}", errno.desc()));
        let flags = fcntl(&terminal, FcntlArg::F_GETFL).map_err(failed)?;
        let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
        fcntl(&terminal, FcntlArg::F_SETFL(flags)).map_err(failed)?;
        let raw = Some(RawMode::enter(stdin())?);
        Ok(Relay { terminal, input: stdin(), raw, typed: Vec::new(), reads: true, open: true })
    }

    /// What to wait for: the program's terminal, and the caller's.
    pub fn interests(&self) -> [(Option<BorrowedFd<'_>>, PollFlags); 2] {
        let mut inside = PollFlags::POLLIN;
        inside.set(PollFlags::POLLOUT, !self.typed.is_empty());
        let outside = self.reads && self.typed.is_empty();
        [
            (self.open.then(|| self.terminal.as_fd()), inside),
            (outside.then(|| self.input.as_fd()), PollFlags::POLLIN),
        ]
    }

    /// Moves what is ready. Returns whether the person has typed the key that suspends.
    pub fn act(&mut self, inside: PollFlags, outside: PollFlags) -> Result<bool> {
        let mut suspends = false;
        if !outside.is_empty() {
            let mut piece = [0; PIECE];
            match read(&self.input, &mut piece) {
                Ok(0) | Err(_) => self.reads = false,
                Ok(length) => {
                    suspends = self.suspends(&piece[..length]);
                    self.typed.extend(&piece[..length]);
                }
            }
        }
        if inside.contains(PollFlags::POLLOUT) || !outside.is_empty() {
            match (&self.terminal).write(&self.typed) {
                Ok(length) => drop(self.typed.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.typed.clear(),
            }
        }
        if inside.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            self.open = self.show()?;
        }
        Ok(suspends)
    }

    /// Writes what the program has written until now. Called once more after its end.
    pub fn drain(&mut self) -> Result<()> {
        while self.show()? {
            if !self.is_readable() {
                break;
            }
        }
        Ok(())
    }

    /// Writes one piece of the program's output. Returns false at its end.
    fn show(&self) -> Result<bool> {
        let mut piece = [0; PIECE];
        match (&self.terminal).read(&mut piece) {
            Ok(0) => Ok(false),
            Ok(length) => {
                let mut output = stdout().lock();
                output
                    .write_all(&piece[..length])
                    .and_then(|()| output.flush())
                    .map_err(|error| Failure::at("standard output", &error))?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(_) => Ok(false),
        }
    }

    fn is_readable(&self) -> bool {
        let mut polled = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut polled, PollTimeout::ZERO), Ok(1..))
    }

    /// Whether the program's terminal turns one of these keys into SIGTSTP.
    fn suspends(&self, keys: &[u8]) -> bool {
        tcgetattr(&self.terminal).is_ok_and(|mode| {
            let key = mode.control_chars[SpecialCharacterIndices::VSUSP as usize];
            mode.local_flags.contains(LocalFlags::ISIG) && keys.contains(&key)
        })
    }

    /// Whether the keys go to the process group that this process leads, as opposed to a job of a
    /// shell inside.
    pub fn is_used_by(&self, pid: u32) -> bool {
        tcgetpgrp(&self.terminal).is_ok_and(|group| group.as_raw().unsigned_abs() == pid)
    }

    /// Gives the caller's terminal its usual mode while this program is stopped.
    pub fn pause(&mut self, stop: impl FnOnce()) -> Result<()> {
        self.raw = None;
        stop();
        self.raw = Some(RawMode::enter(stdin())?);
        self.resize();
        Ok(())
    }

    /// Gives the program's terminal the size of the caller's window.
    pub fn resize(&self) {
        if let Ok(size) = WindowSize::of(stdin()) {
            let _ = self.terminal.resize(size);
        }
    }
}
