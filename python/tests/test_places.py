"""The places of a pool: freed when a command ends, and waited for with a timeout or on a loop."""

from __future__ import annotations

import asyncio
import os
import pickle
import select
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import seclude

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from concurrent.futures import Future

    from seclude.aio import AsyncProcess

HANG = 30.0
"""Seconds after which a missing event counts as a hang."""


@pytest.fixture(params=[False, True], ids=["fresh", "reused"])
def pool(box: seclude.Sandbox, request: pytest.FixtureRequest) -> Iterator[seclude.Pool]:
    with box.pool(1, reuse=request.param) as made:
        yield made


def cat(pool: seclude.Pool, **options: Any) -> seclude.Popen:
    """Start a command that ends with its input, within the time that a working pool needs."""
    return pool.popen(["cat"], stdin=seclude.PIPE, start_timeout=HANG, **options)


def readable(descriptor: Any, timeout: float) -> bool:
    return bool(select.select([descriptor], [], [], timeout)[0])


def end_unseen(process: seclude.Popen) -> None:
    """End the command without asking for its state."""
    assert process.stdin is not None
    process.stdin.close()
    assert readable(process, HANG)


def test_an_ended_command_has_no_place_though_nobody_looked(pool: seclude.Pool) -> None:
    ended = []
    for _ in range(4):
        process = cat(pool)
        assert pool.statistics().in_use == 1
        assert not readable(pool, 0)
        end_unseen(process)
        assert readable(pool, HANG)
        ended.append(process)
    while pool.statistics().in_use:
        time.sleep(0.001)
    assert [process.wait() for process in ended] == [0] * 4
    assert pool.statistics().most_in_use == 1


def test_a_full_pool_is_told_by_the_deadline(pool: seclude.Pool) -> None:
    with cat(pool) as running:
        for start_timeout in (0, 0.05):
            with pytest.raises(seclude.TimeoutExpired) as expired:
                pool.popen(["true"], stdout=seclude.PIPE, start_timeout=start_timeout)
            assert expired.value.timeout == start_timeout
        with pytest.raises(seclude.TimeoutExpired) as expired:
            pool.run(["true"], timeout=0.05, capture_output=True)
        told = expired.value
        assert (told.cmd, told.timeout, told.outcome, told.kind) == (
            ["true"],
            0.05,
            None,
            "timeout",
        )
        assert (told.step, told.hint is None) == ("wait for a place in the pool", False)
        assert pickle.loads(pickle.dumps(told)).step == told.step
        with pytest.raises(seclude.TimeoutExpired):
            seclude.Interaction([pool.command(["true"])], []).run(0.05)
        end_unseen(running)
        assert pool.run(["true"], timeout=HANG).returncode == 0
        assert pool.statistics().handed_out == 2


def test_the_timeout_of_a_run_counts_from_the_start(pool: seclude.Pool) -> None:
    with pytest.raises(seclude.TimeoutExpired) as expired:
        pool.run(["sleep", "1000"], timeout=0.3)
    assert expired.value.timeout == 0.3
    assert expired.value.outcome is not None
    assert expired.value.outcome.ended.name == "killed"


def test_what_waits_is_counted(pool: seclude.Pool) -> None:
    with cat(pool) as running:
        thread = threading.Thread(target=pool.run, args=(["true"],))
        thread.start()
        time.sleep(0.05)
        end_unseen(running)
        thread.join(HANG)
    assert pool.statistics().waited == 1


def test_options_that_can_be_read_once_are_kept(pool: seclude.Pool) -> None:
    reader, writer = os.pipe()
    try:
        running = cat(pool)
        threading.Timer(0.05, end_unseen, [running]).start()
        write = ["python3", "-c", f"import os; os.write({writer}, b'here')"]
        assert pool.run(write, pass_fds=(fd for fd in [writer]), timeout=HANG).returncode == 0
        assert (os.read(reader, 10), running.wait()) == (b"here", 0)
    finally:
        os.close(reader)
        os.close(writer)


def test_commands_that_start_together_need_all_their_places(box: seclude.Sandbox) -> None:
    with box.pool(2) as pool:
        commands = [pool.command(["true"]) for _ in range(3)]
        with pytest.raises(seclude.PolicyError, match="2 places"):
            seclude.Interaction(commands, []).run()
        with cat(pool) as running:
            with pytest.raises(seclude.TimeoutExpired):
                seclude.Interaction(commands[:2], []).spawn(0.25)
            threading.Timer(0.3, end_unseen, [running]).start()
            assert [
                done.returncode for done in seclude.Interaction(commands[:2], []).run(HANG)
            ] == [0, 0]


