"""The two ends of a batch: a line that says a job, and the line that says what came of it.

A line in is a `Job` as JSON, with an `id` besides, if its writer wants to know it again. A line out has the number of the
line in, the `id`, and either how the job ended or the error that kept it from running.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from types import NoneType
from typing import IO, TYPE_CHECKING, Any

from ..errors import PolicyError, SecludeError
from ..exchange import BOUND
from ..job import Job, _object, _wrong
from ..policy import _text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..outcome import CompletedRun


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not empty, not yet understood."""

    number: int
    """Its place in the file, from 1 on; empty lines count."""
    text: bytes | None
    """None if it is longer than 64 MiB, which no sensible job is."""
    size: int
    """Its bytes, the newline included."""


def numbered(file: IO[bytes]) -> Iterator[Line]:
    """The lines of a file, one held at a time, none longer than the bound."""
    number = 0
    while text := file.readline(BOUND):
        number += 1
        size, whole = len(text), True
        while not text.endswith(b"\n") and (text_on := file.readline(BOUND)):
            size, whole, text = size + len(text_on), False, text_on
        if not whole:
            yield Line(number, None, size)
        elif text.strip():
            yield Line(number, text, size)


def understood(line: Line) -> tuple[str | int | None, Job | PolicyError]:
    """The id and the job that a line says; an error in the job's place, so that the id is not lost with it."""
    name = None
    try:
        if line.text is None:
            raise _wrong(f"the line is longer than {BOUND} bytes")
        given = _object(line.text)
        named = given.pop("id", None)
        if isinstance(named, bool) or not isinstance(named, (str, int, NoneType)):
            raise _wrong("id: text or a whole number was expected")
        name = named
        return name, Job._of(given)
    except PolicyError as error:
        return name, error


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one line of a batch."""

    line: int
    """The number of the line, from 1 on."""
    id: str | int | None
    """What the line calls its job; None if it says nothing."""
    result: CompletedRun | SecludeError
    """How the job ended; or why it could not be run: no job in the line, no such program, no sandbox to be had."""
    size: int
    """The bytes of the line."""

    def to_json(self) -> str:
        """As one line of JSON, in ASCII: whatever a program prints, a terminal obeys nothing of it."""
        told: dict[str, Any] = {"line": self.line}
        if self.id is not None:
            told["id"] = self.id
        told |= (
            _failed(self.result) if isinstance(self.result, SecludeError) else _ended(self.result)
        )
        return json.dumps(told)


def _ended(run: CompletedRun) -> dict[str, Any]:
    outcome = run.outcome
    return {
        "ended": outcome.ended.name,
        "value": outcome.ended.value,
        "outcome": str(outcome),
        "returncode": outcome.returncode,
        "status": outcome.status,
        "stdout": _text(run.stdout),
        "stderr": _text(run.stderr),
        "limit": outcome.limit,
        "usage": asdict(outcome.usage),
        "limits": dict(outcome.limits),
        "enforced": sorted(outcome.enforced),
        "landlock_abi": outcome.landlock_abi,
    }


def _failed(error: SecludeError) -> dict[str, Any]:
    told = {name: getattr(error, name) for name in ("kind", "step", "errno", "path", "hint")}
    return {"error": {"message": str(error)} | told}
