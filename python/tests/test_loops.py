"""`box.aio`: commands under asyncio, trio, and anyio over each of the two."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import pytest

import seclude
from seclude import command, loop_library

from .conftest import PATIENCE

Work = Callable[[], Awaitable[Any]]


class Loop(Protocol):
    """What the tests use of a library: tasks side by side, and cancelling."""

    running: str

    def run(self, work: Work) -> Any: ...
    async def both(self, *works: Work) -> None: ...
    async def cancel(self, work: Work, when: Work, then: Callable[[], None]) -> None: ...
    async def sleep(self, seconds: float) -> None: ...


class PlainAsyncio:
    """asyncio by itself."""

    running = "_Asyncio"

    def run(self, work: Work) -> Any:
        async def main() -> Any:
            async with asyncio.timeout(PATIENCE):
                return await work()

        return asyncio.run(main())

    async def both(self, *works: Work) -> None:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work())  # type: ignore[arg-type]

    async def cancel(self, work: Work, when: Work, then: Callable[[], None]) -> None:
        task = asyncio.ensure_future(work())
        await when()
        task.cancel()
        then()
        with suppress(asyncio.CancelledError):
            await task

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Trio:
    """trio by itself."""

    running = "_Trio"

    def __init__(self) -> None:
        self.trio = pytest.importorskip("trio", reason="trio is not installed")

    def run(self, work: Work) -> Any:
        async def main() -> Any:
            with self.trio.fail_after(PATIENCE):
                return await work()

        return self.trio.run(main)

    async def both(self, *works: Work) -> None:
        async with self.trio.open_nursery() as nursery:
            for work in works:
                nursery.start_soon(work)

    async def cancel(self, work: Work, when: Work, then: Callable[[], None]) -> None:
        async with self.trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await when()
            nursery.cancel_scope.cancel()
            then()

    async def sleep(self, seconds: float) -> None:
        await self.trio.sleep(seconds)


class Anyio:
    """anyio, whose scopes cancel their tasks again and again."""

    def __init__(self, backend: str) -> None:
        self.anyio = pytest.importorskip("anyio", reason="anyio is not installed")
        if backend == "trio":
            pytest.importorskip("trio", reason="trio is not installed")
        self.backend = backend
        self.running = {"asyncio": "_Asyncio", "trio": "_Trio"}[backend]

    def run(self, work: Work) -> Any:
        async def main() -> Any:
            with self.anyio.fail_after(PATIENCE):
                return await work()

        return self.anyio.run(main, backend=self.backend)

    async def both(self, *works: Work) -> None:
        async with self.anyio.create_task_group() as group:
            for work in works:
                group.start_soon(work)

    async def cancel(self, work: Work, when: Work, then: Callable[[], None]) -> None:
        async with self.anyio.create_task_group() as group:
            group.start_soon(work)
            await when()
            group.cancel_scope.cancel()
            then()

    async def sleep(self, seconds: float) -> None:
        await self.anyio.sleep(seconds)


@pytest.fixture(params=["asyncio", "trio", "anyio-asyncio", "anyio-trio"])
def loop(request: pytest.FixtureRequest) -> Any:
    if request.param == "asyncio":
        return PlainAsyncio()
    if request.param == "trio":
        return Trio()
    return Anyio(request.param.removeprefix("anyio-"))


async def is_cancelled(
    loop: Loop, work: Work, when: Work | None = None, then: Callable[[], None] = lambda: None
) -> None:
    """Cancel the work, which must not end by itself, when `when` has returned. Then call `then`."""
    ended = False

    async def whole() -> None:
        nonlocal ended
        await work()
        ended = True

    async def soon() -> None:
        await loop.sleep(0.05)

    await loop.cancel(whole, when or soon, then)
    assert not ended


async def until(loop: Loop, condition: Callable[[], Any]) -> None:
    """Wait until the condition holds."""
    while not condition():
        await loop.sleep(0.01)


def children() -> set[str]:
    """Return the children of every thread of this process: starts are made by threads."""
    found: set[str] = set()
    for thread in Path("/proc/self/task").iterdir():
        try:
            found |= set((thread / "children").read_text().split())
        except FileNotFoundError:  # A thread that has ended.
            continue
    return found


def test_the_running_library_is_found(loop: Loop) -> None:
    async def work() -> str:
        return type(loop_library.running()).__name__

    assert loop.run(work) == loop.running


def test_trio_as_a_guest_of_asyncio(box: seclude.Sandbox) -> None:
    trio = pytest.importorskip("trio", reason="trio is not installed")
    found: list[str] = []

    async def one() -> None:
        found.append(type(loop_library.running()).__name__)
        assert (await box.aio.run(["true"])).returncode == 0

    async def work() -> None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            one,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=ended.set_result,
        )
        await one()
        (await ended).unwrap()

    asyncio.run(asyncio.wait_for(work(), PATIENCE))
    assert sorted(found) == ["_Asyncio", "_Trio"]


def test_run(loop: Loop, box: seclude.Sandbox) -> None:
    data = os.urandom(1 << 20)

    async def work() -> None:
        words = ["sh", "-c", "head -c 1000000 /dev/zero >&2; cat; exit 3"]
        done = await box.aio.run(words, input=data, capture_output=True)
        assert (done.stdout, done.stderr, done.returncode) == (data, bytes(1000000), 3)
        done = await box.aio.run(["tr", "a-z", "A-Z"], input="é\n", stdout=seclude.PIPE, text=True)
        assert done.stdout == "é\n".replace("e", "E")
        with pytest.raises(seclude.CalledProcessError):
            await box.aio.run(["false"], check=True)
        with pytest.raises(FileNotFoundError):
            await box.aio.run(["no-such-program"], capture_output=True)
        with pytest.raises(ValueError, match="exclude"):
            await box.aio.run(["true"], input=b"", stdin=seclude.DEVNULL)
        with pytest.raises(TypeError, match="timeout"):
            await box.aio.run(["true"], timeout=5)  # type: ignore[call-arg]

    loop.run(work)


def test_the_files_that_a_command_leaves(loop: Loop, box: seclude.Sandbox) -> None:
    async def work() -> None:
        script = "echo 42 >answer.txt"
        done = await box.aio.run(["sh", "-c", script], cwd="/tmp", collect=["*.txt"])
        assert done.files == {"answer.txt": b"42\n"}
        options: Any = {"cwd": "/tmp", "collect": ["*.txt"]}
        async with await box.aio.popen(["sh", "-c", script], **options) as process:
            with pytest.raises(seclude.PolicyError, match="waited for"):
                await process.collect()
            await process.wait()
            assert (await process.collect()).files == {"answer.txt": b"42\n"}

    loop.run(work)


def test_streams(loop: Loop, box: seclude.Sandbox) -> None:
    data = os.urandom(1 << 20)

    async def work() -> None:
        options: Any = {"stdin": seclude.PIPE, "stdout": seclude.PIPE}
        async with await box.aio.popen(["cat"], **options) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is None
            for line in (b"one\n", b"two\n"):
                await process.stdin.send(line)
                assert await process.stdout.receive() == line
            assert {seen.name for seen in process.processes()} >= {"cat"}
            sender, got = process.stdin, bytearray()

            async def send() -> None:
                await sender.send(data)
                await sender.aclose()

            async def receive() -> None:
                assert process.stdout is not None
                async for chunk in process.stdout:
                    got.extend(chunk)

            await loop.both(send, receive)
            assert got == data
            assert await process.stdout.receive() == b""
        assert process.returncode == 0
        with pytest.raises(ValueError, match="closed"):
            await sender.send(b"x")

    loop.run(work)


def test_input_that_nobody_reads(loop: Loop, box: seclude.Sandbox) -> None:
    async def work() -> None:
        async with await box.aio.popen(["true"], stdin=seclude.PIPE) as process:
            assert process.stdin is not None
            with pytest.raises(BrokenPipeError):
                await process.stdin.send(b"x" * (1 << 20))
        done = await box.aio.run(["true"], input=b"x" * (1 << 20))
        assert done.returncode == 0

    loop.run(work)


def test_a_closed_stream_wakes_its_task(loop: Loop, box: seclude.Sandbox) -> None:
    async def work() -> None:
        options: Any = {"stdin": seclude.PIPE, "stdout": seclude.PIPE}
        async with await box.aio.popen(["cat"], **options) as process:
            stream = process.stdout
            assert stream is not None

            async def receive() -> None:
                with pytest.raises(ValueError, match="closed"):
                    await stream.receive()

            async def close() -> None:
                await loop.sleep(0.05)
                stream.close()

            await loop.both(receive, receive, close)

    loop.run(work)


@pytest.mark.parametrize("waits", ["wait", "communicate", "receive", "send"])
def test_a_cancelled_wait_leaves_it_running(loop: Loop, box: seclude.Sandbox, waits: str) -> None:
    async def work() -> None:
        options: Any = {"stdin": seclude.PIPE, "stdout": seclude.PIPE}
        async with await box.aio.popen(["sh", "-c", "read x; cat; echo $x"], **options) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            data = b"" if waits != "communicate" else b"said\nmore\n"
            call: dict[str, Work] = {
                "wait": process.wait,
                "communicate": process.communicate,
                "receive": process.stdout.receive,
                "send": lambda: process.stdin.send(b"y\n" * (1 << 20)),  # type: ignore[union-attr]
            }
            if data:
                await process.stdin.send(data)
            # The command waits for its input, so only the cancellation ends these.
            held: Work = call[waits]
            if waits == "communicate":
                # Without input `communicate` closes the pipe; freezing keeps the command from it.
                process.freeze()
            await is_cancelled(loop, held)
            assert process.poll() is None
            if waits == "communicate":
                process.thaw()
                assert await process.communicate() == (b"more\nsaid\n", None)
                assert process.returncode == 0
            else:
                process.kill()
                assert await process.wait() == -9

    loop.run(work)


def test_a_cancelled_block_ends_it(loop: Loop, box: seclude.Sandbox) -> None:
    async def work() -> None:
        kept: list[Any] = []

        async def block() -> None:
            async with await box.aio.popen(["sleep", "1000"], stdin=seclude.PIPE) as process:
                kept.append(process)
                await loop.sleep(1000)

        before = children()
        await is_cancelled(loop, block, lambda: until(loop, lambda: kept))
        # Gone already, not only killed.
        assert [process.outcome.ended.name for process in kept] == ["killed"]
        assert children() == before

    loop.run(work)


def test_a_cancelled_run_ends_it(loop: Loop, box: seclude.Sandbox) -> None:
    async def work() -> None:
        before = children()
        await is_cancelled(
            loop,
            lambda: box.aio.run(["sleep", "1000"], capture_output=True),
            lambda: until(loop, lambda: children() != before),
        )
        assert children() == before

    loop.run(work)


def test_an_exception_in_the_block_waits_for_it(loop: Loop, box: seclude.Sandbox) -> None:
    async def work() -> None:
        kept: Any = None
        with pytest.raises(KeyError):
            async with await box.aio.popen(["cat"], stdin=seclude.PIPE) as kept:
                raise KeyError
        assert kept.returncode == 0

    loop.run(work)


class Held:
    """Makes the next start wait, in whichever thread it runs, until the test releases it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        real = command.Start.attempt

        def attempt(start: Any) -> Any:
            self.begun.set()
            assert self.released.wait(PATIENCE)
            return real(start)

        monkeypatch.setattr("seclude.command.Start.attempt", attempt)


