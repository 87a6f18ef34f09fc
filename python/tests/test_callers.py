"""Unusual callers: infinite timeouts, a `select` without `poll`, and other event loops."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

import seclude

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

DAYS = 86400
LARGE = [float("inf"), sys.maxsize, 1e10, 365 * DAYS, 30 * DAYS, 10**400]


@pytest.mark.parametrize("timeout", LARGE, ids=lambda timeout: f"{timeout!r:.20}")
def test_a_large_timeout_is_for_ever(box: seclude.Sandbox, timeout: float) -> None:
    with box.Popen(["true"]) as process:
        assert process.wait(timeout) == 0
    with box.Popen(["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE) as process:
        assert process.communicate(b"x", timeout) == (b"x", None)
    assert box.run(["true"], timeout=timeout).returncode == 0
    assert box.run(["echo", "x"], capture_output=True, timeout=timeout).stdout == b"x\n"
    both = [box.command(["true"]), box.command(["true"])]
    assert [done.returncode for done in seclude.interact(both, timeout=timeout)] == [0, 0]
    with box.cell() as cell:
        assert cell.run(["true"], timeout=timeout).returncode == 0
    with box.pool(1) as pool:
        assert [done.returncode for done in pool.map([["true"], ["true"]], timeout=timeout)] == [
            0,
            0,
        ]
    with seclude.Sandbox(seccomp=seclude.Seccomp().notify("uname")).Popen(["true"]) as process:
        assert process.listener().receive(timeout) is None


@pytest.mark.parametrize("timeout", [float("nan")])
def test_what_is_no_timeout_is_refused(box: seclude.Sandbox, timeout: float) -> None:
    with pytest.raises(ValueError, match="NaN"):
        box.run(["sleep", "1000"], timeout=timeout)


@pytest.mark.parametrize(
    "timeout", [0, -1, float("-inf"), -(10**400)], ids=lambda timeout: f"{timeout!r:.20}"
)
def test_a_timeout_that_is_over_already(box: seclude.Sandbox, timeout: float) -> None:
    with pytest.raises(seclude.TimeoutExpired):
        box.run(["sleep", "1000"], timeout=timeout)


@pytest.mark.parametrize("name", ["wall_time", "cpu_time"])
@pytest.mark.parametrize(
    "value", [float("inf"), float("nan"), 1e10, 300 * 365 * DAYS, sys.maxsize, 10**400, -1]
)
def test_a_limit_on_time_beyond_all_bounds_is_named(name: str, value: float) -> None:
    with pytest.raises(seclude.PolicyError, match=name):
        seclude.Sandbox(**cast("Any", {name: value}))


@pytest.mark.parametrize("name", ["wall_time", "cpu_time", "memory", "pids"])
@pytest.mark.parametrize("value", [10**400, -1])
def test_a_commands_own_limit_beyond_all_bounds_is_named(name: str, value: int) -> None:
    options: Any = {name: value}
    box = seclude.Sandbox(cpu_time=60, memory="64M", pids=10)
    with pytest.raises(seclude.PolicyError, match=name):
        box.run(["true"], **options)
    with pytest.raises(seclude.PolicyError, match=name):
        seclude.Job(["true"], **options).run(box)


def test_a_select_without_poll(python: Callable[..., CompletedProcess[str]]) -> None:
    done = python(
        """
import select
for name in ("poll", "epoll", "POLLIN", "POLLOUT", "POLLHUP"):  # As eventlet, and more.
    delattr(select, name)
import seclude, threading
box = seclude.Sandbox(wall_time=60)
assert box.run(["cat"], input=b"x" * 1000000, capture_output=True).stdout == b"x" * 1000000
assert box.run(["true"]).returncode == 0
try:
    box.run(["sleep", "1000"], timeout=0.05)
except seclude.TimeoutExpired:
    pass
both = [box.command(["echo", "x"]), box.command(["cat"], stderr=seclude.PIPE)]
assert [done.returncode for done in seclude.interact(both, [((0, 1), (1, 0))])] == [0, 0]
asking = seclude.Sandbox(seccomp=seclude.Seccomp().notify("uname"))
with asking.Popen(["uname"], stdout=seclude.PIPE) as process:
    calls = []
    def decide():
        for call in process.listener():
            calls.append(call.name)
            call.allow()
    deciding = threading.Thread(target=decide)
    deciding.start()
    process.communicate()
    deciding.join()
    assert calls == ["uname"]
print("done")
"""
    )
    assert (done.stdout, done.stderr) == ("x\ndone\n", "")


def children() -> set[str]:
    return set(Path("/proc/thread-self/children").read_text().split())


@pytest.mark.parametrize("steps", range(1, 9))
def test_a_cancelled_start_leaves_nothing(box: seclude.Sandbox, steps: int) -> None:
    async def work() -> None:
        before = children()
        start = box.asyncio.create_subprocess_exec(
            "sleep", "1000", stdin=seclude.PIPE, stdout=seclude.PIPE, stderr=seclude.PIPE
        )
        task = asyncio.create_task(start)
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        try:
            process = await task
        except asyncio.CancelledError:
            assert children() == before
        else:
            process.kill()
            await process.communicate()
        # The pipes are closed by a callback that the loop has scheduled.
        await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(work(), 60))


def test_a_start_cancelled_twice_leaves_nothing(box: seclude.Sandbox) -> None:
    async def work() -> None:
        before = children()
        task = asyncio.create_task(
            box.asyncio.create_subprocess_exec("sleep", "1000", stdout=seclude.PIPE)
        )
        await asyncio.sleep(0)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        while children() != before:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(work(), 60))


def test_no_loop_no_start(readable: Path) -> None:
    box = seclude.Sandbox(files=[seclude.bind(readable, "/d", writable=True)], wall_time=60)
    # As under trio, whose tasks are coroutines that no asyncio loop runs.
    start = box.asyncio.create_subprocess_exec("mkdir", "/d/made")
    before = children()
    with pytest.raises(RuntimeError, match="no running event loop"):
        start.send(None)
    assert children() == before
    assert not list(readable.iterdir())


def test_a_loop_without_readers_starts_nothing_that_stays(box: seclude.Sandbox) -> None:
    class Loop(asyncio.SelectorEventLoop):
        def add_reader(self, *_: Any) -> None:  # type: ignore[override]
            raise NotImplementedError

    async def work() -> None:
        before = children()
        with pytest.raises(NotImplementedError):
            await box.asyncio.create_subprocess_exec("sleep", "1000", stdout=seclude.PIPE)
        assert children() == before

    loop = Loop()
    try:
        loop.run_until_complete(work())
    finally:
        loop.close()
