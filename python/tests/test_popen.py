"""`Popen`: starting, communicating, waiting, ending and dropping."""

from __future__ import annotations

import gc
import io
import os
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

import seclude

if TYPE_CHECKING:
    from collections.abc import Callable


def gone(pid: int) -> bool:
    """Return whether the process is gone. A zombie of another parent counts as present."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def test_poll_wait_outcome(box: seclude.Sandbox) -> None:
    with box.Popen(["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE) as process:
        assert process.poll() is None
        assert process.returncode is None
        assert process.outcome is None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0
        assert process.poll() == process.returncode == 0
        assert process.outcome is not None
        assert process.outcome.ended == seclude.Ended("exited", 0)
        assert process.wait(timeout=0) == 0


def test_pids_and_processes(box: seclude.Sandbox) -> None:
    with box.popen(
        ["sh", "-c", "echo $$; cat; true"], stdin=seclude.PIPE, stdout=seclude.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{process.inside_pid}\n"
        assert process.pid != process.inside_pid
        assert not gone(process.pid)
        seen = {found.inside_pid: found for found in process.processes()}
        assert seen[1].pids[-1] == 1
        assert seen[process.inside_pid].pid == process.pid
        assert seen[process.inside_pid].command == ("sh", "-c", "echo $$; cat; true")
        assert seen[process.inside_pid].parent == seen[1].pid
        process.communicate()
        assert process.processes() == []
    assert gone(process.pid)


def test_the_pidfd_polls(box: seclude.Sandbox) -> None:
    with box.Popen(["cat"], stdin=seclude.PIPE) as process:
        assert process.fileno() == process.pidfd
        assert select.select([process], [], [], 0)[0] == []
        process.kill()
        assert select.select([process], [], [], 60)[0] == [process]
        assert process.wait() == -signal.SIGKILL


def test_files_read_and_write_as_subprocess_has_them(box: seclude.Sandbox) -> None:
    with box.Popen(["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE) as process:
        assert isinstance(process.stdin, io.BufferedWriter)
        assert isinstance(process.stdout, io.BufferedReader)
        assert process.stderr is None
    with box.Popen(["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE, bufsize=0) as process:
        assert isinstance(process.stdin, io.FileIO)
        assert isinstance(process.stdout, io.FileIO)
    with box.Popen(
        ["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE, text=True, bufsize=1
    ) as process:
        assert isinstance(process.stdin, io.TextIOWrapper)
        assert isinstance(process.stdout, io.TextIOWrapper)
        assert process.stdin.line_buffering
        process.stdin.write("a line\n")
        assert process.stdout.readline() == "a line\n"


def test_wait_timeout_leaves_it_running(box: seclude.Sandbox) -> None:
    with box.Popen(["cat"], stdin=seclude.PIPE) as process:
        for timeout in (0, -1, 0.01):
            with pytest.raises(seclude.TimeoutExpired) as caught:
                process.wait(timeout)
            assert caught.value.timeout == timeout
            assert caught.value.outcome is None
        assert process.poll() is None


def test_communicate_goes_on_where_its_timeout_stopped_it(box: seclude.Sandbox) -> None:
    data = os.urandom(300_000)
    script = "head -c 100000; read -r _ <&5; cat; echo end >&2"
    reader, writer = os.pipe()
    with box.Popen(
        ["sh", "-c", script],
        stdin=seclude.PIPE,
        stdout=seclude.PIPE,
        stderr=seclude.PIPE,
        fds={5: reader},
    ) as process:
        with pytest.raises(subprocess.TimeoutExpired) as caught:
            process.communicate(data, timeout=0.3)
        assert caught.value.timeout == 0.3
        assert data.startswith(caught.value.stdout or b"")
        with pytest.raises(ValueError, match="begun"):
            process.communicate(b"more")
        os.write(writer, b"go\n")
        out, err = process.communicate()
        assert out == data
        assert err == b"end\n"
    os.close(reader)
    os.close(writer)


def test_communicate_after_the_end(box: seclude.Sandbox) -> None:
    with box.Popen(["echo", "x"], stdout=seclude.PIPE, text=True) as process:
        process.wait()
        assert process.communicate() == ("x\n", None)
        assert process.communicate() == ("x\n", None)


def test_input_without_a_pipe(box: seclude.Sandbox) -> None:
    with box.Popen(["true"]) as process, pytest.raises(ValueError, match="not a pipe"):
        process.communicate(b"x")


@pytest.mark.parametrize(
    ("end", "ended", "returncode"),
    [
        (lambda process: process.terminate(), seclude.Ended("signaled", signal.SIGTERM), -15),
        (
            lambda process: process.send_signal(signal.SIGUSR1),
            seclude.Ended("signaled", signal.SIGUSR1),
            -10,
        ),
        (lambda process: process.kill(), seclude.Ended("killed"), -9),
    ],
)
def test_signals(box: seclude.Sandbox, end: Any, ended: seclude.Ended, returncode: int) -> None:
    with box.Popen(["cat"], stdin=seclude.PIPE) as process:
        end(process)
        assert process.wait() == returncode
        assert process.outcome is not None
        assert process.outcome.ended == ended
        end(process)  # Has no effect, because the command has ended.


@pytest.mark.parametrize("number", [0, 65, -1])
def test_signals_that_are_none(box: seclude.Sandbox, number: int) -> None:
    with (
        box.Popen(["cat"], stdin=seclude.PIPE) as process,
        pytest.raises(ValueError, match="signal"),
    ):
        process.send_signal(number)


def test_leaving_the_block_waits_and_closes(box: seclude.Sandbox) -> None:
    with box.Popen(["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE) as process:
        pass
    assert process.returncode == 0
    assert process.stdin is not None
    assert process.stdin.closed


def test_dropping_kills_and_warns(box: seclude.Sandbox) -> None:
    process = box.Popen(["sleep", "1000"])
    pid = process.pid
    with pytest.warns(ResourceWarning, match="killed"):
        del process
        gc.collect()
    assert gone(pid)


def test_wall_time_is_an_outcome_not_an_error() -> None:
    done = seclude.Sandbox(wall_time=0.2).run(["sleep", "1000"])
    assert done.returncode == -9
    assert done.outcome.ended == seclude.Ended("wall-time")
    assert str(done.outcome.ended) == "stopped by the wall time limit"
    assert done.outcome.usage.wall >= 0.2


def test_usage_counts_the_command_alone(box: seclude.Sandbox) -> None:
    ballast = bytearray(os.urandom(1 << 20)) * 200
    burn = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
    usage = box.run(["sh", "-c", burn]).outcome.usage
    assert len(ballast) == 200 << 20
    assert 0 < usage.max_rss < 100 << 20
    assert usage.user > 0
    assert usage.wall > 0


def test_enforced_names_what_held(box: seclude.Sandbox) -> None:
    enforced = box.run(["true"]).outcome.enforced
    assert {
        "user-namespace",
        "net-namespace",
        "no-capabilities",
        "no-new-privileges",
        "own-root",
    } <= set(enforced)
    shared = seclude.Sandbox(share=["ipc"]).run(["true"]).outcome.enforced
    assert "ipc-namespace" in enforced
    assert "ipc-namespace" not in shared


def test_repr(box: seclude.Sandbox) -> None:
    with box.Popen(["cat"], stdin=seclude.PIPE) as process:
        assert "running" in repr(process)
        process.kill()
        process.wait()
        assert "killed by the caller" in repr(process)


def test_the_options_are_keywords(box: seclude.Sandbox) -> None:
    bufsize: Any = -1  # `Any`, because mypy matches it to an arbitrary keyword.
    with pytest.raises(TypeError):
        box.Popen(["true"], bufsize)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        box.Popen(["true"], shell=True)  # type: ignore[call-arg]
    with box.Popen(["cat"], stdin=seclude.PIPE, bufsize=None) as process:
        assert isinstance(process.stdin, io.BufferedWriter)
    with (
        pytest.warns(RuntimeWarning, match="line buffering"),
        box.Popen(["cat"], stdin=seclude.PIPE, bufsize=1),
    ):
        pass
    with pytest.raises(TypeError, match="bufsize"):
        box.Popen(["true"], bufsize="1")  # type: ignore[arg-type]


def test_time_passes_for_a_waiting_thread_only(box: seclude.Sandbox) -> None:
    """Check that polling does not spin: a wait uses almost no processor time of the caller."""
    with box.Popen(["cat"], stdin=seclude.PIPE) as process:
        before = time.thread_time()
        with pytest.raises(seclude.TimeoutExpired):
            process.wait(0.5)
        spent = time.thread_time() - before
    assert spent < 0.4


def test_a_caller_without_standard_streams(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Check a caller that has closed its standard streams, as daemons do.

    A stream inherited from the caller is then `/dev/null`, and no pipe gets a standard number.
    """
    text = """
import fcntl, os, seclude
from seclude import PIPE, STDOUT
told = os.dup(1)
for fd in (0, 1, 2): os.close(fd)
script = "for n in 0 1 2; do link=$(readlink /proc/$$/fd/$n); echo ${link%%:*} >&9; done"
look = ["sh", "-c", script]
both = {"stdout": PIPE, "stderr": STDOUT}
for streams in ({}, {"stdout": PIPE}, {"stdin": PIPE, "stderr": PIPE}, {"stderr": STDOUT}, both):
    reader, writer = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in os.pipe())
    os.closerange(0, 3)
    with seclude.Sandbox().Popen(look, fds={9: writer}, **streams) as process:
        for fd in (0, 1, 2):
            try: os.fstat(fd)
            except OSError: pass
            else: raise AssertionError(f"descriptor {fd} is {os.readlink(f'/proc/self/fd/{fd}')}")
        pipes = process.stdin, process.stdout, process.stderr
        assert all(pipe is None or pipe.fileno() > 2 for pipe in pipes)
        process.wait()
    os.close(writer)
    with open(reader) as links: seen = " ".join(links.read().split())
    os.write(told, f"{process.returncode} {seen}\\n".encode())
    os.closerange(0, 3)
assert seclude.Sandbox().run(["cat"], capture_output=True).stdout == b""
"""
    done = python(text)
    expected = [
        "0 /dev/null /dev/null /dev/null",
        "0 /dev/null pipe /dev/null",
        "0 pipe /dev/null pipe",
    ]
    expected += ["0 /dev/null /dev/null /dev/null", "0 /dev/null pipe pipe"]
    assert done.stdout.splitlines() == expected, done.stderr
    assert done.returncode == 0


