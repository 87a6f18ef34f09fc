"""`doctor`: the features that this host allows, as a value and on a terminal."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import pty
import subprocess
import sys

import seclude


def command(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "seclude", *args]
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def test_a_report_is_a_plain_value() -> None:
    report = seclude.doctor()
    assert report.ready
    assert report["namespace.user"].state == "works"
    assert all(check.cause for check in report.checks if check.state != "works")
    assert not any(check.cause or check.remedy for check in report.checks if check.state == "works")
    told = json.loads(report.to_json())
    assert told["ready"] is True
    assert [dataclasses.asdict(check) for check in report.checks] == told["checks"]
    assert pickle.loads(pickle.dumps(report)) == report
    try:
        report["no.such.check"]
    except KeyError as error:
        assert error.args == ("no.such.check",)
    else:
        raise AssertionError


def test_the_command_line_prints_a_plain_table() -> None:
    done = command("doctor")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"seclude {seclude.__version__} on Linux ")
    assert lines[-1] == "sandboxes can be started"
    assert "\x1b" not in done.stdout


def test_the_command_line_prints_json() -> None:
    done = command("doctor", "--json")
    assert done.returncode == 0, done.stderr
    assert {check["name"] for check in json.loads(done.stdout)["checks"]} >= {
        "sandbox",
        "limit.memory",
        "freeze",
        "cgroup",
    }


def on_a_terminal(**environment: str) -> str:
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "seclude", "doctor"], stdout=theirs, env=kept | environment
    )
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 65536):
            text += part
    except OSError:
        pass  # EIO: no process has the other end of the terminal open.
    os.close(ours)
    assert process.wait() == 0
    return text.decode()


def test_colour_is_for_terminals_that_want_it() -> None:
    assert "\x1b[32mworks\x1b[0m" in on_a_terminal()
    assert "\x1b" not in on_a_terminal(NO_COLOR="1")


def test_a_wrong_command_line_is_told() -> None:
    done = command("docter")
    assert done.returncode == 2
    assert "doctor" in done.stderr


def test_where_no_sandbox_starts_the_exit_code_says_so() -> None:
    """Run doctor in a sandbox that forbids sandboxes."""
    prefix = [
        seclude.bind(path)
        for path in {sys.prefix, sys.base_prefix, *sys.path}
        if os.path.isdir(path) and not path.startswith("/usr/")
    ]
    packages = seclude.bind(os.path.dirname(os.path.dirname(seclude.__file__)), "/packages")
    box = seclude.Sandbox(files=[*prefix, packages], wall_time=60)
    done = box.run(
        [sys.executable, "-m", "seclude", "doctor", "--json"],
        capture_output=True,
        env={"PYTHONPATH": "/packages"},
    )
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    missing = {check["name"]: check for check in told["checks"]}["namespace.user"]
    assert (told["ready"], missing["state"]) == (False, "missing")
    assert "max_user_namespaces" in missing["remedy"]
