"""Terminals: the caller's side of a command's own, and the caller's own in raw mode."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import struct
import termios
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer
else:
    ReadableBuffer = WriteableBuffer = Any  # Python itself has no name for them before 3.12.


class Terminal(io.RawIOBase):
    """The caller's side of a command's terminal: what is written to it, the command reads, and the other way round.

    Bytes, unbuffered, by the terminal's rules (`termios(3)`). Reading comes to its end when nobody inside has the terminal open
    any more. Closing it hangs up: the command gets SIGHUP.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        """Its descriptor. Borrowed."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._fd

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Reads what is there, waiting for the first byte; 0 at the end."""
        try:
            return os.readv(self.fileno(), [buffer])
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return 0

    def write(self, data: ReadableBuffer) -> int | None:
        """Writes as much as there is room for; how much that was."""
        try:
            return os.write(self.fileno(), data)
        except BlockingIOError:
            return None

    def resize(self, rows: int, columns: int) -> None:
        """Sets the size of its window, in characters; the programs in its foreground get SIGWINCH if it is another one."""
        fcntl.ioctl(self.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        """Hangs up."""
        if not self.closed:
            super().close()
            os.close(self._fd)


@contextlib.contextmanager
def raw_mode(terminal: int | IO[Any]) -> Iterator[None]:
    """A terminal of the caller's, such as `sys.stdin`, in raw mode while this lasts (`cfmakeraw(3)`).

    Every key goes through as it is, Ctrl-C too, to a command's terminal that does the rest. `termios.error` if it is no terminal.
    """
    import tty

    fd = terminal if isinstance(terminal, int) else terminal.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def window_size(terminal: int | IO[Any]) -> tuple[int, int]:
    """Rows and columns of the window of a terminal of the caller's; OSError if it is none."""
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8)))
    return rows, columns
