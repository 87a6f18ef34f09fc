"""A policy's keys, and how their values become the text that the core reads: the one way in, so that Python, JSON, TOML
and the other languages mean and refuse the same things in the same words.
"""

from __future__ import annotations

import json
import os
from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from math import isfinite
from typing import Any, TypeAlias, TypedDict

import seclude

from .errors import PolicyError
from .part import Part
from .vocabulary import Clock, LimitName, NamespaceKind, Path, Profile

Limit: TypeAlias = int | str
"""A number, a size as text ("64M"), or "unlimited"."""


class Policy(TypedDict, total=False):
    """The keys of a policy, all optional. `Sandbox`'s documentation says what each means."""

    share: Iterable[NamespaceKind] | None
    unshare: Iterable[NamespaceKind] | None
    hostname: str | None
    domainname: str | None
    clock_offsets: Mapping[Clock, int] | None
    uid: int | None
    gid: int | None
    user: str | None
    home: Path | None
    host_ids: int | None
    root: Path | None
    empty_root: bool | None
    etc: Iterable[str] | None
    writable_root: bool | None
    terminals: bool | None
    files: Iterable[seclude.Entry | Mapping[str, Any]] | None
    nested: bool | None
    seccomp: Profile | seclude.Seccomp | Mapping[str, Any] | None
    seccomp_bpf: Iterable[bytes] | None
    landlock: bool | None
    tcp_bind: Iterable[int] | None
    tcp_connect: Iterable[int] | None
    rlimits: Mapping[str, Limit | tuple[Limit, Limit]] | None
    memory: int | str | None
    swap: int | str | None
    cpu_time: float | str | None
    cpus: float | None
    cpu_weight: int | None
    cpu_set: Iterable[int] | None
    pids: int | None
    io: Iterable[seclude.Io | Mapping[str, Any]] | None
    output: int | str | None
    wall_time: float | str | None
    wall_time_grace: tuple[int, float | str] | Mapping[str, Any] | None
    require: Iterable[LimitName] | None
    best_effort: Iterable[LimitName] | None
    cgroup: Path | None
    warden: Path | None


def as_json(policy: Mapping[str, Any]) -> str:
    """The policy as JSON. A key whose value is None is left out: its default holds."""
    given = {key: _plain(value) for key, value in policy.items() if value is not None}
    for key, value in given.items():
        _finite(key, value)
    match given.get("wall_time_grace"):
        case [sig, time]:
            given["wall_time_grace"] = {"signal": sig, "time": time}
    return json.dumps(given)


def _finite(key: str, value: Any) -> None:
    """Refuses the numbers that JSON has no words for, before its reader does in words of its own."""
    match value:
        case float() if not isfinite(value):
            raise _no_number(key, value)
        case int() if value.bit_length() > 1023:
            raise _no_number(key, "an integer of more than 1023 bits")
        case dict():
            for name, item in value.items():
                _finite(f"{key}.{name}", item)
        case list():
            for item in value:
                _finite(key, item)


def _no_number(key: str, value: Any) -> PolicyError:
    hint = "what is not limited is left out, or None"
    message = f"policy key {key}: {value} is not a number that a policy can hold; hint: {hint}"
    return PolicyError(message, kind="policy", step=f"policy key {key}", hint=hint)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str() | bytes() | os.PathLike():
            return _text(value)
        case Part():
            return _plain(value.policy())
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case AbstractSet():
            return sorted(value)
        case Iterable():
            return [_plain(item) for item in value]
        case _:
            raise TypeError(f"a policy cannot hold a {type(value).__name__}: {value!r}")


def _text(value: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str | dict[str, str]:
    """Text as it is; bytes that are not UTF-8, and text that stands for such bytes (PEP 383), in base64."""
    data = os.fsencode(value)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b2a_base64(data, newline=False).decode()}
