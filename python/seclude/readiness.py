"""Waiting for descriptors until a deadline, with whatever `select` has when it is asked.

eventlet and its like take `select.poll` away by design, because they cannot make it yield to their other tasks. They leave
`select.select`, which then does. gevent puts its own `poll` in the place of Python's.
"""

from __future__ import annotations

import select
import time

# poll(2)'s numbers: what stands for `select` may lack their names.
READ, WRITE = 1, 4

_LONGEST_PAUSE = 86400.0
"""Seconds after which a wait looks again. The kernel's calls take no more than 24 days, and Python's refuse what is above."""


class Deadline:
    """The moment at which a wait is over, so many seconds from now; None or infinity for never."""

    __slots__ = ("_at",)

    def __init__(self, timeout: float | None) -> None:
        try:
            self._at = float("inf") if timeout is None else time.monotonic() + timeout
        except OverflowError:  # An integer beyond all floating-point numbers.
            assert timeout is not None
            self._at = float("inf") if timeout > 0 else float("-inf")
        except TypeError:
            raise TypeError(
                f"timeout: {timeout!r} is not a number of seconds, but {type(timeout).__name__}"
            ) from None
        if self._at != self._at:
            raise ValueError("a timeout is a number of seconds, and NaN is none")

    def or_in(self, seconds: float | None) -> Deadline:
        """This moment, or the one in so many seconds if that is earlier."""
        if seconds is None:
            return self
        other = Deadline(seconds)
        return other if other._at < self._at else self

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self._at

    @property
    def left(self) -> float | None:
        """Seconds until then, not negative; None for ever."""
        return None if self._at == float("inf") else max(0.0, self._at - time.monotonic())

    @property
    def pause(self) -> float | None:
        """As `left`, but no longer than every call takes: who waits looks again."""
        left = self.left
        return None if left is None else min(left, _LONGEST_PAUSE)


class Poll:
    """Descriptors, each with what it is waited for: `select.poll`, or `select.select` where there is no such thing."""

    __slots__ = ("_poll", "_wanted")

    def __init__(self) -> None:
        self._poll = select.poll() if hasattr(select, "poll") else None
        self._wanted: dict[int, int] = {}

    def register(self, fd: int, events: int) -> None:
        """Waits for this, `READ` or `WRITE` or both, instead of what was waited for before."""
        if self._poll is None:
            self._wanted[fd] = events
        else:
            self._poll.register(fd, events)

    def unregister(self, fd: int) -> None:
        """Waits for it no longer."""
        if self._poll is None:
            del self._wanted[fd]
        else:
            self._poll.unregister(fd)

    def wait(self, deadline: Deadline) -> dict[int, int]:
        """Those that are ready, each with what for; none at the deadline, or for no reason. A hang-up is an event, too."""
        pause = deadline.pause
        if self._poll is not None:
            return dict(self._poll.poll(None if pause is None else pause * 1000))
        reading = [fd for fd, events in self._wanted.items() if events & READ]
        writing = [fd for fd, events in self._wanted.items() if events & WRITE]
        readable, writable, _ = select.select(reading, writing, [], pause)
        ready = dict.fromkeys(readable, READ)
        for fd in writable:
            ready[fd] = ready.get(fd, 0) | WRITE
        return ready


def is_readable(fd: int) -> bool:
    """Whether reading from it would not wait."""
    poll = Poll()
    poll.register(fd, READ)
    return bool(poll.wait(Deadline(0)))
