"""The logger `seclude`: what it tells, with the values themselves, and what it costs if unused."""

from __future__ import annotations

import logging
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import seclude
from seclude import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def records() -> Iterator[list[Any]]:
    """Return the list that records of every level are added to."""
    kept: list[Any] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    logger, handler = logging.getLogger("seclude"), Keeper()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield kept
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)
    kept.clear()


def test_a_command_starts_and_ends(box: seclude.Sandbox, records: list[Any]) -> None:
    done = box.run(["sh", "-c", "exit 3"])
    started, ended = records
    assert (started.levelname, ended.levelname) == ("DEBUG", "INFO")
    assert started.args_ == ended.args_ == ("sh", "-c", "exit 3")
    assert started.pid == ended.pid
    assert ended.outcome is done.outcome
    assert ended.getMessage() == "ended sh: exited with code 3"


def test_a_refusal_has_its_error(box: seclude.Sandbox, records: list[Any]) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        box.run(["no-such-program"])
    with pytest.raises(seclude.PolicyError) as mistake:
        box.run(["true"], wall_time=-1)
    assert [record.error for record in records] == [caught.value, mistake.value]
    assert records[0].getMessage().startswith("refused no-such-program: execute no-such-program")
    missing = seclude.Sandbox(files=[seclude.bind("/no/such")])
    for start in (missing.cell, lambda: missing.popen(["true"])):
        with pytest.raises(seclude.SetupError) as failed:
            start()
        assert records[-1].error is failed.value
    assert records[-2].args_ is None


def test_an_interaction_is_refused(box: seclude.Sandbox, records: list[Any]) -> None:
    both = [box.command(["true"]), box.command(["no-such-program"])]
    with pytest.raises(seclude.ProgramNotFound):
        seclude.Interaction(both, []).run()
    assert records[-1].error.kind == "program-missing"


FILLS = "head -c 4096 /dev/zero > /tmp/x || exit 1"


@pytest.mark.parametrize(
    ("policy", "words", "kind", "name", "value", "text"),
    [
        ({"wall_time": 0.2}, ["sleep", "1000"], "limit", "wall_time", 200_000_000, "200ms"),
        ({"output": 10}, ["cat", "/dev/zero"], "limit", "output", 10, "10 bytes"),
        (
            {"files": [seclude.tmpfs("/tmp", 4096)]},
            ["sh", "-c", f"{FILLS}; {FILLS.replace('/x', '/y')}"],
            "limit",
            "files",
            4096,
            "scratch space full",
        ),
        (
            {"seccomp": seclude.Seccomp().kill("uname")},
            ["uname"],
            "system-call",
            "uname",
            None,
            "Seccomp.allow('uname')",
        ),
    ],
)
def test_what_decided_the_end_is_a_denial(
    records: list[Any],
    policy: Any,
    words: list[str],
    kind: str,
    name: str,
    value: int | None,
    text: str,
) -> None:
    box = seclude.Sandbox(**policy)
    done = box.run(words, stdout=seclude.PIPE, stderr=seclude.DEVNULL)
    ended, denied = records[-2:]
    assert ended.getMessage() == f"ended {words[0]}: {done.outcome}"
    assert denied.getMessage() == f"denied {words[0]}: {denied.denial}"
    assert (denied.args_, denied.pid) == (tuple(words), ended.pid)
    assert denied.denial == done.outcome.denial
    assert (denied.denial.kind, denied.denial.name, denied.denial.value) == (kind, name, value)
    assert text in str(denied.denial)


def test_what_no_rule_decided_is_no_denial(box: seclude.Sandbox, records: list[Any]) -> None:
    # The last two are refused something, and neither the kernel nor the warden tells of it.
    for script in ("exit 3", "kill -9 $$", "echo x > /usr/x", "mount -t tmpfs x /tmp"):
        done = box.run(["sh", "-c", script], stderr=seclude.DEVNULL)
        assert done.outcome.denial is None
    with box.popen(["sleep", "1000"]) as process:
        process.kill()
    assert not [record for record in records if hasattr(record, "denial")]


