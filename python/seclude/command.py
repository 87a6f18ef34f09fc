"""Convert a command in the terms of `subprocess` to what the native extension takes.

This module makes the pipes. A failure at any point closes all of them, and the command's ends are
closed once it runs.

The file is longer than 400 lines because it documents each option of a command.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import index
from subprocess import DEVNULL, PIPE, STDOUT
from typing import IO, Any, Protocol, Self, TypeAlias, TypedDict, Unpack, cast

from . import _seclude, log
from .errors import PolicyError, SecludeError, TimeoutExpired
from .readiness import READ, Deadline, Poll
from .vocabulary import Parts, Path

PTY = -4
"""Makes a stream a pseudo-terminal of the command. The sandbox must have `terminals`."""

COLLECT_BYTES = 64 << 20
COLLECT_ENTRIES = 1000

_STREAMS = ("stdin", "stdout", "stderr")

Text: TypeAlias = Path
Args: TypeAlias = Text | Sequence[Text]
Ends: TypeAlias = list[int | None]
Stream: TypeAlias = int | IO[Any] | None
"""The caller's own stream (None), `PIPE`, `DEVNULL`, `PTY`, a descriptor, or an open file.

`STDOUT` is allowed for stderr only.
"""


class CommandOptions(TypedDict, total=False):
    """The options that `Popen`, `run` and asyncio's `create_subprocess_exec` share."""

    stdin: Stream
    stdout: Stream
    stderr: Stream
    cwd: Text | None
    """The working directory, an absolute path inside. Default: `/`."""
    env: Mapping[str, Text] | Mapping[bytes, Text] | None
    """The whole environment. Default: PATH, HOME, LANG and TMPDIR, none of them the caller's."""
    pass_fds: Iterable[int | IO[Any]]
    """Descriptors that the command gets under their own numbers, 3 or higher."""
    fds: Mapping[int, int | IO[Any]] | None
    """Descriptors that the command gets under chosen numbers: `{target: descriptor}`.

    Targets are 3 or higher.
    """
    arg0: Text | None
    """The program's `argv[0]`."""
    restore_signals: bool
    """If False, the command ignores the signals that this process ignores (usually SIGPIPE).

    By default the command ignores no signal.
    """
    ignore_signals: Iterable[int]
    """Signals that the command ignores from its start, as `nohup` does with SIGHUP."""
    umask: int
    """The umask, 0 to 0o777. Default: 0o022, whatever that of this process is."""
    process_group: int | None
    """0, for a group of its own, which every command has. No other number is possible inside."""
    start_new_session: bool
    """True: every command leads a session of its own."""
    user: int | None
    """The user id inside, in place of the sandbox's `uid`, whose rules apply.

    The command then has a sandbox of another policy, without a template. In a cell or a pool, only
    the sandbox's own is possible.
    """
    group: int | None
    """The group id inside, in place of the sandbox's `gid`, like `user`."""
    extra_groups: Iterable[int] | None
    """Exactly these supplementary groups inside, at most 64. Default: none.

    An unprivileged caller cannot set groups. Otherwise like `user`.
    """
    wall_time: float | str | None
    """Wall time of this command instead of the sandbox's: seconds, or text such as "200ms"."""
    memory: int | str | None
    """Memory for the command and the processes it starts: bytes, or text such as "64M".

        This is a share of the sandbox's `memory`, which must be set.
        """
    cpu_time: float | str | None
    """Processor time, in seconds or as text: a share of the sandbox's `cpu_time`."""
    pids: int | None
    """Number of processes and threads: a share of the sandbox's `pids`."""
    collect: Text | Iterable[Text] | None
    """Patterns of the files to collect when the command has ended, at most 64.

    Each is absolute, or relative to `cwd`. In its names `*`, `?` and `[...]` match as in glob(7),
    and a backslash makes the next character plain. A directory that matches is collected with all
    it contains. No symbolic link is followed, not even in `cwd`.
    """
    collect_into: Path | None
    """A directory of the caller's to write the collected files below, which is empty or new.

    Default: they stay in memory. All patterns must be absolute, or all relative.
    """
    collect_bytes: int | str
    """The most bytes to collect: a number, or text such as "64M", which is the default."""
    collect_entries: int
    """The most files and directories to collect. Default: 1000.

    It also limits how many names a pattern may match on its way.
    """
    window_size: tuple[int, int] | None
    """Initial rows and columns of the terminal if a stream is `PTY`. Default: 24 and 80."""


