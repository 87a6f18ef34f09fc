"""The exceptions, each with two parents: seclude's own, and the one that existing handlers of `subprocess` know.

The native half raises the first five. All of them survive pickling, so that they cross from a worker process whole.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .outcome import Outcome


class SecludeError(Exception):
    """The parent of all: something was refused, or could not be done.

    `kind` is the cause by name, the same in every language: `invalid`, `policy`, `source-missing`, `source-unreadable`,
    `program-missing`, `program-not-executable`, `program-format`, `interpreter-missing`, `namespaces-denied`,
    `host-limit`, `limit-unavailable` (a limit that this host cannot hold), `unsupported`, `setup`, `warden-lost` (before the
    command ran; later it is an outcome), `io`; and from Python itself `timeout`, `failed` and `worker-lost` (a `Cluster`'s).
    `step` is what was being done, `errno` the kernel's answer (`errno(3)`), `path` what it was about, `hint` the remedy;
    each is None where there is none. `str()` says it all in one line.
    """

    kind: str
    step: str | None
    # Not annotated as an attribute of its own: in `SetupError` it is OSError's.
    errno: Any
    path: str | None
    hint: str | None

    def __init__(
        self,
        message: str = "",
        *,
        kind: str = "setup",
        step: str | None = None,
        errno: int | None = None,
        path: str | None = None,
        hint: str | None = None,
    ) -> None:
        # Not super(): the second parents want arguments of their own, and their attributes are set one by one.
        Exception.__init__(self, message)
        self.kind, self.step, self.errno, self.path, self.hint = kind, step, errno, path, hint

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: getattr(self, name) for name in ("kind", "step", "errno", "path", "hint")}
        return _restore, (type(self), self.args, fields, self.__dict__)


class PolicyError(SecludeError, ValueError):
    """A policy or a command says something that makes no sense. Nothing was started."""


class SetupError(SecludeError, OSError):
    """The system refused a step: of the sandbox's set-up, or of the caller's own side. The command did not run, or was lost.

    `errno`, `strerror` and `filename` are as for any OSError.
    """

    def __init__(self, message: str = "", *, errno: int | None = None, path: str | None = None, **fields: Any) -> None:
        super().__init__(message, errno=errno, path=path, **fields)
        self.filename = path
        if errno is not None:
            from os import strerror

            self.strerror = strerror(errno)


class ProgramNotFound(SetupError, FileNotFoundError):
    """There is no such program inside the sandbox, or no interpreter that it names."""


class ProgramNotExecutable(SetupError, PermissionError):
    """The program exists inside the sandbox but may not be executed."""


class TimeoutExpired(SecludeError, subprocess.TimeoutExpired):
    """The caller's timeout was over before the command ended: `cmd`, `timeout`, `output` (or `stdout`), `stderr`.

    From `run` the command is dead, and `outcome` says so; from `Popen.wait` and `communicate` it still runs, and
    `outcome` is None. It is None, too, where no place in a pool came free in time: nothing was
    started then. The sandbox's `wall_time` is another thing: it ends the command, and is an outcome, not an error.
    """

    outcome: Outcome | None

    def __init__(
        self, cmd: Any, timeout: float, output: Any = None, stderr: Any = None, *, outcome: Outcome | None = None
    ) -> None:
        super().__init__(str(cmd), kind="timeout", step="wait")
        self.cmd, self.timeout, self.output, self.stderr = cmd, timeout, output, stderr
        self.outcome = outcome

    __str__ = subprocess.TimeoutExpired.__str__


class CalledProcessError(SecludeError, subprocess.CalledProcessError):
    """`check` was asked for and the command did not exit with 0: `returncode`, `cmd`, `output` (or `stdout`), `stderr`,
    and `outcome`, which tells a limit from a signal.
    """

    outcome: Outcome | None

    def __init__(
        self, returncode: int, cmd: Any, output: Any = None, stderr: Any = None, *, outcome: Outcome | None = None
    ) -> None:
        super().__init__(str(cmd), kind="failed", step="run")
        self.returncode, self.cmd, self.output, self.stderr = returncode, cmd, output, stderr
        self.outcome = outcome

    def __str__(self) -> str:
        ended = f": {self.outcome.ended}" if self.outcome else ""
        return subprocess.CalledProcessError.__str__(self).removesuffix(".") + ended


def _restore(kind: type[SecludeError], args: tuple[Any, ...], fields: dict[str, Any], state: dict[str, Any]) -> SecludeError:
    """An exception as it was, without its class's own constructor: the attributes say everything."""
    error = kind.__new__(kind, *args)
    if isinstance(error, SetupError):
        SetupError.__init__(error, *args, **fields)
    else:
        SecludeError.__init__(error, *args, **fields)
    error.__dict__.update(state)
    return error
