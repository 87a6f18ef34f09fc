"""A command about to start: what the caller wrote, in `subprocess`'s words, becomes what the native half takes.

Pipes are made here, so that a failure at any point closes all of them, and the command's ends are closed once it runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from subprocess import DEVNULL, PIPE, STDOUT
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias, TypedDict

from . import _seclude
from .errors import PolicyError

if TYPE_CHECKING:
    from typing import Self, Unpack

PTY = -4
"""A stream that is a pseudo-terminal of the command's own: the sandbox must have `terminals`."""

Text: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Args: TypeAlias = Text | Sequence[Text]
Ends: TypeAlias = list[int | None]
Stream: TypeAlias = int | IO[Any] | None
"""`None` is the caller's own stream; `PIPE`, `DEVNULL`, `PTY`; a descriptor or an object that has one; for stderr, `STDOUT`."""


class CommandOptions(TypedDict, total=False):
    """What `Popen`, `run` and asyncio's `create_subprocess_exec` take alike."""

    stdin: Stream
    stdout: Stream
    stderr: Stream
    cwd: Text | None
    """The working directory, an absolute path inside; `/` if not given."""
    env: Mapping[str, Text] | Mapping[bytes, Text] | None
    """The whole environment. If not given: PATH, HOME and LANG, and nothing of the caller's."""
    pass_fds: Iterable[int | IO[Any]]
    """Descriptors that the command gets under their own numbers, 3 or higher."""
    fds: Mapping[int, int | IO[Any]] | None
    """Descriptors that the command gets under numbers of the caller's choice, 3 or higher: `{target: descriptor}`."""
    arg0: Text | None
    """What the program sees as its own name."""
    wall_time: float | None
    """Seconds that this command may take, instead of what the sandbox says."""
    memory: int | None
    """Bytes of memory that this command, with what it starts, may use of the sandbox's `memory`, which must be set."""
    cpu_time: float | None
    """Seconds of processor time that it may use of the sandbox's `cpu_time`."""
    pids: int | None
    """Processes and threads that it may have of the sandbox's `pids`."""
    window_size: tuple[int, int] | None
    """Rows and columns of its terminal's window at first, if a stream is `PTY`; 24 and 80 if not given."""


class Core(Protocol):
    """What of the native half makes commands."""

    def command(self, parts: _seclude._Parts) -> _seclude.Command:
        """A command, not started yet."""


def start(sandbox: Core, args: Args, **options: Unpack[CommandOptions]) -> tuple[_seclude.Child, Ends]:
    """Starts a command: the child, and the caller's ends of its three streams where they are pipes."""
    with Streams() as streams:
        child = prepare(sandbox, args, streams, **options).spawn()
        return child, streams.keep()


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
    wall_time: float | None = None,
    memory: int | None = None,
    cpu_time: float | None = None,
    pids: int | None = None,
    window_size: tuple[int, int] | None = None,
) -> _seclude.Command:
    """A command that is ready to start, once, while `streams` are open."""
    words = [args] if isinstance(args, (str, bytes, os.PathLike)) else args
    granted = [(number, number) for number in map(_number, pass_fds)]
    granted += [(target, _number(fd)) for target, fd in (fds or {}).items()]
    streams.connect(stdin, stdout, stderr)
    return sandbox.command(
        {
            "args": [os.fsencode(word) for word in words],
            "arg0": None if arg0 is None else os.fsencode(arg0),
            "env": None if env is None else [(os.fsencode(name), os.fsencode(value)) for name, value in env.items()],
            "cwd": None if cwd is None else os.fsencode(cwd),
            "streams": streams.inside,
            "own_pipes": streams.own_pipes,
            "fds": granted,
            "wall_time": wall_time,
            "memory": memory,
            "cpu_time": cpu_time,
            "pids": pids,
            "window_size": window_size,
        }
    )


class Streams:
    """The ends of three streams: the command's, closed at the end in any case, and ours, closed unless kept."""

    def __init__(self) -> None:
        self.inside: list[int | None] = [None, None, None]
        self.own_pipes = [False, False, False]
        self._ours: list[int | None] = [None, None, None]
        self._theirs: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._theirs + [ours for ours in self._ours if ours is not None]:
            os.close(fd)

    def connect(self, stdin: Stream, stdout: Stream, stderr: Stream) -> None:
        """Makes what is asked for."""
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
                return _number(stream)
        self._theirs.append(theirs)
        return theirs

    @staticmethod
    def _pipe(number: int) -> tuple[int, int]:
        """The command's end, and ours."""
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
        """Our ends, whose closing is from now on the taker's."""
        kept, self._ours = self._ours, [None, None, None]
        return kept


def _null() -> int:
    with _failing("open /dev/null"):
        return _above_standard(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))


@contextlib.contextmanager
def _failing(step: str) -> Iterator[None]:
    """What fails within is an error of this package's, of the same kind as if the native half had met it."""
    try:
        yield
    except OSError as error:
        raise _seclude.system_error(step, error.errno or 0) from error


def _above_standard(fd: int) -> int:
    """The same file under a number of 3 or more.

    What is printed to a standard stream that the caller has closed must not come to a command.
    """
    if fd > 2:
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


def _is_stream(number: int) -> bool:
    """Whether a program would inherit this standard stream; the native half asks the same."""
    try:
        return os.get_inheritable(number)
    except OSError:
        return False


def _number(stream: int | IO[Any]) -> int:
    number = stream if isinstance(stream, int) else stream.fileno()
    if number < 0:
        raise PolicyError(f"descriptor {number}: a descriptor is not negative", kind="invalid", step="descriptor")
    return number
