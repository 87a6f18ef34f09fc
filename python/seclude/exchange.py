"""Communicate with running commands over all their pipes at once.

Serving all pipes keeps any of them from filling up and blocking its command. An exchange stops at
its deadline and can be resumed: no data is lost or repeated. It works on descriptors, below the
buffers of the file objects, and needs no thread. It keeps a bounded number of bytes of each stream.
It reports the first excess, then reads and drops the rest.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import termios
from collections.abc import Callable, Iterable, Sequence
from select import PIPE_BUF
from typing import IO, Any
from weakref import WeakMethod

import seclude

from .readiness import READ, WRITE, Deadline, Poll, is_readable

BOUND = 64 << 20
"""Bytes kept of a stream if the sandbox has no output limit, the same number as in the core."""
_PIECE = 32768
_TERMINAL_HOLDS = 16 << 10
"""More than a terminal buffers for its reader: 4 KiB that FIONREAD counts and 8 KiB in transit."""


class Exchange:
    """The pending input and collected output of one command.

    `overflow` is called when a stream exceeds the bound. `end` is the pidfd of the command if other
    processes may hold its pipes open after its end. Once the command has ended, only the data that
    is already in the pipes is read.
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
        # A strong reference would make a cycle with the command, and its descriptors would stay
        # open until a garbage collection.
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
                pass  # The command closed its end of the pipe or ended: it reads no more.

    @property
    def so_far(self) -> list[bytes | None]:
        """The data read from stdout and stderr so far; None for a stream that is not a pipe."""
        return [None if kept is None else b"".join(kept.chunks) for kept in self._kept]

    def awaits(self) -> dict[int, int]:
        """Return the descriptors to wait for, each with its events."""
        events = dict.fromkeys(self._read, READ)
        if self._stdin is not None:
            events[self._stdin.fileno()] = WRITE
        if events and self._end is not None:
            events[self._end] = READ
        return events

    def advance(self, fd: int) -> bool:
        """Serve a ready descriptor, and return whether to keep waiting for the same events."""
        if fd == self._end:
            self._finish()
            return False
        return self._receive(fd) > 0 if fd in self._read else self._send(fd)

    def _finish(self) -> None:
        """Read what is in the pipes now that the command has ended, and stop."""
        self._end = None
        for fd in list(self._read):
            # FIONREAD misses data in transit to a terminal. After the writer's end, polling the
            # terminal delivers that data.
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
            # EIO is the end of a terminal whose other side no process has open (pty(7)).
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
        # A pipe that polls as writable takes PIPE_BUF bytes without blocking (pipe(7)).
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
        """Keep as much of the chunk as there is room for. Return False if some was dropped."""
        fits = len(chunk) <= self._room
        if self._room:
            self.chunks.append(chunk[: self._room])
            self._room -= len(self.chunks[-1])
        return fits


class Serving:
    """The exchanges of several commands, and which descriptors to wait for on their behalf."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self.wanted: dict[int, int] = {}
        """The descriptors with their events. Empty once all pipes are closed."""
        self._owners: dict[int, Exchange] = {}
        for one in exchanges:
            self._watch(one)

    def _watch(self, one: Exchange) -> None:
        for fd in [fd for fd, owner in self._owners.items() if owner is one]:
            del self._owners[fd], self.wanted[fd]
        for fd, events in one.awaits().items():
            self.wanted[fd], self._owners[fd] = events, one

    def serve(self, ready: Iterable[int]) -> bool:
        """Serve ready descriptors, and return whether to wait for others than before."""
        changed = False
        for fd in ready:
            owner = self._owners.get(fd)
            if owner is not None and not owner.advance(fd):
                self._watch(owner)
                changed = True
        return changed


def exchange(exchanges: Sequence[Exchange], deadline: Deadline) -> bool:
    """Serve all pipes until they close (True) or the deadline passes (False)."""
    serving = Serving(exchanges)
    while serving.wanted:
        poll = Poll()
        for fd, events in serving.wanted.items():
            poll.register(fd, events)
        while not serving.serve(ready := poll.wait(deadline)):
            if not ready and deadline.passed:
                return False
    return True


def pending(fd: int) -> int:
    """Return how many bytes can be read from a pipe now."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
