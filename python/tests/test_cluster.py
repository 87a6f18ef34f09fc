"""Clusters: jobs give the same results in other processes, even if one of those is killed.

The test starts its own scheduler and worker processes, which listen on 127.0.0.1 only.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import PATIENCE as SHORT
from .test_pool import children

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None,
    reason="dask.distributed is not installed: pip install 'seclude[dask]'",
)
PATIENCE = 3 * SHORT
"""Several Python processes have to start, each importing all of dask."""
BATCH = [sys.executable, "-P", "-m", "seclude", "batch"]


class Engine:
    """A scheduler and its workers, with two threads each. Leaving the `with` block ends them."""

    def __init__(self, directory: Path, workers: int, **settings: str) -> None:
        self._directory, self._settings, self._stack = directory, settings, ExitStack()
        self.workers: list[subprocess.Popen[bytes]] = []
        try:
            known = directory / "scheduler.json"
            self.scheduler = self._start(
                "scheduler", "scheduler", "--port", "0", "--scheduler-file", str(known)
            )
            await_that(lambda: known.exists() and known.read_text().endswith("}"))
            self.address: str = json.loads(known.read_text())["address"]
            for _ in range(workers):
                self.add_worker()
        except BaseException:
            self._stack.close()
            raise

    def add_worker(self) -> None:
        """Start a worker, and wait until the scheduler knows it."""
        name = f"worker-{len(self.workers)}"
        options = ("--no-nanny", "--nthreads", "2", "--local-directory", str(self._directory))
        self.workers.append(self._start(name, "worker", self.address, *options))
        await_that(lambda: b"Registered to" in (self._directory / name).read_bytes())

    def _start(self, log: str, *words: str) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-P",
            "-m",
            "dask",
            *words,
            "--host",
            "127.0.0.1",
            "--no-dashboard",
        ]
        with (self._directory / log).open("wb") as said:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=self._directory,
                env=os.environ | self._settings,
            )
        self._stack.callback(ended, process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def await_that(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    try:
        below = children(pid)
    except OSError:
        return []  # The process ended meanwhile.
    return below + [one for child in below for one in descendants(child)]


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as about:
            return about.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def comparable(line: str | bytes) -> dict[str, Any]:
    """Return an outcome without the parts that differ from run to run."""
    told: dict[str, Any] = json.loads(line)
    told.pop("usage", None)
    return told


def test_a_worker_is_killed_and_the_results_are_those_of_the_pool(tmp_path: Path) -> None:
    kinds = ["echo $0; sleep 0.1", "exit 3", "kill -SEGV $$", "sleep 60", "echo $0 >&2; sleep 0.1"]
    given: list[dict[str, Any]] = [
        {"args": ["sh", "-c", kinds[n % 5], str(n)], "id": n} for n in range(60)
    ]
    lines = [
        json.dumps(job | {"wall_time": 0.5} if "sleep 60" in job["args"] else job) for job in given
    ]
    lines += ["nonsense", '{"args": ["no-such-program"]}']
    jobs, policy = tmp_path / "jobs", tmp_path / "policy"
    jobs.write_text("\n".join(lines))
    policy.write_text('{"files": [{"tmpfs": "/tmp", "size": "1M"}], "hostname": "there"}')
    command = [*BATCH, str(jobs), "--policy", str(policy)]

    here = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert here.returncode == 2
    expected = [comparable(line) for line in here.stdout.splitlines()]
    assert [told["line"] for told in expected] == list(range(1, 63))

    with (
        Engine(tmp_path, 2) as dask,
        (tmp_path / "said").open("wb") as said,
        subprocess.Popen(
            [*command, "--scheduler", dask.address], stdout=subprocess.PIPE, stderr=said
        ) as there,
    ):
        assert there.stdout is not None
        told = [comparable(there.stdout.readline()) for _ in range(10)]
        lost, left = dask.workers
        assert descendants(left.pid)
        # The descendants are the template, the ready sandboxes below it, and their commands. All of
        # them must end.
        below = descendants(lost.pid)
        assert below
        lost.kill()
        assert lost.wait(PATIENCE) == -9
        await_that(lambda: not any(map(alive, below)))
        told += [comparable(line) for line in there.stdout]
        assert there.wait(PATIENCE) == 2
        assert left.poll() is None
    assert told == expected


TWO_BATCHES = """
import sys
from distributed import Client
import seclude
from seclude.cluster import Cluster

def pools():
    from seclude import cluster
    pools = cluster._pools.values()
    return [one.pool.size for one in pools], [one.users for one in pools]

