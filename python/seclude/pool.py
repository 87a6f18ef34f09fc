"""A pool: sandboxes set up ahead of use, and an executor that runs jobs in them."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, Unpack

import seclude

from . import _seclude, log
from .command import Args
from .command_runner import POPEN_OPTIONS, RUN_OPTIONS, CommandRunner
from .errors import SecludeError
from .job import Job
from .keywords import refuse_unknown
from .outcome import CompletedRun
from .popen import Popen as _Popen
from .popen import PopenOptions
from .waiters import Waiters
from .window import in_order, results

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """The counters of a pool. Times are in seconds, taken from the last 1000 events."""

    size: int
    """The number of sandboxes that are kept ready, and the most that can be in use at once."""
    ready: int
    """The number of sandboxes that are ready now."""
    in_use: int
    """The number of sandboxes that are in use now."""
    most_in_use: int
    """The largest number of sandboxes that were in use at once."""
    made: int
    """The number of sandboxes made so far."""
    handed_out: int
    """The number of sandboxes handed out so far."""
    waited: int
    """How many requests had to wait."""
    lost: int
    """How many sandboxes were found dead when they were requested, and were replaced."""
    failed: int
    """How many attempts to make a sandbox failed."""
    hand_out_p50: float
    """The median time from a request to its sandbox."""
    hand_out_p99: float
    """The 99th percentile of the time from a request to its sandbox."""
    make_p50: float
    """The median time to make a sandbox."""
    make_p99: float
    """The 99th percentile of the time to make a sandbox."""


@dataclass(frozen=True, slots=True)
class RetiredNetwork:
    """A network namespace that was given up."""

    id: int
    """Its inode number, as `/proc/PID/ns/net` shows it."""
    why: str
    """The file in `/proc/net` that changed.

    For example, `dev` changes with traffic, and `sockstat` while a socket is left.
    """


@dataclass(frozen=True, slots=True)
class NetworkStatistics:
    """The counters of the network namespaces that belong to a policy's template.

    Each copy of the template has a network namespace of its own. When the copy has ended, another
    copy reuses the namespace only if `/proc/net` reads as in a new one. All counters are zero
    without a template, or if the policy has no private network.
    """

    made: int
    """The number of namespaces made."""
    reused: int
    """How often a used namespace was used again."""
    retired: int
    """The number of namespaces that were given up because they showed traces of use."""
    last_retired: RetiredNetwork | None
    """The last namespace that was given up, else None."""


class Pool(CommandRunner, Executor):
    r"""Keeps sandboxes of one policy ready, so that a command starts without set-up.

    Each command has a sandbox of its own, as fresh and isolated as one made on demand. With
    `reuse`, a sandbox may have run earlier commands. The core's threads make the sandboxes, as
    copies of the policy's template where the policy allows a template.

    At most `size` commands run at once. Each has a place, which becomes free when the command has
    ended, even if nobody has called `wait` or `poll`. A start without a free place waits: `run` up
    to its `timeout`, and `popen` up to its `start_timeout`. Ctrl-C ends the wait. In `asyncio` the
    loop keeps running meanwhile.

    `run`, `popen`, `command` and `asyncio` work as on a `Sandbox`. A pool is also a
    `concurrent.futures.Executor` for jobs, each a `Job` or a program with its arguments.
    `submit(job)` returns a Future of the result; `map(jobs)` yields the results of many jobs in
    order. The first job starts the pool's own `size` threads.

    `with box.pool(8) as pool:` waits for the jobs and closes the pool at the end of the block. If
    anything but an `Exception` leaves the block (Ctrl-C, `sys.exit`, a cancelled task), running
    jobs are killed and the others cancelled. Any thread may use a pool. A process forked from the
    caller may not.

        >>> import seclude
        >>> with seclude.Sandbox().pool(2) as pool:
        ...     jobs = [["echo", str(number)] for number in range(3)]
        ...     [done.stdout for done in pool.map(jobs, capture_output=True, text=True)]
        ['0\n', '1\n', '2\n']
    """

    def __init__(
        self, sandbox: seclude.Sandbox, size: int | None = None, *, reuse: bool = False
    ) -> None:
        self.sandbox = sandbox
        self.size = len(os.sched_getaffinity(0)) if size is None else size
        try:
            self._core: _seclude.Pool = sandbox._core.pool(self.size, reuse)
        except SecludeError as error:
            log.refused(None, error)
            raise
        self._threads: ThreadPoolExecutor | None = None
        # The running command of each thread of the executor.
        self._jobs: dict[int, _Popen | None] = {}
        self._abandoned = False
        self._on_loops = Waiters(self._core.fileno())

    def _waiters(self) -> Waiters:
        return self._on_loops

    def _limits_output(self) -> bool:
        return self.sandbox._limits_output()

    def fileno(self) -> int:
        """Return a descriptor, borrowed, that is readable while a start is worth trying.

        It is readable if a place is free and a sandbox is ready. It is also readable if there is an
        error to report or the pool is closed. Then `popen(args, start_timeout=0)` starts a command
        or raises. It can still find no place if another thread was faster. Use the descriptor with
        `select` or an event loop, and do not read from it.
        """
        return self._core.fileno()

    def popen(
        self, args: Args, *, start_timeout: float | None = None, **options: Unpack[PopenOptions]
    ) -> _Popen:
        """Start a command and return a `Popen`, with the options of `Sandbox.popen`.

        Waits up to `start_timeout` seconds for a free place; 0 means not to wait. Raises
        TimeoutExpired if no place was free in time.
        """
        refuse_unknown("popen", options, POPEN_OPTIONS | {"start_timeout"})
        return _Popen._within(self, args, start_timeout, options)

    Popen = popen

    def _begin(self, args: Args, timeout: float | None, options: PopenOptions) -> _Popen:
        process = super()._begin(args, timeout, options)
        thread = get_ident()
        if thread in self._jobs:
            self._jobs[thread] = process
            if self._abandoned:
                process.kill()
        return process

    def statistics(self) -> PoolStatistics:
        """Return the counters of the pool."""
        return PoolStatistics(**self._core.statistics())

    def networks(self) -> NetworkStatistics:
        """Return the counters of the network namespaces of its sandboxes."""
        made, reused, retired, last = self._core.networks()
        return NetworkStatistics(
            made, reused, retired, None if last is None else RetiredNetwork(*last)
        )

    def submit(self, job: Job | Args, /, **options: Any) -> Future[CompletedRun]:  # type: ignore[override]
        """Run a job in a thread of the pool, and return a Future of what `job.run(pool)` gives.

        Instead of a `Job`, a program with its arguments and the `options` of `run` may be given.
        The Future then has the result of `run(args, **options)`. A `Job` takes no options here.
        """
        if isinstance(job, Job) and options:
            raise TypeError(
                f"a Job says all by itself: {', '.join(options)} cannot be given besides"
            )
        refuse_unknown("submit", options, RUN_OPTIONS)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.size, "seclude-pool")
        run = partial(job.run, self) if isinstance(job, Job) else partial(self.run, job, **options)
        return self._threads.submit(self._job, run)

    def _job(self, run: Callable[[], CompletedRun]) -> CompletedRun:
        """Run a job in a thread of the pool, and record its command so that it can be killed."""
        thread = get_ident()
        self._jobs[thread] = None
        try:
            return run()
        finally:
            del self._jobs[thread]

    def map(  # type: ignore[override]
        self, jobs: Iterable[Job | Args], /, *, timeout: float | None = None, **options: Any
    ) -> Generator[CompletedRun]:
        """Run jobs and return an iterator over the results, in order.

        Jobs and `options` are those of `submit`. `timeout` is in seconds and covers all jobs, as in
        `concurrent.futures`. Jobs are submitted as places become free. At most four times the
        pool's size are read ahead, so the source of jobs may be endless.
        """
        refuse_unknown("map", options, RUN_OPTIONS)
        return results(
            in_order((self.submit(job, **options) for job in jobs), lambda: 4 * self.size, timeout)
        )

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs, and end the sandboxes that are ready.

        With `wait`, first wait for the running jobs and, unless `cancel_futures` is given, for the
        pending ones. Ctrl-C during the wait kills the jobs.
        """
        if self._threads is not None:
            try:
                self._threads.shutdown(wait, cancel_futures=cancel_futures)
            except BaseException as error:
                if not isinstance(error, Exception):
                    self._abandon()
                raise
        if wait or self._threads is None:
            self._core.close()

    def close(self) -> None:
        """Wait for the jobs, and end the sandboxes that are ready.

        Running commands continue. Starting another command raises PolicyError.
        """
        self.shutdown()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and not issubclass(kind, Exception):
            # The commands have sessions of their own, so that Ctrl-C does not reach the jobs.
            self._abandon()
        self.shutdown()

    def _abandon(self) -> None:
        """Kill the running jobs and cancel the others."""
        self._abandoned = True
        if self._threads is not None:
            self._threads.shutdown(False, cancel_futures=True)
        # Closing the core's pool wakes the starts that wait for a place.
        self._core.close()
        for process in list(self._jobs.values()):
            if process is not None:
                with suppress(SecludeError):
                    process.kill()

    def __repr__(self) -> str:
        return f"<seclude.Pool of {self.size}>"
