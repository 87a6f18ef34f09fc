"""The starts on an event loop that wait for a place in a pool, in order of arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from .loop_library import Library, Turn

_Started = TypeVar("_Started")


class Waiters:
    """The waiting starts of each event loop for one pool.

    The pool's descriptor is readable while a start is worth trying. Only the first start in a
    loop's queue tries, and the next one after it. Several at once would compete for the same place,
    and a loop allows only one reader of a descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loops: dict[Hashable, deque[Turn]] = {}

    def __bool__(self) -> bool:
        """Whether any start is waiting."""
        return bool(self._loops)

    async def wait(
        self, library: Library, attempt: Callable[[], Awaitable[_Started | None]]
    ) -> _Started:
        """Wait for a turn and call `attempt` until it succeeds. Cancelling leaves the queue."""
        loop, turn = library.loop(), library.turn()
        queue = self._loops.setdefault(loop, deque())
        queue.append(turn)
        try:
            if queue[0] is not turn:
                await turn.wait()
            while (started := await attempt()) is None:
                # All places are taken, or another thread was faster.
                await library.readable(self._descriptor, None)
            return started
        finally:
            first = queue[0] is turn
            queue.remove(turn)
            if not queue:
                del self._loops[loop]
            elif first:
                queue[0].set()
