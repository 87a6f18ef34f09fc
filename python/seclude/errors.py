"""The exceptions, each with two parents: seclude's own, and the one that existing handlers of `subprocess` know.

The native half raises the first five. They can be pickled and copied whole, and made again from `args` alone, as task queues
do: `type(error)(*error.args)`.
"""

from __future__ import annotations

import subprocess
from typing import Any, ClassVar, Self

import seclude


class SecludeError(Exception):
    """The parent of all: something was refused, or could not be done.

    `kind` is the cause by name, the same in every language: `invalid`, `policy`, `source-missing`, `source-unreadable`,
    `program-missing`, `program-not-executable`, `program-format`, `interpreter-missing`, `namespaces-denied`,
    `host-limit`, `limit-unavailable` (a limit that this host cannot hold), `unsupported`, `setup`, `warden-lost` (before the
    command ran; later it is an outcome), `io`; and from Python itself `timeout`, `failed` and `worker-lost` (a `Cluster`'s).
    `step` is what was being done, `errno` the kernel's answer (`errno(3)`), `path` what it was about, `hint` the remedy;
    each is None where there is none. `str()` says it all in one line.

    One with an `errno` is an OSError too, of the class that Python has for that number: for a working directory that does not
    exist a FileNotFoundError, as from `subprocess`. Then `strerror` and `filename` are as for any OSError.

    `args` is the message, or as for any OSError the number and the message.
    """

    kind: str
    step: str | None
    # Not annotated as an attribute of its own: in `SetupError` it is OSError's.
    errno: Any
    path: str | None
    hint: str | None

    _kind: ClassVar[str] = "setup"
    """The kind if nothing is said."""

    def __new__(cls, *args: Any, errno: int | None = None, **_fields: Any) -> Self:
        """One that is an OSError, too, if there is an error number."""
        number = _number(args) if errno is None else errno
        chosen: Any = cls
        if number is not None:
            chosen = _as_os_error(chosen, number)
        # Not super(), which of a PolicyError is ValueError: the layout is OSError's, if that is one of the parents.
        return (OSError if issubclass(chosen, OSError) else Exception).__new__(chosen, *args)  # type: ignore[no-any-return]

    def __init__(
        self,
        *args: Any,
        kind: str | None = None,
        step: str | None = None,
        errno: int | None = None,
        path: str | None = None,
        hint: str | None = None,
    ) -> None:
        # Not super(): the second parents want arguments of their own, and their attributes are set one by one.
        number = _number(args)
        message = args[0] if args and number is None else args[1] if args else ""
        errno = number if errno is None else errno
        self.args = (message,) if errno is None else (errno, message)
        self.kind, self.step, self.errno, self.path, self.hint = (
            kind or self._kind,
            step,
            errno,
            path,
            hint,
        )
        if errno is not None or isinstance(self, SetupError):
            _complete(self)

    def __str__(self) -> str:
        return str(self.args[-1]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        declared = vars(type(self)).get("_declared", type(self))
        fields = {name: getattr(self, name) for name in ("kind", "step", "errno", "path", "hint")}
        return _restore, (declared, self.args, fields, self.__dict__)


class PolicyError(SecludeError, ValueError):
    """A policy or a command says something that makes no sense. Nothing was started."""

    _kind = "invalid"


class SetupError(SecludeError, OSError):
    """The system refused a step: of the sandbox's set-up, or of the caller's own side. The command did not run, or was lost."""


class ProgramNotFound(SetupError, FileNotFoundError):
    """There is no such program inside the sandbox, or no interpreter that it names."""

    _kind = "program-missing"


class ProgramNotExecutable(SetupError, PermissionError):
    """The program exists inside the sandbox but may not be executed."""

    _kind = "program-not-executable"


class TimeoutExpired(SecludeError, subprocess.TimeoutExpired):
    """The caller's timeout was over before the command ended: `cmd`, `timeout`, `output` (or `stdout`), `stderr`.

    From `run` the command is dead, and `outcome` says so; from `Popen.wait` and `communicate` it still runs, and
    `outcome` is None. It is None, too, where no place in a pool came free in time: nothing was
    started then. The sandbox's `wall_time` is another thing: it ends the command, and is an outcome, not an error.
    """

    outcome: seclude.Outcome | None

    def __new__(cls, *args: Any, **_fields: Any) -> Self:
        """The numbers that stand first among its arguments are no error numbers."""
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
    """`check` was asked for and the command did not exit with 0: `returncode`, `cmd`, `output` (or `stdout`), `stderr`,
    and `outcome`, which tells a limit from a signal.
    """

    outcome: seclude.Outcome | None

    def __new__(cls, *args: Any, **_fields: Any) -> Self:
        """The numbers that stand first among its arguments are no error numbers."""
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
    """Sets what every OSError has besides its number."""
    error.filename = error.path
    if error.errno is not None:
        from os import strerror

        error.strerror = strerror(error.errno)


def _number(args: tuple[Any, ...]) -> int | None:
    """The error number that stands first in an OSError's arguments, if one does."""
    return args[0] if len(args) > 1 and isinstance(args[0], int) else None


_both: dict[tuple[type[Any], type[OSError]], type[Any]] = {}


def _as_os_error(declared: type[Any], errno: int) -> type[Any]:
    """The class, and that which Python has for this number, in one. It goes by the first one's name, and is pickled as that."""
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
    """An exception as it was, without its class's own constructor: the attributes say everything."""
    error = declared.__new__(declared, *args)
    error.args = args
    for name, value in fields.items():
        setattr(error, name, value)
    if isinstance(error, OSError):
        _complete(error)
    error.__dict__.update(state)
    return error
