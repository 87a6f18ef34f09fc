"""The lines of a batch: a line of input that holds a job, and the line of output for it.

An input line is a `Job` as JSON, with an optional `id`. An output line has the number of the input
line, the `id`, and the job's outcome or the error that kept it from running.
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

    from ..collected import Collected
    from ..outcome import CompletedRun


@dataclass(frozen=True, slots=True)
class Line:
    """A non-empty input line, not parsed yet."""

    number: int
    """Its line number, from 1. Empty lines count."""
    text: bytes | None
    """The content, or None if the line is longer than 64 MiB."""
    size: int
    """Its length in bytes, including the newline."""


def numbered(file: IO[bytes]) -> Iterator[Line]:
    """Yield the lines of a file, holding one at a time, none longer than the bound."""
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
    """Return the id and the job of a line.

    If the job is invalid, return the error in its place, so that the id is kept.
    """
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
    """The result of one line of a batch."""

    line: int
    """The line number, from 1."""
    id: str | int | None
    """The `id` in the line, or None."""
    result: CompletedRun | SecludeError
    """The result of the job, or the error that kept it from running.

    Examples of errors are an invalid line, a missing program, or a sandbox that cannot be set up.
    """
    size: int
    """The length of the line in bytes."""

    def to_json(self) -> str:
        """Return the result as one line of JSON.

        The line is ASCII, so that a program's output in it cannot control a terminal.
        """
        record: dict[str, Any] = {"line": self.line}
        if self.id is not None:
            record["id"] = self.id
        record |= (
            _failed(self.result) if isinstance(self.result, SecludeError) else _ended(self.result)
        )
        return json.dumps(record)


def _ended(run: CompletedRun) -> dict[str, Any]:
    outcome = run.outcome
    collected = {} if run.collected is None else {"collected": _left(run.collected)}
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
    } | collected


def _left(collected: Collected) -> dict[str, Any]:
    return {
        "files": [
            {
                "path": _text(path),
                "contents": _text(data),
                "permissions": collected.permissions[path],
            }
            for path, data in collected.contents.items()
        ],
        "entries": collected.entries,
        "bytes": collected.bytes,
        "skipped": list(map(_text, collected.skipped)),
        "unmatched": list(map(_text, collected.unmatched)),
        "error": None if collected.error is None else _failed(collected.error)["error"],
    }


def _failed(error: SecludeError) -> dict[str, Any]:
    record = {name: getattr(error, name) for name in ("kind", "step", "errno", "path", "hint")}
    return {"error": {"message": str(error)} | record}
