"""The starts on an event loop that wait for a place in a pool, in order of arrival."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable
from typing import TypeVar

_Started = TypeVar("_Started")


class Waiters:
    """The waiting starts of one event loop for one pool.

    The pool's descriptor is readable while a start is worth trying. Only the first start in the
    queue tries, and the next one after it. Several at once would compete for the same place, and a
    loop allows only one reader of a descriptor.
    """

    def __init__(self, loop: AbstractEventLoop, descriptor: int) -> None:
        self._loop, self._descriptor = loop, descriptor
        self._waiting: deque[Future[None]] = deque()
        self._trying: Future[None] | None = None
        self._watching = False

    def __bool__(self) -> bool:
        """Whether any start is waiting."""
        return bool(self._waiting) or self._trying is not None

    async def wait(self, attempt: Callable[[], _Started | None]) -> _Started:
        """Wait for a turn and call `attempt` until it succeeds. Cancelling leaves the queue."""
        turn: Future[None] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            while True:
                self._watch()
                await turn
                if (started := attempt()) is not None:
                    return started
                # Another thread was faster. Put this start back at the head of the queue.
                self._leave(turn)
                turn = self._loop.create_future()
                self._waiting.appendleft(turn)
        finally:
            self._leave(turn)
            self._watch()

    def _leave(self, turn: Future[None]) -> None:
        if self._trying is turn:
            self._trying = None
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def _watch(self) -> None:
        """Watch the descriptor while starts are waiting and none is about to try."""
        wanted = bool(self._waiting) and self._trying is None
        if wanted == self._watching or self._loop.is_closed():
            return
        self._watching = wanted
        if wanted:
            self._loop.add_reader(self._descriptor, self._give_turn)
        else:
            self._loop.remove_reader(self._descriptor)

    def _give_turn(self) -> None:
        """Give the first start in the queue its turn, now that the descriptor is readable."""
        turn = self._waiting.popleft()
        if not turn.done():
            self._trying = turn
            turn.set_result(None)
        self._watch()
