"""The exceptions: base classes, attributes and pickling, and that they leave nothing behind."""

from __future__ import annotations

import asyncio
import copy
import errno
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import seclude

if TYPE_CHECKING:
    from collections.abc import Callable


def caught(box: seclude.Sandbox, *args: str) -> seclude.SecludeError:
    with pytest.raises(seclude.SecludeError) as info:
        box.run(args)
    return info.value


def test_a_missing_program(box: seclude.Sandbox) -> None:
    error = caught(box, "no-such-program")
    assert type(error) is seclude.ProgramNotFound
    assert isinstance(error, FileNotFoundError)
    assert (error.kind, error.errno, error.path, error.filename) == (
        "program-missing",
        2,
        "no-such-program",
        "no-such-program",
    )
    assert error.strerror == "No such file or directory"
    assert error.step == "execute no-such-program"
    assert error.hint is not None
    assert "/usr/bin" in error.hint
    assert str(error).startswith("execute no-such-program: ")
    assert error.hint in str(error)


def test_a_program_that_may_not_be_executed(box: seclude.Sandbox) -> None:
    error = caught(box, "/etc/passwd")
    assert type(error) is seclude.ProgramNotExecutable
    assert isinstance(error, PermissionError)
    assert (error.kind, error.errno) == ("program-not-executable", 13)


def test_a_script_without_its_interpreter() -> None:
    box = seclude.Sandbox(files=[seclude.file("/script", "#!/no/interpreter\n", mode=0o755)])
    error = caught(box, "/script")
    assert isinstance(error, seclude.ProgramNotFound)
    assert error.kind == "interpreter-missing"
    assert "/no/interpreter" in str(error)


def test_no_program_at_all() -> None:
    box = seclude.Sandbox(files=[seclude.file("/garbage", b"\x00\x01\x02\x03", mode=0o755)])
    error = caught(box, "/garbage")
    assert type(error) is seclude.SetupError
    assert error.kind == "program-format"


@pytest.mark.parametrize("args", [[], [""], ["a\0b"], ["echo", "a\0b"], ""])
def test_arguments_that_cannot_be(box: seclude.Sandbox, args: list[str]) -> None:
    with pytest.raises(seclude.PolicyError):
        box.run(args)


def test_arguments_of_the_wrong_type(box: seclude.Sandbox) -> None:
    with pytest.raises(TypeError):
        box.run(["echo", 5])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        box.run(None)  # type: ignore[arg-type]


def _misspelt(box: seclude.Sandbox) -> list[tuple[str, Callable[[], object]]]:
    """Return the functions that take keywords, each with a call that misspells one."""
    wrong: dict[str, Any] = {"wall_tme": 5}
    cell, pool = box.cell(), box.pool(1)
    return [
        ("run", lambda: box.run(["true"], **wrong)),
        ("run", lambda: cell.run(["true"], **wrong)),
        ("popen", lambda: box.popen(["true"], **wrong)),
        ("popen", lambda: pool.popen(["true"], **wrong)),
        ("Popen", lambda: seclude.Popen(box, ["true"], **wrong)),
        ("command", lambda: box.command(["true"], **wrong)),
        ("learn", lambda: box.learn(["true"], **wrong)),
        ("submit", lambda: pool.submit(["true"], **wrong)),
        ("map", lambda: pool.map([["true"]], **wrong)),
        (
            "create_subprocess_exec",
            lambda: asyncio.run(box.asyncio.create_subprocess_exec("true", **wrong)),
        ),
        ("Job", lambda: seclude.Job("true", **wrong)),
    ]


def test_an_unknown_keyword_names_the_function_and_the_nearest(box: seclude.Sandbox) -> None:
    for function, call in _misspelt(box):
        with pytest.raises(TypeError) as caught:
            call()
        assert (
            str(caught.value)
            == f"{function}() keyword wall_tme: is unknown; hint: did you mean wall_time?"
        )
    for function, change in (("Sandbox", seclude.Sandbox), ("replace", box.replace)):
        # None means a key's default, but an unknown key is an error all the same.
        wrong: dict[str, Any] = {"wall_tme": None}
        with pytest.raises(seclude.PolicyError) as refused:
            change(**wrong)
        assert refused.value.step == f"{function}() keyword wall_tme"
        assert (refused.value.kind, refused.value.hint) == ("policy", "did you mean wall_time?")


def test_a_keyword_of_another_function_names_that(box: seclude.Sandbox) -> None:
    options: list[tuple[dict[str, Any], str]] = [
        ({"hostname": "x"}, "Sandbox(hostname=...)"),
        ({"shell": True}, '["sh", "-c", text]'),
        ({"preexec_fn": print}, "cannot call a function of this process"),
        ({"zzz": 1}, "known are arg0, "),
    ]
    for wrong, named in options:
        with pytest.raises(TypeError, match=re.escape(named)):
            box.run(["true"], **wrong)
    command: dict[str, Any] = {"cwd": "/tmp"}
    with pytest.raises(seclude.PolicyError, match=re.escape("run(args, cwd=...)")):
        seclude.Sandbox(**command)


