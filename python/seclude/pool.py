"""A pool: sandboxes set up before they are asked for, and an executor that runs jobs in them."""

from __future__ import annotations

import os
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from . import _seclude
    from .command import Args
    from .outcome import CompletedRun
    from .sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """What a pool has done and has. Times are seconds, of the last 1000."""

    size: int
    """How many are kept ready, and can be in use at one time."""
    ready: int
    """How many are ready now."""
    in_use: int
    """How many are in use now."""
    most_in_use: int
    """How many were in use at one time, at the most."""
    made: int
    """How many have been made."""
    handed_out: int
    """How many have been handed out."""
    waited: int
    """How often who asked had to wait."""
    lost: int
    """How many were found dead when they were wanted, and replaced."""
    failed: int
    """How often one could not be made."""
    hand_out_p50: float
    """How long it took to be handed one: the median."""
    hand_out_p99: float
    """How long it took to be handed one: all but one in a hundred."""
    make_p50: float
    """How long it took to make one: the median."""
    make_p99: float
    """How long it took to make one: all but one in a hundred."""


class Pool(Runs, Executor):
    r"""Keeps sandboxes of one policy ready, so that a command finds one that has only to start it.

    Every command has one of its own, as fresh and as apart from all others as one that was made for it; with `reuse`, one in
    which others have run before. They are copies of the policy's template, where it can have one, made by threads of the
    core's. At most `size` commands run at one time; who asks for more waits.

    `run`, `popen`, `command` and `asyncio` are those of a sandbox. It is also a `concurrent.futures.Executor` over jobs:
    `submit(args, **options)` gives a Future of what `run(args, **options)` returns, and `map(jobs)` the results of many, in
    order. Its own threads, `size` of them, are started by the first job.

    `with box.pool(8) as pool:` waits for the jobs and closes it. Any thread may use it; a process forked from the caller may not.

        >>> import seclude
        >>> with seclude.Sandbox().pool(2) as pool:
        ...     jobs = [["echo", str(number)] for number in range(3)]
        ...     [done.stdout for done in pool.map(jobs, capture_output=True, text=True)]
        ['0\n', '1\n', '2\n']
    """

    def __init__(self, sandbox: Sandbox, size: int | None = None, *, reuse: bool = False) -> None:
        self.sandbox = sandbox
        self.size = len(os.sched_getaffinity(0)) if size is None else size
        self._core: _seclude.Pool = sandbox._core.pool(self.size, reuse)
        self._threads: ThreadPoolExecutor | None = None

    def _limits_output(self) -> bool:
        return self.sandbox._limits_output()

    def statistics(self) -> PoolStatistics:
        """What it has done so far."""
        return PoolStatistics(**self._core.statistics())

    def submit(self, args: Args, /, **options: Any) -> Future[CompletedRun]:  # type: ignore[override]
        """Has a job run: `run(args, **options)`, by one of the pool's threads. A Future of what that returns or raises."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.size, "seclude-pool")
        return self._threads.submit(self.run, args, **options)

    def map(self, jobs: Any, /, *, timeout: float | None = None, **options: Any) -> Any:  # type: ignore[override]
        """Runs jobs, each a program with its arguments, with the same options: an iterator over the results, in order.

        `timeout` is for the whole, in seconds, as in `concurrent.futures`. Jobs are taken in as they can be run: an endless
        source of them is read no further than four times the pool's size ahead.
        """
        return _in_order(self.submit, iter(jobs), options, 4 * self.size, timeout)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more jobs, and ends what is ready.

        `wait`: after the jobs that run and, unless they are cancelled, those that wait.
        """
        if self._threads is not None:
            self._threads.shutdown(wait, cancel_futures=cancel_futures)
        if wait or self._threads is None:
            self._core.close()

    def close(self) -> None:
        """Waits for the jobs, and ends what is ready. Commands that run go on; starting another one is a PolicyError."""
        self.shutdown()

    def __repr__(self) -> str:
        return f"<seclude.Pool of {self.size}>"


def _in_order(
    submit: Callable[..., Future[CompletedRun]], jobs: Any, options: dict[str, Any], ahead: int, timeout: float | None
) -> Any:
    """The results of jobs in order, with at most so many under way."""
    import time
    from collections import deque
    from itertools import islice

    deadline = None if timeout is None else time.monotonic() + timeout
    pending = deque(submit(job, **options) for job in islice(jobs, ahead))

    def results() -> Any:
        try:
            while pending:
                done = pending.popleft().result(None if deadline is None else max(0.0, deadline - time.monotonic()))
                pending.extend(submit(job, **options) for job in islice(jobs, 1))
                yield done
        finally:
            for future in pending:
                future.cancel()

    return results()
