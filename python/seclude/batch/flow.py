"""The flow of a batch: read lines, keep a bounded number of jobs pending, yield results.

This module needs only a place that takes jobs and returns futures, such as a `Pool` or a `Cluster`.
"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import closing
from typing import IO, TYPE_CHECKING, Protocol

from ..errors import SecludeError
from ..window import as_completed, in_order
from .lines import Line, Told, numbered, understood

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from ..job import Job
    from ..outcome import CompletedRun


class Place(Protocol):
    """Where jobs run."""

    @property
    def size(self) -> int:
        """The number of jobs that can run at once."""

    def submit(self, job: Job, /) -> Future[CompletedRun]:
        """Run a job and return a Future of its result."""


def outcomes(lines: IO[bytes], place: Place, *, completed_first: bool = False) -> Generator[Told]:
    """Run the jobs in the lines of a binary file and yield the results, in the order of the lines.

    With `completed_first`, yield each result when its job has ended. If a line is not a valid job,
    or a job cannot be run, the error becomes the result of that line. The batch continues. Any
    other failure is raised, such as a lack of descriptors or a lost scheduler.

    At most four times as many jobs are pending as can run at once. No further lines are read until
    a result has been taken.
    """
    known: dict[Future[CompletedRun], tuple[Line, str | int | None]] = {}

    def submitted() -> Iterator[Future[CompletedRun]]:
        for line in numbered(lines):
            name, future = _submitted(line, place)
            known[future] = line, name
            yield future

    def width() -> int:
        return 4 * max(1, place.size)

    futures = as_completed(submitted(), width) if completed_first else in_order(submitted(), width)
    with closing(futures):
        for future in futures:
            line, name = known.pop(future)
            yield Told(line.number, name, _result(future), line.size)


def _submitted(line: Line, place: Place) -> tuple[str | int | None, Future[CompletedRun]]:
    """Return the id in a line, and a future of its job.

    If the line is not a valid job, the future has already failed.
    """
    name, job = understood(line)
    if not isinstance(job, SecludeError):
        return name, place.submit(job)
    failed: Future[CompletedRun] = Future()
    failed.set_exception(job)
    return name, failed


def _result(future: Future[CompletedRun]) -> CompletedRun | SecludeError:
    try:
        return future.result()
    except SecludeError as error:
        return error
