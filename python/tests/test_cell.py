"""Cells: many commands in one running sandbox, and resets to its first state."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import seclude

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def cell() -> Iterator[seclude.Cell]:
    with seclude.Sandbox(wall_time=60, files=[seclude.tmpfs("/tmp", "16M")]).cell() as cell:
        yield cell


def test_commands_in_turn_and_at_once(cell: seclude.Cell) -> None:
    assert cell.run(["sh", "-c", "echo here > /tmp/left"]).returncode == 0
    assert cell.run(["cat", "/tmp/left"], capture_output=True, text=True).stdout == "here\n"
    with ThreadPoolExecutor(8) as threads:
        numbers = range(32)
        results = threads.map(
            lambda number: cell.run(
                ["sh", "-c", f"echo {number}; exit {number}"], capture_output=True
            ),
            numbers,
        )
        assert [(done.returncode, int(done.stdout)) for done in results] == [
            (number, number) for number in numbers
        ]
    assert threading.active_count() == 1


def test_a_command_ends_although_what_it_left_holds_its_pipes(cell: seclude.Cell) -> None:
    done = cell.run(["sh", "-c", "sleep 1000 & echo said"], capture_output=True, text=True)
    assert done.stdout == "said\n"
    assert len(cell.processes()) == 2

    async def work() -> None:
        process = await cell.asyncio.create_subprocess_exec(
            "sh", "-c", "sleep 1000 & echo again", stdout=seclude.PIPE
        )
        assert await process.communicate() == (b"again\n", None)

    asyncio.run(asyncio.wait_for(work(), 60))


def test_one_command_is_ended_and_others_go_on(cell: seclude.Cell) -> None:
    with (
        cell.popen(["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE) as stays,
        cell.popen(["sleep", "1000"]) as goes,
    ):
        goes.kill()
        assert goes.wait() == -9
        assert goes.outcome is not None
        assert goes.outcome.ended.name == "killed"
        assert stays.communicate(b"still here")[0] == b"still here"
    assert cell.run(["sleep", "1000"], wall_time=0.2).outcome.ended.name == "wall-time"
    assert cell.run(["true"]).returncode == 0


def test_kill_all_ends_commands_and_leaves_files(cell: seclude.Cell) -> None:
    cell.run(["touch", "/tmp/left"])
    with cell.popen(["sleep", "1000"]) as one, cell.popen(["sh", "-c", "sleep 1000; :"]) as other:
        cell.kill_all()
        one.wait()
        other.wait()
        assert one.outcome is not None
        assert other.outcome is not None
        assert (one.outcome.ended.name, other.outcome.ended.name) == ("killed", "killed")
    assert cell.run(["test", "-e", "/tmp/left"]).returncode == 0


def test_reset_is_as_if_nothing_had_run(cell: seclude.Cell) -> None:
    cell.reset()
    look = [
        "sh",
        "-c",
        "ls -laR /tmp /dev/shm; echo /proc/[0-9]*; cat /proc/mounts /proc/net/dev; hostname; id",
    ]

    def seen() -> str:
        lines = cell.run(look, capture_output=True, text=True).stdout.splitlines()
        return "\n".join(line for line in lines if not line.startswith(("drwx", "total")))

    before = seen()
    with cell.popen(
        ["sh", "-c", "sleep 1000 & echo > /tmp/a; echo > /dev/shm/b; exec sleep 1000"]
    ) as process:
        while cell.run(["test", "-e", "/dev/shm/b"]).returncode != 0:
            pass
        assert seen() != before
        cell.reset()
        assert process.wait() == -9
        assert process.outcome is not None
        assert process.outcome.ended.name == "killed"
    assert seen() == before


def test_frozen_it_stands_still(cell: seclude.Cell) -> None:
    with cell.popen(["sh", "-c", "while :; do echo; done"], stdout=seclude.DEVNULL):
        assert cell.freeze() in ("cgroup-v2", "cgroup-v1", "sigstop")
        states = {process.state for process in cell.processes()[1:]}
        assert states <= {"T", "D", "S"}
        cell.thaw()
        cell.kill_all()


def test_usage_and_files(cell: seclude.Cell, readable: Path) -> None:
    (readable / "in").write_text("brought")
    (readable / "in").chmod(0o644)
    cell.copy_in(readable / "in", "/tmp/in")
    assert cell.run(["cat", "/tmp/in"], capture_output=True).stdout == b"brought"
    cell.copy_out("/tmp/in", readable / "out")
    assert (readable / "out").read_text() == "brought"
    assert cell.usage().wall > 0
    assert "own-root" in cell.enforced


def test_closed_it_can_do_nothing(cell: seclude.Cell) -> None:
    running = cell.popen(["sleep", "1000"])
    assert cell.is_alive
    cell.close()
    cell.close()
    assert not cell.is_alive
    assert running.wait() == -9
    with pytest.raises(seclude.PolicyError, match="closed"):
        cell.run(["true"])
    with pytest.raises(seclude.PolicyError, match="closed"):
        cell.reset()


def test_a_cells_limit_is_for_all_together() -> None:
    with seclude.Sandbox(cpu_time=0.5, wall_time=60).cell() as cell:
        # Each command measures its own processor time, so that a slow machine changes nothing. No
        # single command reaches the limit.
        busy = ["python3", "-c", "import time\nwhile time.process_time() < 0.2: pass"]
        ends = [cell.run(busy).outcome.ended.name for _ in range(4)]
        assert ends[0] == "exited"
        assert "cpu-time" in ends
        cell.reset()
        assert cell.run(["true"]).returncode == 0


def test_a_commands_own_limits(box: seclude.Sandbox) -> None:
    with box.replace(memory="256M", cpu_time=60, pids=50).cell() as cell:
        greedy = ["python3", "-c", "import time; x = bytearray(100 << 20); time.sleep(1000)"]
        ended = cell.run(greedy, memory=32 << 20).outcome
        assert (ended.ended.name, ended.limit) == ("memory-limit", 32 << 20)
        busy = ["sh", "-c", "while :; do :; done"]
        assert cell.run(busy, cpu_time=0.2).outcome.ended.name == "cpu-time"
        crowd = [
            "sh",
            "-c",
            "exec 2>&-; for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; sleep 1; exit 9",
        ]
        assert cell.run(crowd, pids=4).outcome.ended.name == "process-limit"
        assert cell.run(["true"], memory=32 << 20, cpu_time=1, pids=4).outcome.success
    with pytest.raises(seclude.PolicyError, match="its sandbox sets none"):
        box.run(["true"], memory=32 << 20)
    with pytest.raises(TypeError):
        box.run(["true"], memory=1.5)  # type: ignore[arg-type]


def test_a_forked_worker_ends_nothing(cell: seclude.Cell) -> None:
    with cell.popen(["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE) as process:
        worker = os.fork()
        if worker == 0:
            del cell, process
            os._exit(0)
        os.waitpid(worker, 0)
        assert process.communicate(b"alive")[0] == b"alive"


def test_prepared_runs_are_runs(python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = python(
        "import seclude\n"
        "box = seclude.Sandbox(wall_time=60, files=[seclude.tmpfs('/tmp', '1M')]).prepare()\n"
        "command = ['sh', '-c', 'ls /tmp; touch /tmp/left; id -u']\n"
        "print([box.run(command, capture_output=True).stdout for _ in range(3)])\n"
    )
    assert (done.stdout, done.stderr) == ("[b'1000\\n', b'1000\\n', b'1000\\n']\n", "")
