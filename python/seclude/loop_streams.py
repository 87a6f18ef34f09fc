"""The pipes of a command as streams of bytes, for any event loop."""

from __future__ import annotations

import os
import select
from typing import IO, Any, Self

from .exchange import pending
from .loop_library import running
from .readiness import READ, WRITE, Deadline

_PIECE = 1 << 16
_NEVER = Deadline(None)


async def ready(
    wanted: dict[int, int], deadline: Deadline, waiting: set[select.epoll] | None = None
) -> list[int]:
    """Wait for descriptors with these events, and return those that are ready.

    The result is empty after the deadline, and sometimes before.

    The loop waits for an epoll instance of this call's own, which is readable if any descriptor in
    it is ready. So one task waits for several descriptors, and several tasks may wait for the same
    one, which no loop allows by itself. The instance is in `waiting` meanwhile.
    """
    with select.epoll(len(wanted) + 1) as epoll:
        for fd, events in wanted.items():
            epoll.register(fd, events)
        if waiting is not None:
            waiting.add(epoll)
        try:
            await running().readable(epoll.fileno(), deadline.pause)
            return [fd for fd, _ in epoll.poll(0)]
        finally:
            if waiting is not None:
                waiting.discard(epoll)


class _Stream:
    """The caller's end of a pipe, which does not block."""

    def __init__(self, pipe: IO[Any]) -> None:
        self._pipe = pipe
        self._waiting: set[select.epoll] = set()
        self._wake: int | None = None

    def fileno(self) -> int:
        """Return the descriptor, borrowed. Raises ValueError if the stream is closed."""
        return self._pipe.fileno()

    @property
    def closed(self) -> bool:
        """Whether the stream is closed."""
        return self._pipe.closed

    def close(self) -> None:
        """Close the stream. A task that waits in it gets a ValueError, as with a closed file."""
        self._pipe.close()
        if self._waiting and self._wake is None:
            # A closed descriptor silently leaves an epoll instance, so another one wakes the task.
            self._wake = os.eventfd(1, os.EFD_CLOEXEC)
            for epoll in self._waiting:
                epoll.register(self._wake, READ)

    async def aclose(self) -> None:
        """Close the stream: `close` with the name that it has in trio and anyio."""
        self.close()

    async def _ready(self, events: int, end: int | None = None) -> list[int]:
        """Wait until the pipe has these events or the descriptor `end` is readable."""
        wanted = {self.fileno(): events}
        if end is not None:
            wanted[end] = READ
        try:
            return await ready(wanted, _NEVER, self._waiting)
        finally:
            if self._wake is not None and not self._waiting:
                os.close(self._wake)
                self._wake = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"descriptor {self.fileno()}"
        return f"<seclude.loop_streams.{type(self).__name__}: {state}>"


class SendStream(_Stream):
    """The standard input of a command."""

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of the data. Raises BrokenPipeError if the command reads no more.

        A cancellation may come after a part of the data has been written.
        """
        rest = memoryview(data).cast("B")
        while True:
            await self._ready(WRITE)
            try:
                rest = rest[os.write(self.fileno(), rest) :]
            except BlockingIOError:  # Another writer was faster.
                continue
            if not rest:
                return


class ReceiveStream(_Stream):
    """The standard output or error of a command. Iterating yields its data as it comes."""

    def __init__(self, pipe: IO[Any], end: int | None) -> None:
        super().__init__(pipe)
        # The pidfd if other processes may hold the pipe open after the command's end.
        self._end = end
        self._rest: int | None = None

    async def receive(self, max_bytes: int = _PIECE) -> bytes:
        """Return the next data, at most `max_bytes`. Return b"" at the end of the stream.

        In a cell, the stream ends with what is in the pipe when the command ends.
        """
        if max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        while self._rest != 0:
            came = await self._ready(READ, self._end)
            fd = self.fileno()
            if self._end in came:
                self._end, self._rest = None, pending(fd)
                continue
            size = max_bytes if self._rest is None else min(max_bytes, self._rest)
            try:
                data = os.read(fd, size)
            except BlockingIOError:  # Another reader was faster.
                continue
            if self._rest is not None:
                self._rest -= len(data)
            return data
        return b""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if data := await self.receive():
            return data
        raise StopAsyncIteration