def test_a_size_may_be_text_wherever_one_is_meant(readable: Path) -> None:
    box = seclude.Sandbox(memory="256M", files=[seclude.tmpfs("/data", "1M")], cpu_time="1m")
    assert box == seclude.Sandbox(
        memory=256 << 20, files=[seclude.tmpfs("/data", 1 << 20)], cpu_time=60
    )
    assert box.run(["true"], memory="64M", wall_time="30s", cpu_time="500ms").outcome.success
    with box.popen(["sleep", "1000"]) as process:
        process.set_memory("128M")
        process.kill()
    with box.cell() as cell:
        cell.set_memory("128M")
        assert cell.run(["true"], memory="64M").outcome.success
    (readable / "large").write_bytes(bytes(2048))
    with pytest.raises(seclude.SecludeError, match="1024"):
        seclude.copy(readable, "large", readable / "copy", max_bytes="1K")
    assert seclude.copy(readable, "large", readable / "copy", max_bytes="2K").bytes == 2048
    wrongs: list[tuple[str, Callable[[], object]]] = [
        ("memory", lambda: box.run(["true"], memory="64Q")),
        (
            "max_bytes",
            lambda: seclude.copy(readable, "large", readable / "other", max_bytes="much"),
        ),
        ("wall_time", lambda: box.run(["true"], wall_time="2 q")),
        ("cpu_time", lambda: box.run(["true"], cpu_time="soon")),
    ]
    for what, wrong in wrongs:
        with pytest.raises(seclude.PolicyError, match="such as") as caught:
            wrong()
        assert caught.value.step == what


def test_an_argument_list_above_the_kernels_limit(box: seclude.Sandbox) -> None:
    error = caught(box, "true", "x" * (1 << 20))
    assert isinstance(error, seclude.PolicyError)
    assert isinstance(error, OSError)
    assert (error.kind, error.errno, error.strerror) == (
        "invalid",
        errno.E2BIG,
        os.strerror(errno.E2BIG),
    )
    assert "longer than the kernel takes" in str(error)
    assert error.hint is not None


@pytest.mark.parametrize(
    ("directory", "kind", "number"),
    [
        ("/no/where", FileNotFoundError, errno.ENOENT),
        ("/etc/passwd", NotADirectoryError, errno.ENOTDIR),
        ("/closed", PermissionError, errno.EACCES),
    ],
)
def test_a_working_directory_that_cannot_be_entered(
    directory: str, kind: type[OSError], number: int
) -> None:
    box = seclude.Sandbox(files=[seclude.directory("/closed", mode=0)], wall_time=60)
    with pytest.raises(seclude.SetupError) as info:
        box.run(["true"], cwd=directory)
    error = info.value
    assert isinstance(error, kind)
    assert (error.kind, error.errno, error.filename, error.path) == (
        "setup",
        number,
        directory,
        directory,
    )
    assert error.step == f"enter the working directory {directory}"
    assert directory in str(error)
    assert type(error).__name__ == "SetupError"


def test_a_program_below_a_file_is_no_directorys(box: seclude.Sandbox) -> None:
    error = caught(box, "/etc/passwd/program")
    assert isinstance(error, seclude.ProgramNotFound)
    assert isinstance(error, NotADirectoryError)
    assert error.kind == "program-missing"


def test_a_source_that_is_missing_is_a_missing_file() -> None:
    error = caught(seclude.Sandbox(files=[seclude.bind("/no/where")]), "true")
    assert isinstance(error, seclude.SetupError)
    assert isinstance(error, FileNotFoundError)
    assert error.kind == "source-missing"


def test_a_descriptor_that_is_closed(box: seclude.Sandbox) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(seclude.PolicyError) as info:
        box.run(["true"], stdin=reader)
    assert isinstance(info.value, OSError)
    assert info.value.errno == errno.EBADF


def test_each_has_the_parents_that_handlers_know() -> None:
    assert issubclass(seclude.PolicyError, ValueError)
    assert issubclass(seclude.SetupError, OSError)
    assert issubclass(seclude.ProgramNotFound, (seclude.SetupError, FileNotFoundError))
    assert issubclass(seclude.ProgramNotExecutable, (seclude.SetupError, PermissionError))
    assert issubclass(seclude.TimeoutExpired, subprocess.TimeoutExpired)
    assert issubclass(seclude.CalledProcessError, subprocess.CalledProcessError)
    for name in seclude.__all__:
        found = getattr(seclude, name)
        if isinstance(found, type) and issubclass(found, Exception):
            assert issubclass(found, seclude.SecludeError)


