"""The library whose event loop runs this code: trio or asyncio, found without importing either.

anyio runs on one of the two, and its `wait_readable` is the call of that one. A loop that has
asyncio's interface, such as uvloop, counts as asyncio.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio as asyncio_


class Turn(Protocol):
    """An event that one task waits for."""

    def set(self) -> None:
        """Let the task continue."""

    async def wait(self) -> object:
        """Wait until the event is set."""


class Library(Protocol):
    """What this package needs of an event loop."""

    def loop(self) -> Hashable:
        """Return a value that identifies the running loop."""

    def turn(self) -> Turn:
        """Return a new event."""

    async def readable(self, fd: int, seconds: float | None) -> None:
        """Wait until a descriptor is readable, or so many seconds have passed."""

    async def in_thread(self, function: Callable[[], None]) -> None:
        """Call a function, which raises nothing, in a thread of the loop.

        A cancellation is raised when the function has returned.
        """

    def shield(self) -> AbstractContextManager[Any]:
        """Return a context in which the library's cancellation is put off."""


def running() -> Library:
    """Return the library that runs the current task. Raises RuntimeError if there is none."""
    trio, asyncio = sys.modules.get("trio"), sys.modules.get("asyncio")
    loop: asyncio_.AbstractEventLoop | None = None
    if asyncio is not None:
        try:
            loop = asyncio.get_running_loop()
            if asyncio.current_task() is not None:
                return _Asyncio(loop)
        except RuntimeError:
            pass
    # One of the two may run on the other: trio as a guest of an asyncio loop, whose tasks are none
    # of asyncio's, or asyncio by trio-asyncio, whose tasks were found above.
    if trio is not None:
        try:
            trio.lowlevel.current_task()
        except (AttributeError, RuntimeError):  # Not yet imported as a whole, or not in a task.
            pass
        else:
            return _Trio(trio)
    if loop is not None:
        return _Asyncio(loop)
    raise RuntimeError(
        "no running event loop; hint: await this in a task of asyncio, trio or anyio"
    )


class _Trio:
    def __init__(self, trio: Any) -> None:
        self._trio = trio

    def loop(self) -> Hashable:
        token: Hashable = self._trio.lowlevel.current_trio_token()
        return token

    def turn(self) -> Turn:
        event: Turn = self._trio.Event()
        return event

    async def readable(self, fd: int, seconds: float | None) -> None:
        with self._trio.move_on_after(inf if seconds is None else seconds):
            await self._trio.lowlevel.wait_readable(fd)

    async def in_thread(self, function: Callable[[], None]) -> None:
        await self._trio.to_thread.run_sync(function)
        await self._trio.lowlevel.checkpoint_if_cancelled()

    def shield(self) -> AbstractContextManager[Any]:
        scope: AbstractContextManager[Any] = self._trio.CancelScope(shield=True)
        return scope


class _Asyncio:
    def __init__(self, loop: asyncio_.AbstractEventLoop) -> None:
        self._loop = loop

    def loop(self) -> Hashable:
        return self._loop

    def turn(self) -> Turn:
        return _AsyncioTurn(self._loop)

    async def readable(self, fd: int, seconds: float | None) -> None:
        turn = _AsyncioTurn(self._loop)
        self._loop.add_reader(fd, turn.set)
        timer = None if seconds is None else self._loop.call_later(seconds, turn.set)
        try:
            await turn.wait()
        finally:
            if timer is not None:
                timer.cancel()
            if not self._loop.is_closed():
                self._loop.remove_reader(fd)

    async def in_thread(self, function: Callable[[], None]) -> None:
        import asyncio

        called = self._loop.run_in_executor(None, function)
        try:
            await asyncio.shield(called)
        except asyncio.CancelledError:
            with self.shield():
                await asyncio.wait([called])
            raise

    def shield(self) -> AbstractContextManager[Any]:
        # A scope of anyio cancels its task again and again until the task has left the scope.
        # asyncio's own cancellation comes once, so that what follows it is not disturbed.
        anyio = sys.modules.get("anyio")
        return nullcontext() if anyio is None else anyio.CancelScope(shield=True)


class _AsyncioTurn:
    """`asyncio.Event` for one task, which may be set when its loop is closed."""

    def __init__(self, loop: asyncio_.AbstractEventLoop) -> None:
        self._loop = loop
        self._future: asyncio_.Future[None] = loop.create_future()

    def set(self) -> None:
        if not self._future.done() and not self._loop.is_closed():
            self._future.set_result(None)

    async def wait(self) -> None:
        await self._future