def test_a_start_does_not_block_the_loop(
    loop: Loop, box: seclude.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)

    async def work() -> None:
        async def start() -> None:
            async with await box.aio.popen(["true"]) as process:
                assert await process.wait() == 0

        async def release() -> None:
            await until(loop, held.begun.is_set)
            held.released.set()

        await loop.both(start, release)

    loop.run(work)


def test_a_cancelled_start_leaves_nothing(
    loop: Loop, box: seclude.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)

    async def work() -> None:
        before = children()
        options: Any = dict.fromkeys(("stdin", "stdout", "stderr"), seclude.PIPE)
        await is_cancelled(
            loop,
            lambda: box.aio.popen(["sleep", "1000"], **options),
            lambda: until(loop, held.begun.is_set),
            held.released.set,
        )
        assert children() == before

    loop.run(work)


def test_many_at_once(loop: Loop, box: seclude.Sandbox) -> None:
    codes: list[int] = []

    def one(number: int) -> Work:
        async def work() -> None:
            done = await box.aio.run(["sh", "-c", f"exit {number}"])
            codes.append(done.returncode)

        return work

    loop.run(lambda: loop.both(*map(one, range(20))))
    assert sorted(codes) == list(range(20))


def test_many_tasks_wait_for_one(loop: Loop, box: seclude.Sandbox) -> None:
    async def work() -> None:
        codes: list[int] = []
        async with await box.aio.popen(["sleep", "1000"]) as process:

            async def wait() -> None:
                codes.append(await process.wait())

            async def end() -> None:
                await loop.sleep(0.05)
                process.terminate()

            await loop.both(wait, wait, wait, end)
        assert codes == [-15] * 3
        assert process.outcome is not None
        assert process.outcome.ended == seclude.Ended("signaled", 15)

    loop.run(work)


