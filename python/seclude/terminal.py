"""Terminals: the caller's side of a command's terminal, and raw mode for the caller's own."""

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
    ReadableBuffer = WriteableBuffer = Any  # Python has names for these types from 3.12 on.


class Terminal(io.RawIOBase):
    """The caller's side of a command's terminal.

    What the caller writes, the command reads, and the reverse. Data are bytes, unbuffered, subject
    to the terminal's settings (`termios(3)`). Reading reaches its end when no process inside has
    the terminal open. Closing this side hangs up, which sends SIGHUP to the command.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        """Return its descriptor, borrowed."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._fd

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read available bytes, waiting for the first one. Return 0 at the end."""
        try:
            return os.readv(self.fileno(), [buffer])
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return 0

    def write(self, data: ReadableBuffer) -> int | None:
        """Write as many bytes as there is room for, and return their number."""
        try:
            return os.write(self.fileno(), data)
        except BlockingIOError:
            return None

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the window, in characters.

        If the size changes, the foreground programs get SIGWINCH.
        """
        fcntl.ioctl(self.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        """Close this side, which hangs up the terminal."""
        if not self.closed:
            super().close()
            os.close(self._fd)


@contextlib.contextmanager
def raw_mode(terminal: int | IO[Any]) -> Iterator[None]:
    """Put a terminal of the caller, such as `sys.stdin`, into raw mode for the `with` block.

    In raw mode (`cfmakeraw(3)`) every key, also Ctrl-C, passes through unchanged, so that a
    command's own terminal can process it. Raises `termios.error` if this is not a terminal.
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
    """Return the rows and columns of a terminal of the caller.

    Raises OSError if this is not a terminal.
    """
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8)))
    return rows, columns
