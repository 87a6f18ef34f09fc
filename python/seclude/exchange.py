"""Talking to running commands over their pipes, all at once, so that none of them can fill up and block its command.

An exchange can be interrupted by its deadline and taken up again: nothing that was read or written is lost or repeated.
It works on descriptors, below the file objects' buffers, and needs no thread. Of each stream it keeps a bounded number of
bytes; what goes beyond that is told once, then read and dropped until the stream ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import termios
from collections.abc import Callable, Sequence
from select import PIPE_BUF
from typing import IO, Any
from weakref import WeakMethod

import seclude

from .readiness import READ, WRITE, Deadline, Poll, is_readable

BOUND = 64 << 20
"""Bytes that are kept of a stream where the sandbox has no limit on output: as many as the core keeps."""
_PIECE = 32768
_TERMINAL_HOLDS = 16 << 10
"""More than a terminal holds for its reader: 4 KiB where FIONREAD sees them, and 8 KiB on their way there."""


class Exchange:
    """What is still to be written to one command, and what has been read. `overflow` is called when there is too much of it.

    `end`: the pidfd of a command whose pipes others may hold open when it has ended. What is in them then is the rest.
    """

    def __init__(
        self,
        stdin: IO[Any] | None,
        stdout: IO[Any] | seclude.Terminal | None,
        stderr: IO[Any] | None,
        data: bytes | None,
        bound: int,
        overflow: WeakMethod[Callable[[], None]],
        end: int | None = None,
    ) -> None:
        self._unsent = memoryview(data or b"")
        self._stdin = stdin
        self._bound = bound
        self._end = end
        # Weak: a command that owned its exchange through a cycle would keep its descriptors until a collection.
        self._overflow = overflow
        self._read: dict[int, tuple[IO[Any] | seclude.Terminal, Kept]] = {}
        self._kept: list[Kept | None] = [None, None]
        for number, pipe in enumerate((stdout, stderr)):
            if pipe is not None:
                kept = self._kept[number] = Kept(bound)
                if not pipe.closed:
                    self._read[pipe.fileno()] = (pipe, kept)
        if stdin is not None and not stdin.closed:
            try:
                stdin.flush()
            except BrokenPipeError:
                pass
            if not data:
                self._close_stdin()
        else:
            self._stdin = None

    def _close_stdin(self) -> None:
        stdin, self._stdin = self._stdin, None
        if stdin is not None:
            try:
                stdin.close()
            except BrokenPipeError:
                pass  # It has closed its end, or ended: it wants no more.

    @property
    def so_far(self) -> list[bytes | None]:
        """What was read from stdout and stderr; None where that is no pipe."""
        return [None if kept is None else b"".join(kept.chunks) for kept in self._kept]

    def awaits(self) -> dict[int, int]:
        """The descriptors that this waits for, each with what it waits for."""
        events = dict.fromkeys(self._read, READ)
        if self._stdin is not None:
            events[self._stdin.fileno()] = WRITE
        if events and self._end is not None:
            events[self._end] = READ
        return events

    def advance(self, fd: int) -> bool:
        """Does what a ready descriptor is ready for, and tells whether to wait for the same again."""
        if fd == self._end:
            self._finish()
            return False
        return self._receive(fd) > 0 if fd in self._read else self._send(fd)

    def _finish(self) -> None:
        """The command has ended: reads what is in the pipes, and no more."""
        self._end = None
        for fd in list(self._read):
            # Polling a terminal brings what is on its way when the writer has ended.
            rest = _TERMINAL_HOLDS if os.isatty(fd) else pending(fd)
            while rest > 0 and fd in self._read and is_readable(fd):
                rest -= self._receive(fd)
            if fd in self._read:
                self._read.pop(fd)[0].close()
        self._close_stdin()

    def _receive(self, fd: int) -> int:
        pipe, kept = self._read[fd]
        try:
            chunk = os.read(fd, _PIECE)
        except OSError as error:
            # A terminal that nobody has open on the other side: that is its end (pty(7)).
            if error.errno != errno.EIO:
                raise
            chunk = b""
        if not chunk:
            del self._read[fd]
            pipe.close()
        elif not kept.add(chunk):
            overflow = self._overflow()
            if overflow is not None:
                overflow()
        return len(chunk)

    def _send(self, fd: int) -> bool:
        # A pipe that polls as writable takes this much without blocking: pipe(7).
        try:
            self._unsent = self._unsent[os.write(fd, self._unsent[:PIPE_BUF]) :]
        except BrokenPipeError:
            self._unsent = self._unsent[:0]
        if not self._unsent:
            self._close_stdin()
        return bool(self._unsent)


class Kept:
    """The first bytes of a stream."""

    __slots__ = ("_room", "chunks")

    def __init__(self, room: int) -> None:
        self.chunks: list[bytes] = []
        self._room = room

    def add(self, chunk: bytes) -> bool:
        """Keeps what there is room for; False if that is not all."""
        fits = len(chunk) <= self._room
        if self._room:
            self.chunks.append(chunk[: self._room])
            self._room -= len(self.chunks[-1])
        return fits


def exchange(exchanges: Sequence[Exchange], deadline: Deadline) -> bool:
    """Writes and reads until all pipes are at their ends: True; or until the deadline: False."""
    poll = Poll()
    owners: dict[int, Exchange] = {}

    def watch(one: Exchange) -> None:
        for fd in [fd for fd, owner in owners.items() if owner is one]:
            poll.unregister(fd)
            del owners[fd]
        for fd, events in one.awaits().items():
            poll.register(fd, events)
            owners[fd] = one

    for one in exchanges:
        watch(one)
    while owners:
        ready = poll.wait(deadline)
        if not ready and deadline.passed:
            return False
        for fd in ready:
            owner = owners.get(fd)
            if owner is not None and not owner.advance(fd):
                watch(owner)
    return True


def pending(fd: int) -> int:
    """How many bytes can be read from a pipe now."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
