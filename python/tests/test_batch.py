"""Batches: each input line gets an output line, whatever it contains, in bounded memory."""

from __future__ import annotations

import io
import itertools
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import seclude
from seclude import batch

from .conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MIXED = [
    '{"args": ["echo", "hello"], "id": "first"}',
    "",
    '{"args": ["sh", "-c", "printf \\"\\\\033[2J\\\\377\\"; exit 3"], "id": 2}',
    '{"args": ["cat"], "input": "\\u00e4"}',
    "nonsense",
    '{"args": ["no-such-program"], "id": "missing"}',
    '{"argv": ["echo"], "id": "wrong"}',
    '{"args": ["sleep", "60"], "wall_time": 0.1}',
    '{"args": ["echo"], "id": [1]}',
]
COMMAND = [sys.executable, "-P", "-W", "error", "-m", "seclude", "batch"]


def ran(*options: str, jobs: list[str], code: int) -> tuple[list[dict[str, Any]], str]:
    """Run the command on these lines. Return its output and its standard error."""
    text = "".join(f"{line}\n" for line in jobs)
    done = subprocess.run(
        [*COMMAND, "-", *options],
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def job(*args: str) -> str:
    return json.dumps({"args": args})


def test_every_line_is_answered_in_order() -> None:
    told, said = ran(jobs=MIXED, code=2)
    assert [(one["line"], one.get("id")) for one in told] == [
        (1, "first"),
        (3, 2),
        (4, None),
        (5, None),
        (6, "missing"),
        (7, "wrong"),
        (8, None),
        (9, None),
    ]
    first, attack, text, nonsense, missing, wrong, slow, name = told
    assert (first["ended"], first["value"], first["returncode"], first["stdout"]) == (
        "exited",
        0,
        0,
        "hello\n",
    )
    assert first["usage"]["wall"] > 0
    assert "seccomp-filter" in first["enforced"]
    assert (attack["returncode"], attack["stdout"]) == (3, {"base64": "G1sySv8="})
    assert text["stdout"] == "ä"
    assert nonsense["error"]["kind"] == wrong["error"]["kind"] == name["error"]["kind"] == "invalid"
    assert (missing["error"]["kind"], missing["error"]["path"]) == (
        "program-missing",
        "no-such-program",
    )
    assert (slow["ended"], slow["outcome"]) == (
        "wall-time",
        "stopped by the wall time limit of 100ms",
    )
    assert [line.split(": ")[1] for line in said.splitlines()] == [
        "line 5",
        "line 6",
        "line 7",
        "line 9",
    ]


def test_the_exit_code_tells_how_it_went() -> None:
    assert ran(jobs=[], code=0) == ([], "")
    assert len(ran(jobs=[job("true")], code=0)[0]) == 1
    assert len(ran(jobs=[job("true"), job("false"), job("true")], code=1)[0]) == 3
    told, said = ran(jobs=["{}"] * 7 + [job("true")], code=2)
    assert len(told) == 8
    assert said.splitlines()[5:] == [
        "python -m seclude batch: 7 jobs could not be run: the output says why"
    ]


def test_a_policy_from_a_file(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    look = [job("cat", "/greeting")]
    for text in (
        '{"files": [{"file": "/greeting", "data": "hello"}]}',
        'files = [{ file = "/greeting", data = "hello" }]',
    ):
        policy.write_text(text)
        assert (
            ran("--policy", str(policy), "--workers", "3", jobs=look, code=0)[0][0]["stdout"]
            == "hello"
        )
    for wrong in ('{"memroy": 1}', "memroy = 1", "{", "\udcff"):
        policy.write_bytes(os.fsencode(wrong))
        told, said = ran("--policy", str(policy), jobs=look, code=2)
        assert not told
        assert said.startswith(f"python -m seclude batch: {policy}: ")
    assert "No such file" in ran("--policy", str(tmp_path / "none"), jobs=look, code=2)[1]
    assert ran("--workers", "0", jobs=look, code=2)[1]


def test_files_in_and_out(tmp_path: Path) -> None:
    jobs, output = tmp_path / "jobs", tmp_path / "outcomes"
    jobs.write_text(job("echo", "1") + "\n" + job("echo", "2"))  # The last line has no newline.
    command = [*COMMAND, str(jobs), "--output"]
    done = subprocess.run(
        [*command, str(output)], capture_output=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [json.loads(line)["stdout"] for line in output.read_text().splitlines()] == [
        "1\n",
        "2\n",
    ]
    assert output.read_bytes().isascii()
    done = subprocess.run([*command, str(jobs)], capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert job("echo", "1") in jobs.read_text()
    done = subprocess.run(
        [*COMMAND, str(tmp_path / "none")], capture_output=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert (
        done.stderr.decode()
        == f"python -m seclude batch: {tmp_path}/none: No such file or directory\n"
    )


def test_as_completed() -> None:
    jobs = [job("sleep", "1"), *[job("true")] * 5]
    told, _ = ran("--as-completed", "--workers", "2", jobs=jobs, code=0)
    assert sorted(one["line"] for one in told) == [1, 2, 3, 4, 5, 6]
    assert told[0]["line"] != 1
    assert [one["line"] for one in ran("--workers", "2", jobs=jobs, code=0)[0]] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]


class Endless(io.RawIOBase):
    """An endless file that counts the lines read."""

    def __init__(self) -> None:
        self.lines = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line."""
        self.lines += 1
        return job("echo", str(self.lines)).encode() + b"\n"


@pytest.mark.parametrize("completed_first", [False, True])
def test_no_more_is_read_than_is_run(box: seclude.Sandbox, completed_first: bool) -> None:
    source: Any = Endless()
    with box.pool(2) as pool:
        told = batch.outcomes(source, pool, completed_first=completed_first)
        for number, one in enumerate(itertools.islice(told, 50), 1):
            assert isinstance(one.result, seclude.CompletedRun)
            assert int(one.result.stdout) == one.line
            assert completed_first or one.line == number
            assert source.lines <= number + 4 * 2
        told.close()
        assert source.lines <= 50 + 4 * 2


def test_a_line_without_an_end_is_not_held(
    box: seclude.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seclude.batch.lines.BOUND", 100)
    long = job("echo", "x" * 1000).encode()
    exact = job("echo", "y" * 77).encode() + b"\n"
    assert len(exact) == 100
    with box.pool(1) as pool:
        told = list(
            batch.outcomes(io.BytesIO(b"\n".join([long, exact + job("echo").encode(), long])), pool)
        )
    assert [one.line for one in told] == [1, 2, 3, 4]
    assert [isinstance(one.result, seclude.PolicyError) for one in told] == [
        True,
        False,
        False,
        True,
    ]
    assert "longer than 100 bytes" in str(told[0].result)
    assert sum(one.size for one in told) == len(long) * 2 + len(exact) + len(job("echo")) + 2


def test_what_is_no_fault_of_a_job_is_raised(box: seclude.Sandbox) -> None:
    class Broken:
        size = 1

        def submit(self, job: seclude.Job, /) -> Any:
            return threads.submit(os.open, "/no/such/file", os.O_RDONLY)

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as threads, pytest.raises(FileNotFoundError):
        list(batch.outcomes(io.BytesIO(job("true").encode()), Broken()))


@pytest.fixture
def endless() -> Iterator[subprocess.Popen[bytes]]:
    """Run the command on an endless source of jobs, and wait for its first line of output."""
    # A background process of a shell starts with SIGINT ignored, and its children inherit that.
    command = ["env", "--default-signal=INT", *COMMAND, "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        written = process.stdin

        def write() -> None:
            try:
                while True:
                    written.write(job("sh", "-c", "echo; sleep 0.1; echo").encode() + b"\n")
                    written.flush()
            except (OSError, ValueError):
                pass

        writer = threading.Thread(target=write)
        writer.start()
        assert process.stdout.readline()
        yield process
        process.kill()
        process.wait()
        writer.join()
        try:
            written.close()
        except OSError:
            pass


def test_ctrl_c_ends_it_as_any_program(endless: subprocess.Popen[bytes]) -> None:
    endless.send_signal(signal.SIGINT)
    assert endless.wait(PATIENCE) == -signal.SIGINT
    assert endless.stderr is not None
    assert endless.stderr.read() == b""


def test_a_reader_that_goes_away_ends_it_as_any_program(endless: subprocess.Popen[bytes]) -> None:
    assert endless.stdout is not None
    assert endless.stderr is not None
    endless.stdout.close()
    assert endless.wait(PATIENCE) == -signal.SIGPIPE
    assert endless.stderr.read() == b""


@pytest.mark.parametrize("rich", [True, False])
def test_progress_on_a_terminal(tmp_path: Path, rich: bool) -> None:
    if rich:
        pytest.importorskip("rich")
    jobs, output = tmp_path / "jobs", tmp_path / "outcomes"
    jobs.write_text("\n".join([job("true")] * 10 + ["{}"]))
    program = "" if rich else "import sys; sys.modules['rich'] = None\n"
    program += "from seclude.__main__ import main; main()"
    seen = on_a_terminal(
        [
            sys.executable,
            "-P",
            "-W",
            "error",
            "-c",
            program,
            "batch",
            str(jobs),
            "--output",
            str(output),
        ]
    )
    assert len(output.read_text().splitlines()) == 11
    assert ("11 jobs, 1 not run" in seen) == rich
    assert "line 11: read a job: there is no key 'args'" in seen


def on_a_terminal(command: list[str]) -> str:
    """Run the command on a terminal, and return its output."""
    main, terminal = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200"}
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal, env=environment
        ) as process:
            os.close(terminal)
            seen, deadline = b"", time.monotonic() + PATIENCE
            try:
                while time.monotonic() < deadline and (data := os.read(main, 4096)):
                    seen += data
            except OSError:
                pass  # No process has the terminal open any more.
            process.wait(PATIENCE)
    finally:
        os.close(main)
    return seen.decode()


def test_nothing_is_imported_before_it_is_needed(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = python(
        "import sys, threading, seclude.batch, seclude.cluster, seclude.__main__\n"
        "extras = sorted({'rich', 'dask', 'distributed'} & set(sys.modules))\n"
        "print(extras, threading.active_count())"
    )
    assert (done.stdout, done.stderr) == ("[] 1\n", "")


def test_without_dask_it_says_so(python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = python(
        "import sys; sys.modules['distributed'] = None\n"
        "from seclude.__main__ import main\n"
        "sys.exit(main(['batch', '/dev/null', '--scheduler', 'tcp://127.0.0.1:1']))"
    )
    assert done.returncode == 2
    assert "pip install 'seclude[dask]'" in done.stderr
