//! Terminals: the caller's side of a command's terminal, and raw mode for the caller's own.

use crate::base::error::{Error, Result};
use crate::base::kept::Kept;
use crate::base::sys;
use crate::wire::message;
use nix::errno::Errno;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{read, write};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The size of a terminal's window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowSize {
    /// The number of lines.
    pub rows: u16,
    /// The number of characters in a line.
    pub columns: u16,
}

impl Default for WindowSize {
    fn default() -> WindowSize {
        WindowSize { rows: 24, columns: 80 }
    }
}

impl WindowSize {
    /// The window size of one of the caller's terminals, such as its standard input: `TIOCGWINSZ`,
    /// `ioctl_tty(2)`.
    ///
    /// # Errors
    ///
    /// An error if the descriptor is not a terminal.
    pub fn of(terminal: impl AsFd) -> Result<WindowSize> {
        let (rows, columns) = sys::window_size(terminal.as_fd())
            .map_err(|error| Error::io("ask for the size of a window", error))?;
        Ok(WindowSize { rows, columns })
    }

    /// The message that describes a terminal for these streams to the warden.
    pub(crate) fn terminal(self, streams: u32) -> message::Terminal {
        message::Terminal { streams, rows: self.rows.into(), columns: self.columns.into() }
    }
}

/// The caller's side of a command's terminal. The command reads what is written to it, and the
/// reverse, by the rules of terminals (`termios(3)`).
///
/// A read returns the end of the file once no process inside has the terminal open. Dropping this
/// value and every copy of it hangs up the terminal.
#[derive(Debug)]
pub struct Terminal(Kept);

impl Terminal {
    /// Sets the window size. If it changes, the foreground programs get SIGWINCH.
    ///
    /// # Errors
    ///
    /// An error if the descriptor was closed or is not a terminal.
    pub fn resize(&self, size: WindowSize) -> Result<()> {
        sys::set_window_size(self.0.get()?, size.rows, size.columns)
            .map_err(|error| Error::io("set the size of a window", error))
    }

    /// Whether the descriptor is still open and ours.
    pub(crate) fn is_intact(&self) -> bool {
        self.0.intact().is_some()
    }

    /// Duplicates the descriptor, for use in another thread.
    ///
    /// # Errors
    ///
    /// An error if the caller has closed the descriptor or has no free one.
    pub fn try_clone(&self) -> Result<Terminal> {
        self.0.try_clone().map(Terminal::from)
    }
}

impl Read for &Terminal {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        end_is_end(read(self.0.get()?, buffer).map_err(io::Error::from))
    }
}

impl Write for &Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(write(self.0.get()?, bytes)?)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Terminal {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(buffer)
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &*self).write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.unchecked()
    }
}

impl From<OwnedFd> for Terminal {
    /// Wraps the caller's side of any other terminal.
    fn from(fd: OwnedFd) -> Terminal {
        Terminal(fd.into())
    }
}

impl From<Terminal> for OwnedFd {
    fn from(terminal: Terminal) -> OwnedFd {
        terminal.0.into_unchecked()
    }
}

/// Turns EIO into the end of the file. A read of a terminal fails with EIO once no process has the
/// other side open (pty(7)).
pub(crate) fn end_is_end(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(0),
        result => result,
    }
}

/// One of the caller's terminals, such as its standard input, in raw mode. Every key, Ctrl-C
/// included, then goes unchanged to the command's terminal, which interprets it. Dropping this
/// value restores the previous mode.
#[derive(Debug)]
pub struct RawMode {
    terminal: Kept,
    before: Termios,
}

impl RawMode {
    /// Puts a terminal into raw mode (`cfmakeraw(3)`).
    ///
    /// # Errors
    ///
    /// An error if the descriptor is not a terminal.
    pub fn enter(terminal: impl AsFd) -> Result<RawMode> {
        let failed = |errno: Errno| Error::io("put a terminal into raw mode", errno);
        let terminal = terminal
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| Error::io("copy a descriptor", error))?;
        let before = tcgetattr(&terminal).map_err(failed)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&terminal, SetArg::TCSADRAIN, &raw).map_err(failed)?;
        Ok(RawMode { terminal: terminal.into(), before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(terminal) = self.terminal.intact() {
            let _ = tcsetattr(terminal, SetArg::TCSADRAIN, &self.before);
        }
    }
}
