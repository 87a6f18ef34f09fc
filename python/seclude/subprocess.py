"""The standard module `subprocess`, with each command in a sandbox.

    from seclude import subprocess

    subprocess.run(["make"])                            # in `seclude.Sandbox()`
    subprocess.using(box).run(["make"])                 # in a sandbox, cell or pool of the caller's

The names are those of `subprocess` and mean the same, except:

- A command sees the files of its sandbox. If the caller's working directory is not there, it starts
  in `/`. As with `subprocess`, it gets the caller's environment, umask and ignored signals.
- It leads a session of its own. `process_group` can only be 0. `user`, `group` and `extra_groups`
  are ids inside, and names are looked up outside. A cell or pool takes none but its own.
- `preexec_fn` raises ValueError: the warden starts the command, and cannot call a function here.
- The warden is the command's parent, so `os.waitpid` does not know it. `kill` kills everything that
  the command has started, and so does the end of the caller.

`Popen` also has the attribute `outcome`. A sandbox that cannot be set up raises `SetupError`, an
OSError.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from subprocess import (
    DEVNULL,
    PIPE,
    STDOUT,
    CalledProcessError,
    CompletedProcess,
    SubprocessError,
    TimeoutExpired,
    call,
    check_call,
    check_output,
    getoutput,
    getstatusoutput,
    list2cmdline,
    run,
)
from types import FunctionType
from typing import Any, AnyStr, ClassVar, TypeAlias, cast

from . import _seclude, command, log
from .command_runner import CommandRunner
from .errors import SecludeError, SetupError
from .outcome import Outcome
from .readiness import READ, Deadline, Poll

__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "CalledProcessError",
    "CompletedProcess",
    "Popen",
    "Subprocess",
    "SubprocessError",
    "TimeoutExpired",
    "call",
    "check_call",
    "check_output",
    "getoutput",
    "getstatusoutput",
    "list2cmdline",
    "run",
    "using",
]

_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
_HOOKS: dict[str, list[tuple[str, ...]]] = {
    "_execute_child": [
        (
            *("self", "args", "executable", "preexec_fn", "close_fds", "pass_fds", "cwd", "env"),
            *("startupinfo", "creationflags", "shell", *_PIPES, "restore_signals"),
            *("gid", "gids", "uid", "umask", "start_new_session", "process_group"),
        )
    ],
    "_internal_poll": [
        ("self", "_deadstate", "_waitpid", "_WNOHANG", "_ECHILD"),
        ("self", "_deadstate", "_del_safe"),
    ],
    "_wait": [("self", "timeout")],
    "_close_pipe_fds": [("self", *_PIPES)],
    "send_signal": [("self", "sig")],
}
"""The parameters of what `Popen` overrides or calls, in CPython 3.11 to 3.14."""


def _check_hooks(popen: type) -> None:
    """Raise ImportError if the private parts of `subprocess.Popen` are not those known here."""
    for name, known in _HOOKS.items():
        code = getattr(getattr(popen, name, None), "__code__", None)
        found = code and code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if found not in known:
            has = "no" if found is None else "another"
            raise ImportError(
                f"seclude.subprocess: CPython {sys.version.split()[0]} has {has} "
                f"{popen.__module__}.Popen.{name}, and only those of 3.11 to 3.14 are known; "
                "hint: seclude.Sandbox().Popen needs no part of it",
                name=__name__,
            )


_check_hooks(subprocess.Popen)


class Popen(subprocess.Popen[AnyStr]):
    """A `subprocess.Popen` whose command runs in `seclude.Sandbox()`.

    `outcome` is None until the end was noticed.
    """

    outcome: Outcome | None = None
    _runner: ClassVar[CommandRunner | None] = None
    _child: _seclude.Child
    _child_created = False

    def _execute_child(
        self,
        args: Any,
        executable: Any,
        preexec_fn: Any,
        close_fds: bool,
        pass_fds: Any,
        cwd: Any,
        env: Any,
        startupinfo: Any,
        creationflags: int,
        shell: bool,
        p2cread: int,
        p2cwrite: int,
        c2pread: int,
        c2pwrite: int,
        errread: int,
        errwrite: int,
        restore_signals: bool,
        gid: int | None,
        gids: list[int] | None,
        uid: int | None,
        umask: int,
        start_new_session: bool,
        process_group: int,
    ) -> None:
        if preexec_fn is not None:
            raise ValueError(
                "preexec_fn: the command is started by its warden, another program, which cannot "
                "call a function of this process; hint: cwd, umask, user, group and pass_fds, the "
                "sandbox's rlimits, or a program that does it and then executes the command"
            )
        if isinstance(args, (str, bytes)) or (isinstance(args, os.PathLike) and not shell):
            words: list[Any] = [args]
        elif isinstance(args, os.PathLike):
            raise TypeError("path-like args is not allowed when shell is true")
        else:
            words = list(args)
        if shell:
            words = [executable or "/bin/sh", "-c", *words]
        if executable is None:
            executable = words[0]
        sys.audit("subprocess.Popen", executable, words, cwd, env)
        descriptors = map(int, pass_fds if close_fds else _inheritable())
        status = dict(_status())
        ignored = int(status[b"SigIgn"], 16)
        restored = {signal.SIGPIPE, signal.SIGXFSZ} if restore_signals else set()
        options: command.CommandOptions = {
            "stdin": None if p2cread == -1 else p2cread,
            "stdout": None if c2pwrite == -1 else c2pwrite,
            "stderr": None if errwrite == -1 else errwrite,
            "env": _environment(env),
            "arg0": words[0],
            "pass_fds": {fd for fd in descriptors if fd not in {0, 1, 2}},
            "ignore_signals": [
                number
                for number in range(1, 65)
                if ignored >> (number - 1) & 1 and number not in restored
            ],
            "umask": int(status[b"Umask"], 8) if umask < 0 else umask & 0o777,
            "process_group": None if process_group == -1 else process_group,
            "user": None if uid is None else _id(uid, OverflowError("user id is too large")),
            "group": None if gid is None else _id(gid, OverflowError("group id is too large")),
            "extra_groups": None
            if gids is None
            else [_id(number, ValueError("group id is too large")) for number in gids],
        }
        # A pipe of this object's own is for the command alone, and becomes its user's.
        own_pipes = [p2cwrite != -1, c2pread != -1, errread != -1 or -1 != errwrite == c2pwrite]
        try:
            self._child = self._start([executable, *words[1:]], cwd, own_pipes, options)
        except SetupError as error:
            if error.kind.startswith("program-"):
                error.filename = executable
            raise
        self.pid = self._child.pid
        self._child_created = True
        log.started(self, self._child.inside_pid)
        untyped: Any = self
        untyped._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    def _start(
        self,
        words: list[Any],
        cwd: Any,
        own_pipes: list[bool],
        options: command.CommandOptions,
    ) -> _seclude.Child:
        """Start the command in `cwd`, or by default where the caller is, if the sandbox has it."""
        core = (self._runner or _default_sandbox())._core
        try:
            directory = os.path.abspath(os.getcwd() if cwd is None else cwd)
        except FileNotFoundError:  # Somebody has removed the caller's.
            directory = "/"
        try:
            options["cwd"] = directory
            return command.start(core, words, own_pipes=own_pipes, logs=False, **options)[0]
        except SecludeError as error:
            if not (
                isinstance(error, SetupError)
                and not error.kind.startswith("program-")
                and error.path == os.fsdecode(directory)
            ):
                log.refused(words, error)
                raise
            if cwd is not None:
                error.filename = cwd
            if cwd is not None or error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                log.refused(words, error)
                raise
        options["cwd"] = "/"
        return command.start(core, words, own_pipes=own_pipes, **options)[0]

    def _internal_poll(
        self,
        _deadstate: int | None = None,
        *_: Any,
        # As parameters, because `__del__` calls this when the module may have lost its names.
        _error: type[SecludeError] = SecludeError,
        _outcome: type[Outcome] = Outcome,
    ) -> int | None:
        if self.returncode is None:
            try:
                ending = self._child.try_wait()
            except _error:
                # As in a process that was forked from the one that started the command.
                if _deadstate is None:
                    raise
                self.returncode = _deadstate
            else:
                if ending is not None:
                    self.outcome = _outcome._from_native(ending)
                    self.returncode = self.outcome.returncode
                    if _deadstate is None:
                        log.ended(self)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        deadline = Deadline(timeout)
        if self.returncode is None:
            poll = Poll()
            poll.register(self._child.pidfd, READ)
            while True:
                # The command has a deadline of its own, after which `try_wait` ends it.
                poll.wait(deadline.or_in(self._child.deadline))
                if self._internal_poll() is not None:
                    break
                if deadline.passed:
                    raise TimeoutExpired(self.args, cast("float", timeout))
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send a signal to the command, unless it has ended. SIGKILL is for all that it started."""
        if self.poll() is not None:
            return
        if sig == signal.SIGKILL:
            self._child.kill()
        else:
            self._child.signal(sig)


