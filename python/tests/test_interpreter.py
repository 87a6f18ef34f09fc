"""`Interpreter`: state from call to call, streamed output, timeouts, resets, hostile code."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import seclude

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def it() -> Iterator[seclude.Interpreter]:
    """A warm interpreter in a cell of its own."""
    with seclude.Sandbox(memory="256M", best_effort=["memory"], pids=32).interpreter(
        preload=["json", "subprocess"]
    ) as made:
        yield made


def names(it: seclude.Interpreter) -> list[str]:
    return sorted(process.name for process in it._cell.processes() if process.state != "Z")


def test_state_is_kept_from_call_to_call(it: seclude.Interpreter) -> None:
    it.run("x = 1\ndef double(y):\n    return 2 * y")
    it.run("x += 2")
    assert it.eval("double(x)") == 6
    assert it.eval("[x, {'a': None}, 'é', True]") == [3, {"a": None}, "é", True]


def test_output_comes_back_by_stream_and_piece_by_piece(it: seclude.Interpreter) -> None:
    pieces: list[str] = []
    done = it.run(
        "import sys, time\nprint('one')\ntime.sleep(0.05)\nprint('two')\n"
        "print('bad', file=sys.stderr)",
        on_stdout=pieces.append,
    )
    assert done == seclude.Execution("one\ntwo\n", "bad\n")
    assert "".join(pieces) == done.stdout
    # Also what a program of its own writes, and the next call does not see it again.
    assert it.run("import subprocess; subprocess.run(['echo', 'hello'])").stdout == "hello\n"
    assert it.run("pass") == seclude.Execution("", "")


def test_output_of_a_mebibyte_arrives_whole(it: seclude.Interpreter) -> None:
    assert it.run("print('x' * (1 << 20))").stdout == "x" * (1 << 20) + "\n"


def test_an_exception_inside_names_itself_and_keeps_the_state(it: seclude.Interpreter) -> None:
    it.run("x = 5")
    with pytest.raises(seclude.InterpreterError, match="ZeroDivisionError: ") as caught:
        it.run("print('before')\n1 / 0")
    assert (caught.value.type, caught.value.stdout) == ("ZeroDivisionError", "before\n")
    assert 'File "<run>", line 2' in caught.value.traceback
    assert "guest" not in caught.value.traceback
    with pytest.raises(seclude.InterpreterError, match="SyntaxError"):
        it.run("x = ")
    with pytest.raises(seclude.InterpreterError, match="not JSON serializable"):
        it.eval("object()")
    assert it.eval("x") == 5


def test_a_timeout_ends_the_state_and_the_next_call_has_a_new_one(it: seclude.Interpreter) -> None:
    it.run("x = 1")
    with pytest.raises(seclude.TimeoutExpired) as caught:
        it.run("print('waits')\nwhile True: pass", timeout=0.5)
    assert str(caught.value.stdout) == "waits\n"
    with pytest.raises(seclude.InterpreterError, match="name 'x' is not defined"):
        it.eval("x")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import sys; sys.exit(7)", 7),
        ("import os; os._exit(3)", 3),
        ("import os; os.kill(os.getpid(), 11)", -11),
    ],
)
def test_an_end_inside_is_told(it: seclude.Interpreter, code: str, status: int) -> None:
    with pytest.raises(seclude.InterpreterLost) as caught:
        it.run(f"print('last words', flush=True)\n{code}")
    assert (caught.value.status, caught.value.stdout) == (status, "last words\n")
    assert it.eval("1 + 1") == 2


def test_a_reset_forgets_variables_modules_and_processes_but_no_files(
    it: seclude.Interpreter,
) -> None:
    before = names(it)
    it.run("import subprocess, http\nx = 1\nopen('/tmp/kept', 'w').write('kept')")
    it.run("subprocess.Popen(['sleep', '1000'], start_new_session=True)")
    it.run("import os\nif os.fork() == 0:\n    os.setsid()\n    __import__('time').sleep(1000)")
    assert len(names(it)) > len(before)
    it.reset()
    assert "sleep" not in names(it)
    assert len(names(it)) <= len(before) + 1
    assert it.eval("'x' in globals() or 'http' in __import__('sys').modules") is False
    assert it.eval("open('/tmp/kept').read()") == "kept"
    # What was preloaded is there.
    assert it.eval("'json' in __import__('sys').modules") is True


def test_a_call_that_a_state_has_not_read_is_never_run(it: seclude.Interpreter) -> None:
    it.run(
        "import os, time\nif os.fork() == 0:\n"
        "    time.sleep(0.2)\n    os.kill(os.getppid(), 19)\n    os._exit(0)"
    )
    state = "open(f'/proc/{__import__(\"os\").getpid()}/stat').read().split()[2]"
    assert it.eval(state) == "R"
    time.sleep(0.6)
    with pytest.raises(seclude.TimeoutExpired):
        it.run("open('/tmp/late', 'w')" + " " * (1 << 20), timeout=0.5)
    assert it.eval("2 + 2") == 4
    assert it.eval("__import__('os').path.exists('/tmp/late')") is False


def test_children_that_nobody_waits_for_are_ended_by_a_reset(it: seclude.Interpreter) -> None:
    before = names(it)
    it.run(
        "import os, signal, subprocess\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "for _ in range(5):\n    subprocess.Popen(['sleep', '1000'], start_new_session=True)"
    )
    assert names(it).count("sleep") == 5
    it.reset()
    assert "sleep" not in names(it)
    assert len(names(it)) <= len(before) + 1


def test_a_state_that_has_used_up_the_processes_is_replaced() -> None:
    # The warden, the supervisor and the worker.
    with seclude.Sandbox(pids=3).interpreter() as it:
        for number in range(5):
            it.run(f"x = {number}")
            it.reset()
            assert it.eval("'x' in globals()") is False


def test_each_state_has_random_numbers_of_its_own(it: seclude.Interpreter) -> None:
    numbers = set()
    for _ in range(5):
        numbers.add(it.eval("__import__('random').random()"))
        it.reset()
    assert len(numbers) == 5


@pytest.mark.parametrize(
    "attack",
    [
        # Garbage where an answer is expected, of a great length, and nothing at all.
        "import os; os.write(4, b'\\xff\\xff\\xff\\xffgarbage')",
        "import os; os.write(4, b'\\x04\\x00\\x00\\x00nope')",
        "import os; os.close(4); import time; time.sleep(60)",
        # JSON that is too deep to be read.
        "import os; os.write(4, (100000).to_bytes(4, 'little') + b'[' * 100000)",
        # The supervisor has the same user. Killing it harms only the code's own interpreter.
        "import os; os.kill(os.getppid(), 9); import time; time.sleep(60)",
        "import os, time\nos.kill(os.getppid(), 19)\ntime.sleep(60)",
    ],
)
def test_hostile_code_harms_its_own_state_only(it: seclude.Interpreter, attack: str) -> None:
    with pytest.raises((seclude.InterpreterLost, seclude.TimeoutExpired)):
        it.run(attack, timeout=1)
    assert it.eval("6 * 7", timeout=30) == 42


def test_the_supervisor_cannot_be_read_or_traced(it: seclude.Interpreter) -> None:
    with pytest.raises(seclude.InterpreterError, match="PermissionError"):
        it.run("import os; open(f'/proc/{os.getppid()}/mem', 'rb+')")


def test_output_without_end_is_bounded(it: seclude.Interpreter) -> None:
    with pytest.raises(seclude.InterpreterLost) as caught:
        it.run("while True: print('x' * 65536)", timeout=60)
    assert len(caught.value.stdout) <= (64 << 20) + (1 << 16)
    assert it.eval("1") == 1


def test_a_module_that_cannot_be_preloaded_is_named() -> None:
    with pytest.raises(seclude.SetupError, match="preload nosuch: ModuleNotFoundError"):
        seclude.Sandbox().interpreter(preload=["nosuch"])
    with pytest.raises(seclude.SetupError, match="started 1 threads"):
        seclude.Sandbox(files=[seclude.file("/lib-own/thready.py", THREADY)]).interpreter(
            preload=["thready"], path=["/lib-own"]
        )


THREADY = b"""
import threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
"""


def test_two_interpreters_of_one_cell_have_states_of_their_own() -> None:
    with seclude.Sandbox().cell() as cell, cell.interpreter() as one, cell.interpreter() as other:
        one.run("x = 1")
        other.run("x = 2")
        assert (one.eval("x"), other.eval("x")) == (1, 2)


def test_another_program_speaks_the_protocol_without_forks() -> None:
    # A few lines of Perl, which every Debian has. Each reset starts the program anew.
    program = Path(__file__).with_name("interpreter.pl").read_text()
    with seclude.Sandbox().interpreter(program=["perl", "-e", program]) as it:
        it.run("$x = 20;")
        assert it.eval("$x + 1") == 21
        it.reset()
        assert it.eval("defined $x ? 1 : 0") == 0
        with pytest.raises(seclude.TimeoutExpired):
            it.run("1 while 1;", timeout=0.5)
        assert it.eval("2 * 3") == 6


@pytest.mark.skipif(not Path("/usr/bin/node").exists(), reason="no node in /usr")
def test_node_speaks_the_protocol_too() -> None:
    program = Path(__file__).with_name("interpreter.js").read_text()
    box = seclude.Sandbox(seccomp="unconfined")
    with box.interpreter(program=["/usr/bin/node", "-e", program]) as it:
        assert it.run("var x = 20; console.log('hello')").stdout == "hello\n"
        assert it.eval("x + 1") == 21
        with pytest.raises(seclude.InterpreterError, match="ReferenceError: y is not defined"):
            it.eval("y")
        it.reset()
        assert it.eval("typeof x") == "undefined"


def test_many_resets_leak_nothing(it: seclude.Interpreter) -> None:
    it.reset()
    before = (names(it), len(list(Path("/proc/self/fd").iterdir())))
    end = time.monotonic() + 5
    for _ in range(100):
        it.run("x = 1")
        it.reset()
        if time.monotonic() > end:
            break
    assert (names(it), len(list(Path("/proc/self/fd").iterdir()))) == before


def test_an_interrupted_call_does_not_answer_the_next(box: seclude.Sandbox) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with box.interpreter() as it:
        with pytest.raises(KeyboardInterrupt):
            it.eval("print('seen') or 'late'", on_stdout=interrupt)
        assert it.eval("6 * 7") == 42