def test_output_beyond_what_is_kept_is_a_denial(box: seclude.Sandbox, records: list[Any]) -> None:
    from seclude.exchange import BOUND

    box.run(["head", "-c", str(BOUND + 1), "/dev/zero"], capture_output=True)
    denials = [record.denial for record in records if hasattr(record, "denial")]
    assert [(denial.name, denial.value) for denial in denials] == [("output", BOUND)]


def test_calls_that_a_learned_program_was_refused(box: seclude.Sandbox, records: list[Any]) -> None:
    script = "import os\nfor _ in range(3):\n try: os.chroot('/')\n except OSError: pass"
    learned = box.learn(["python3", "-c", script])
    assert "chroot" in learned.refused
    counts = {record.denial.name: record.denial.value for record in records}
    assert counts == {call: learned.calls[call] for call in learned.refused}
    assert counts["chroot"] == 3
    assert "the system call chroot, refused 3 times" in [record.denial.cause for record in records]


def test_the_denials_of_a_learned_program_are_bounded(
    box: seclude.Sandbox, records: list[Any]
) -> None:
    refused = {f"call{number}": number + 1 for number in range(500)}
    outcome = box.run(["true"]).outcome
    known = seclude.Learned(outcome, b"", b"", refused, frozenset(refused), frozenset(), box)
    records.clear()
    log.learned(["x"], known)
    assert len(records) == 33
    assert records[0].denial.name == "call499"
    assert records[-1].getMessage() == "denied x: 468 more system calls"


def test_the_drop_in_for_subprocess_logs_too(records: list[Any]) -> None:
    boxed = seclude.subprocess.using(seclude.Sandbox(wall_time=0.2))
    boxed.run(["sleep", "1000"])
    assert [record.getMessage().split()[0] for record in records] == ["started", "ended", "denied"]
    assert records[0].pid == records[2].pid
    with pytest.raises(FileNotFoundError) as caught:
        boxed.run(["no-such-program"])
    assert records[-1].error is caught.value
    # The record keeps the error, and with it the frames that hold descriptors.
    caught.value.__traceback__ = None


def test_a_pool_is_full(box: seclude.Sandbox, records: list[Any]) -> None:
    with box.pool(1) as pool, pool.popen(["cat"], stdin=seclude.PIPE):
        with pytest.raises(seclude.TimeoutExpired) as expired:
            pool.popen(["true"], start_timeout=0)
        assert records[-1].error is expired.value
        # Pytest keeps the record. With its error it would keep this frame, and so the pool.
        expired.value.__traceback__ = None


def test_a_record_is_bounded(box: seclude.Sandbox, records: list[Any]) -> None:
    box.run(["echo", "x" * 100_000, *map(str, range(1000))], stdout=seclude.DEVNULL)
    for record in records:
        assert len(record.args_) == 32
        assert max(map(len, record.args_)) == 200
        assert len(record.getMessage()) < 500


def test_nobody_listens(
    box: seclude.Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*_: object) -> None:
        raise AssertionError("a record was made")

    logger = logging.getLogger("seclude")
    caplog.set_level(logging.WARNING, "seclude")
    monkeypatch.setattr(logger, "makeRecord", made)
    box.run(["true"])
    with pytest.raises(FileNotFoundError):
        box.run(["no-such-program"])
    # The control: the same command makes one where somebody listens.
    caplog.set_level(logging.INFO, "seclude")
    with pytest.raises(AssertionError, match="a record was made"):
        box.run(["true"])


SILENT = """
import sys
FIRST
import seclude
box = seclude.Sandbox()
box.run(["true"])
try:
    box.run(["no-such-program"])
except FileNotFoundError:
    print("logging" in sys.modules)
"""


@pytest.mark.parametrize(("first", "imported"), [("", "False"), ("import logging", "True")])
def test_a_program_that_does_not_log(
    python: Callable[..., subprocess.CompletedProcess[str]], first: str, imported: str
) -> None:
    done = python(SILENT.replace("FIRST", first))
    assert (done.stdout.strip(), done.stderr) == (imported, "")