def _status() -> Iterator[tuple[bytes, bytes]]:
    """Yield what the kernel tells of this process: what Python or other code has set."""
    with open("/proc/self/status", "rb") as lines:
        for line in lines:
            name, _, value = line.partition(b":")
            yield name, value


def _inheritable() -> list[int]:
    """Return the descriptors that a child of this process would inherit."""
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if os.get_inheritable(fd):
                found.append(fd)
        except OSError:  # The one that listed them, or another thread's.
            continue
    return found


def _environment(env: Mapping[Any, Any] | None) -> Mapping[bytes, Any]:
    if env is None:
        return {name: value for name, value in os.environb.items() if name}
    encoded = {os.fsencode(name): value for name, value in env.items()}
    if any(b"=" in name for name in encoded):
        raise ValueError("illegal environment variable name")
    return encoded


def _id(number: int, error: Exception) -> int:
    """Check that a number fits the kernel's type of an id, with the exception of `subprocess`."""
    if number >= 2**32 - 1:
        raise error
    return number


_sandbox: CommandRunner | None = None


def _default_sandbox() -> CommandRunner:
    global _sandbox
    if _sandbox is None:
        from .sandbox import Sandbox

        _sandbox = Sandbox()
    return _sandbox


_Popen: TypeAlias = Popen[Any]


