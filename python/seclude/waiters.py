"""Starts on an event loop that wait for a place in a pool, in the order in which they came."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable
from typing import TypeVar

_Started = TypeVar("_Started")


class Waiters:
    """Those of one loop and one pool, whose descriptor is readable while there is reason to try.

    One at a time is told so, and the next one when that one has tried: all at once would be in each
    other's way, and a loop has only one reader of a descriptor.
    """

    def __init__(self, loop: AbstractEventLoop, descriptor: int) -> None:
        self._loop, self._descriptor = loop, descriptor
        self._waiting: deque[Future[None]] = deque()
        self._told: Future[None] | None = None
        self._watching = False

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._waiting) or self._told is not None

    async def wait(self, attempt: Callable[[], _Started | None]) -> _Started:
        """Waits in line, and tries until something comes of it. Cancelled, it leaves the line."""
        turn: Future[None] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            while True:
                self._watch()
                await turn
                if (started := attempt()) is not None:
                    return started
                # Another thread was faster: this start is still the first in line.
                self._leave(turn)
                turn = self._loop.create_future()
                self._waiting.appendleft(turn)
        finally:
            self._leave(turn)
            self._watch()

    def _leave(self, turn: Future[None]) -> None:
        if self._told is turn:
            self._told = None
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def _watch(self) -> None:
        """Looks at the descriptor while a start is to be told, and none is about to try."""
        wanted = bool(self._waiting) and self._told is None
        if wanted == self._watching or self._loop.is_closed():
            return
        self._watching = wanted
        if wanted:
            self._loop.add_reader(self._descriptor, self._tell)
        else:
            self._loop.remove_reader(self._descriptor)

    def _tell(self) -> None:
        """The descriptor is readable: the first start in line has its turn."""
        turn = self._waiting.popleft()
        if not turn.done():
            self._told = turn
            turn.set_result(None)
        self._watch()
