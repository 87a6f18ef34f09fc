"""Talking to a running command over its pipes, all at once, so that none of them can fill up and block it.

An exchange can be interrupted by its deadline and taken up again: nothing that was read or written is lost or repeated.
It works on descriptors, below the file objects' buffers, and needs no thread.
"""

from __future__ import annotations

import os
import select
import time
from typing import IO, Any

_PIECE = 32768


class Exchange:
    """What is still to be written, and what has been read."""

    def __init__(self, stdin: IO[Any] | None, stdout: IO[Any] | None, stderr: IO[Any] | None, data: bytes | None) -> None:
        self._unsent = memoryview(data or b"")
        self._stdin = stdin
        self._read: dict[int, tuple[IO[Any], list[bytes]]] = {}
        self._chunks: list[list[bytes] | None] = [None, None]
        for number, pipe in enumerate((stdout, stderr)):
            if pipe is not None:
                chunks: list[bytes] = []
                self._chunks[number] = chunks
                if not pipe.closed:
                    self._read[pipe.fileno()] = (pipe, chunks)
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
        return [None if chunks is None else b"".join(chunks) for chunks in self._chunks]

    def run(self, deadline: float | None) -> bool:
        """Writes and reads until all pipes are at their ends: True; or until the deadline, by `time.monotonic`: False."""
        poller = select.poll()
        for fd in self._read:
            poller.register(fd, select.POLLIN)
        if self._stdin is not None:
            poller.register(self._stdin.fileno(), select.POLLOUT)
        while self._read or self._stdin is not None:
            ready = poller.poll(milliseconds_to(deadline))
            if not ready and deadline is not None and time.monotonic() >= deadline:
                return False
            for fd, _ in ready:
                if fd in self._read:
                    self._receive(fd, poller)
                else:
                    self._send(fd, poller)
        return True

    def _receive(self, fd: int, poller: select.poll) -> None:
        pipe, chunks = self._read[fd]
        chunk = os.read(fd, _PIECE)
        if chunk:
            chunks.append(chunk)
        else:
            poller.unregister(fd)
            del self._read[fd]
            pipe.close()

    def _send(self, fd: int, poller: select.poll) -> None:
        # A pipe that polls as writable takes this much without blocking: pipe(7).
        try:
            self._unsent = self._unsent[os.write(fd, self._unsent[: select.PIPE_BUF]) :]
        except BrokenPipeError:
            self._unsent = self._unsent[:0]
        if not self._unsent:
            poller.unregister(fd)
            self._close_stdin()


def milliseconds_to(deadline: float | None) -> float | None:
    """How long to poll: rounded up by `poll` itself, not negative; None is for ever."""
    return None if deadline is None else max(0.0, (deadline - time.monotonic()) * 1000)