def test_a_forked_copy_of_its_descriptors_changes_nothing(pool: seclude.Pool) -> None:
    # Not `cat`, which ends with its input: the forked copy also holds that open.
    running = pool.popen(["sleep", "0.2"])
    copy = os.fork()
    if copy == 0:
        time.sleep(HANG)
        os._exit(0)
    try:
        assert readable(running, HANG / 2)
        assert readable(pool, HANG / 2)
        assert running.wait() == 0
        for _ in range(4):
            with cat(pool) as running:
                assert not readable(pool, 0)
                end_unseen(running)
        assert pool.statistics().in_use == 0
    finally:
        os.kill(copy, signal.SIGKILL)
        os.waitpid(copy, 0)


def test_descriptors_closed_under_it_are_an_error_and_no_hang(python: Any) -> None:
    done = python("""
import os, select, socket, seclude
pool = seclude.Sandbox().pool(1)
busy = pool.popen(['sleep', '1000'])
pair = lambda: [one.detach() for one in socket.socketpair()]
occupied = [lambda: None, lambda: os.pipe(), pair, lambda: select.epoll()]
kept = []
for occupy in occupied:
    os.closerange(3, 1000)
    kept.append([occupy() for _ in range(50)])
    try:
        pool.run(['true'])
    except seclude.SecludeError as error:
        print(error, flush=True)
os._exit(0)
""")
    said = (
        "look for a place in the pool: the caller has closed a descriptor of the library's; "
        "hint: close only what"
    )
    assert [line[: len(said)] for line in done.stdout.splitlines()] == [said] * 4, done.stderr


# ---- Ctrl-C

INTERRUPTED = """
import os, signal, threading, seclude
signal.signal(signal.SIGINT, signal.default_int_handler)
box = seclude.Sandbox(wall_time=50)
interrupt = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
"""


@pytest.mark.parametrize(
    "start",
    [
        "pool.popen(['true'])",
        "pool.run(['true'])",
        "seclude.Interaction([pool.command(['true'])], []).spawn()",
    ],
)
def test_ctrl_c_is_heard_while_a_start_waits(python: Any, start: str) -> None:
    done = python(f"""{INTERRUPTED}
with box.pool(1) as pool, pool.popen(['sleep', '1000']):
    try:
        interrupt.start()
        {start}
    except KeyboardInterrupt:
        print('heard')
        raise
""")
    assert (done.returncode, done.stdout) == (-signal.SIGINT, "heard\n"), done.stderr


@pytest.mark.parametrize(
    "inside",
    [
        "pool.submit(['sleep', '1000']).result()",
        "list(pool.map([['sleep', '1000']] * 3))",
        # Ctrl-C arrives while the end of the `with` block waits for the jobs.
        "pool.submit(['sleep', '1000'])",
        # Ctrl-C arrives while a job waits for a place.
        "busy = pool.popen(['sleep', '1000']); pool.submit(['true']).result()",
    ],
)
def test_ctrl_c_in_a_pool_with_jobs_ends_the_program(python: Any, inside: str) -> None:
    text = f"{INTERRUPTED}\nwith box.pool(1) as pool:\n    interrupt.start()\n    {inside}\n"
    assert python(text, "-W", "ignore::ResourceWarning").returncode == -signal.SIGINT


def test_what_is_no_exception_kills_the_jobs(box: seclude.Sandbox) -> None:
    jobs: list[Future[seclude.CompletedRun]] = []

    def leave() -> None:
        with box.pool(1) as pool:
            jobs.extend(pool.submit(["sleep", "1000"]) for _ in range(3))
            while not pool.statistics().in_use:
                time.sleep(0.001)
            raise SystemExit(3)

    with pytest.raises(SystemExit):
        leave()
    assert jobs[0].result().outcome.ended.name == "killed"
    assert jobs[1].cancelled()
    assert jobs[2].cancelled()


