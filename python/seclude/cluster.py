"""Run jobs on many machines with `dask.distributed`, with the interface and results of a pool.

Each worker process makes one pool for the first job of a policy and keeps it for later jobs. dask
monitors the workers, distributes the jobs, and reruns the jobs of a lost worker elsewhere. Install
it with `pip install seclude[dask]`. It is imported when the first `Cluster` is made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterable
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import seclude

from .errors import SecludeError, SetupError
from .job import Job
from .outcome import CompletedRun
from .sandbox import Sandbox
from .window import in_order, results

if TYPE_CHECKING:
    from distributed import Client as _Client
else:
    _Client = Any  # The extra `dask` is not installed.


class Cluster:
    """Run jobs of one policy on the workers of a dask scheduler.

    `scheduler` is its address, `tcp://host:port`, or a `distributed.Client` of the caller, which
    stays open. Every worker needs this version of seclude. The paths in the policy refer to the
    worker's machine. A worker runs as many jobs at once as it has threads.

    If a worker is lost, its jobs run again on another worker, so a job may run more than once. The
    scheduler limits how many workers may be lost with one job, in its setting
    `distributed.scheduler.allowed-failures`. Then the job raises SetupError of kind `worker-lost`.

    `with Cluster(box, address) as cluster:` waits for the jobs at the end of the block. If anything
    but an `Exception` leaves the block (Ctrl-C, `sys.exit`, a cancelled task), the jobs are
    cancelled. Jobs that already run on a worker continue there, and their results are dropped. Any
    thread may use a cluster.
    """

    def __init__(self, sandbox: Sandbox, scheduler: str | _Client) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise ImportError(
                "dask.distributed is not installed: pip install 'seclude[dask]'"
            ) from None
        self.sandbox = sandbox
        self._policy = sandbox.to_json()
        self._own = isinstance(scheduler, str)
        self._client: Any = (
            Client(scheduler, set_as_default=False) if isinstance(scheduler, str) else scheduler
        )
        self._under_way: set[Future[CompletedRun]] = set()
        self._counted, self._size = float("-inf"), 0

    @property
    def size(self) -> int:
        """The number of jobs that can run at once: all worker threads, as of a second ago."""
        if time.monotonic() > self._counted + 1:
            self._size = sum(self._client.nthreads().values())
            self._counted = time.monotonic()
        return self._size

    def submit(self, job: Job, /) -> Future[CompletedRun]:
        """Run a job on a worker and return a Future of what `job.run` returns or raises there.

        The Future raises ConnectionError if the scheduler is lost or drops the job.
        """
        try:
            there = self._client.submit(_run, self._policy, job, pure=False)
        except (
            Exception
        ) as error:  # The exception of a closed client differs between versions of dask.
            raise ConnectionError(f"hand out a job: {error}") from error
        here: Future[CompletedRun] = asyncio.run_coroutine_threadsafe(
            _answer(there), self._client.loop.asyncio_loop
        )
        self._under_way.add(here)
        here.add_done_callback(self._under_way.discard)
        return here

    def map(
        self, jobs: Iterable[Job], /, *, timeout: float | None = None
    ) -> Generator[CompletedRun]:
        """Run jobs and return an iterator over the results, in order, as `Pool.map` does."""
        return results(
            in_order((self.submit(job) for job in jobs), lambda: 4 * max(1, self.size), timeout)
        )

    def close(self) -> None:
        """Wait for the jobs and disconnect from the scheduler.

        The workers keep their pools for the next cluster with this policy.
        """
        wait(list(self._under_way))
        if self._own:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and not issubclass(kind, Exception):
            for future in list(self._under_way):
                future.cancel()
        self.close()


async def _answer(there: Any) -> CompletedRun:
    """Wait for the result of a remote job.

    Cancelling this drops the job: dask keeps no job without a caller that waits for the result.
    """
    from distributed import KilledWorker

    try:
        answer: CompletedRun | SecludeError = await there
    except KilledWorker as error:
        raise SetupError(f"run a job: {error}", kind="worker-lost", step="run a job") from None
    except CancelledError as error:
        # Not asyncio's CancelledError, which means that the caller no longer wants the result.
        raise ConnectionError(f"run a job: dask has dropped it: {error}") from None
    if isinstance(answer, SecludeError):
        raise answer
    return answer


# ---- code that runs on a worker


@dataclass(slots=True)
class _Kept:
    pool: seclude.Pool
    users: int = 0


_KEPT = 4
"""A worker keeps the pools of this many policies, the most recently used."""
_pools: dict[str, _Kept] = {}
_lock = Lock()


def _run(policy: str, job: Job) -> CompletedRun | SecludeError:
    """Run a job in this process's pool, and return any error instead of raising it.

    dask would log a raised error as its own failure.
    """
    try:
        with _pool(policy) as pool:
            return job.run(pool)
    except SecludeError as error:
        return error


@contextmanager
def _pool(policy: str) -> Generator[seclude.Pool]:
    """Return the pool of a policy.

    It stays open until the process ends or more recently used policies replace it.
    """
    with _lock:
        kept = _pools.pop(policy, None) or _made(policy)
        _pools[policy] = kept
        kept.users += 1
        idle = [other for other, one in _pools.items() if not one.users]
        left = [_pools.pop(other) for other in idle[: max(0, len(_pools) - _KEPT)]]
    try:
        for one in left:
            one.pool.close()
        yield kept.pool
    finally:
        with _lock:
            kept.users -= 1


def _made(policy: str) -> _Kept:
    import atexit

    from distributed import get_worker

    if not _pools:
        atexit.register(_close)
    return _Kept(Sandbox.from_json(policy).pool(get_worker().state.nthreads))


def _close() -> None:
    while _pools:
        _pools.popitem()[1].pool.close()
