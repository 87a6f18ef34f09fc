"""How a batch flows: lines in, jobs under way in a bounded number, results out, in order or as they complete.

It knows only that a place takes jobs and gives futures: a `Pool` here, or a `Cluster` of many machines.
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
        """How many jobs run at one time."""

    def submit(self, job: Job, /) -> Future[CompletedRun]:
        """Has a job run."""


def outcomes(lines: IO[bytes], place: Place, *, completed_first: bool = False) -> Generator[Told]:
    """Runs the jobs that the lines of a binary file say: what came of each, in the order of the lines.

    `completed_first`: whichever has ended is told first. A line that says no job, and a job that cannot be run, are told like
    all others, and the rest goes on; anything else that goes wrong (no descriptors left, the scheduler gone) is raised. At
    most four times as many jobs are under way as can run at one time, and no more lines are read before one is told.
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
    """The id that the line gives, and a future; one that has failed already if the line says no job."""
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
