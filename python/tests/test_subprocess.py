"""`seclude.subprocess`, the drop-in for `subprocess`."""

from __future__ import annotations

import gc
import io
import os
import pickle
import signal
import subprocess as standard
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

import seclude
from seclude import subprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

IDS = [os.geteuid(), os.getegid()]


@pytest.fixture
def caught() -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """Collect the audit events of `subprocess`. A hook cannot be removed, only ignored."""
    events: list[tuple[str, tuple[Any, ...]]] = []
    active = [True]
    sys.addaudithook(
        lambda event, args: (
            events.append((event, args)) if active and event.startswith("subprocess") else None
        )
    )
    yield events
    active.clear()


def test_the_names_are_those_of_subprocess() -> None:
    for name in set(subprocess.__all__) - {"Subprocess", "using"}:
        ours, theirs = getattr(subprocess, name), getattr(standard, name)
        if name in {"call", "check_call", "check_output", "getoutput", "getstatusoutput", "run"}:
            assert ours is not theirs
            assert ours.__globals__ is vars(subprocess)
        elif name != "Popen":
            assert ours is theirs
    public = {name for name in standard.__all__ if not name.startswith("_")}
    assert public <= set(subprocess.__all__)


def test_a_popen_is_one_of_subprocess_and_runs_inside() -> None:
    with subprocess.Popen(
        ["sh", "-c", "id -u; tr a-z A-Z"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert isinstance(process, standard.Popen)
        assert process.outcome is None
        assert isinstance(process.stdin, io.TextIOWrapper)
        assert process.communicate("hello")[0] == "1000\nHELLO"
        assert process.poll() == process.wait() == 0
    assert process.outcome is not None
    assert "seccomp-filter" in process.outcome.enforced
    assert repr(process).startswith("<Popen: returncode: 0 args: ['sh'")


def test_every_function_runs_inside() -> None:
    secret = "cat /etc/shadow || cat /root/.bashrc || id -u"
    done = subprocess.run(secret, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "1000\n"
    assert isinstance(done, standard.CompletedProcess)
    assert subprocess.check_output(["id", "-u"]) == b"1000\n"
    assert subprocess.getoutput("id -u") == "1000"
    assert subprocess.getstatusoutput("id -u; exit 3") == (3, "1000")
    inside = ["sh", "-c", "exit $(id -u | cut -c1)"]
    assert subprocess.call(inside) == 1
    with pytest.raises(standard.CalledProcessError) as caught:
        subprocess.check_call(inside)
    assert caught.value.returncode == 1


def test_using_another_sandbox(readable: Path) -> None:
    (readable / "note").write_text("found")
    boxed = subprocess.using(seclude.Sandbox(files=[seclude.bind(readable)], uid=7))
    assert boxed.check_output(["cat", readable / "note"]) == b"found"
    assert boxed.getoutput("id -u") == "7"
    assert issubclass(boxed.Popen, subprocess.Popen)
    assert boxed.run(["id", "-u"], stdout=boxed.PIPE).stdout == b"7\n"
    # The module's own names keep their sandbox.
    assert subprocess.getoutput("id -u") == "1000"
    with pytest.raises(TypeError, match="runs no commands"):
        subprocess.using("sh")  # type: ignore[arg-type]


def test_using_a_cell_and_a_pool() -> None:
    box = seclude.Sandbox(files=[seclude.tmpfs("/work", "1M")])
    with box.cell() as cell, box.pool(1) as pool:
        boxed = subprocess.using(cell)
        boxed.check_call("echo kept > /work/file", shell=True)
        assert boxed.check_output(["cat", "/work/file"]) == b"kept\n"
        for place in (cell, pool):
            assert subprocess.using(place).getoutput("id -u") == "1000"
            with pytest.raises(ValueError, match="given up the right"):
                subprocess.using(place).run(["true"], user=12)


def test_what_a_command_has_of_the_caller(
    readable: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OF_THE_CALLER", "yes")
    monkeypatch.chdir(readable)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    mask = os.umask(0o27)
    try:
        script = "echo $OF_THE_CALLER; umask; pwd; kill -HUP $$; echo alive; kill -PIPE $$"
        boxed = subprocess.using(seclude.Sandbox(files=[seclude.bind(readable)]))
        done = boxed.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
        assert done.stdout.splitlines() == ["yes", "0027", str(readable), "alive"]
        assert done.returncode == -signal.SIGPIPE  # Python ignores it: restore_signals.
        done = boxed.run(["sh", "-c", script], stdout=subprocess.PIPE, restore_signals=False)
        assert done.returncode == 0
        # The default sandbox lacks the directory.
        done = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, umask=0o77)
        assert done.stdout.splitlines() == ["yes", "0077", "/", "alive"]
    finally:
        os.umask(mask)
        signal.signal(signal.SIGHUP, before)
    done = subprocess.run(["env"], env={"A": "b"}, stdout=subprocess.PIPE, text=True)
    assert done.stdout == "A=b\n"


def test_descriptors() -> None:
    reader, writer = os.pipe()
    kept, unkept = os.dup(writer), os.dup(writer)
    os.set_inheritable(kept, True)
    try:
        listed = ["sh", "-c", "ls /proc/$$/fd | tr '\n' ' '"]

        def passed(**options: Any) -> set[str]:
            return set(subprocess.check_output(listed, text=True, **options).split())

        # A shell may have a descriptor of its own for its script.
        assert not {str(kept), str(unkept)} & passed()
        assert str(unkept) in passed(pass_fds=[unkept, 1])
        inherited = passed(close_fds=False)
        assert str(kept) in inherited
        assert str(unkept) not in inherited
    finally:
        for fd in (reader, writer, kept, unkept):
            os.close(fd)


def test_the_standard_errors() -> None:
    with pytest.raises(FileNotFoundError) as missing:
        subprocess.run(["no-such-program"])
    assert missing.value.filename == "no-such-program"
    assert isinstance(missing.value, seclude.ProgramNotFound)
    with pytest.raises(FileNotFoundError) as nowhere:
        subprocess.run(["true"], cwd="/no/such/directory")
    assert nowhere.value.filename == "/no/such/directory"
    with pytest.raises(FileNotFoundError) as below:
        subprocess.run(["no-such-program"], cwd="/tmp")
    assert below.value.filename == "no-such-program"
    with pytest.raises(PermissionError):
        subprocess.run(["/etc/passwd"])
    with pytest.raises(ValueError, match="illegal environment variable name"):
        subprocess.run(["true"], env={"A=B": "c"})
    with pytest.raises(ValueError, match="NUL"):
        subprocess.run(["true"], env={"A": "b\0c"})
    with pytest.raises(standard.TimeoutExpired) as late:
        subprocess.run(["sleep", "1000"], timeout=0.05)
    assert late.value.cmd == ["sleep", "1000"]
    assert pickle.loads(pickle.dumps(missing.value)).errno == missing.value.errno


def test_what_cannot_be_is_refused_with_the_reason() -> None:
    started: list[int] = []
    with pytest.raises(ValueError, match="cannot call a function of this process"):
        subprocess.run(["true"], preexec_fn=lambda: started.append(1))
    assert not started
    with pytest.raises(ValueError, match="leads a session of its own"):
        subprocess.run(["true"], process_group=os.getpgid(0))
    assert subprocess.run(["true"], process_group=0, start_new_session=True).returncode == 0
    with pytest.raises(ValueError, match="must not be negative"):
        subprocess.run(["true"], pass_fds=[-5])
    with pytest.raises(OverflowError):
        subprocess.run(["true"], user=2**64)
    with pytest.raises(ValueError, match="too large"):
        subprocess.run(["true"], extra_groups=[2**64])


def test_user_and_groups() -> None:
    assert subprocess.check_output(["id", "-u"], user=12) == b"12\n"
    assert subprocess.check_output(["id", "-g"], group=34) == b"34\n"
    if IDS[0] == 0:
        assert subprocess.check_output(["id", "-G"], group=3, extra_groups=[4, 5]) == b"3 4 5\n"
    else:
        with pytest.raises(PermissionError, match="CAP_SETGID"):
            subprocess.run(["id"], extra_groups=[4])


def test_signals_and_kill() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 1000 & echo; wait"], stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        one.stdout.readline()
        with pytest.raises(standard.TimeoutExpired):
            one.wait(0.01)
        one.terminate()
        assert one.wait() == -signal.SIGTERM
        one.kill()
    with subprocess.Popen(["sleep", "1000"]) as other:
        other.kill()
        assert other.wait() == -signal.SIGKILL
        assert other.outcome is not None
        assert other.outcome.ended.name == "killed"


def test_many_threads_wait_for_one_command() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        codes: list[int] = []
        threads = [threading.Thread(target=lambda: codes.append(process.wait())) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert process.stdin is not None
        process.stdin.close()
        for thread in threads:
            thread.join()
        assert codes == [0] * 8


def test_a_dropped_popen_is_an_orphan_as_with_subprocess() -> None:
    process: subprocess.Popen[bytes] | None = subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process is not None
    pipe, process.stdin = process.stdin, None
    assert pipe is not None
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        process = None
        gc.collect()
    assert [one.category for one in warned] == [ResourceWarning]
    active: list[Any] = vars(standard)["_active"]
    assert len(active) == 1
    pipe.close()
    active[0].wait()
    subprocess.run(["true"], check=True)
    assert not active


def test_a_forked_process_may_drop_it(python: Callable[..., Any]) -> None:
    done = python(
        """
import os, sys
from seclude import subprocess
process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child = os.fork()
if child == 0:
    try:
        process.__del__()
        print(process.returncode == sys.maxsize, flush=True)
    finally:
        os._exit(0)
os.waitpid(child, 0)
print(process.communicate(b"alive"), flush=True)
""",
        "-W",
        "ignore",
    )
    assert (done.stdout, done.stderr) == ("True\n(b'alive', None)\n", "")


def test_the_audit_event(caught: list[tuple[str, tuple[Any, ...]]]) -> None:
    subprocess.run(["true"], cwd="/", env={}, check=True)
    assert caught == [("subprocess.Popen", ("true", ["true"], "/", {}))]


def test_a_replaced_popen_is_the_functions_own() -> None:
    broken = mock.patch.object(subprocess, "Popen", side_effect=ZeroDivisionError)
    with broken, pytest.raises(ZeroDivisionError):
        subprocess.run(["true"])
    boxed = subprocess.using(seclude.Sandbox())
    broken = mock.patch.object(boxed, "Popen", side_effect=ZeroDivisionError)
    with broken, pytest.raises(ZeroDivisionError):
        boxed.getoutput("true")
    assert standard.run(["true"], check=True).returncode == 0


def _changed(name: str) -> type:
    """Return a class like `subprocess.Popen` with one method of other parameters."""

    def method(self: Any, *, surprise: int) -> None: ...

    return type("Popen", (standard.Popen,), {name: method})


@pytest.mark.parametrize(
    "name", ["_execute_child", "_internal_poll", "_wait", "_close_pipe_fds", "send_signal"]
)
def test_an_unknown_subprocess_is_an_import_error(
    name: str, python: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    with pytest.raises(ImportError, match=rf"CPython {version}\S* has another \S+Popen\.{name}"):
        subprocess._check_hooks(_changed(name))
    gone = type("Popen", (), {})
    with pytest.raises(ImportError, match="has no "):
        subprocess._check_hooks(gone)
    done = python(f"""
import subprocess
subprocess.Popen.{name} = lambda self, surprise: None
try:
    from seclude import subprocess as ours
except ImportError as error:
    print(error.name, "only those of 3.11 to 3.14 are known" in str(error))
""")
    assert done.stdout == "seclude.subprocess True\n", done.stderr