class Core(Protocol):
    """A native object that makes commands."""

    def command(self, parts: Parts) -> _seclude.Command:
        """Prepare a command without starting it."""


class Start:
    """A pending start, tried until there is a free place. Only a pool can lack one.

    Each attempt makes new pipes, so that waiting starts hold no descriptors.
    """

    def __init__(
        self,
        sandbox: Core,
        args: Args,
        options: CommandOptions,
        own_pipes: Sequence[bool] = (False, False, False),
        logs: bool = True,
    ) -> None:
        self._sandbox, self._args, self._own_pipes = sandbox, args, own_pipes
        self._logs = logs
        self._options = options
        if "pass_fds" in options:
            options["pass_fds"] = list(options["pass_fds"])
        if "ignore_signals" in options:
            options["ignore_signals"] = list(options["ignore_signals"])
        if options.get("extra_groups") is not None:
            options["extra_groups"] = list(options["extra_groups"] or ())
        if options.get("collect") is not None:
            options["collect"] = patterns(options["collect"])
        self._refused: float | None = None

    def attempt(self) -> tuple[_seclude.Child, Ends] | None:
        """Return the child and the caller's pipe ends, or None if there is no free place."""
        now = time.monotonic()
        with Streams(self._own_pipes) as streams:
            try:
                prepared = prepare(self._sandbox, self._args, streams, **self._options)
                child = prepared.try_spawn(0.0 if self._refused is None else now - self._refused)
            except SecludeError as error:
                if self._logs:
                    log.refused(self._args, error)
                raise
            if child is not None:
                return child, streams.keep()
        self._refused = now if self._refused is None else self._refused
        return None


def start(
    sandbox: Core,
    args: Args,
    timeout: float | None = None,
    own_pipes: Sequence[bool] = (False, False, False),
    logs: bool = True,
    **options: Unpack[CommandOptions],
) -> tuple[_seclude.Child, Ends]:
    """Start a command and return the child and the caller's ends of its piped streams.

    `own_pipes` names the streams that are ends of pipes which the caller has made for this command
    alone. Without `logs`, a refusal is the caller's to log. In a pool, wait up to `timeout` seconds
    for a free place. Raises TimeoutExpired after that.
    """
    deadline = Deadline(timeout)
    one = Start(sandbox, args, options, own_pipes, logs)
    if (started := one.attempt()) is not None:
        return started
    poll = Poll()
    poll.register(cast("_seclude.Pool", sandbox).fileno(), READ)
    while True:
        # Wait in `poll`, which releases the GIL and lets Ctrl-C through.
        poll.wait(deadline)
        late = deadline.passed
        if (started := one.attempt()) is not None:
            return started
        if late:
            assert timeout is not None
            expired = no_place(args, timeout)
            log.refused(args, expired)
            raise expired


def no_place(args: Any, timeout: float) -> TimeoutExpired:
    """Return the exception for a start that found no free place in time."""
    expired = TimeoutExpired(args, timeout)
    expired.step = "wait for a place in the pool"
    expired.hint = "a larger pool runs more commands at one time"
    return expired


