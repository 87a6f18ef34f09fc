"""The logger `seclude`: what it tells, with the values themselves, and what it costs if unused."""

from __future__ import annotations

import logging
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import seclude

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
