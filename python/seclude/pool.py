"""A pool: sandboxes set up before they are asked for, and an executor that runs jobs in them."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import seclude

from . import _seclude
from .command import Args
from .job import Job
from .outcome import CompletedRun
from .runs import Runs
from .window import in_order, results


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


@dataclass(frozen=True, slots=True)
class RetiredNetwork:
    """A network namespace that was given up."""

    id: int
    """Its number, as `/proc/PID/ns/net` shows it."""
    why: str
    """The file in `/proc/net` that is no longer as it was, such as `dev` after traffic, `sockstat` while a socket is left."""


@dataclass(frozen=True, slots=True)
class NetworkStatistics:
    """What has become of the network namespaces of a policy's template.

    Each copy has one to itself; when that has ended, the namespace serves another only if the kernel's own account of it,
    `/proc/net`, is that of one that has just been made. All are zero without a template, or without networks of its own.
    """

    made: int
    """How many have been made."""
    reused: int
    """How often one that had been used before was used again."""
    retired: int
    """How many showed that somebody had been there, and were given up."""
    last_retired: RetiredNetwork | None
    """The last of these."""


class Pool(Runs, Executor):
    r"""Keeps sandboxes of one policy ready, so that a command finds one that has only to start it.

    Every command has one of its own, as fresh and as apart from all others as one that was made for it; with `reuse`, one in
    which others have run before. They are copies of the policy's template, where it can have one, made by threads of the
    core's. At most `size` commands run at one time; who asks for more waits.

    `run`, `popen`, `command` and `asyncio` are those of a sandbox. It is also a `concurrent.futures.Executor` over jobs,
    each a `Job` or a program with its arguments: `submit(job)` gives a Future of its result, and `map(jobs)` the results of
    many, in order. Its own threads, `size` of them, are started by the first job.

    `with box.pool(8) as pool:` waits for the jobs and closes it. Any thread may use it; a process forked from the caller may not.

        >>> import seclude
        >>> with seclude.Sandbox().pool(2) as pool:
        ...     jobs = [["echo", str(number)] for number in range(3)]
        ...     [done.stdout for done in pool.map(jobs, capture_output=True, text=True)]
        ['0\n', '1\n', '2\n']
    """

    def __init__(self, sandbox: seclude.Sandbox, size: int | None = None, *, reuse: bool = False) -> None:
        self.sandbox = sandbox
        self.size = len(os.sched_getaffinity(0)) if size is None else size
        self._core: _seclude.Pool = sandbox._core.pool(self.size, reuse)
        self._threads: ThreadPoolExecutor | None = None

    def _limits_output(self) -> bool:
        return self.sandbox._limits_output()

    def statistics(self) -> PoolStatistics:
        """What it has done so far."""
        return PoolStatistics(**self._core.statistics())

    def networks(self) -> NetworkStatistics:
        """What has become of the network namespaces of its sandboxes."""
        made, reused, retired, last = self._core.networks()
        return NetworkStatistics(made, reused, retired, None if last is None else RetiredNetwork(*last))

    def submit(self, job: Job | Args, /, **options: Any) -> Future[CompletedRun]:  # type: ignore[override]
        """Has a job run by one of the pool's threads: a Future of what `job.run(pool)` returns or raises.

        Arguments do as well, with the `options` of `run`: a Future of `run(args, **options)`. A `Job` has its own.
        """
        if isinstance(job, Job) and options:
            raise TypeError(f"a Job says all by itself: {', '.join(options)} cannot be given besides")
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.size, "seclude-pool")
        return self._threads.submit(job.run, self) if isinstance(job, Job) else self._threads.submit(self.run, job, **options)

    def map(  # type: ignore[override]
        self, jobs: Iterable[Job | Args], /, *, timeout: float | None = None, **options: Any
    ) -> Generator[CompletedRun]:
        """Runs jobs, as `submit` takes them, with the same options: an iterator over the results, in order.

        `timeout` is for the whole, in seconds, as in `concurrent.futures`. Jobs are taken in as they can be run: an endless
        source of them is read no further than four times the pool's size ahead.
        """
        return results(in_order((self.submit(job, **options) for job in jobs), lambda: 4 * self.size, timeout))

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