def test_the_starts_wait_for_places_in_order(loop: Loop, box: seclude.Sandbox) -> None:
    order: list[int] = []

    async def work(pool: seclude.Pool) -> None:
        def waiting() -> int:
            return sum(map(len, pool._on_loops._loops.values()))

        async with await pool.aio.popen(["cat"], stdin=seclude.PIPE) as first:

            def one(number: int) -> Work:
                async def start() -> None:
                    await until(loop, lambda: waiting() == number)
                    async with await pool.aio.popen(["true"]):
                        order.append(number)

                return start

            async def free() -> None:
                await until(loop, lambda: waiting() == 4)
                # A start that is cancelled leaves the queue to the others.
                await is_cancelled(
                    loop,
                    lambda: pool.aio.popen(["true"]),
                    lambda: until(loop, lambda: waiting() == 5),
                )
                assert waiting() == 4
                assert not order
                assert first.stdin is not None
                first.stdin.close()

            await loop.both(*map(one, range(4)), free)

    with box.pool(1) as pool:
        loop.run(lambda: work(pool))
        assert not pool._on_loops
    assert order == [0, 1, 2, 3]


def test_a_cell_whose_processes_hold_the_pipes(loop: Loop, box: seclude.Sandbox) -> None:
    script = "echo told; sleep 1000 & exit 3"

    async def work() -> None:
        with box.cell() as cell:
            done = await cell.aio.run(["sh", "-c", script], capture_output=True)
            assert (done.stdout, done.returncode) == (b"told\n", 3)
            async with await cell.aio.popen(["sh", "-c", script], stdout=seclude.PIPE) as process:
                assert process.stdout is not None
                assert [chunk async for chunk in process.stdout] == [b"told\n"]
                assert await process.wait() == 3

    loop.run(work)


