"""Effects on the caller's process: Ctrl-C, threads, forks, imports and exit.

Most tests run in a separate Python process.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import seclude

from .conftest import PATIENCE


def interrupted(text: str) -> tuple[str, str]:
    """Send SIGINT to a Python process while it sleeps, and return its two output streams.

    The process, or its command, prints `ready` before that.
    """
    # A background process of a shell starts with SIGINT ignored, and its children inherit that.
    hearing = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = [sys.executable, "-P", "-W", "error", "-c", hearing + text]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "ready\n"
        while not _sleeps(caller.pid, caller.pid):
            pass
        caller.send_signal(signal.SIGINT)
        try:
            return caller.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            caller.kill()
            raise


@pytest.mark.parametrize(
    "wait",
    [
        "process.wait()",
        "process.wait(1000)",
        "process.communicate()",
        "process.communicate(timeout=1000)",
        "process.__exit__(None, None, None)",
    ],
)
def test_ctrl_c_ends_a_wait_and_leaves_the_command(wait: str) -> None:
    out, err = interrupted(f"""
import seclude
process = seclude.Sandbox().Popen(['sleep', '1000'], stderr=seclude.PIPE)
try:
    print('ready', flush=True)
    {wait}
except KeyboardInterrupt:
    print('interrupted', process.poll(), flush=True)
    process.kill()
    process.wait()
    process.stderr.close()
""")
    assert (out, err) == ("interrupted None\n", "")


@pytest.mark.parametrize(
    "run",
    [
        "box.run(command)",
        "box.run(command, stderr=seclude.PIPE)",
        "with box.Popen(command) as p: p.wait()",
    ],
)
def test_ctrl_c_ends_a_run_and_the_command(run: str) -> None:
    out, err = interrupted(f"""
import os, seclude
box = seclude.Sandbox()
command = ['sh', '-c', 'sleep 0.3; echo ready; exec sleep 1000']  # The caller waits by then.
try:
    {run}
except KeyboardInterrupt:
    with open('/proc/thread-self/children') as children:
        print('interrupted', children.read().split())
""")
    assert (out, err) == ("interrupted []\n", "")


def test_a_wait_leaves_the_gil_to_others(box: seclude.Sandbox) -> None:
    """Check that a wait releases the GIL.

    The command ends only when this thread writes. This thread writes once the other one sleeps in
    its wait.
    """
    with box.Popen(["head", "-c", "1"], stdin=seclude.PIPE) as process:
        thread = threading.Thread(target=process.wait)
        thread.start()
        assert thread.native_id is not None
        while not _sleeps(os.getpid(), thread.native_id):
            pass
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def _sleeps(process: int, thread: int) -> bool:
    with open(f"/proc/{process}/task/{thread}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "S"


def test_a_start_leaves_the_gil_to_others(python: Any) -> None:
    """Check that a start releases the GIL.

    The switch interval is an hour, so that a thread gets the GIL only when the other releases it.
    """
    done = python("""
import sys, threading, seclude
sys.setswitchinterval(3600)
box = seclude.Sandbox()
core = box._core
words = dict(arg0=None, env=None, cwd=None, streams=[None] * 3, own_pipes=[False] * 3, fds=[])
words |= dict(wall_time=None, memory=None, cpu_time=None, pids=None, window_size=None)
words |= dict(ignored_signals=[], inherit_ignored_signals=False, umask=None, process_group=None)
words |= dict(uid=None, gid=None, groups=None)
words |= dict(collect=[], collect_into=None, collect_bounds=(1, 1, True, False))
order = []
gate = threading.Lock()
gate.acquire()
waiting = threading.Thread(target=lambda: (gate.acquire(), order.append('other')))
waiting.start()
gate.release()  # The other thread now wants the GIL, which only the start below releases.
for _ in range(200):
    if not order:
        core.command(dict(words, args=[b'true'])).try_spawn(0.0)
order.append('started')
waiting.join()
print(order)
""")
    assert (done.stdout, done.stderr) == ("['other', 'started']\n", "")


def test_one_sandbox_and_many_threads(box: seclude.Sandbox) -> None:
    def one(number: int) -> int:
        done = box.run(
            ["sh", "-c", f"cat; exit {number % 256}"],
            input=str(number),
            capture_output=True,
            text=True,
        )
        assert done.stdout == str(number)
        return done.returncode

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(160))) == [number % 256 for number in range(160)]


def test_many_threads_wait_for_one_command(box: seclude.Sandbox) -> None:
    with box.Popen(["cat"], stdin=seclude.PIPE) as process, ThreadPoolExecutor(8) as pool:
        waits = [pool.submit(process.wait) for _ in range(8)]
        process.kill()
        assert [wait.result(PATIENCE) for wait in waits] == [-9] * 8


def test_a_thread_that_ends_does_not_end_its_command(box: seclude.Sandbox) -> None:
    started: list[seclude.Popen] = []
    thread = threading.Thread(
        target=lambda: started.append(box.Popen(["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE))
    )
    thread.start()
    thread.join()
    with started[0] as process:
        assert process.communicate(b"alive") == (b"alive", None)


def test_a_fork_that_drops_its_copy_harms_nothing(python: Any) -> None:
    done = python("""
