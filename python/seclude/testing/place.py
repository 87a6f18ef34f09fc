"""Where a test runs: in a sandbox for tests, in which this interpreter finds what it needs.

`Sandbox.for_tests` shows the host's files, but has directories such as `/tmp` of its own. An
environment, a project or a module that lies there would be missing. It is bound at its path.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import seclude

from ..errors import PolicyError, SetupError
from ..keywords import hint
from ..outcome import Outcome
from ..policy import Policy
from ..sandbox import Sandbox
from .channel import Outer

_OWN = ("/tmp", "/run", "/dev/shm")
"""The directories that are private and empty in a sandbox for tests."""
_TEMPORARY = ("TMPDIR", "TMP", "TEMP", "XDG_RUNTIME_DIR", "PYTEST_DEBUG_TEMPROOT")
_GRACE = (signal.SIGABRT, 1)
"""At the end of its wall time a test gets SIGABRT, at which `faulthandler` shows where it hangs."""
DENIED = ("namespaces-denied", "unsupported", "limit-unavailable")


class Denied(Exception):
    """This host does not allow the isolation. The text says why.

    It can be `for_all` tests, or for this one, such as a limit that is not available.
    """

    def __init__(self, error: SetupError) -> None:
        super().__init__(str(error))
        self.for_all = error.kind == "namespaces-denied"


class Ran:
    """What is known after the end of a test's own process."""

    def __init__(self, outcome: Outcome, messages: list[dict[str, Any]], output: str) -> None:
        self.outcome, self.messages, self.output = outcome, messages, output


def sandbox(policy: Mapping[str, Any], needed: Iterable[str | os.PathLike[str]] = ()) -> Sandbox:
    """Return the sandbox for tests with these changes, in which these directories are visible.

    `files` are added to those of the sandbox for tests. Every other key replaces a setting. Raises
    PolicyError if a key or value is wrong.
    """
    for key in policy.keys() - Policy.__optional_keys__:
        remedy = hint(key, Policy.__optional_keys__)
        raise PolicyError(
            f"keyword {key}: is unknown; hint: {remedy}",
            kind="policy",
            step=f"keyword {key}",
            hint=remedy,
        )
    base = Sandbox.for_tests()
    entries = json.loads(base.to_json())["files"]
    changes = dict(policy)
    if changes.get("wall_time") is not None:
        changes.setdefault("wall_time_grace", _GRACE)
    changes["files"] = [
        *_with(entries, _directories(needed)),
        *(policy.get("files") or ()),
    ]
    return base.replace(**cast("Policy", changes))


def _directories(needed: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return what the interpreter and the caller need of the private directories, outer first."""
    interpreter = (os.path.dirname(sys.executable), sys.prefix, sys.base_prefix, sys.exec_prefix)
    named = [os.path.abspath(path) for path in (*interpreter, *sys.path, *needed)]
    # A link is needed as much as what it leads to.
    every = {*named, *map(os.path.realpath, named)}
    return sorted(path for path in every if is_private(path) and os.path.exists(path))


def _with(entries: list[dict[str, Any]], directories: list[str]) -> list[Any]:
    """Return the entries, with writable binds of the directories that they do not show."""
    # A bind has `at` only if that differs from its source.
    bound = [entry.get("at", entry["bind"]) for entry in entries if "bind" in entry]
    shown = [path for path in bound if isinstance(path, str) and is_private(path)]
    result: list[Any] = entries
    for path in directories:
        if any(_is_below(path, one) for one in shown):
            continue
        # If the whole of a private directory is needed, it is not private.
        result = [entry for entry in result if entry.get("tmpfs") != path]
        result.append({"bind": path, "writable": True})
        shown.append(path)
    return result


def is_private(path: str) -> bool:
    """Return whether a sandbox for tests has a directory of its own in which this path lies."""
    return any(_is_below(path, one) for one in _OWN)


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory + "/")


def environment() -> dict[str, str]:
    """Return the caller's environment, without temporary directories that are not there inside."""
    return {
        name: value
        for name, value in os.environ.items()
        if not (name in _TEMPORARY and is_private(os.path.abspath(value)))
    }


def interpreter(*words: str) -> list[str]:
    """Return a command line of this interpreter, with the options that it was started with."""
    # The function is private, but the only one of its kind. Other packages use it, too.
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *flags, *words]


def run(
    box: Sandbox,
    words: Callable[[int], list[str]],
    request: dict[str, Any],
    *,
    cwd: str | os.PathLike[str],
    show: bool,
) -> Ran:
    """Run a test's process to its end. `words` gets the descriptor of the channel.

    With `show`, the output of the process is the caller's. Otherwise it is collected. Raises Denied
    if the host does not allow the isolation.
    """
    with Outer(request) as channel:
        try:
            done = box.run(
                interpreter(*words(channel.fileno())),
                stdin=seclude.DEVNULL,
                stdout=None if show else seclude.PIPE,
                stderr=None if show else seclude.STDOUT,
                cwd=cwd,
                env=environment(),
                pass_fds=[channel.fileno()],
            )
        except SetupError as error:
            if error.kind in DENIED:
                raise Denied(error) from error
            raise
        output = (done.stdout or b"").decode(errors="replace")
        return Ran(done.outcome, channel.messages(), output)
