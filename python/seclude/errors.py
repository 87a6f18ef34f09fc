"""The exceptions. Each also derives from the class that handlers for `subprocess` catch.

The native extension raises the first five. All can be pickled and copied without loss. Task queues
can also rebuild them from `args` alone: `type(error)(*error.args)`.
"""

from __future__ import annotations

import subprocess
from typing import Any, ClassVar, Self

import seclude

from .vocabulary import Step


class SecludeError(Exception):
    """The base class of all exceptions of this package.

    `kind` names the cause and is the same in every language: `invalid`, `policy`, `source-missing`,
    `source-unreadable`, `program-missing`, `program-not-executable`, `program-format`,
    `interpreter-missing`, `namespaces-denied`, `host-limit`, `limit-unavailable` (this host cannot
    enforce a limit), `unsupported`, `setup`, `warden-lost` (before the command ran; later it is an
    outcome), `io`. Python adds `timeout`, `failed` and `worker-lost` (of a `Cluster`).

    `step` is the action that failed, and `step_kind` its kind if it is a step of the set-up or of
    the start (`docs/errors.md`). `errno` is the error number of the kernel (`errno(3)`), `path` the
    file concerned, and `hint` a remedy. Each is None if it does not apply. `str()` gives the
    whole message in one line.

    An exception with an `errno` is also an OSError of the class that Python has for that number.
    For example, a missing working directory raises a FileNotFoundError, as in `subprocess`. Then
    `strerror` and `filename` are set as on any OSError.

    `args` is the message, or the number and the message if there is an `errno`.
    """

    kind: str
    step: str | None
    step_kind: Step | None
    # Not annotated as an attribute of its own: in `SetupError` OSError defines it.
    errno: Any
    path: str | None
    hint: str | None

    _kind: ClassVar[str] = "setup"
    """The kind if the constructor gets none."""

    def __new__(cls, *args: Any, errno: int | None = None, **_fields: Any) -> Self:
        """Create an exception that is also an OSError if there is an error number."""
        number = _number(args) if errno is None else errno
        chosen: Any = cls
        if number is not None:
            chosen = _as_os_error(chosen, number)
        # Not super(), which finds ValueError for a PolicyError. If OSError is a parent, the memory
        # layout is OSError's, and only its __new__ works.
        return (OSError if issubclass(chosen, OSError) else Exception).__new__(chosen, *args)  # type: ignore[no-any-return]

    def __init__(
        self,
        *args: Any,
        kind: str | None = None,
        step: str | None = None,
        step_kind: Step | None = None,
        errno: int | None = None,
        path: str | None = None,
        hint: str | None = None,
    ) -> None:
        # Not super(): the other parents require arguments of their own. Their attributes are set
        # one by one instead.
        number = _number(args)
        message = args[0] if args and number is None else args[1] if args else ""
        errno = number if errno is None else errno
        self.args = (message,) if errno is None else (errno, message)
        self.kind, self.step, self.step_kind = kind or self._kind, step, step_kind
        self.errno, self.path, self.hint = errno, path, hint
        if errno is not None or isinstance(self, SetupError):
            _complete(self)

    def __str__(self) -> str:
        return str(self.args[-1]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        declared = vars(type(self)).get("_declared", type(self))
        fields = {
            name: getattr(self, name)
            for name in ("kind", "step", "step_kind", "errno", "path", "hint")
        }
        return _restore, (declared, self.args, fields, self.__dict__)


class PolicyError(SecludeError, ValueError):
    """A policy or command is invalid. Nothing was started."""

    _kind = "invalid"


class SetupError(SecludeError, OSError):
    """A step failed in the sandbox's set-up or on the caller's side.

    The command did not run, or was lost.
    """


class ProgramNotFound(SetupError, FileNotFoundError):
    """The program, or the interpreter that it names, does not exist inside the sandbox."""

    _kind = "program-missing"


class ProgramNotExecutable(SetupError, PermissionError):
    """The program exists inside the sandbox but may not be executed."""

    _kind = "program-not-executable"


class TimeoutExpired(SecludeError, subprocess.TimeoutExpired):
    """The caller's timeout expired before the command ended.

    The attributes are `cmd`, `timeout`, `output` (or `stdout`), `stderr` and `outcome`.

    Raised by `run`, the command was killed and `outcome` reports its end. Raised by `Popen.wait` or
    `communicate`, the command still runs and `outcome` is None. If a pool had no free place in
    time, nothing was started and `outcome` is None. The sandbox's `wall_time` never raises this: it
    ends the command, which is an outcome.
    """

    outcome: seclude.Outcome | None

    def __new__(cls, *args: Any, **_fields: Any) -> Self:
        """Create the exception; its first argument may be a number that is not an errno."""
        return Exception.__new__(cls, *args)

    def __init__(
        self,
        cmd: Any,
        timeout: float,
        output: Any = None,
        stderr: Any = None,
        *,
        outcome: seclude.Outcome | None = None,
    ) -> None:
        super().__init__(str(cmd), kind="timeout", step="wait")
        self.args = (cmd, timeout)
        self.cmd, self.timeout, self.output, self.stderr = cmd, timeout, output, stderr
        self.outcome = outcome

    __str__ = subprocess.TimeoutExpired.__str__


class CalledProcessError(SecludeError, subprocess.CalledProcessError):
    """The command did not exit with 0, and the caller had asked for `check`.

    The attributes are `returncode`, `cmd`, `output` (or `stdout`), `stderr`, and `outcome`, which
    distinguishes a limit from a signal.
    """

    outcome: seclude.Outcome | None

    def __new__(cls, *args: Any, **_fields: Any) -> Self:
        """Create the exception; its first argument may be a number that is not an errno."""
        return Exception.__new__(cls, *args)

    def __init__(
        self,
        returncode: int,
        cmd: Any,
        output: Any = None,
        stderr: Any = None,
        *,
        outcome: seclude.Outcome | None = None,
    ) -> None:
        super().__init__(str(cmd), kind="failed", step="run")
        self.args = (returncode, cmd)
        self.returncode, self.cmd, self.output, self.stderr = returncode, cmd, output, stderr
        self.outcome = outcome

    def __str__(self) -> str:
        ended = f": {self.outcome.ended}" if self.outcome else ""
        return subprocess.CalledProcessError.__str__(self).removesuffix(".") + ended


def _complete(error: Any) -> None:
    """Set the remaining attributes of an OSError."""
    error.filename = error.path
    if error.errno is not None:
        from os import strerror

        error.strerror = strerror(error.errno)


def _number(args: tuple[Any, ...]) -> int | None:
    """Return the error number if `args` begins with one, as in an OSError."""
    return args[0] if len(args) > 1 and isinstance(args[0], int) else None


_both: dict[tuple[type[Any], type[OSError]], type[Any]] = {}


def _as_os_error(declared: type[Any], errno: int) -> type[Any]:
    """Return a class that derives from `declared` and from Python's class for this number.

    It has the name of `declared` and is pickled as that.
    """
    kind = type(OSError(errno, ""))
    if issubclass(declared, kind):
        return declared
    if (declared, kind) not in _both:
        names = {
            name: getattr(declared, name) for name in ("__module__", "__qualname__", "__doc__")
        }
        made = type(declared.__name__, (declared, kind), names | {"_declared": declared})
        _both.setdefault((declared, kind), made)
    return _both[declared, kind]


def _restore(
    declared: type[SecludeError],
    args: tuple[Any, ...],
    fields: dict[str, Any],
    state: dict[str, Any],
) -> SecludeError:
    """Rebuild a pickled exception without calling its constructor."""
    error = declared.__new__(declared, *args)
    error.args = args
    for name, value in fields.items():
        setattr(error, name, value)
    if isinstance(error, OSError):
        _complete(error)
    error.__dict__.update(state)
    return error
