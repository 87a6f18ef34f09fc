"""Pools: a ready sandbox for each command, and an executor over jobs."""

from __future__ import annotations

import itertools
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import seclude


@pytest.fixture
def box() -> seclude.Sandbox:
    return seclude.Sandbox(wall_time=60, files=[seclude.tmpfs("/tmp", "16M")])


def test_every_command_finds_a_fresh_one(box: seclude.Sandbox) -> None:
    with box.pool(2) as pool:
        look = ["sh", "-c", "ls /tmp /dev/shm; touch /tmp/left /dev/shm/left; sleep 1000 & :"]
        seen = {
            pool.run(look, stdout=seclude.PIPE, stderr=seclude.DEVNULL).stdout for _ in range(8)
        }
        assert seen == {b"/dev/shm:\n\n/tmp:\n"}
        told = pool.statistics()
        assert (told.size, told.handed_out, told.in_use, told.lost, told.failed) == (2, 8, 0, 0, 0)
        assert told.made >= 8
        assert 0 < told.hand_out_p50 <= told.hand_out_p99


def test_reused_ones_are_not_fresh(box: seclude.Sandbox) -> None:
    with box.pool(1, reuse=True) as pool:
        pool.run(["touch", "/tmp/left"])
        assert pool.run(["test", "-e", "/tmp/left"]).returncode == 0
        assert pool.statistics().made == 1


def test_jobs_in_order_as_an_executor(box: seclude.Sandbox) -> None:
    with box.pool(2) as pool:
        future = pool.submit(["sh", "-c", "exit 7"])
        jobs = [["echo", str(number)] for number in range(20)]
        assert [int(done.stdout) for done in pool.map(jobs, capture_output=True)] == list(range(20))
        assert future.result().returncode == 7
        missing = pool.submit(["no-such-program"])
        with pytest.raises(FileNotFoundError):
            missing.result()
        endless = pool.map(
            (["echo", str(number)] for number in itertools.count()), capture_output=True
        )
        assert [int(next(endless).stdout) for _ in range(5)] == list(range(5))
        endless.close()


def test_a_job_is_taken_as_a_value(box: seclude.Sandbox) -> None:
    with box.pool(2) as pool:
        jobs = [seclude.Job("cat", input=str(number)) for number in range(10)]
        assert [int(done.stdout) for done in pool.map(jobs)] == list(range(10))
        assert pool.submit(jobs[7]).result().stdout == b"7"
        with pytest.raises(TypeError, match="cwd"):
            pool.submit(jobs[7], cwd="/")
        with pytest.raises(TimeoutError):
            list(pool.map([jobs[0], ["sleep", "2"]], timeout=0.5))


def test_who_asks_for_more_waits(box: seclude.Sandbox) -> None:
    with box.pool(1) as pool, ThreadPoolExecutor(4) as threads:
        ends = list(threads.map(lambda _: pool.run(["sleep", "0.05"]).returncode, range(8)))
        assert ends == [0] * 8
        told = pool.statistics()
        assert told.most_in_use == 1
        assert told.waited > 0


def test_a_dead_one_is_replaced(box: seclude.Sandbox) -> None:
    with box.pool(1) as pool:
        while pool.statistics().ready < 1:
            time.sleep(0.01)
        # The template is this process's only child. Its children are the ready sandboxes.
        (template,) = children(os.getpid())
        for warden in children(template):
            os.kill(warden, signal.SIGKILL)
        recovers(pool)
        os.kill(template, signal.SIGKILL)
        recovers(pool)


def recovers(pool: seclude.Pool) -> None:
    """Check that the pool works again soon.

    A command whose sandbox dies while it is handed out gets an error.
    """
    for _ in range(20):
        try:
            done = pool.run(["true"])
        except seclude.SetupError as error:
            assert error.kind == "warden-lost"
        else:
            if done.returncode == 0:
                break
            assert done.outcome.ended.name == "warden-lost"
    assert [pool.run(["true"]).returncode for _ in range(3)] == [0, 0, 0]


def test_closed_it_takes_no_more(box: seclude.Sandbox) -> None:
    pool = box.pool(1)
    with pool.popen(["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE) as running:
        pool.close()
        assert running.communicate(b"goes on")[0] == b"goes on"
    with pytest.raises(seclude.PolicyError, match="closed"):
        pool.run(["true"])
    with pytest.raises(seclude.PolicyError):
        box.pool(0)


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as listed:
            found += map(int, listed.read().split())
    return found


def test_a_network_is_used_again_until_somebody_has_been_there() -> None:
    with seclude.Sandbox().pool(1) as pool:
        for _ in range(10):
            pool.run(["true"], check=True)
        before = pool.networks()
        assert before.made > 0
        assert before.reused > 0
        assert (before.retired, before.last_retired) == (0, None)
        send = (
            "from socket import *; a = socket(AF_INET, SOCK_DGRAM); a.bind(('127.0.0.1', 0));"
            " a.sendto(b'x', a.getsockname())"
        )
        script = f'readlink /proc/self/ns/net; exec python3 -c "{send}"'
        link = pool.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
        while pool.networks().retired == 0:
            time.sleep(0.01)
        last = pool.networks().last_retired
        assert last is not None
        assert (f"net:[{last.id}]\n", last.why) == (link, "dev")
