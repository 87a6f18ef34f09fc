"""The caller's side takes over: a warden stopped from outside hangs no call and lifts no limit."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

import seclude

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 10
"""Seconds after which an action that takes at most two counts as hanging."""


@contextmanager
def stopped(box: seclude.Sandbox, *words: str) -> Iterator[seclude.Popen]:
    """Run a command and stop its warden. Leaving the `with` block must not hang."""
    process = box.Popen(list(words) or ["sleep", "1000"], stdin=seclude.DEVNULL)
    warden = stop(process)
    try:
        with guarded("leaving `with`", [warden]), process:
            yield process
    finally:
        assert not os.path.exists(f"/proc/{process.pid}")


def stop(process: seclude.Popen) -> int:
    warden = process.processes()[0].pid
    os.kill(warden, signal.SIGSTOP)
    return warden


@contextmanager
def guarded(what: str, wardens: list[int]) -> Iterator[None]:
    """Kill the wardens if the block hangs, so that the test fails."""
    hung = threading.Event()

    def bite() -> None:
        hung.set()
        for warden in wardens:
            os.kill(warden, signal.SIGKILL)

    dog = threading.Timer(PATIENCE, bite)
    dog.start()
    try:
        yield
    finally:
        dog.cancel()
    assert not hung.is_set(), f"{what} hung"


def by_caller(outcome: seclude.Outcome | None) -> bool:
    """Return whether the caller's side ended the command because the warden did not report."""
    return outcome is not None and outcome.by_caller


def name(process: seclude.Popen) -> str:
    assert process.outcome is not None
    return process.outcome.ended.name


def test_the_wall_time_is_held() -> None:
    with stopped(seclude.Sandbox(wall_time=1)) as process:
        assert process.wait() == -9
        assert name(process) == "wall-time"
        assert by_caller(process.outcome)


def test_the_processor_time_is_held() -> None:
    with stopped(
        seclude.Sandbox(wall_time=600, cpu_time=0.3), "sh", "-c", "while :; do :; done"
    ) as process:
        process.wait()
        assert name(process) == "cpu-time"
        assert by_caller(process.outcome)


def test_polling_holds_it_too() -> None:
    with stopped(seclude.Sandbox(wall_time=1)) as process:
        while process.poll() is None:
            time.sleep(0.01)
        assert name(process) == "wall-time"


def test_communicate_comes_to_an_end() -> None:
    box = seclude.Sandbox(wall_time=1)
    process = box.Popen(
        ["sleep", "1000"], stdin=seclude.DEVNULL, stdout=seclude.PIPE, stderr=seclude.PIPE
    )
    with guarded("communicate", [stop(process)]), process:
        assert process.communicate() == (b"", b"")
        assert name(process) == "wall-time"


def test_killed_it_ends() -> None:
    with stopped(seclude.Sandbox(wall_time=600)) as process:
        process.kill()
        assert process.wait() == -9
        assert name(process) == "killed"


def test_leaving_with_an_exception_ends_it() -> None:
    with pytest.raises(KeyError), stopped(seclude.Sandbox(wall_time=600)):
        raise KeyError


def test_asyncio_holds_it_too() -> None:
    async def work() -> None:
        process = await seclude.Sandbox(wall_time=1).asyncio.create_subprocess_exec(
            "sleep", "1000", stdin=seclude.DEVNULL
        )
        warden = process.processes()[0].pid
        os.kill(warden, signal.SIGSTOP)
        with guarded("wait", [warden]):
            assert await process.wait() == -9

    asyncio.run(work())


def close(cell: seclude.Cell) -> None:
    cell.close()


def reset(cell: seclude.Cell) -> None:
    cell.reset()


@pytest.mark.parametrize("end", [close, reset])
def test_a_cell_can_be_ended(end: Callable[[seclude.Cell], None]) -> None:
    with seclude.Sandbox(wall_time=600).cell() as cell:
        running = cell.popen(["sleep", "1000"], stdin=seclude.DEVNULL)
        warden = cell.processes()[0].pid
        os.kill(warden, signal.SIGSTOP)
        with guarded(end.__name__, [warden]):
            end(cell)
        with guarded("wait", [warden]), running:
            assert running.wait() == -9
            assert name(running) == "killed"


def test_a_cells_command_has_its_wall_time() -> None:
    with (
        seclude.Sandbox(wall_time=1).cell() as cell,
        cell.popen(["sleep", "1000"], stdin=seclude.DEVNULL) as running,
    ):
        warden = cell.processes()[0].pid
        os.kill(warden, signal.SIGSTOP)
        with guarded("wait", [warden]):
            running.wait()
        assert name(running) == "wall-time"
        cell.close()


def test_a_pool_can_be_closed() -> None:
    with seclude.Sandbox(wall_time=600).pool(1) as pool:
        running = pool.popen(["sleep", "1000"], stdin=seclude.DEVNULL)
        warden = stop(running)
        with guarded("close", [warden]):
            pool.close()
        with guarded("leaving `with`", [warden]), running:
            running.kill()
            running.wait()
            assert name(running) == "killed"