def prepare(
    sandbox: Core,
    args: Args,
    streams: Streams,
    *,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    cwd: Text | None = None,
    env: Mapping[str, Text] | Mapping[bytes, Text] | None = None,
    pass_fds: Iterable[int | IO[Any]] = (),
    fds: Mapping[int, int | IO[Any]] | None = None,
    arg0: Text | None = None,
    restore_signals: bool = True,
    ignore_signals: Iterable[int] = (),
    umask: int = -1,
    process_group: int | None = None,
    start_new_session: bool = True,
    user: int | None = None,
    group: int | None = None,
    extra_groups: Iterable[int] | None = None,
    wall_time: float | str | None = None,
    memory: int | str | None = None,
    cpu_time: float | str | None = None,
    pids: int | None = None,
    collect: Text | Iterable[Text] | None = None,
    collect_into: Path | None = None,
    collect_bytes: int | str = COLLECT_BYTES,
    collect_entries: int = COLLECT_ENTRIES,
    window_size: tuple[int, int] | None = None,
) -> _seclude.Command:
    """Return a command that can be started once, while `streams` are open."""
    granted = [(number, number) for number in map(_number, pass_fds)]
    granted += [(_target(target), _number(fd)) for target, fd in (fds or {}).items()]
    window = None
    if window_size is not None:
        rows, columns = window_size
        window = count("window_size", rows, 16), count("window_size", columns, 16)
    if not start_new_session:
        raise PolicyError(
            "start_new_session: every command leads a session of its own; hint: leave it out",
            step="start_new_session",
            hint="leave it out",
        )
    groups = None
    if extra_groups is not None:
        groups = [count("extra_groups", number, 32) for number in extra_groups]
    streams.connect(stdin, stdout, stderr)
    return sandbox.command(
        {
            "args": words(args),
            "arg0": None if arg0 is None else encoded("arg0", arg0),
            "env": None if env is None else variables(env),
            "cwd": None if cwd is None else encoded("cwd", cwd),
            "streams": streams.inside,
            "own_pipes": streams.own_pipes,
            "fds": granted,
            "ignored_signals": list(map(_signal, ignore_signals)),
            "inherit_ignored_signals": not restore_signals,
            "umask": None if umask == -1 else count("umask", umask, 32),
            "process_group": None
            if process_group is None
            else _signed("process_group", process_group),
            "uid": None if user is None else count("user", user, 32),
            "gid": None if group is None else count("group", group, 32),
            "groups": groups,
            "wall_time": seconds("wall_time", wall_time),
            "memory": None if memory is None else size("memory", memory),
            "cpu_time": seconds("cpu_time", cpu_time),
            "pids": None if pids is None else count("pids", pids, 64),
            "collect": [encoded("collect", pattern) for pattern in patterns(collect)],
            "collect_into": None if collect_into is None else encoded("collect_into", collect_into),
            "collect_bounds": (
                size("collect_bytes", collect_bytes),
                count("collect_entries", collect_entries, 64),
                True,
                False,
            ),
            "window_size": window,
        }
    )


class Streams:
    """Both ends of the three standard streams.

    Leaving the `with` block closes the command's ends, and the caller's ends unless kept.
    """

    def __init__(self, own_pipes: Sequence[bool] = (False, False, False)) -> None:
        self.inside: list[int | None] = [None, None, None]
        self.own_pipes = list(own_pipes)
        self._ours: list[int | None] = [None, None, None]
        self._theirs: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._theirs + [ours for ours in self._ours if ours is not None]:
            os.close(fd)

    def connect(self, stdin: Stream, stdout: Stream, stderr: Stream) -> None:
        """Open what each stream asks for."""
        if stdin == STDOUT or stdout == STDOUT:
            raise ValueError("STDOUT can only be used for stderr")
        for number, stream in enumerate((stdin, stdout, stderr)):
            self.inside[number] = self._open(number, stream)

    def _open(self, number: int, stream: Stream) -> int | None:
        match stream:
            case None:
                return None
            case int() if stream == PIPE:
                theirs, self._ours[number] = self._pipe(number)
                self.own_pipes[number] = True
            case int() if stream == DEVNULL:
                theirs = _null()
            case int() if stream == PTY:
                return PTY
            case int() if stream == STDOUT:
                self.own_pipes[number] = self.own_pipes[1]
                if self.inside[1] is not None or _is_stream(1):
                    return 1 if self.inside[1] is None else self.inside[1]
                theirs = _null()
            case _:
                return _number(stream, _STREAMS[number])
        self._theirs.append(theirs)
        return theirs

    @staticmethod
    def _pipe(number: int) -> tuple[int, int]:
        """Make a pipe and return the command's end and the caller's end."""
        with _failing("make a pipe"):
            reader, writer = os.pipe2(os.O_CLOEXEC)
            try:
                reader = _above_standard(reader)
            except OSError:
                os.close(writer)
                raise
            try:
                writer = _above_standard(writer)
            except OSError:
                os.close(reader)
                raise
        return (reader, writer) if number == 0 else (writer, reader)

    def keep(self) -> Ends:
        """Return the caller's ends, which the caller must now close."""
        kept, self._ours = self._ours, [None, None, None]
        return kept


def _null() -> int:
    with _failing("open /dev/null"):
        return _above_standard(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))


@contextlib.contextmanager
def _failing(step: str) -> Iterator[None]:
    """Raise any OSError as this package's error, of the kind that the extension would raise."""
    try:
        yield
    except OSError as error:
        raise _seclude.system_error(step, error.errno or 0) from error