def test_all_survive_pickling(box: seclude.Sandbox) -> None:
    outcome = box.run(["false"]).outcome
    for error in (
        caught(box, "no-such-program"),
        seclude.PolicyError("why", kind="policy", step="what", hint="do"),
        seclude.SecludeError("plain"),
        seclude.TimeoutExpired(["a"], 1.5, b"out", b"err", outcome=outcome),
        seclude.CalledProcessError(3, ["a"], b"out", b"err", outcome=outcome),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        for name in (
            "kind",
            "step",
            "errno",
            "path",
            "hint",
            "cmd",
            "timeout",
            "stdout",
            "stderr",
            "returncode",
            "outcome",
        ):
            assert getattr(again, name, None) == getattr(error, name, None)
    assert pickle.loads(pickle.dumps(caught(box, "no-such-program"))).filename == "no-such-program"


def test_each_can_be_made_again_from_its_arguments(box: seclude.Sandbox) -> None:
    errors: list[seclude.SecludeError] = [
        caught(box, "no-such-program"),
        caught(box, "/etc/passwd"),
    ]
    wrongs: list[Callable[[], object]] = [
        lambda: box.run(["true"], cwd="/no/where"),
        lambda: box.run(["true", "x" * (1 << 20)]),
        lambda: box.run(["sh", "-c", "exit 3"], check=True, capture_output=True),
        lambda: box.run(["sleep", "1000"], timeout=0.01),
        lambda: box.run([]),
    ]
    for wrong in wrongs:
        with pytest.raises(seclude.SecludeError) as info:
            wrong()
        errors.append(info.value)
    for error in errors:
        # Rebuild the exception as task queues do: from its class name and its arguments in JSON.
        declared = getattr(sys.modules[type(error).__module__], type(error).__name__)
        again = declared(*json.loads(json.dumps(error.args)))
        assert type(again) is type(error)
        assert (again.args, again.errno, again.kind) == (error.args, error.errno, error.kind)
        for name in ("cmd", "timeout", "returncode", "strerror"):
            assert getattr(again, name, None) == getattr(error, name, None)
        assert type(error)(*error.args).args == error.args
        for copied in (copy.copy(error), copy.deepcopy(error)):
            assert type(copied) is type(error)
            assert (str(copied), copied.args) == (str(error), error.args)
            assert vars(copied).keys() == vars(error).keys()
    failed = seclude.CalledProcessError(3, ["a"])
    assert failed.args == subprocess.CalledProcessError(3, ["a"]).args
    assert not isinstance(failed, OSError)


def test_an_error_number_may_come_first_as_in_any_os_error() -> None:
    error = seclude.SetupError(errno.ENOENT, "why")
    assert isinstance(error, FileNotFoundError)
    assert (str(error), error.errno, error.kind) == ("why", errno.ENOENT, "setup")
    assert seclude.SetupError("why").errno is None
    assert type(seclude.SetupError("why", errno=errno.EIO)) is seclude.SetupError


def test_a_failed_start_leaves_no_pipe_and_no_process(box: seclude.Sandbox) -> None:
    children = Path("/proc/thread-self/children")
    before = children.read_text()
    for _ in range(20):
        with pytest.raises(FileNotFoundError):
            box.Popen(
                ["no-such-program"], stdin=seclude.PIPE, stdout=seclude.PIPE, stderr=seclude.PIPE
            )
    assert children.read_text() == before  # The fixture counts the descriptors after every test.


def test_outcomes_are_values(box: seclude.Sandbox) -> None:
    outcome = box.run(["sh", "-c", "kill -SEGV $$"]).outcome
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    assert not outcome.success
    assert str(outcome.ended) == "killed by SIGSEGV"
    assert str(seclude.Ended("wall-time")) == "wall-time"
    match outcome.ended:
        case seclude.Ended("signaled", number):
            assert number == 11
        case _:
            pytest.fail(f"{outcome.ended!r}")


def test_a_shortage_of_descriptors_is_the_hosts(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Check every place that can run out of descriptors.

    The places are the pipes made in Python, the copies of the caller's descriptors, and the core.
    """
    text = """
import os, resource, seclude
box = seclude.Sandbox()
box.run(["true"])
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
keep = []
while True:
    try: keep.append(os.dup(2))
    except OSError: break
copies = {"stdin": seclude.DEVNULL, "stdout": 2, "stderr": 2}
ways = {"pipes": {"capture_output": True}, "null and copies": copies, "fds": {"fds": {7: 2}}}
refused = dict.fromkeys(ways, 0)
for _ in range(16):
    for name, options in ways.items():
        try:
            box.run(["true"], **options)
        except Exception as error:
            refused[name] += 1
            seen = name, repr(error)
            assert (getattr(error, "kind", None), error.errno) == ("host-limit", 24), seen
            assert isinstance(error, seclude.SetupError) and "RLIMIT_NOFILE" in error.hint, seen
    os.close(keep.pop())
assert all(2 < count < 16 for count in refused.values()), refused
"""
    done = python(text)
    assert done.returncode == 0, done.stderr
