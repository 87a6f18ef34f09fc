r"""Run programs in isolated Linux namespaces, with limits, and report exactly how they ended.

A `Sandbox` holds a policy. Its `run` and `Popen` methods start a command under that policy, with
the names, defaults and exceptions of `subprocess`. An `Outcome` reports how the command ended, what
it used and which protections were active.

    >>> import seclude
    >>> box = seclude.Sandbox(wall_time=5)
    >>> box.run(["echo", "hello"], capture_output=True, text=True).stdout
    'hello\n'

Importing the package loads the native extension and starts no thread or process. Each public name
is imported on first access.
"""

# Raises ImportError in a subinterpreter: the extension's types belong to the main interpreter.
from . import _seclude as _seclude

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import DEVNULL, PIPE, STDOUT

    from . import aio as aio
    from . import command_runner as command_runner
    from . import loops as loops
    from . import popen as popen
    from . import subprocess as subprocess
    from ._seclude import __version__
    from .cell import Cell
    from .collected import Collected
    from .command import PTY
    from .denial import Denial
    from .egress import Attempt, EgressReport, PublishedPort
    from .errors import (
        CalledProcessError,
        PolicyError,
        ProgramNotExecutable,
        ProgramNotFound,
        SecludeError,
        SetupError,
        TimeoutExpired,
    )
    from .executor import Executor, JobDied, RemoteError

    # faces: begin entries as imports
    from .files import (
        Bind,
        Chmod,
        Dev,
        Directory,
        DiskImage,
        Entry,
        File,
        Mqueue,
        Overlay,
        Proc,
        ReadOnly,
        Symlink,
        Sys,
        Tmpfs,
        bind,
        chmod,
        dev,
        directory,
        diskimage,
        file,
        mqueue,
        overlay,
        proc,
        readonly,
        symlink,
        sys,
        tmpfs,
    )

    # faces: end
    from .host import Check, Report, doctor
    from .image import Change, Freed, Image, Store, StoredImage
    from .interaction import Command, Interaction, interact
    from .interpreter import Execution, Interpreter, InterpreterError, InterpreterLost
    from .job import Job
    from .join import Joined, NamedCell, cells, enter, persist, release
    from .namespace_list import LiveNamespace, Namespaces, namespaces
    from .network import Member, Network, Traffic
    from .outcome import CompletedRun, Ended, Outcome, Pressure, Process, Usage
    from .policy import Policy
    from .pool import NetworkStatistics, Pool, PoolStatistics, RetiredNetwork
    from .popen import Popen
    from .rates import Io, io
    from .sandbox import Sandbox
    from .seccomp import Learned, Listener, Seccomp, Test
    from .terminal import Terminal, raw_mode
    from .transfer import Copied, copy

__all__ = [
    "DEVNULL",
    "PIPE",
    "PTY",
    "STDOUT",
    "Attempt",
    "CalledProcessError",
    "Cell",
    "Change",
    "Check",
    "Collected",
    "Command",
    "CompletedRun",
    "Copied",
    "Denial",
    "EgressReport",
    "Ended",
    "Execution",
    "Executor",
    "Freed",
    "Image",
    "Interaction",
    "Interpreter",
    "InterpreterError",
    "InterpreterLost",
    "Io",
    "Job",
    "JobDied",
    "Joined",
    "Learned",
    "Listener",
    "LiveNamespace",
    "Member",
    "NamedCell",
    "Namespaces",
    "Network",
    "NetworkStatistics",
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
    "PublishedPort",
    "RemoteError",
    "Report",
    "RetiredNetwork",
    "Sandbox",
    "Seccomp",
    "SecludeError",
    "SetupError",
    "Store",
    "StoredImage",
    "Terminal",
    "Test",
    "TimeoutExpired",
    "Traffic",
    "Usage",
    "__version__",
    "cells",
    "copy",
    "doctor",
    "enter",
    "interact",
    "io",
    "namespaces",
    "persist",
    "raw_mode",
    "release",
]
# faces: begin entries as public names
__all__ += [
    "Bind",
    "Chmod",
    "Dev",
    "Directory",
    "DiskImage",
    "Entry",
    "File",
    "Mqueue",
    "Overlay",
    "Proc",
    "ReadOnly",
    "Symlink",
    "Sys",
    "Tmpfs",
    "bind",
    "chmod",
    "dev",
    "directory",
    "diskimage",
    "file",
    "mqueue",
    "overlay",
    "proc",
    "readonly",
    "symlink",
    "sys",
    "tmpfs",
]
# faces: end

# The module that defines each public name. Modules load on first access to keep the import fast.
_HOMES = {
    "subprocess": "DEVNULL PIPE STDOUT",
    "._seclude": "__version__",
    ".cell": "Cell",
    ".collected": "Collected",
    ".command": "PTY",
    ".denial": "Denial",
    ".errors": (
        "CalledProcessError PolicyError ProgramNotExecutable ProgramNotFound SecludeError"
        " SetupError TimeoutExpired"
    ),
    # faces: begin entries with their module
    ".files": (
        "Bind Chmod Dev Directory DiskImage Entry File Mqueue Overlay Proc ReadOnly Symlink Sys"
        " Tmpfs bind chmod dev directory diskimage file mqueue overlay proc readonly symlink sys"
        " tmpfs"
    ),
    # faces: end
    ".egress": "Attempt EgressReport PublishedPort",
    ".executor": "Executor JobDied RemoteError",
    ".host": "Check Report doctor",
    ".image": "Change Freed Image Store StoredImage",
    ".interaction": "Command Interaction interact",
    ".interpreter": "Execution Interpreter InterpreterError InterpreterLost",
    ".job": "Job",
    ".join": "Joined NamedCell cells enter persist release",
    ".namespace_list": "LiveNamespace Namespaces namespaces",
    ".network": "Member Network Traffic",
    ".outcome": "CompletedRun Ended Outcome Pressure Process Usage",
    ".policy": "Policy",
    ".pool": "NetworkStatistics Pool PoolStatistics RetiredNetwork",
    ".popen": "Popen",
    ".rates": "Io io",
    ".sandbox": "Sandbox",
    ".seccomp": "Learned Listener Seccomp Test",
    ".terminal": "Terminal raw_mode",
    ".transfer": "Copied copy",
}
# Modules that annotations of this package refer to by their full name, and the public `subprocess`.
_MODULES = ("aio", "command_runner", "loops", "popen", "subprocess")
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
