"""Limits of one command: wall time, collected output, usage and freezing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import seclude

BOUND = 64 << 20


def test_one_commands_own_wall_time(box: seclude.Sandbox) -> None:
    done = box.run(["sleep", "1000"], wall_time=0.2)
    assert done.outcome.ended == seclude.Ended("wall-time")
    assert done.outcome.limits["wall_time"] == "warden"
    for wrong in (-1, float("nan"), float("inf"), 0):
        with pytest.raises(seclude.PolicyError, match=r"wall.time"):
            box.run(["true"], wall_time=wrong)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_an_endless_writer_is_ended_and_told(box: seclude.Sandbox, stream: str) -> None:
    done = box.run(
        ["sh", "-c", "exec yes >&2" if stream == "stderr" else "exec yes"], capture_output=True
    )
    assert done.outcome.ended == seclude.Ended("output-limit")
    assert (done.outcome.limit, done.returncode) == (BOUND, -9)
    assert len(getattr(done, stream)) == BOUND
    assert str(BOUND) in str(done.outcome)


def test_output_at_the_bound_is_whole(box: seclude.Sandbox) -> None:
    done = box.run(["head", "-c", str(BOUND), "/dev/zero"], capture_output=True)
    assert done.outcome.success
    assert len(done.stdout) == BOUND


def test_an_endless_writer_on_a_loop(box: seclude.Sandbox) -> None:
    async def work() -> None:
        process = await box.asyncio.create_subprocess_exec("yes", stdout=seclude.PIPE)
        stdout, _ = await process.communicate()
        assert stdout is not None
        assert len(stdout) == BOUND
        assert process.outcome is not None
        assert process.outcome.ended == seclude.Ended("output-limit")

    asyncio.run(asyncio.wait_for(work(), 60))


def test_the_callers_memory_stays_bounded(python: Any) -> None:
    """Check the peak memory with two full streams.

    The bound allows for their pieces, the joined result, and a quarter of that for everything else.
    """
    done = python("""
import seclude
def peak():
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith('VmHWM:'))
before = peak()
done = seclude.Sandbox(wall_time=60).run(['sh', '-c', 'yes >&2 & exec yes'], capture_output=True)
assert done.outcome.ended.name == 'output-limit', done
print((peak() - before) >> 20)
""")
    assert done.stderr == ""
    assert int(done.stdout) < 320


def test_usage_while_it_runs_and_afterwards(box: seclude.Sandbox) -> None:
    with box.Popen(["cat"], stdin=seclude.PIPE) as process:
        assert process.usage().stdout_bytes is None
        process.kill()
        process.wait()
        assert process.outcome is not None
        assert process.usage() == process.outcome.usage
        assert process.usage().memory_peak > 0


def test_a_frozen_command_stands_still_until_it_is_thawed(box: seclude.Sandbox) -> None:
    with box.Popen(["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE) as process:
        assert process.freeze() in {"cgroup-v2", "cgroup-v1", "sigstop"}
        with pytest.raises(seclude.TimeoutExpired):
            process.communicate(b"through", timeout=0.2)
        process.thaw()
        assert process.communicate() == (b"through", None)