def test_limits_and_a_terminal(loop: Loop) -> None:
    async def work() -> None:
        box = seclude.Sandbox(wall_time=0.2)
        done = await box.aio.run(["sleep", "1000"])
        assert done.outcome.ended.name == "wall-time"
        box = seclude.Sandbox(output=1000, wall_time=PATIENCE)
        done = await box.aio.run(["cat", "/dev/zero"], stdout=seclude.PIPE)
        assert (done.outcome.ended.name, done.stdout) == ("output-limit", bytes(1000))
        box = seclude.Sandbox(wall_time=PATIENCE)
        done = await box.aio.run(["tty"], stdin=seclude.PTY, stdout=seclude.PTY)
        assert done.stdout == b"/dev/pts/0\r\n"

    loop.run(work)


def test_no_loop_no_start(box: seclude.Sandbox) -> None:
    before = children()
    for start in (box.aio.popen(["sleep", "1000"]), box.aio.run(["sleep", "1000"])):
        with pytest.raises(RuntimeError, match="no running event loop"):
            start.send(None)
    assert children() == before


def test_a_coroutine_that_is_closed_ends_its_command(box: seclude.Sandbox) -> None:
    """As when a loop ends while tasks are left."""
    kept: list[Any] = []

    async def work() -> None:
        async def block() -> None:
            async with await box.aio.popen(["sleep", "1000"]) as process:
                kept.append(process)
                await asyncio.get_running_loop().create_future()

        left = block()
        future: Any = left.send(None)
        while not kept:
            await asyncio.sleep(0.01)
            if future.done():
                future = left.send(None)
        left.close()
        assert kept[0].outcome.ended.name == "killed"

    asyncio.run(asyncio.wait_for(work(), PATIENCE))