def test_an_error_inside_waits_for_the_jobs(box: seclude.Sandbox) -> None:
    jobs: list[Future[seclude.CompletedRun]] = []

    def leave() -> None:
        with box.pool(1) as pool:
            jobs.append(pool.submit(["sleep", "0.2"]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        leave()
    assert jobs[0].result().returncode == 0


# ---- asyncio


def on_a_loop(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, HANG))


async def start(pool: seclude.Pool, *words: str, **options: Any) -> AsyncProcess:
    return await pool.asyncio.create_subprocess_exec(*words, **options)


def test_the_loop_goes_on_while_a_start_waits(pool: seclude.Pool) -> None:
    async def work() -> None:
        running = await start(pool, "cat", stdin=seclude.PIPE)
        waits = asyncio.create_task(start(pool, "true"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waits), 0.1)
        assert await running.communicate() == (None, None)
        assert await (await waits).wait() == 0

    on_a_loop(work())


def test_more_tasks_than_places(pool: seclude.Pool) -> None:
    order = []

    async def one(number: int) -> int:
        process = await start(
            pool, "sh", "-c", f"echo {number}; exit {number}", stdout=seclude.PIPE
        )
        order.append(number)
        assert await process.communicate() == (b"%d\n" % number, None)
        assert process.returncode is not None
        return process.returncode

    async def work() -> None:
        assert await asyncio.gather(*map(one, range(20))) == list(range(20))

    on_a_loop(work())
    assert order == list(range(20))
    told = pool.statistics()
    assert (told.handed_out, told.most_in_use, told.in_use) == (20, 1, 0)
    assert told.waited > 0


def test_a_start_that_is_cancelled_while_it_waits_has_started_nothing(pool: seclude.Pool) -> None:
    async def work() -> None:
        running = await start(pool, "cat", stdin=seclude.PIPE)
        waits = [asyncio.create_task(start(pool, "true")) for _ in range(5)]
        await asyncio.sleep(0.05)
        for task in (waits[1], waits[4]):
            task.cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(start(pool, "true"), 0.05)
        running.kill()
        # Cancel a start that has its turn but has not tried yet. Another start gets the place.
        while not readable(pool, 0):
            await asyncio.sleep(0)
        waits[0].cancel()
        for task in (waits[2], waits[3]):
            assert await (await task).wait() == 0
        for task in (waits[0], waits[1], waits[4]):
            if not task.cancelled():
                with pytest.raises(asyncio.CancelledError):
                    await task
        await running.wait()

    on_a_loop(work())
    assert pool.statistics().handed_out == 3
    assert not pool._on_loops


def test_starts_that_wait_hold_no_descriptors(pool: seclude.Pool) -> None:
    async def work() -> None:
        running = await start(pool, "cat", stdin=seclude.PIPE)
        before = len(os.listdir("/proc/self/fd"))
        pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), seclude.PIPE)
        waits = [asyncio.create_task(start(pool, "true", **pipes)) for _ in range(100)]
        await asyncio.sleep(0.05)
        assert len(os.listdir("/proc/self/fd")) < before + 20
        for task in waits:
            task.cancel()
        await asyncio.wait(waits)
        await running.communicate()

    on_a_loop(work())


def test_a_failed_start_lets_the_next_one_have_its_turn(pool: seclude.Pool) -> None:
    async def work() -> None:
        running = await start(pool, "cat", stdin=seclude.PIPE)
        waits = [
            asyncio.create_task(start(pool, program)) for program in ("no-such-program", "true")
        ]
        await asyncio.sleep(0.05)
        await running.communicate()
        with pytest.raises(FileNotFoundError):
            await waits[0]
        assert await (await waits[1]).wait() == 0

    on_a_loop(work())


def test_a_closed_pool_is_told_to_whoever_waits(box: seclude.Sandbox) -> None:
    async def work(pool: seclude.Pool) -> None:
        running = await start(pool, "cat", stdin=seclude.PIPE)
        waits = [asyncio.create_task(start(pool, "true")) for _ in range(3)]
        await asyncio.sleep(0.05)
        pool.close()
        for task in waits:
            with pytest.raises(seclude.PolicyError, match="closed"):
                await task
        await running.communicate()

    on_a_loop(work(box.pool(1)))


def test_loops_in_many_threads_share_a_pool(pool: seclude.Pool) -> None:
    async def one() -> int:
        return await (await start(pool, "true")).wait()

    async def work() -> None:
        assert await asyncio.gather(*(one() for _ in range(8))) == [0] * 8

    threads = [threading.Thread(target=on_a_loop, args=(work(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.statistics().handed_out == 32
    assert not pool._on_loops


def test_a_cancelled_task_does_not_wait_for_the_jobs_of_its_pool(box: seclude.Sandbox) -> None:
    async def work() -> None:
        with box.pool(1) as pool:
            await asyncio.wrap_future(pool.submit(["sleep", "1000"]))

    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(work(), 0.2))
