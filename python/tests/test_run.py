"""`Sandbox.run` has the behaviour of `subprocess.run`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import seclude


def test_hello(box: seclude.Sandbox) -> None:
    done = box.run(["echo", "hello"], capture_output=True, text=True)
    assert (done.args, done.returncode, done.stdout, done.stderr) == (
        ["echo", "hello"],
        0,
        "hello\n",
        "",
    )
    assert done.outcome.ended == seclude.Ended("exited", 0)
    assert done.outcome.success


@pytest.mark.parametrize(
    ("args", "inside", "outside"),
    [
        (["echo", "a b", "", "c"], b"a b  c\n", ["echo", "a b", "", "c"]),
        ([b"printf", b"%s", b"\xff\xfe"], b"\xff\xfe", [b"printf", b"%s", b"\xff\xfe"]),
        (["printf", "%s", "\udcff"], b"\xff", ["printf", "%s", "\udcff"]),
        ([Path("/bin/echo"), Path("x")], b"x\n", ["/bin/echo", "x"]),
        (("echo", "tuple"), b"tuple\n", ("echo", "tuple")),
        ("pwd", b"/\n", None),
        (b"pwd", b"/\n", None),
        (Path("/bin/pwd"), b"/\n", None),
    ],
)
def test_arguments_of_every_kind(
    box: seclude.Sandbox, args: Any, inside: bytes, outside: Any
) -> None:
    assert box.run(args, capture_output=True).stdout == inside
    if outside is not None:
        assert subprocess.run(outside, capture_output=True, check=False).stdout == inside


def test_input_and_both_outputs_larger_than_any_pipe(box: seclude.Sandbox) -> None:
    data = os.urandom(1 << 20)
    done = box.run(
        ["sh", "-c", "head -c 1000000 /dev/zero >&2; cat"], input=data, capture_output=True
    )
    assert done.stdout == data
    assert done.stderr == bytes(1000000)


def test_input_that_nobody_reads(box: seclude.Sandbox) -> None:
    done = box.run(["true"], input=b"x" * (1 << 20), capture_output=True)
    assert done.returncode == 0


def test_a_command_that_closes_its_output_and_lives_on(box: seclude.Sandbox) -> None:
    done = box.run(["sh", "-c", "exec >&- 2>&-; sleep 0.1; exit 4"], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (4, b"", b"")


def test_a_grandchild_that_keeps_the_pipe_ends_with_the_command(box: seclude.Sandbox) -> None:
    assert box.run(["sh", "-c", "sleep 1000 & echo done"], capture_output=True).stdout == b"done\n"


def test_text_modes(box: seclude.Sandbox) -> None:
    command = ["printf", "a\\r\\nb\\rc\\n"]
    assert box.run(command, capture_output=True).stdout == b"a\r\nb\rc\n"
    for mode in (
        {"text": True},
        {"universal_newlines": True},
        {"encoding": "utf-8"},
        {"errors": "strict"},
    ):
        assert box.run(command, capture_output=True, **mode).stdout == "a\nb\nc\n"
    assert box.run(["cat"], input="ü", capture_output=True, encoding="latin-1").stdout == "ü"
    assert (
        box.run(["wc", "-c"], input="ü", capture_output=True, encoding="utf-16-le").stdout.encode(
            "utf-16-le"
        )
        == b"2\n"
    )
    assert (
        box.run(["printf", "\\377"], capture_output=True, encoding="utf-8", errors="replace").stdout
        == "\ufffd"
    )
    with pytest.raises(UnicodeDecodeError):
        box.run(["printf", "\\377"], capture_output=True, encoding="utf-8")
    with pytest.raises(LookupError):
        box.run(["true"], capture_output=True, encoding="no such encoding")


@pytest.mark.parametrize("wrong", [{"input": "text"}, {"input": b"bytes", "text": True}])
def test_input_of_the_wrong_kind(box: seclude.Sandbox, wrong: Any) -> None:
    with pytest.raises(TypeError):
        box.run(["cat"], capture_output=True, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": b"", "stdin": seclude.PIPE},
        {"capture_output": True, "stdout": seclude.PIPE},
        {"capture_output": True, "stderr": seclude.STDOUT},
        {"stdout": seclude.STDOUT},
        {"stdin": seclude.STDOUT},
        {"text": True, "universal_newlines": False},
    ],
)
def test_options_that_exclude_each_other(box: seclude.Sandbox, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"exclude|STDOUT|different"):
        box.run(["true"], **wrong)


def test_check(box: seclude.Sandbox) -> None:
    with pytest.raises(seclude.CalledProcessError) as caught:
        box.run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=True, capture_output=True)
    error = caught.value
    assert isinstance(error, subprocess.CalledProcessError)
    assert (error.returncode, error.output, error.stdout, error.stderr) == (
        3,
        b"out\n",
        b"out\n",
        b"err\n",
    )
    assert error.outcome is not None
    assert error.outcome.ended == seclude.Ended("exited", 3)
    assert "exited with code 3" in str(error)
    done = box.run(["false"])
    with pytest.raises(seclude.CalledProcessError):
        done.check_returncode()
    box.run(["true"], check=True).check_returncode()


def test_timeout_kills_and_tells(box: seclude.Sandbox) -> None:
    with pytest.raises(seclude.TimeoutExpired) as caught:
        box.run(["sh", "-c", "echo so far; sleep 1000"], capture_output=True, timeout=0.5)
    error = caught.value
    assert isinstance(error, subprocess.TimeoutExpired)
    assert error.timeout == 0.5
    assert error.cmd == ["sh", "-c", "echo so far; sleep 1000"]
    # None if a slow machine has not started the command in time.
    assert error.stdout in (b"so far\n", None)
    assert error.outcome is not None
    assert error.outcome.ended == seclude.Ended("killed")


def test_environment(box: seclude.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECLUDE_TEST_SECRET", "1")
    names = {
        line.split(b"=")[0] for line in box.run(["env"], capture_output=True).stdout.splitlines()
    }
    assert names == {b"PATH", b"HOME", b"LANG", b"TMPDIR"}
    assert (
        box.run(["env"], env={"A": "1", "B": "ü"}, capture_output=True).stdout
        == "A=1\nB=ü\n".encode()
    )
    assert box.run(["env"], env={b"A": b"\xff"}, capture_output=True).stdout == b"A=\xff\n"
    assert box.run(["env"], env={}, capture_output=True).stdout == b""


@pytest.mark.parametrize("env", [{"A=B": "1"}, {"": "1"}, {"A": "\0"}])
def test_environment_that_cannot_be(box: seclude.Sandbox, env: dict[str, str]) -> None:
    with pytest.raises(seclude.PolicyError):
        box.run(["true"], env=env)


def test_directory_and_name(box: seclude.Sandbox) -> None:
    assert box.run(["pwd"], cwd="/usr", capture_output=True).stdout == b"/usr\n"
    assert box.run(["pwd"], cwd=Path("/usr/bin"), capture_output=True).stdout == b"/usr/bin\n"
    assert box.run(
        ["cat", "/proc/self/cmdline"], arg0=b"m\xe9", capture_output=True
    ).stdout.startswith(b"m\xe9\0")
    with pytest.raises(seclude.PolicyError):
        box.run(["true"], cwd="usr")
    with pytest.raises(seclude.SecludeError):
        box.run(["true"], cwd="/missing")


def test_streams(box: seclude.Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"from a file")
    with path.open("rb") as source:
        assert box.run(["cat"], stdin=source, stdout=seclude.PIPE).stdout == b"from a file"
    with path.open("wb") as target:
        assert (
            box.run(
                ["sh", "-c", "echo out; echo err >&2"], stdout=target, stderr=seclude.STDOUT
            ).stdout
            is None
        )
    assert path.read_bytes() == b"out\nerr\n"
    done = box.run(
        ["sh", "-c", "cat; echo err >&2; echo out"],
        stdin=seclude.DEVNULL,
        stdout=seclude.PIPE,
        stderr=seclude.STDOUT,
    )
    assert (done.stdout, done.stderr) == (b"err\nout\n", None)
    assert box.run(["echo", "x"], stdout=seclude.DEVNULL).stdout is None


def test_inherited_streams(python: Any) -> None:
    text = "import seclude; seclude.Sandbox().run(['sh', '-c', 'echo out; echo err >&2'])"
    done = python(text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "err\n")
    text = (
        "import seclude; seclude.Sandbox().run(['sh', '-c', 'echo err >&2'],"
        " stdout=seclude.DEVNULL, stderr=seclude.STDOUT)"
    )
    assert (python(text).stdout, python(text).stderr) == ("", "")
    text = (
        "import seclude; seclude.Sandbox().run(['sh', '-c', 'echo err >&2'], stderr=seclude.STDOUT)"
    )
    assert (python(text).stdout, python(text).stderr) == ("err\n", "")


def test_descriptors(box: seclude.Sandbox) -> None:
    reader, writer = os.pipe()
    try:
        box.run(["bash", "-c", "echo kept >&$1", "sh", str(writer)], pass_fds=[writer], check=True)
        assert os.read(reader, 100) == b"kept\n"
        box.run(["sh", "-c", "echo mapped >&7"], fds={7: writer}, check=True)
        assert os.read(reader, 100) == b"mapped\n"
        # Swap two descriptors: each is the source of the other.
        done = box.run(
            ["bash", "-c", f"echo swapped >&{reader}"],
            fds={reader: writer, writer: reader},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        assert os.read(reader, 100) == b"swapped\n"
        # `ls` itself opens descriptor 3 for the listing.
        listed = box.run(
            ["ls", "/proc/self/fd"], fds={99: writer}, capture_output=True, text=True
        ).stdout
        assert set(listed.split()) == {"0", "1", "2", "3", "99"}
    finally:
        os.close(reader)
        os.close(writer)


def test_ignored_signals_stay_so_where_that_is_asked_for(box: seclude.Sandbox) -> None:
    def mask(status: str) -> int:
        return next(
            int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn:")
        )

    def ignored(**options: Any) -> int:
        return mask(
            box.run(["cat", "/proc/self/status"], capture_output=True, text=True, **options).stdout
        )

    own = mask(Path("/proc/self/status").read_text())
    assert own >> (signal.SIGPIPE - 1) & 1  # Python itself ignores SIGPIPE.
    assert ignored() == ignored(restore_signals=True) == 0
    assert ignored(restore_signals=False) == own


def test_the_attributes_of_a_process(box: seclude.Sandbox) -> None:
    def said(script: str, **options: Any) -> str:
        done = box.run(["sh", "-c", script], stdout=seclude.PIPE, text=True, **options)
        assert isinstance(done.stdout, str)
        return done.stdout

    assert said("umask") == "0022\n"
    assert said("umask", umask=0o7) == "0007\n"
    ignored = (number for number in [signal.SIGHUP])
    assert said("kill -HUP $$; echo alive", ignore_signals=ignored) == "alive\n"
    assert said("id -u; id -g", user=5, group=6) == "5\n6\n"
    assert said("echo", process_group=0, start_new_session=True) == "\n"
    if os.geteuid() == 0:
        assert said("id -G", extra_groups=(group for group in (7, 8))) == "1000 7 8\n"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"umask": 0o1000}, "umask 0o1000: only the nine permission bits"),
        ({"umask": -2}, "umask -2: must not be negative"),
        ({"process_group": 3}, "process group 3: a command leads a session"),
        ({"start_new_session": False}, "every command leads a session of its own"),
        ({"ignore_signals": [9]}, "ignore signal 9"),
        ({"ignore_signals": [-1]}, "ignore signal -1"),
        ({"user": -1}, "user -1: must not be negative"),
        ({"user": 2**32}, "user 4294967296: must not be above"),
        ({"extra_groups": range(65)}, "65 supplementary groups: at most 64"),
    ],
)
def test_attributes_that_cannot_be(box: seclude.Sandbox, wrong: Any, why: str) -> None:
    with pytest.raises(seclude.PolicyError, match=re.escape(why)):
        box.run(["true"], **wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"fds": {2: 1}}, {"fds": {5: 987654}}, {"fds": {5: -1}}, {"pass_fds": [1]}, {"stdin": 987654}],
)
def test_descriptors_that_cannot_be(box: seclude.Sandbox, wrong: Any) -> None:
    with pytest.raises(seclude.PolicyError, match=r"descriptor|stdin"):
        box.run(["true"], **wrong)


def test_a_descriptor_given_twice(box: seclude.Sandbox) -> None:
    reader, writer = os.pipe()
    with pytest.raises(seclude.PolicyError, match="given twice"):
        box.run(["true"], pass_fds=[writer], fds={writer: reader})
    os.close(reader)
    os.close(writer)
