"""Each example runs and prints what it promises."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import PATIENCE

NEEDS_GCC = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="gcc is not installed: the judge compiles submissions"
)
NEEDS_TRIO = pytest.mark.skipif(find_spec("trio") is None, reason="trio is not installed")
EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "run",
            [
                "1000",
                "nothing here is writable",
                "WHAT IT READS",
                "sleep stopped by the wall time limit",
            ],
        ),
        (
            "popen",
            ["it says: are you there?", "it still runs", "return code -9 and 0 processes left"],
        ),
        ("aio", ["0 1 4 9 16 25 36 49 64 81"]),
        pytest.param(
            "loops",
            ["0 1 4 9 16 25 36 49 64 81", "WHAT IT READS", "cancelled"],
            marks=NEEDS_TRIO,
        ),
        (
            "cell",
            [
                "what was left",
                "after the reset: cat: /tmp/note: No such file or directory; 1 process",
            ],
        ),
        (
            "notebook",
            [
                "42",
                "['kept']",
                "ZeroDivisionError: division by zero",
                "('and yet it runs', 6, None)",
                "NameError: name 'x' is not defined",
                "[]",
                "2",
                "[the interpreter exited with code 3]",
                "'a new one'",
            ],
        ),
        pytest.param("pool_judge", ["18 of 18 verdicts as expected"], marks=NEEDS_GCC),
        (
            "partition",
            [
                "n1 puts red: red",
                "n5 gets: red",
                "n1 puts green: unavailable",
                "n4 puts blue: blue",
                "n1 gets: blue",
                "n3 gets: unavailable",
                "n2 gets: blue",
            ],
        ),
        (
            "network",
            [
                "the server's address is 10.9.0.5",
                "it listens",
                "a member: server",
                "hello, client",
            ],
        ),
        (
            "egress",
            [
                "the service was asked: who is there?; Connection reset by peer",
                "13 bytes sent, 36 received",
                "tcp service.test:80 (127.0.0.1): allowed",
                "tcp 203.0.113.5:80: no rule allows it",
            ],
        ),
        ("pool", ["0 1 4 9 16 25 36 49 64 81", "10 handed out, 0 lost"]),
        (
            "collect",
            [
                "out/count b'3\\n'",
                "out/sorted b'one\\nthree\\ntwo\\n'",
                "left out out/link and nothing matched errors/*",
                "['one', 'three', 'two']",
                "exited with code 0 but copy big: there are more than 1048576 bytes; hint: raise"
                " the bound, if that is what it should be",
            ],
        ),
        ("tree", ["the innermost process has 3 ids, the last of which is 1"]),
        (
            "policy",
            ["be nice", "contestant", "judge", "64", "/work", "root inside, nobody outside: 0"],
        ),
        (
            "errors",
            ["set-up failed: source-missing /no/such/directory", "it failed: 3", "too slow: 0.1 s"],
        ),
    ],
)
def test_example(name: str, lines: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for line in lines:
        assert line in done.stdout.splitlines()
