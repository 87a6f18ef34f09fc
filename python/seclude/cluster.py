"""A cluster: jobs on many machines, by `dask.distributed`, with the face and the results of a pool.

On every worker process one pool is made by the first job of a policy, and kept for the next ones. Who watches the workers,
gives the jobs out, and runs those of a lost worker somewhere else is dask: `pip install seclude[dask]`. Nothing of it is
imported before a `Cluster` is made.
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
    _Client = Any  # It is there only with the extra.


class Cluster:
    """Runs jobs of one policy on the workers of a dask scheduler.

    `scheduler` is its address, `tcp://host:port`, or a `distributed.Client` of the caller's, which stays open. Every worker needs
    this version of seclude, and the policy's paths are its own machine's. A worker runs as many jobs at one time as it has
    threads.

    A job whose worker is lost is run again on another one, so that it may run more than once; when as many workers are lost
    with it as the scheduler allows (`distributed.scheduler.allowed-failures`), it is a SetupError of kind `worker-lost`.

    `with Cluster(box, address) as cluster:` waits for the jobs. If it is left because of what is no
    `Exception` (Ctrl-C, `sys.exit`, a task that is cancelled), it cancels them: those that run on a
    worker go on there, and nobody waits for them. Any thread may use it.
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
        """How many jobs run at one time: the threads of all workers, as they were a second ago."""
        if time.monotonic() > self._counted + 1:
            self._size = sum(self._client.nthreads().values())
            self._counted = time.monotonic()
        return self._size

    def submit(self, job: Job, /) -> Future[CompletedRun]:
        """Has a job run by one of the workers: a Future of what `job.run` returns or raises there.

        If the scheduler is lost, or drops the job, it is a ConnectionError.
        """
        try:
            there = self._client.submit(_run, self._policy, job, pure=False)
        except Exception as error:  # A closed client's is of another kind in each version of dask.
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
        """Runs jobs: an iterator over the results, in order, as `Pool.map`."""
        return results(
            in_order((self.submit(job) for job in jobs), lambda: 4 * max(1, self.size), timeout)
        )

    def close(self) -> None:
        """Waits for the jobs, and leaves the scheduler. The workers keep their pools, for the next one of this policy."""
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
    """What came of a job there. Cancelling this forgets the job: dask keeps none that nobody waits for."""
    from distributed import KilledWorker

    try:
        answer: CompletedRun | SecludeError = await there
    except KilledWorker as error:
        raise SetupError(f"run a job: {error}", kind="worker-lost", step="run a job") from None
    except CancelledError as error:
        # Not asyncio's, which says that nobody here wants the result any more.
        raise ConnectionError(f"run a job: dask has dropped it: {error}") from None
    if isinstance(answer, SecludeError):
        raise answer
    return answer


# ---- what runs on a worker


@dataclass(slots=True)
class _Kept:
    pool: seclude.Pool
    users: int = 0


_KEPT = 4
"""Policies whose pools a worker keeps: those that were asked for last."""
_pools: dict[str, _Kept] = {}
_lock = Lock()


def _run(policy: str, job: Job) -> CompletedRun | SecludeError:
    """Runs a job in this process's pool. An error is an answer as good as another: dask would log it as a failure of its own."""
    try:
        with _pool(policy) as pool:
            return job.run(pool)
    except SecludeError as error:
        return error


@contextmanager
def _pool(policy: str) -> Generator[seclude.Pool]:
    """The pool of a policy, which lives until the process ends, or others have been wanted more."""
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
