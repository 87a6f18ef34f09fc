"""Wait for descriptors until a deadline, with the calls that `select` offers at that moment.

eventlet and similar libraries remove `select.poll`, because it cannot yield to their other tasks.
They keep a `select.select` that can, and this module then uses it. gevent replaces `select.poll`.
"""

from __future__ import annotations

import select
import time

# The values of POLLIN and POLLOUT (poll(2)). A replaced `select` may lack the names.
READ, WRITE = 1, 4

_LONGEST_PAUSE = 86400.0
"""Seconds after which a wait starts again.

The kernel's calls take at most 24 days, and Python refuses larger values.
"""


class Deadline:
    """The moment `timeout` seconds from now. None and infinity mean never."""

    __slots__ = ("_at",)

    def __init__(self, timeout: float | None) -> None:
        try:
            self._at = float("inf") if timeout is None else time.monotonic() + timeout
        except OverflowError:  # An integer too large for a float.
            assert timeout is not None
            self._at = float("inf") if timeout > 0 else float("-inf")
        except TypeError:
            raise TypeError(
                f"timeout: {timeout!r} is not a number of seconds, but {type(timeout).__name__}"
            ) from None
        if self._at != self._at:
            raise ValueError("a timeout is a number of seconds, and NaN is none")

    def or_in(self, seconds: float | None) -> Deadline:
        """Return the earlier of this moment and the one `seconds` from now."""
        if seconds is None:
            return self
        other = Deadline(seconds)
        return other if other._at < self._at else self

    @property
    def passed(self) -> bool:
        """Whether the moment has passed."""
        return time.monotonic() >= self._at

    @property
    def left(self) -> float | None:
        """Seconds until the moment, at least 0, or None for ever."""
        return None if self._at == float("inf") else max(0.0, self._at - time.monotonic())

    @property
    def pause(self) -> float | None:
        """Seconds for one wait call: `left`, cut to what every call accepts. Wait in a loop."""
        left = self.left
        return None if left is None else min(left, _LONGEST_PAUSE)


class Poll:
    """A set of descriptors to wait for, using `select.poll`, else `select.select`."""

    __slots__ = ("_poll", "_wanted")

    def __init__(self) -> None:
        self._poll = select.poll() if hasattr(select, "poll") else None
        self._wanted: dict[int, int] = {}

    def register(self, fd: int, events: int) -> None:
        """Set the events to wait for: `READ`, `WRITE`, or both."""
        if self._poll is None:
            self._wanted[fd] = events
        else:
            self._poll.register(fd, events)

    def wait(self, deadline: Deadline) -> dict[int, int]:
        """Return the ready descriptors with their events. A hang-up is also an event.

        The result is empty after the deadline, and sometimes before.
        """
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
    """Return whether a read would not block."""
    poll = Poll()
    poll.register(fd, READ)
    return bool(poll.wait(Deadline(0)))
