"""`Executor`: functions in sandboxes, by the contract of `concurrent.futures`."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import CancelledError, as_completed, wait
from concurrent.futures import Executor as Standard
from concurrent.futures import TimeoutError as FuturesTimeout
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import seclude

from .conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
jobs: Any = import_module("executor_jobs")

BOX = seclude.Sandbox(wall_time=60)


@pytest.fixture
def executor() -> Iterator[seclude.Executor]:
    with BOX.executor(2, path=[HERE]) as made:
        yield made


def test_it_is_an_executor_of_the_standard_library(executor: seclude.Executor) -> None:
    assert isinstance(executor, Standard)
    assert executor.submit(jobs.add, 2, other=3).result() == 5
    assert executor.submit(pow, 2, 10).result() == 1024
    assert list(executor.map(jobs.add, range(4), range(4))) == [0, 2, 4, 6]
    done, left = wait([executor.submit(jobs.add, number) for number in range(3)])
    assert sorted(future.result() for future in as_completed(done)) == [0, 1, 2]
    assert not left


def test_each_call_is_alone(executor: seclude.Executor) -> None:
    for _ in range(2):
        pid, names, shadow = executor.submit(jobs.where).result()
        assert (pid, names, shadow) == (2, [], False)


def test_what_a_function_writes_is_not_its_result(executor: seclude.Executor) -> None:
    assert executor.submit(jobs.talk, "words").result() == "words"


def test_an_exception_fails_its_future(executor: seclude.Executor) -> None:
    with pytest.raises(seclude.RemoteError, match="fail: ValueError: as told") as caught:
        executor.submit(jobs.fail, "as told").result()
    assert caught.value.type == "ValueError"
    assert "executor_jobs.py" in caught.value.traceback


@pytest.mark.parametrize(
    ("function", "args", "ended"),
    [(jobs.crash, (), "signaled"), (jobs.leave, (3,), "exited"), (jobs.leave, (0,), "exited")],
)
def test_a_dead_job_fails_one_future(
    executor: seclude.Executor, function: Any, args: tuple[int, ...], ended: str
) -> None:
    futures = [executor.submit(jobs.add, number) for number in range(3)]
    dead: Any = executor.submit(function, *args)
    with pytest.raises(seclude.JobDied) as caught:
        dead.result()
    assert caught.value.outcome is not None
    assert caught.value.outcome.ended.name == ended
    assert [future.result() for future in futures] == [0, 1, 2]


def test_a_limit_fails_one_future() -> None:
    box = seclude.Sandbox(wall_time=1)
    with box.executor(2, path=[HERE]) as executor:
        slow, quick = executor.submit(jobs.sleep, 60), executor.submit(jobs.add, 1)
        assert quick.result() == 1
        with pytest.raises(seclude.JobDied, match="wall time limit"):
            slow.result()


def test_results_are_never_unpickled_unless_asked(
    executor: seclude.Executor, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(seclude.RemoteError, match="not JSON serializable"):
        executor.submit(jobs.give_evil).result()
    assert "unpickled" not in capfd.readouterr().out


def test_trusted_results_are_any_values_and_exceptions_themselves() -> None:
    with BOX.executor(1, path=[HERE], trusted=True) as executor:
        assert executor.submit(frozenset, [1, 2]).result() == frozenset({1, 2})
        with pytest.raises(ValueError, match="as told") as caught:
            executor.submit(jobs.fail, "as told").result()
        assert "executor_jobs.py" in str(caught.value.__cause__)
        with pytest.raises(seclude.JobDied):
            executor.submit(jobs.crash).result()


def test_what_cannot_be_pickled_is_told_at_once(executor: seclude.Executor) -> None:
    with pytest.raises(Exception, match="pickle"):
        executor.submit(lambda: 1)


def test_timeouts_and_cancelling_are_those_of_the_standard_library() -> None:
    with BOX.executor(1, path=[HERE]) as executor:
        running = executor.submit(jobs.sleep, 1)
        pending = executor.submit(jobs.sleep, 1)
        with pytest.raises(FuturesTimeout):
            running.result(timeout=0.05)
        assert pending.cancel()
        with pytest.raises(CancelledError):
            pending.result()
        assert running.result() is None
    with pytest.raises(RuntimeError):
        executor.submit(jobs.add, 1)


def test_functions_of_the_main_module_are_found(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import seclude\n"
        "def double(x):\n    return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with seclude.Sandbox().executor(1) as executor:\n"
        "        print(list(executor.map(double, [1, 2])))\n"
    )
    os.chmod(tmp_path, 0o755)
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.stdout, done.stderr) == ("[2, 4]\n", "")


def interrupted() -> None:
    with BOX.executor(1, path=[HERE]) as executor:
        executor.submit(jobs.sleep, 50)
        raise KeyboardInterrupt


def test_an_interrupt_ends_the_calls() -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted()
