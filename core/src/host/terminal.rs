//! Terminals: the caller's side of a command's own, and the caller's own in raw mode.

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
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

impl Default for WindowSize {
    fn default() -> WindowSize {
        WindowSize { rows: 24, columns: 80 }
    }
}

impl WindowSize {
    /// The size of the window of a terminal of the caller's, such as its standard input:
    /// `TIOCGWINSZ`, `ioctl_tty(2)`. An error if that is no terminal.
    pub fn of(terminal: impl AsFd) -> Result<WindowSize> {
        let (rows, columns) = sys::window_size(terminal.as_fd())
            .map_err(|error| Error::io("ask for the size of a window", error))?;
        Ok(WindowSize { rows, columns })
    }

    /// What the warden is told of a terminal for these streams.
    pub(crate) fn terminal(self, streams: u32) -> message::Terminal {
        message::Terminal { streams, rows: self.rows.into(), columns: self.columns.into() }
    }
}

/// The caller's side of a command's terminal: what is written to it, the command reads, and the
/// other way round, by the terminal's rules (`termios(3)`).
///
/// Reading comes to its end when nobody inside has the terminal open any more. Dropping it, and
/// every copy of it, hangs up.
#[derive(Debug)]
pub struct Terminal(Kept);

impl Terminal {
    /// Sets the size of the window; the programs in its foreground get SIGWINCH if it is another
    /// one.
    pub fn resize(&self, size: WindowSize) -> Result<()> {
        sys::set_window_size(self.0.get()?, size.rows, size.columns)
            .map_err(|error| Error::io("set the size of a window", error))
    }

    /// Whether the caller has not closed it.
    pub(crate) fn is_intact(&self) -> bool {
        self.0.intact().is_some()
    }

    /// The same terminal by another descriptor, for another thread.
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
    /// The caller's side of some other terminal.
    fn from(fd: OwnedFd) -> Terminal {
        Terminal(fd.into())
    }
}

impl From<Terminal> for OwnedFd {
    fn from(terminal: Terminal) -> OwnedFd {
        terminal.0.into_unchecked()
    }
}

/// A terminal that nobody has open on the other side answers EIO (pty(7)): that is its end.
pub(crate) fn end_is_end(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(0),
        result => result,
    }
}

/// A terminal of the caller's, such as its standard input, in raw mode: every key goes through as
/// it is, Ctrl-C too, to a command's terminal that does the rest. Dropping it gives the terminal
/// back as it was.
#[derive(Debug)]
pub struct RawMode {
    terminal: Kept,
    before: Termios,
}

impl RawMode {
    /// Puts it into raw mode (`cfmakeraw(3)`). An error if it is no terminal.
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