class Subprocess:
    """The names of `subprocess`, with each command in one sandbox, cell or pool: see `using`."""

    PIPE, STDOUT, DEVNULL = PIPE, STDOUT, DEVNULL
    CompletedProcess = CompletedProcess
    SubprocessError = SubprocessError
    CalledProcessError = CalledProcessError
    TimeoutExpired = TimeoutExpired

    Popen: type[_Popen]
    run: Callable[..., subprocess.CompletedProcess[Any]]
    call: Callable[..., int]
    check_call: Callable[..., int]
    check_output: Callable[..., Any]
    getoutput: Callable[..., str]
    getstatusoutput: Callable[..., tuple[int, str]]
    list2cmdline: Callable[..., str]

    def __init__(self, popen: type[_Popen]) -> None:
        self.Popen, self.list2cmdline = popen, list2cmdline
        _add_functions(vars(self))


_FUNCTIONS = ("run", "call", "check_call", "check_output", "getoutput", "getstatusoutput")


def _add_functions(names: dict[str, Any]) -> None:
    """Add the standard functions to these names, among which they find `Popen` and each other.

    So they are those of the running CPython, and a test that replaces `Popen` replaces theirs.
    """
    module = vars(subprocess)
    for name in _FUNCTIONS:
        standard: FunctionType = module[name]
        for used in standard.__code__.co_names:
            if used in module:
                names.setdefault(used, module[used])
        own = FunctionType(standard.__code__, names, name, standard.__defaults__)
        own.__kwdefaults__ = standard.__kwdefaults__
        own.__doc__, own.__module__ = standard.__doc__, __name__
        names[name] = own


def using(sandbox: CommandRunner) -> Subprocess:
    """Return an object with the names of this module, whose commands run in `sandbox`.

    That is a sandbox, a cell, a pool, or anything else with the method `run`.
    """
    if not isinstance(sandbox, CommandRunner):
        raise TypeError(f"sandbox: {sandbox!r} runs no commands; hint: a Sandbox, Cell or Pool")
    return Subprocess(type("Popen", (Popen,), {"_runner": sandbox, "__module__": __name__}))


# The functions are imported above for their types, and replaced here.
_add_functions(globals())
