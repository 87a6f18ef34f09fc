"""Iterate over the futures of an endless source with a bounded number of them pending.

Taking a future from the source submits its job, so neither jobs nor results accumulate. The bound
is a function that is called each time, because the place where the jobs run may grow. Leaving an
iterator early cancels the jobs that have not begun.
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
    """Yield the futures in the order of the source, each when it is done.

    The first ones are submitted at once. Raises TimeoutError after `timeout` seconds in total.
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
    """Yield the futures in the order in which they are done."""
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
    """Yield the results of the futures. The first exception ends the iteration."""
    with closing(futures):
        for future in futures:
            yield future.result()