box = seclude.Sandbox(wall_time=60)
jobs = [seclude.Job("cat", input=str(number)) for number in range(30)]
with Client(sys.argv[1]) as client:
    for _ in range(2):
        with Cluster(box, client) as cluster:
            assert cluster.size == 4
            assert [int(done.stdout) for done in cluster.map(jobs)] == list(range(30))
            late = cluster.submit(seclude.Job(["sh", "-c", "sleep 0.5; exit 7"]))
        assert late.done() and late.result().returncode == 7
    assert set(map(repr, client.run(pools).values())) == {"([2], [0])"}, client.run(pools)
    with Cluster(box, client) as cluster:
        try:
            cluster.submit(seclude.Job("no-such-program")).result()
        except seclude.ProgramNotFound as error:
            print(error.kind, error.hint is not None)
        try:
            list(cluster.map([seclude.Job(["sleep", "1"])], timeout=0.1))
        except TimeoutError:
            print("too slow")
        for number in range(20):
            with Cluster(box.replace(hostname=f"h{number}"), client) as other:
                done = other.submit(seclude.Job("hostname")).result()
                assert done.stdout == f"h{number}\\n".encode()
    kept = [len(sizes) for sizes, _ in client.run(pools).values()]
    assert max(kept) == 4, kept
"""


def test_one_pool_in_a_worker_for_batch_after_batch(tmp_path: Path) -> None:
    with Engine(tmp_path, 2) as dask:
        done = subprocess.run(
            [sys.executable, "-P", "-c", TWO_BATCHES, dask.address],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "program-missing True\ntoo slow\n"), (
            done.stderr
        )
        below = [one for worker in dask.workers for one in descendants(worker.pid)]
        assert below
        dask.workers[0].terminate()
        assert dask.workers[0].wait(PATIENCE) == 0
    await_that(lambda: not any(map(alive, below)))


def test_a_job_that_outlives_no_worker_is_an_error_and_the_rest_goes_on(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    lines = [{"args": ["sleep", "60"], "wall_time": 30}] * 2 + [{"args": ["echo", "after"]}] * 6
    jobs.write_text("\n".join(map(json.dumps, lines)))
    with Engine(tmp_path, 1, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as dask:
        command = [*BATCH, str(jobs), "--scheduler", dask.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as there:
            (lost,) = dask.workers
            await_that(lambda: sum(runs_sleep(pid) for pid in descendants(lost.pid)) == 2)
            lost.kill()
            dask.add_worker()
            assert there.stdout is not None
            told = [json.loads(line) for line in there.stdout]
            assert there.wait(PATIENCE) == 2
    assert [one["error"]["kind"] for one in told[:2]] == ["worker-lost"] * 2
    # Jobs that the worker had received but not begun may be lost with it.
    assert [one["stdout"] for one in told[4:]] == ["after\n"] * 4


def test_a_lost_scheduler_ends_the_batch_and_what_was_told_is_whole(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    jobs.write_text('{"args": ["sleep", "0.1"]}\n' * 1000)
    with Engine(tmp_path, 1) as dask:
        command = [*BATCH, str(jobs), "--scheduler", dask.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as there:
            assert there.stdout is not None
            told = [json.loads(there.stdout.readline()) for _ in range(3)]
            dask.scheduler.kill()
            rest, said = there.communicate(timeout=PATIENCE)
            told += [json.loads(line) for line in rest.splitlines()]
    assert there.returncode == 2
    assert [one["line"] for one in told] == list(range(1, len(told) + 1))
    assert len(told) < 1000
    # The error comes from whichever notices first: a pending job, or the next one to submit.
    assert said.splitlines()[-1].startswith(b"python -m seclude batch: "), said


INTERRUPTED = """
import os, signal, sys, threading, seclude
from seclude.cluster import Cluster
signal.signal(signal.SIGINT, signal.default_int_handler)
with Cluster(seclude.Sandbox(wall_time=50), sys.argv[1]) as cluster:
    job = cluster.submit(seclude.Job(["sleep", "1000"]))
    threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()
    job.result()
"""


def test_ctrl_c_ends_the_program_and_leaves_the_jobs(tmp_path: Path) -> None:
    with Engine(tmp_path, 1) as dask:
        started = time.monotonic()
        command = [sys.executable, "-P", "-c", INTERRUPTED, dask.address]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert (done.returncode, time.monotonic() - started < 40) == (-2, True), done.stderr


def runs_sleep(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline") as words:
            return words.read() == "sleep\0" + "60\0"
    except OSError:
        return False
