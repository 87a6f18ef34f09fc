r"""Runs a program alone, in its own Linux namespaces, inside limits the caller sets, and says exactly how it ended.

A `Sandbox` is a policy; `run` and `Popen` start a command in it with `subprocess`'s names, defaults and exceptions; an
`Outcome` says how it ended, what it used and what was enforced.

    >>> import seclude
    >>> box = seclude.Sandbox(wall_time=5)
    >>> box.run(["echo", "hello"], capture_output=True, text=True).stdout
    'hello\n'

Importing this does nothing and starts nothing.
"""

from subprocess import DEVNULL, PIPE, STDOUT
from typing import TYPE_CHECKING

from ._seclude import __version__
from .cell import Cell
from .command import PTY
from .doctor import Check, Report, doctor
from .errors import (
    CalledProcessError,
    PolicyError,
    ProgramNotExecutable,
    ProgramNotFound,
    SecludeError,
    SetupError,
    TimeoutExpired,
)
from .files import Bind, Directory, Entry, File, Symlink, Tmpfs, bind, directory, file, symlink, tmpfs
from .interaction import Command, Interaction, interact
from .join import Joined, NamedCell, cells, enter, persist, release
from .namespaces import LiveNamespace, Namespaces, namespaces
from .outcome import CompletedRun, Ended, Outcome, Pressure, Process, Usage
from .policy import Policy
from .popen import Popen
from .rates import Io, io
from .sandbox import Sandbox
from .seccomp import Learned, Listener, Seccomp, Test
from .terminal import Terminal, raw_mode
from .transfer import Copied, copy

if TYPE_CHECKING:
    from .job import Job
    from .pool import Pool, PoolStatistics

__all__ = [
    "DEVNULL",
    "PIPE",
    "PTY",
    "STDOUT",
    "Bind",
    "CalledProcessError",
    "Cell",
    "Check",
    "Command",
    "CompletedRun",
    "Copied",
    "Directory",
    "Ended",
    "Entry",
    "File",
    "Interaction",
    "Io",
    "Job",
    "Joined",
    "Learned",
    "Listener",
    "LiveNamespace",
    "NamedCell",
    "Namespaces",
    "Outcome",
    "Policy",
    "PolicyError",
    "Pool",
    "PoolStatistics",
    "Popen",
    "Pressure",
    "Process",
    "ProgramNotExecutable",
    "ProgramNotFound",
    "Report",
    "Sandbox",
    "Seccomp",
    "SecludeError",
    "SetupError",
    "Symlink",
    "Terminal",
    "Test",
    "TimeoutExpired",
    "Tmpfs",
    "Usage",
    "__version__",
    "bind",
    "cells",
    "copy",
    "directory",
    "doctor",
    "enter",
    "file",
    "interact",
    "io",
    "namespaces",
    "persist",
    "raw_mode",
    "release",
    "symlink",
    "tmpfs",
]

# What takes `concurrent.futures`, which is a good part of what an import costs, comes when it is asked for.
_LATER = {"Job": "job", "Pool": "pool", "PoolStatistics": "pool"}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
