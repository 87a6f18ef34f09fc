"""`await box.asyncio.create_subprocess_exec(...)`: asyncio processes, driven by the loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

import seclude
from seclude import command

if TYPE_CHECKING:
    from collections.abc import Coroutine


def on_a_loop(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 60))


def test_communicate_with_more_than_any_pipe_holds(box: seclude.Sandbox) -> None:
    data = os.urandom(1 << 20)
    # Other tests may have left threads that end by themselves.
    threads = set(threading.enumerate())

    async def work() -> None:
        process = await box.asyncio.create_subprocess_exec(
            "sh",
            "-c",
            "head -c 1000000 /dev/zero >&2; cat",
            stdin=seclude.PIPE,
            stdout=seclude.PIPE,
            stderr=seclude.PIPE,
        )
        assert process.returncode is None
        assert process.pid > 0
        assert process.inside_pid > 1
        assert await process.communicate(data) == (data, bytes(1000000))
        assert process.returncode == 0
        assert process.outcome is not None
        assert process.outcome.success
        # A thread of the loop's starts commands. There is no other.
        new = {thread.name for thread in threading.enumerate() if thread not in threads}
        assert all(name.startswith("asyncio_") for name in new)

    on_a_loop(work())


def test_a_start_does_not_block_the_loop(
    box: seclude.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, released = threading.Event(), threading.Event()
    real = command.Start.attempt

    def attempt(start: Any) -> Any:
        begun.set()
        assert released.wait(60)
        return real(start)

    monkeypatch.setattr("seclude.command.Start.attempt", attempt)

    async def work() -> None:
        starting = asyncio.create_task(box.asyncio.create_subprocess_exec("true"))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        released.set()
        assert await (await starting).wait() == 0

    on_a_loop(work())


def test_streams_line_by_line(box: seclude.Sandbox) -> None:
    async def work() -> None:
        process = await box.asyncio.create_subprocess_exec(
            "cat", stdin=seclude.PIPE, stdout=seclude.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is None
        for line in (b"one\n", b"two\n"):
            process.stdin.write(line)
            await process.stdin.drain()
            assert await process.stdout.readline() == line
        assert {seen.name for seen in process.processes()} >= {"cat"}
        process.stdin.close()
        await process.stdin.wait_closed()
        assert await process.stdout.read() == b""
        assert await process.wait() == 0

    on_a_loop(work())


@pytest.mark.parametrize(
    ("end", "ended"),
    [
        (lambda process: process.kill(), seclude.Ended("killed")),
        (lambda process: process.terminate(), seclude.Ended("signaled", signal.SIGTERM)),
        (
            lambda process: process.send_signal(signal.SIGUSR2),
            seclude.Ended("signaled", signal.SIGUSR2),
        ),
    ],
)
def test_ends(box: seclude.Sandbox, end: Any, ended: seclude.Ended) -> None:
    async def work() -> None:
        process = await box.asyncio.create_subprocess_exec("sleep", "1000")
        waits = [asyncio.create_task(process.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        end(process)
        assert await asyncio.gather(*waits) == [process.returncode] * 3
        assert process.outcome is not None
        assert process.outcome.ended == ended
        with pytest.raises(ProcessLookupError):
            end(process)
        assert await process.wait() == process.returncode

    on_a_loop(work())


def test_a_cancelled_wait_leaves_it_running(box: seclude.Sandbox) -> None:
    async def work() -> None:
        process = await box.asyncio.create_subprocess_exec("cat", stdin=seclude.PIPE)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.05)
        assert process.returncode is None
        assert await process.communicate() == (None, None)
        assert process.returncode == 0

    on_a_loop(work())


def test_many_at_once(box: seclude.Sandbox) -> None:
    async def one(number: int) -> int:
        process = await box.asyncio.create_subprocess_exec("sh", "-c", f"exit {number}")
        return await process.wait()

    async def work() -> None:
        assert await asyncio.gather(*map(one, range(50))) == list(range(50))

    on_a_loop(work())


def test_a_missing_program_is_told_at_once(box: seclude.Sandbox) -> None:
    async def work() -> None:
        with pytest.raises(FileNotFoundError):
            await box.asyncio.create_subprocess_exec(
                "no-such-program", stdin=seclude.PIPE, stdout=seclude.PIPE
            )

    on_a_loop(work())


def test_input_that_nobody_reads(box: seclude.Sandbox) -> None:
    async def work() -> None:
        process = await box.asyncio.create_subprocess_exec("true", stdin=seclude.PIPE)
        assert await process.communicate(b"x" * (1 << 20)) == (None, None)

    on_a_loop(work())


def test_input_without_a_pipe(box: seclude.Sandbox) -> None:
    async def work() -> None:
        process = await box.asyncio.create_subprocess_exec("true")
        with pytest.raises(ValueError, match="not a pipe"):
            await process.communicate(b"x")
        await process.wait()

    on_a_loop(work())


def test_the_other_options(box: seclude.Sandbox) -> None:
    async def work() -> None:
        process = await box.asyncio.create_subprocess_exec(
            "sh",
            "-c",
            "pwd; echo $A",
            cwd="/usr",
            env={"A": "b"},
            stdout=seclude.PIPE,
            stderr=seclude.STDOUT,
        )
        assert await process.communicate() == (b"/usr\nb\n", None)

    on_a_loop(work())


def test_the_loops_end_ends_the_command(python: Any) -> None:
    done = python(
        """
import asyncio, gc, os, seclude
async def work():
    process = await seclude.Sandbox().asyncio.create_subprocess_exec('sleep', '1000')
    return process.pid
pid = asyncio.run(work())
gc.collect()
try:
    os.kill(pid, 0)
    print('alive')
except ProcessLookupError:
    print('gone')
""",
        "-W",
        "ignore::ResourceWarning",
    )
    assert (done.stdout, done.stderr) == ("gone\n", "")
