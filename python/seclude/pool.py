"""A pool: sandboxes set up before they are asked for, and an executor that runs jobs in them."""

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

from . import _seclude
from .command import Args
from .command_runner import POPEN_OPTIONS, RUN_OPTIONS, CommandRunner
from .errors import SecludeError
from .job import Job
from .keywords import refuse_unknown
from .outcome import CompletedRun
from .popen import Popen as _Popen
from .popen import PopenOptions
from .window import in_order, results

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from types import TracebackType

    from .waiters import Waiters


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


class Pool(CommandRunner, Executor):
    r"""Keeps sandboxes of one policy ready, so that a command finds one that has only to start it.

    Every command has one of its own, as fresh and as apart from all others as one that was made for it; with `reuse`, one in
    which others have run before. They are copies of the policy's template, where it can have one, made by threads of the
    core's.

    At most `size` commands run at one time: each has a place, and gives it back when it has ended,
    whether or not anybody has asked it. A start for which there is no place waits: in `run` as long as
    its `timeout` allows, in `popen` as long as `start_timeout` does, and Ctrl-C ends the wait; in
    `asyncio` the loop goes on meanwhile.

    `run`, `popen`, `command` and `asyncio` are those of a sandbox. It is also a `concurrent.futures.Executor` over jobs,
    each a `Job` or a program with its arguments: `submit(job)` gives a Future of its result, and `map(jobs)` the results of
    many, in order. Its own threads, `size` of them, are started by the first job.

    `with box.pool(8) as pool:` waits for the jobs and closes it. If it is left because of what is no
    `Exception` (Ctrl-C, `sys.exit`, a task that is cancelled), it kills the jobs that run and cancels
    the others. Any thread may use it; a process forked from the caller may not.

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
        self._core: _seclude.Pool = sandbox._core.pool(self.size, reuse)
        self._threads: ThreadPoolExecutor | None = None
        # The command that each thread runs for a job.
        self._jobs: dict[int, _Popen | None] = {}
        self._abandoned = False
        # Where the starts of each event loop wait for a place.
        self._loops: dict[AbstractEventLoop, Waiters] = {}

    def _waiters(self) -> dict[AbstractEventLoop, Waiters]:
        return self._loops

    def _limits_output(self) -> bool:
        return self.sandbox._limits_output()

    def fileno(self) -> int:
        """A descriptor for `select` and event loops, readable while there is reason to try a start.

        A place is free and a sandbox ready, or there is an error to be told, or the pool has been
        closed: `popen(args, start_timeout=0)` then tells. Another thread may have been faster. Nothing
        is to be read from it. Borrowed.
        """
        return self._core.fileno()

    def popen(
        self, args: Args, *, start_timeout: float | None = None, **options: Unpack[PopenOptions]
    ) -> _Popen:
        """Starts a command: `subprocess.Popen`, inside, with the options of a sandbox's `popen`.

        It waits for a place for at most `start_timeout` seconds, and with 0 not at all:
        TimeoutExpired if there was none.
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
        """What it has done so far."""
        return PoolStatistics(**self._core.statistics())

    def networks(self) -> NetworkStatistics:
        """What has become of the network namespaces of its sandboxes."""
        made, reused, retired, last = self._core.networks()
        return NetworkStatistics(
            made, reused, retired, None if last is None else RetiredNetwork(*last)
        )

    def submit(self, job: Job | Args, /, **options: Any) -> Future[CompletedRun]:  # type: ignore[override]
        """Has a job run by one of the pool's threads: a Future of what `job.run(pool)` returns or raises.

        Arguments do as well, with the `options` of `run`: a Future of `run(args, **options)`. A `Job` has its own.
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
        """Runs a job in one of the pool's threads, so that its command is known."""
        thread = get_ident()
        self._jobs[thread] = None
        try:
            return run()
        finally:
            del self._jobs[thread]

    def map(  # type: ignore[override]
        self, jobs: Iterable[Job | Args], /, *, timeout: float | None = None, **options: Any
    ) -> Generator[CompletedRun]:
        """Runs jobs, as `submit` takes them, with the same options: an iterator over the results, in order.

        `timeout` is for the whole, in seconds, as in `concurrent.futures`. Jobs are taken in as they can be run: an endless
        source of them is read no further than four times the pool's size ahead.
        """
        refuse_unknown("map", options, RUN_OPTIONS)
        return results(
            in_order((self.submit(job, **options) for job in jobs), lambda: 4 * self.size, timeout)
        )

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more jobs, and ends what is ready.

        `wait`: after the jobs that run and, unless they are cancelled, those that wait.
        Ctrl-C meanwhile kills the jobs.
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
        """Waits for the jobs, and ends what is ready. Commands that run go on; starting another one is a PolicyError."""
        self.shutdown()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and not issubclass(kind, Exception):
            # As for `Popen`: Ctrl-C reached the caller alone, and the jobs would not end.
            self._abandon()
        self.shutdown()

    def _abandon(self) -> None:
        """Nobody waits for the jobs any more: those that run are killed, the others never begin."""
        self._abandoned = True
        if self._threads is not None:
            self._threads.shutdown(False, cancel_futures=True)
        # Those that wait for a place are told.
        self._core.close()
        for process in list(self._jobs.values()):
            if process is not None:
                with suppress(SecludeError):
                    process.kill()

    def __repr__(self) -> str:
        return f"<seclude.Pool of {self.size}>"