def test_what_the_caller_has_closed_is_left_alone(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Check a caller that closes all descriptors with `os.closerange`, as daemons do.

    The caller may reuse the numbers. The library must not write to, read from or close them.
    """
    text = """
import os, socket, seclude
def sandbox(): return seclude.Sandbox()
def prepared(): box = seclude.Sandbox(); box.prepare(); return box
def cell(): return seclude.Sandbox().cell()
def pool(): return seclude.Sandbox().pool(1)
def running(): return seclude.Sandbox().popen(["sleep", "1000"])
for make in (sandbox, prepared, cell, pool, running):
    if (pid := os.fork()) == 0:
        made = make()
        os.closerange(3, 1024)
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(30)]
        own = [end for pair in pairs for end in pair]
        before = [os.fstat(end.fileno()).st_ino for end in own]
        try:
            if make is running: told = made.wait(60)
            else: told = made.run(["echo", "x"], capture_output=True).stdout
        except seclude.SecludeError as error:
            told = error.kind
        print(make.__name__, told, flush=True)
        del made
        assert [os.fstat(end.fileno()).st_ino for end in own] == before
        for end in own:
            end.setblocking(False)
            try: end.recv(1)
            except BlockingIOError: pass
            else: raise AssertionError("somebody has sent something")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, make.__name__
"""
    done = python(text)
    expected = ["sandbox b'x\\n'", "prepared b'x\\n'", "cell warden-lost", "pool io", "running -9"]
    assert done.stdout.splitlines() == expected, done.stderr
    assert done.returncode == 0, done.stderr


def test_a_pipe_of_the_package_can_be_opened_anew_and_the_callers_stays_its_own(
    box: seclude.Sandbox,
) -> None:
    script = "echo out >/dev/stdout; echo err >/dev/stderr"
    done = box.run(["sh", "-c", script], capture_output=True)
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    merged = box.run(["sh", "-c", script], stdout=seclude.PIPE, stderr=seclude.STDOUT)
    assert merged.stdout == b"out\nerr\n"
    reader, writer = os.pipe()
    box.run(["sh", "-c", "echo out"], stdout=writer)
    assert os.fstat(writer).st_uid == os.geteuid()
    os.close(writer)
    with open(reader, "rb") as pipe:
        assert pipe.read() == b"out\n"