def _above_standard(fd: int) -> int:
    """Return the same file under a descriptor of 3 or more; close the original.

    If the caller has closed a standard stream, a new descriptor can get its number. Output meant
    for that stream would then reach the command.
    """
    if fd > 2:
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


def _is_stream(number: int) -> bool:
    """Return whether a program would inherit this standard stream. The extension checks alike."""
    try:
        return os.get_inheritable(number)
    except OSError:
        return False


def _target(number: int) -> int:
    return _signed("descriptor", number)


def _signal(number: int) -> int:
    return _signed("ignore_signals", number)


def _signed(what: str, number: Any) -> int:
    """Check that a number fits a C int. The core refuses those that are wrong."""
    # Not `in range(...)`, which tries every number if this one is an enum's, such as SIGUSR1.
    fits = isinstance(number, int) and -(2**31) <= number < 0
    return int(number) if fits else count(what, number, 31)


def _number(stream: int | IO[Any], what: str = "descriptor") -> int:
    if not isinstance(stream, int) and not hasattr(stream, "fileno"):
        named = isinstance(stream, (str, bytes, os.PathLike))
        hint = f"; hint: open({stream!r}, {'rb' if what == 'stdin' else 'wb'!r})" if named else ""
        raise TypeError(f"{what}: {stream!r} is neither a descriptor nor an open file{hint}")
    return count("descriptor", stream if isinstance(stream, int) else stream.fileno(), 31)


def patterns(given: Text | Iterable[Text] | None) -> list[Text]:
    """Return patterns as a list. A single one may be given by itself."""
    if given is None:
        return []
    if isinstance(given, (str, bytes, os.PathLike)):
        return [given]
    if not isinstance(given, Iterable):
        raise TypeError(
            f"collect: {given!r} is no pattern; hint: a list of patterns such as ['out/*.txt']"
        )
    return list(given)


def words(args: Args) -> list[bytes]:
    """Return the program and its arguments as bytes."""
    if isinstance(args, (str, bytes, os.PathLike)):
        return [encoded("args", args)]
    if not isinstance(args, Iterable):
        raise TypeError(
            f"args: {args!r} is no program; "
            "hint: a list of the program and its arguments, or the program alone"
        )
    return [encoded(f"args[{number}]", word) for number, word in enumerate(args)]


def encoded(what: str, value: Text) -> bytes:
    """Return text as bytes like `os.fsencode`, with a TypeError that names the argument."""
    try:
        return os.fsencode(value)
    except TypeError:
        hint = f"; hint: str({value!r})" if isinstance(value, (int, float)) else ""
        raise TypeError(
            f"{what}: {value!r} is not text, bytes or a path, but {type(value).__name__}{hint}"
        ) from None


def variables(env: Mapping[str, Text] | Mapping[bytes, Text]) -> list[tuple[bytes, bytes]]:
    """Return the names and values of an environment as bytes."""
    if not isinstance(env, Mapping):
        raise TypeError(
            f"env: {env!r} is not a mapping; hint: of names to values, such as {{'HOME': '/tmp'}}"
        )
    return [(encoded("env", name), encoded(f"env[{name!r}]", value)) for name, value in env.items()]


def seconds(what: str, value: float | str | None) -> float | None:
    """Convert a time to seconds. The extension checks the range of numbers and parses text."""
    if isinstance(value, str):
        return _seclude.time_of_text(what, value)
    try:
        return None if value is None else float(value)
    except OverflowError:
        raise PolicyError(
            f"{what}: more seconds than any number of this kind holds", step=what
        ) from None
    except TypeError:
        raise TypeError(
            f"{what}: {value!r} is not a time; hint: seconds, or a text such as '200ms'"
        ) from None


def size(what: str, value: int | str) -> int:
    """Convert a size to bytes: a number, or text such as "64M"."""
    return _seclude.size_of_text(what, value) if isinstance(value, str) else count(what, value, 64)


def count(what: str, value: int, bits: int) -> int:
    """Check that a number is not negative and fits the extension's type of `bits` bits."""
    try:
        number = index(value)
    except TypeError:
        raise TypeError(
            f"{what}: {value!r} is not a whole number, but {type(value).__name__}"
        ) from None
    if number < 0:
        raise PolicyError(f"{what} {number}: must not be negative", step=what)
    if number.bit_length() > bits:
        raise PolicyError(f"{what} {number}: must not be above {2**bits - 1}", step=what)
    return number
