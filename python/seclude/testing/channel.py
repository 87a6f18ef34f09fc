"""What passes between a test's own process and the process that started it: lines of JSON.

The channel is an unnamed file, not a pipe: nobody has to read while the test runs, and what was
written before a crash is still there. The request is its first line. The test's process appends one
message a line. Its standard streams belong to the test alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from typing import Any, Self

_HIGH = 100
"""The channel gets at least this number inside, so that a test finds the usual ones free."""


class Outer:
    """The side of the process that starts the test. `with` closes it."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._file = tempfile.TemporaryFile()
        self._file.write(_line(request))
        self._file.flush()

    def fileno(self) -> int:
        """Return the descriptor, borrowed, for the test's process to inherit."""
        return self._file.fileno()

    def messages(self) -> list[dict[str, Any]]:
        """Return what the test's process has written. Call it after the end of that process."""
        self._file.seek(0)
        lines = self._file.read().split(b"\n")[1:]
        # The last piece is empty, or the beginning of a message that a crash cut off.
        return [json.loads(line) for line in lines[:-1]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


_inside = False


def is_inside() -> bool:
    """Return whether this is the process of one test, which runs that in place."""
    return _inside


class Inner:
    """The side of the test's process. Takes the descriptor over."""

    def __init__(self, fd: int) -> None:
        global _inside
        _inside = True
        # Close-on-exec, because a program that the test starts has nothing to say here.
        self._fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        os.close(fd)
        size = os.fstat(self._fd).st_size
        self.request: dict[str, Any] = json.loads(os.pread(self._fd, size, 0))

    def send(self, kind: str, **message: Any) -> None:
        """Append a message. One write, so that a crash cannot leave it mixed with another."""
        left = memoryview(_line({"kind": kind, **message}))
        while left:
            left = left[os.write(self._fd, left) :]


def _line(message: dict[str, Any]) -> bytes:
    # A test can attach any object to its report. Those that JSON cannot hold arrive as their text.
    return json.dumps(message, default=repr).encode() + b"\n"
