"""Refuse unknown keywords with an error that suggests the nearest known one.

The error names the function that the user called. Python's own TypeError would name an inner one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields
from typing import Any, Self

_OF_SUBPROCESS = {
    "shell": 'for a shell, run ["sh", "-c", text]',
    "executable": "name the program in args, and in arg0 what it sees as its own name",
    "close_fds": "leave it out: a command gets no descriptors but those of pass_fds and fds",
    "preexec_fn": (
        "the warden starts the command, and cannot call a function of this process; "
        "use cwd, umask, ignore_signals, user, group and rlimits of the sandbox instead"
    ),
}
"""Keywords of `subprocess` that this package does not take, with what to do instead."""

_FUNCTIONS = {
    "Bind": "bind",
    "Directory": "directory",
    "File": "file",
    "Io": "io",
    "Symlink": "symlink",
    "Tmpfs": "tmpfs",
}
"""The public functions that make these values."""


def refuse_unknown(function: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise TypeError for the first keyword that is not known."""
    for keyword in given:
        if keyword not in known:
            raise TypeError(
                f"{function}() keyword {keyword}: is unknown; hint: {hint(keyword, known)}"
            )


def hint(keyword: str, known: Collection[str]) -> str:
    """Return what to write instead of this keyword."""
    from difflib import get_close_matches

    from .command_runner import RUN_OPTIONS
    from .policy import Policy

    if keyword in _OF_SUBPROCESS:
        return _OF_SUBPROCESS[keyword]
    if keyword in Policy.__optional_keys__:
        return f"it is the sandbox's: Sandbox({keyword}=...)"
    if keyword in RUN_OPTIONS:
        return f"it is a command's: run(args, {keyword}=...)"
    near = get_close_matches(keyword, known, 1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"


class KnownKeywords:
    """A base for dataclasses whose constructor refuses unknown keywords with a suggestion."""

    __slots__ = ()

    def __new__(cls, *_: object, **keywords: object) -> Self:
        """Check the keywords before `__init__` does, because its TypeError suggests nothing."""
        if keywords:
            declared: Any = cls
            known = [named.name for named in fields(declared)]
            refuse_unknown(_FUNCTIONS.get(cls.__name__, cls.__name__), keywords, known)
        return super().__new__(cls)