import gc, os, seclude
box = seclude.Sandbox()
process = box.Popen(['cat'], stdin=seclude.PIPE, stdout=seclude.PIPE)
child = os.fork()
if child == 0:
    try:
        process.poll()
    except seclude.PolicyError as error:
        print(error, flush=True)
    process.stdin.close(); process.stdout.close()
    del process, box
    gc.collect()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(process.communicate(b'alive'), process.returncode)
""")
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert "forked" in first
    assert second == "(b'alive', None) 0"


def test_a_fork_that_exits_in_full_harms_nothing(python: Any) -> None:
    done = python("""
import os, sys, seclude
process = seclude.Sandbox().Popen(['cat'], stdin=seclude.PIPE, stdout=seclude.PIPE)
child = os.fork()
if child == 0:
    process.stdin.close()
    process.stdout.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(process.communicate(b'alive'), process.returncode)
""")
    assert (done.stdout, done.stderr) == ("(b'alive', None) 0\n", "")


def test_workers_of_multiprocessing_run_commands(tmp_path: Any) -> None:
    script = tmp_path / "workers.py"
    script.write_text("""
import multiprocessing, sys, seclude
def work(pair):
    box, number = pair
    return box.run(['echo', str(number)], capture_output=True, text=True).stdout
def fail(box):
    box.run(['no-such-program'])
if __name__ == '__main__':
    box = seclude.Sandbox(uid=7)
    box.run(['true'])  # Make the plan and the warden's image before the workers.
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print(pool.map(work, [(box, number) for number in range(4)]))
        try:
            pool.apply(fail, [box])
        except seclude.ProgramNotFound as error:
            print(error.kind)
""")
    for method in ("fork", "forkserver", "spawn"):
        done = subprocess.run(
            [sys.executable, script, method],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            cwd=tmp_path,
        )
        assert (done.stdout, done.stderr) == (
            "['0\\n', '1\\n', '2\\n', '3\\n']\nprogram-missing\n",
            "",
        ), method


@pytest.mark.parametrize(
    "end", ["", "sys.exit(3)", "os._exit(3)", "os.kill(os.getpid(), 9)", "os.abort()"]
)
def test_the_interpreters_end_ends_the_command(python: Any, end: str) -> None:
    done = python(
        f"""
import os, resource, sys, seclude
resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
null = seclude.DEVNULL
process = seclude.Sandbox().Popen(['sleep', '1000'], stdin=null, stdout=null, stderr=null)
seclude.keep = process
print(process.pid, flush=True)
{end}
""",
        "-W",
        "ignore::ResourceWarning",
    )
    pid = int(done.stdout)
    descriptor = -1
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        import select

        assert select.select([descriptor], [], [], PATIENCE)[0], "it outlived the interpreter"
    finally:
        os.close(descriptor)


def test_the_import_does_nothing(python: Any) -> None:
    done = python("""
import os, sys, signal, threading
def state():
    descriptors = set(os.listdir('/proc/self/fd'))
    return descriptors, dict(os.environ), os.getcwd(), os.umask(0o22), threading.active_count()
before = state()
handlers = [signal.getsignal(number) for number in range(1, 32)]
import seclude
after = state()
assert before == after, (before, after)
assert handlers == [signal.getsignal(number) for number in range(1, 32)]
assert len(os.listdir('/proc/self/task')) == 1
assert 'asyncio' not in sys.modules
assert 'multiprocessing' not in sys.modules
""")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_callers_own_children_and_handlers_are_left_alone(python: Any) -> None:
    done = python("""
import os, signal, seclude
box = seclude.Sandbox()
own = os.fork()
if own == 0:
    os._exit(7)
assert [box.run(['sh', '-c', 'exit 5']).returncode for _ in range(5)] == [5] * 5
assert os.waitpid(own, 0) == (own, 7 << 8)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
assert [box.run(['sh', '-c', 'exit 5']).returncode for _ in range(5)] == [5] * 5
assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
signal.signal(signal.SIGCHLD, reap)
assert [box.run(['sh', '-c', 'exit 5']).returncode for _ in range(5)] == [5] * 5
""")
    assert (done.returncode, done.stderr) == (0, "")


def test_hundreds_of_runs_leave_nothing(box: seclude.Sandbox) -> None:
    box.run(["true"])
    before = os.listdir("/proc/self/fd"), _children(), _mounts()
    for _ in range(200):
        box.run(["true"], capture_output=True)
    assert (os.listdir("/proc/self/fd"), _children(), _mounts()) == before


def _children() -> str:
    with open("/proc/thread-self/children") as children:
        return children.read()


def _mounts() -> list[str]:
    with open("/proc/self/mountinfo") as mounts:
        return re.findall(r"^\d+ .*$", mounts.read(), re.MULTILINE)
