"""`Executor`: functions in sandboxes, by the contract of `concurrent.futures`."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
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


ATTACK = """
import sys
found = []
def hook(event, args):
    if event == "pickle.find_class":
        found.append(args)
sys.addaudithook(hook)
sys.path.insert(0, HERE)
import executor_jobs as jobs
import seclude
FORGED = [b"", b"{}", b"[]", b"null", b'{"exception": "x"}', b'{"error": 5}', b"NaN", b"\\xff",
          b'{"value": ' + b"9" * 5000 + b"}"]
with seclude.Sandbox(wall_time=60).executor(2, path=[HERE], trusted=TRUSTED) as executor:
    calls = [executor.submit(jobs.forge, data) for data in FORGED]
    calls += [executor.submit(jobs.forge_nested), executor.submit(jobs.forge_pickles)]
    calls += [executor.submit(jobs.give_evil), executor.submit(jobs.write_garbage)]
    print(*(type(call.exception()).__name__ for call in calls))
    print(executor.submit(jobs.add, 1, 2).result())
print(bool(found))
"""


def test_nothing_from_a_hostile_job_is_unpickled(python: Any) -> None:
    done = python(ATTACK.replace("HERE", repr(str(HERE))).replace("TRUSTED", "False"))
    told, result, unpickled = done.stdout.splitlines()
    assert told.split() == ["JobDied"] * 11 + ["RemoteError", "JobDied"], done
    assert (result, unpickled) == ("3", "False")
    # The control: the same jobs do run code here if they are trusted, and the hook sees it.
    done = python(ATTACK.replace("HERE", repr(str(HERE))).replace("TRUSTED", "True"))
    assert "unpickled" in done.stdout
    assert done.stdout.splitlines()[-1] == "True"


def test_a_result_that_ends_the_process_here_is_none() -> None:
    with BOX.executor(1, path=[HERE], trusted=True) as executor:
        with pytest.raises(seclude.JobDied, match="gave no result") as caught:
            executor.submit(jobs.give_end).result()
        assert isinstance(caught.value.__cause__, SystemExit)
        assert executor.submit(jobs.add, 1, 2).result() == 3


def test_trusted_results_are_any_values_and_exceptions_themselves() -> None:
    with BOX.executor(1, path=[HERE], trusted=True) as executor:
        assert executor.submit(frozenset, [1, 2]).result() == frozenset({1, 2})
        with pytest.raises(ValueError, match="as told") as caught:
            executor.submit(jobs.fail, "as told").result()
        assert "executor_jobs.py" in str(caught.value.__cause__)
        with pytest.raises(seclude.JobDied):
            executor.submit(jobs.crash).result()


def test_chunks_of_calls_share_a_sandbox(executor: seclude.Executor) -> None:
    assert list(executor.map(jobs.count_calls, range(5))) == [1] * 5
    assert list(executor.map(jobs.count_calls, range(5), chunksize=3)) == [1, 2, 3, 1, 2]
    assert list(executor.map(pow, range(4), range(4), chunksize=100)) == [1, 1, 4, 27]
    assert list(executor.map(pow, [], [], chunksize=2)) == []
    with pytest.raises(ValueError, match="chunksize"):
        executor.map(pow, [1], [1], chunksize=0)
    results = executor.map(divmod, [1, 1, 1], [1, 1, 0], chunksize=2)
    assert [next(results), next(results)] == [[1, 0], [1, 0]]
    with pytest.raises(seclude.RemoteError, match="divmod: ZeroDivisionError"):
        next(results)


def test_memory_fails_one_future() -> None:
    with seclude.Sandbox(memory="256M", wall_time=60).executor(2, path=[HERE]) as executor:
        futures = [executor.submit(jobs.use_memory, size) for size in (1000, 1 << 30, 2000)]
        assert isinstance(error := futures[1].exception(), seclude.JobDied)
        assert error.outcome is not None
        assert error.outcome.ended.name == "memory-limit"
        assert [futures[0].result(), futures[2].result()] == [1000, 2000]


def test_a_shutdown_that_does_not_wait() -> None:
    executor = BOX.executor(1, path=[HERE])
    futures = [executor.submit(jobs.sleep, 0.2), executor.submit(jobs.add, 1, 2)]
    over = threading.Event()
    # Callbacks are called in the order in which they were added, and the executor's came first.
    futures[1].add_done_callback(lambda _: over.set())
    executor.shutdown(wait=False)
    with pytest.raises(RuntimeError):
        executor.submit(jobs.add, 1)
    assert futures[1].result() == 3
    assert over.wait(PATIENCE)
    with pytest.raises(seclude.PolicyError, match="closed"):
        executor._pool.popen(["true"])
    executor.shutdown()


def test_a_dropped_executor_makes_its_calls() -> None:
    executor = BOX.executor(1, path=[HERE])
    threads = weakref.ref(executor._threads)
    results = executor.map(abs, range(-2, 3))
    del executor
    assert list(results) == [2, 1, 0, 1, 2]
    del results
    gc.collect()
    assert threads() is None


def test_a_shutdown_that_cancels() -> None:
    executor = BOX.executor(1, path=[HERE])
    running = executor.submit(jobs.sleep, 0.5)
    pending = [executor.submit(jobs.sleep, 50) for _ in range(5)]
    executor.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in pending[1:])
    assert running.cancelled() or running.result() is None
    executor.shutdown()


AT_THE_END = """
import atexit, seclude, sys
executor = seclude.Sandbox(wall_time=60).executor(1)
atexit.register(lambda: late())
def late():
    try:
        executor.submit(pow, 2, 2)
    except RuntimeError as error:
        print("RuntimeError", error)
executor.submit(pow, 2, 10).add_done_callback(lambda done: print(done.result()))
"""


def test_the_interpreters_end_waits_for_the_calls(python: Any) -> None:
    done = python(AT_THE_END)
    result, refusal = done.stdout.splitlines()
    assert (result, done.stderr) == ("1024", "")
    assert refusal.startswith("RuntimeError cannot schedule new futures")


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
