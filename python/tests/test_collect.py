"""Files that a command leaves, collected after its end."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

import seclude

if TYPE_CHECKING:
    from pathlib import Path

LEAVES = "mkdir out; printf 1 >out/1.txt; printf 2 >out/2.txt; printf 3 >out/3.c"
WANTED = {"out/1.txt": b"1", "out/2.txt": b"2"}
OPTIONS: Any = {"cwd": "/work", "collect": ["out/*.txt"]}


@pytest.fixture
def work(box: seclude.Sandbox) -> seclude.Sandbox:
    """Return a sandbox with an empty directory `/work`."""
    return box.replace(files=[seclude.tmpfs("/work", "1M")])


def test_files_are_collected_wherever_a_command_runs(work: seclude.Sandbox) -> None:
    with work.pool(1) as pool, work.pool(1, reuse=True) as again, work.cell() as cell:
        for place in (work, work.prepare(), pool, again, cell):
            done = place.run(["sh", "-c", LEAVES], **OPTIONS)
            assert done.files == WANTED
            assert done.collected is not None
            assert (done.collected.entries, done.collected.bytes) == (2, 2)
            assert done.collected.permissions == dict.fromkeys(WANTED, 0o644)
            assert done.collected.error is None
            assert place.run(["true"]).collected is None
            assert place.run(["true"]).files == {}


def test_what_matches_nothing_and_what_is_special_is_listed(work: seclude.Sandbox) -> None:
    patterns: list[str | bytes] = ["*", "none*", b"/no/\xff"]
    done = work.run(
        ["sh", "-c", "ln -s /etc/passwd a; mkfifo b; printf 3 >c"],
        cwd="/work",
        collect=iter(patterns),
    )
    assert done.files == {"c": b"3"}
    assert done.collected is not None
    assert done.collected.skipped == ("a", "b")
    assert done.collected.unmatched == ("none*", "/no/\udcff")


def test_a_bound_is_an_error_of_the_files_alone(work: seclude.Sandbox) -> None:
    for bounds in ({"collect_bytes": 1}, {"collect_entries": 1}):
        options: Any = OPTIONS | bounds
        done = work.run(["sh", "-c", LEAVES], check=True, **options)
        assert done.outcome.success
        assert done.collected is not None
        assert isinstance(done.collected.error, seclude.PolicyError)
        assert done.collected.contents == {}
        with pytest.raises(seclude.PolicyError, match="there are more than 1 "):
            _ = done.files


def test_files_are_written_below_a_directory(work: seclude.Sandbox, tmp_path: Path) -> None:
    place = tmp_path / "new"
    done = work.run(["sh", "-c", LEAVES], **OPTIONS, collect_into=place)
    assert done.files == {}
    assert done.collected is not None
    assert done.collected.entries == 2
    assert {str(path.relative_to(place)): path.read_bytes() for path in place.glob("*/*")} == WANTED
    with pytest.raises(seclude.PolicyError, match="is not empty"):
        work.run(["true"], **OPTIONS, collect_into=place)


def test_a_running_command_is_collected_after_its_end(work: seclude.Sandbox) -> None:
    with work.Popen(["sh", "-c", LEAVES + "; read end"], stdin=seclude.PIPE, **OPTIONS) as process:
        with pytest.raises(seclude.PolicyError, match="has not been waited for"):
            process.collect()
        process.communicate(b"end\n")
        assert process.collect().files == WANTED
        with pytest.raises(seclude.PolicyError, match="have been collected"):
            process.collect()
    with work.Popen(["true"]) as process:
        process.wait()
        with pytest.raises(seclude.PolicyError, match="none were asked for"):
            process.collect()


def test_a_timeout_keeps_no_files(work: seclude.Sandbox) -> None:
    with work.pool(1, reuse=True) as pool:
        with pytest.raises(seclude.TimeoutExpired) as caught:
            pool.run(["sleep", "100"], timeout=0.2, collect="/work/*")
        # The exception holds the command, and the place is free all the same.
        assert pool.run(["true"], timeout=50).outcome.success
        assert caught.value.outcome is not None


def test_asyncio_collects(work: seclude.Sandbox) -> None:
    async def run() -> seclude.Collected:
        process = await work.asyncio.create_subprocess_exec("sh", "-c", LEAVES, **OPTIONS)
        await process.wait()
        return await process.collect()

    assert asyncio.run(run()).files == WANTED


def test_commands_that_talk_leave_files(work: seclude.Sandbox) -> None:
    asks = work.command(["sh", "-c", "echo 6; read a; echo $a >log"], cwd="/work", collect="log")
    answers = work.command(["sh", "-c", "read a; echo $((a * 7))"])
    left, right = seclude.interact([asks, answers])
    assert left.files == {"log": b"42\n"}
    assert right.collected is None


def test_a_job_collects_and_comes_back_from_text(work: seclude.Sandbox) -> None:
    job = seclude.Job(["sh", "-c", LEAVES], cwd="/work", collect="out/*.txt", collect_bytes="1M")
    assert job.collect == ("out/*.txt",)
    assert seclude.Job.from_json(job.to_json()) == job
    assert "collect" not in seclude.Job(["true"]).to_json()
    with work.pool(1) as pool:
        done = pool.submit(job).result()
    assert done.files == WANTED
    assert pickle.loads(pickle.dumps(done)) == done
    assert copy.deepcopy(done.collected) == done.collected
    assert "collected=Collected(" in repr(done)


def test_bad_patterns_are_refused_before_anything_starts(box: seclude.Sandbox) -> None:
    for pattern in ("", "a/../b", "a/**", "a[", "a\\", "a/", "a\0b", "x" * 4097):
        with pytest.raises(seclude.PolicyError):
            box.run(["true"], collect=[pattern])
    with pytest.raises(seclude.PolicyError, match="at most 64"):
        box.run(["true"], collect=["a"] * 65)
    with pytest.raises(TypeError, match="no pattern"):
        box.run(["true"], collect=7)  # type: ignore[arg-type]
    with pytest.raises(seclude.PolicyError, match="and no pattern"):
        box.run(["true"], collect_into="/tmp/none")
    with pytest.raises(TypeError, match="keyword collect"):
        box.learn(["true"], collect=["a"])
