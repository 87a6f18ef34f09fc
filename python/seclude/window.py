"""Futures out of a source that may be endless, with a bounded number of them under way: in order, or as they complete.

To take a future out of the source is to submit its job, so that neither jobs nor results pile up, however many there are. How
many may be under way is asked each time, for where they run may grow. Whoever leaves early cancels what has not begun.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from itertools import islice
from typing import TypeVar

from .readiness import Deadline

_Result = TypeVar("_Result")


def in_order(
    futures: Iterator[Future[_Result]], width: Callable[[], int], timeout: float | None = None
) -> Generator[Future[_Result]]:
    """The futures, each when it is done, in the order of the source. Submits the first ones at once.

    After `timeout` seconds, for the whole, it is a TimeoutError.
    """
    deadline = Deadline(timeout)
    pending = deque(islice(futures, width()))

    def done() -> Generator[Future[_Result]]:
        try:
            while pending:
                while not wait(islice(pending, 1), deadline.pause).done:
                    if deadline.passed:
                        raise TimeoutError
                first = pending.popleft()
                pending.extend(islice(futures, max(0, width() - len(pending))))
                yield first
        finally:
            for future in pending:
                future.cancel()

    return done()


def as_completed(
    futures: Iterator[Future[_Result]], width: Callable[[], int]
) -> Generator[Future[_Result]]:
    """The futures, each when it is done, the first that is done first."""
    pending = set(islice(futures, width()))
    try:
        while pending:
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                pending.remove(future)
                pending.update(islice(futures, max(0, width() - len(pending))))
                yield future
    finally:
        for future in pending:
            future.cancel()


def results(futures: Generator[Future[_Result]]) -> Generator[_Result]:
    """What the futures return. What one of them raises is the end of all."""
    with closing(futures):
        for future in futures:
            yield future.result()
