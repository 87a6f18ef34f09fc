"""A job: one command as plain data, to be stored, compared, or sent to another process or machine.

A job holds nothing that belongs to a process, such as descriptors: its input is data, and its
output is collected. The policy that runs it decides what it may see and use.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from subprocess import DEVNULL
from typing import Any, Self

import seclude

from .command import (
    COLLECT_BYTES,
    COLLECT_ENTRIES,
    Args,
    Text,
    count,
    encoded,
    patterns,
    seconds,
    size,
    variables,
    words,
)
from .errors import PolicyError
from .keywords import KnownKeywords
from .policy import _text


@dataclass(frozen=True, slots=True, init=False)
class Job(KnownKeywords):
    r"""A command as a value: immutable, comparable, picklable, and writable as a line of JSON.

    `args` is the program and its arguments, or the program alone. `input` is written to its stdin:
    bytes, or text, encoded as UTF-8. `cwd`, `env`, `arg0`, `wall_time`, `memory`, `cpu_time`,
    `pids`, `collect`, `collect_bytes` and `collect_entries` are those of `Popen`.

    The constructor normalizes its arguments, so that jobs that do the same are equal: words become
    text (as by `os.fsdecode`) and the input becomes bytes.

        >>> import seclude
        >>> job = seclude.Job(["tr", "a-z", "A-Z"], input="hello")
        >>> job.run(seclude.Sandbox()).stdout
        b'HELLO'
        >>> seclude.Job.from_json(job.to_json()) == job
        True
    """

    args: tuple[str, ...]
    input: bytes
    cwd: str | None
    env: Mapping[str, str] | None = field(hash=False)
    """The whole environment. If None: PATH, HOME, LANG and TMPDIR."""
    arg0: str | None
    wall_time: float | None
    """Wall time in seconds, instead of the policy's limit."""
    memory: int | None
    """Bytes of memory that the job may use of the policy's `memory`."""
    cpu_time: float | None
    """Seconds of processor time that the job may use of the policy's `cpu_time`."""
    pids: int | None
    """Processes and threads that the job may have of the policy's `pids`."""
    collect: tuple[str, ...]
    """Patterns of the files to collect when the job has ended, as for `run`."""
    collect_bytes: int
    """The most bytes to collect. Default: 64 MiB."""
    collect_entries: int
    """The most files and directories to collect. Default: 1000."""

    def __init__(
        self,
        args: Args,
        *,
        input: str | bytes = b"",  # noqa: A002
        cwd: Text | None = None,
        env: Mapping[str, Text] | Mapping[bytes, Text] | None = None,
        arg0: Text | None = None,
        wall_time: float | str | None = None,
        memory: int | str | None = None,
        cpu_time: float | str | None = None,
        pids: int | None = None,
        collect: Text | Iterable[Text] | None = None,
        collect_bytes: int | str = COLLECT_BYTES,
        collect_entries: int = COLLECT_ENTRIES,
    ) -> None:
        given: dict[str, Any] = {
            "args": tuple(os.fsdecode(word) for word in words(args)),
            "input": input.encode() if isinstance(input, str) else bytes(memoryview(input)),
            "cwd": None if cwd is None else _same("cwd", cwd),
            "env": None
            if env is None
            else {os.fsdecode(name): os.fsdecode(value) for name, value in variables(env)},
            "arg0": None if arg0 is None else _same("arg0", arg0),
            "wall_time": seconds("wall_time", wall_time),
            "memory": None if memory is None else size("memory", memory),
            "cpu_time": seconds("cpu_time", cpu_time),
            "pids": None if pids is None else count("pids", pids, 64),
            "collect": tuple(_same("collect", pattern) for pattern in patterns(collect)),
            "collect_bytes": size("collect_bytes", collect_bytes),
            "collect_entries": count("collect_entries", collect_entries, 64),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def run(self, place: seclude.command_runner.CommandRunner) -> seclude.CompletedRun:
        """Run the job in a sandbox, cell or pool and return the result, with output as bytes.

        Without input, stdin is empty. A job that writes more than `output`, or 64 MiB by default,
        to a stream is killed and ends as `output-limit`.
        """
        options: seclude.popen.PopenOptions = {"cwd": self.cwd, "env": self.env, "arg0": self.arg0}
        options |= {
            "wall_time": self.wall_time,
            "memory": self.memory,
            "cpu_time": self.cpu_time,
            "pids": self.pids,
            "collect": self.collect,
            "collect_bytes": self.collect_bytes,
            "collect_entries": self.collect_entries,
        }
        if not self.input:
            options["stdin"] = DEVNULL
        return place.run(self.args, input=self.input or None, capture_output=True, **options)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the job of a JSON object.

        The keys are those of this class; only `args` is required. Data that is not UTF-8 is written
        as `{"base64": "..."}`, as in policies. Raises PolicyError if the text is not a valid job.
        """
        return cls._of(_object(text))

    def to_json(self) -> str:
        """Return the job as one line of JSON, without the keys that have their default."""
        record: dict[str, Any] = {"args": [_text(word) for word in self.args]}
        if self.input:
            record["input"] = _text(self.input)
        if self.env is not None:
            record["env"] = {_name(name): _text(value) for name, value in self.env.items()}
        record |= {
            name: _text(value)
            for name in ("cwd", "arg0")
            if (value := getattr(self, name)) is not None
        }
        record |= {name: value for name in _LIMITS if (value := getattr(self, name)) is not None}
        if self.collect:
            record["collect"] = [_text(pattern) for pattern in self.collect]
        record |= {
            name: value
            for name, usual in _BOUNDS.items()
            if (value := getattr(self, name)) != usual
        }
        return json.dumps(record)

    @classmethod
    def _of(cls, given: dict[str, Any]) -> Self:
        """Return the job with these JSON keys and values."""
        for key in given:
            if key not in _KEYS:
                raise _wrong(f"unknown key {key!r}{_nearest(key)}")
        if "args" not in given:
            raise _wrong("there is no key 'args'")
        read = {
            key: _READERS[key](key, value)
            for key, value in given.items()
            if value is not None or key == "args"
        }
        try:
            return cls(**read)
        except (ValueError, OverflowError) as error:
            raise _wrong(str(error)) from None


def _same(what: str, value: Text) -> str:
    """Return a word as text that `os.fsencode` converts back to the same bytes."""
    return os.fsdecode(encoded(what, value))


def _object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object."""
    try:
        given = json.loads(text if isinstance(text, str) else text.decode())
    except json.JSONDecodeError as error:
        raise _wrong(f"no JSON: {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:
        raise _wrong(f"no JSON: {error}") from None
    if not isinstance(given, dict):
        raise _wrong(f"a JSON object was expected, not {_kind(given)}")
    return given


def _word(key: str, value: Any) -> str | bytes:
    match value:
        case str():
            return value
        case {"base64": str(encoded), **rest} if not rest:
            try:
                return b64decode(encoded, validate=True)
            except ValueError as error:
                raise _wrong(f"{key}: no base64: {error}") from None
    raise _wrong(f'{key}: text, or {{"base64": "..."}}, was expected, not {_kind(value)}')


def _words(key: str, value: Any) -> Any:
    return [_word(key, word) for word in value] if isinstance(value, list) else _word(key, value)


def _environment(key: str, value: Any) -> Any:
    if not isinstance(value, dict):
        raise _wrong(f"{key}: an object was expected, not {_kind(value)}")
    return {name: _word(f"{key} {name}", text) for name, text in value.items()}


def _seconds(key: str, value: Any) -> float | str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(f"{key}: a number of seconds was expected, not {_kind(value)}")
    return value


def _size(key: str, value: Any) -> int | str:
    return value if isinstance(value, str) else _number(key, value)


def _number(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        found = value if isinstance(value, float) else _kind(value)
        raise _wrong(f"{key}: a whole number was expected, not {found}")
    return value


_LIMITS: dict[str, Any] = {
    "wall_time": _seconds,
    "memory": _size,
    "cpu_time": _seconds,
    "pids": _number,
}
_BOUNDS = {"collect_bytes": COLLECT_BYTES, "collect_entries": COLLECT_ENTRIES}
_READERS: dict[str, Any] = {
    "args": _words,
    "input": _word,
    "cwd": _word,
    "env": _environment,
    "arg0": _word,
    **_LIMITS,
    "collect": _words,
    "collect_bytes": _size,
    "collect_entries": _number,
}
_KEYS = tuple(named.name for named in fields(Job))


def _name(name: str) -> str:
    """Check that a variable's name is UTF-8, because a JSON key cannot be in base64."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise _wrong(f"env {name!r}: a name that is not UTF-8 cannot be written in JSON") from None
    return name


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")


def _nearest(key: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, _KEYS, 1)
    return f"; hint: did you mean {near[0]!r}?" if near else f"; the keys are {', '.join(_KEYS)}"


def _wrong(message: str) -> PolicyError:
    return PolicyError(f"read a job: {message}", kind="invalid", step="read a job")
