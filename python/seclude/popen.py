"""A running command with `subprocess.Popen`'s face.

Waiting is a poll of the pidfd, without the GIL and open to Ctrl-C; no thread, no signal handler, no `waitpid`.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from types import TracebackType
from typing import IO, Any, Self, Unpack
from weakref import WeakMethod

import seclude

from . import _seclude, command
from .errors import PolicyError, SecludeError, TimeoutExpired
from .exchange import BOUND, Exchange, exchange
from .keywords import refuse_unknown
from .outcome import Outcome, Process, Usage
from .readiness import READ, Deadline, Poll
from .text import Mode
from .transfer import MAX_BYTES, MAX_ENTRIES, Copied
from .vocabulary import Freezer


class PopenOptions(command.CommandOptions, total=False):
    """What `Popen` and `run` take besides the arguments, with `subprocess`'s meanings and defaults."""

    bufsize: int | None
    text: bool | None
    encoding: str | None
    errors: str | None
    universal_newlines: bool | None


class Popen:
    """A running command. `Sandbox.Popen` starts one.

    When its constructor returns, the program runs; a program that cannot be executed is an exception there. Dropping it
    kills everything inside, with a ResourceWarning; so does the interpreter's end, however it comes. Any thread may use
    it. A process forked from the caller may drop it, and that harms nothing, but may not ask it anything.

    `args`, `pid` (as the caller sees it), `inside_pid` (as the command sees itself), `stdin`, `stdout`, `stderr` (file
    objects where PIPE was asked for), `terminal` (where PTY was), `returncode` and `outcome` (None until the end was noticed).
    """

    stdin: IO[Any] | None
    stdout: IO[Any] | None
    stderr: IO[Any] | None
    terminal: seclude.Terminal | None
    returncode: int | None
    outcome: Outcome | None

    def __init__(
        self,
        sandbox: seclude.command_runner.CommandRunner,
        args: command.Args,
        *,
        bufsize: int | None = -1,
        text: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        universal_newlines: bool | None = None,
        **options: Unpack[command.CommandOptions],
    ) -> None:
        refuse_unknown("Popen", options, PopenOptions.__optional_keys__)
        mode = Mode.checked(bufsize, text, encoding, errors, universal_newlines)
        child, pipes = command.start(sandbox._core, args, **options)
        self._run(sandbox, args, mode, child, pipes)

    @classmethod
    def _within(
        cls,
        sandbox: seclude.command_runner.CommandRunner,
        args: command.Args,
        timeout: float | None,
        options: PopenOptions,
    ) -> Self:
        """As the constructor, but it waits for a place in a pool for at most `timeout` seconds."""
        mode, others = Mode.taken(options)
        child, pipes = command.start(sandbox._core, args, timeout, **others)
        return cls._started(sandbox, args, mode, child, pipes)

    @classmethod
    def _started(
        cls,
        sandbox: seclude.command_runner.CommandRunner,
        args: command.Args,
        mode: Mode,
        child: _seclude.Child,
        pipes: command.Ends,
    ) -> Self:
        """A command that has been started by other means than the constructor."""
        process = cls.__new__(cls)
        process._run(sandbox, args, mode, child, pipes)
        return process

    def _run(
        self,
        sandbox: seclude.command_runner.CommandRunner,
        args: command.Args,
        mode: Mode,
        child: _seclude.Child,
        pipes: command.Ends,
    ) -> None:
        self.args = args
        self.returncode = self.outcome = None
        self._owner = os.getpid()
        self._sandbox = sandbox
        self._exchange: Exchange | None = None
        self._overflowed: int | None = None
        self._mode = mode
        self._child = child
        self.pid = self._child.pid
        self.inside_pid = self._child.inside_pid
        self.stdin, self.stdout, self.stderr = (
            mode.open(pipes[0], "wb"),
            mode.open(pipes[1], "rb"),
            mode.open(pipes[2], "rb"),
        )
        self.terminal = _terminal(child.take_terminal())

    def fileno(self) -> int:
        """The pidfd: readable once the command has ended (`pidfd_open(2)`), for `select` and event loops. Borrowed."""
        return self._child.pidfd

    @property
    def pidfd(self) -> int:
        """As `fileno()`."""
        return self._child.pidfd

    def poll(self) -> int | None:
        """The return code if the command has ended, else None."""
        if self.outcome is None:
            ending = self._child.try_wait()
            if ending is not None:
                self._end(Outcome._from_native(ending))
        return self.returncode

    @property
    def deadline(self) -> float | None:
        """In how many seconds it must have ended by its limits on time, or by `kill`; None if there is no such moment.

        For a caller that only polls: a `poll()` after that ends it if its warden has not. What waits needs no such care.
        """
        return self._child.deadline if self.outcome is None else None

    def _look(self, deadline: Deadline) -> Deadline:
        """When to stop waiting: at the caller's deadline, or at the command's own."""
        return deadline.or_in(self.deadline)

    def _end(self, outcome: Outcome) -> None:
        self.outcome = (
            outcome if self._overflowed is None else outcome._output_limit(self._overflowed)
        )
        self.returncode = self.outcome.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end, for at most so many seconds, and returns the return code. None and infinity are for ever.

        When this returns, nothing of the sandbox is left. TimeoutExpired leaves the command running. A command that
        fills a pipe nobody reads never ends: `communicate` reads.
        """
        deadline = Deadline(timeout)
        if self.outcome is None:
            poll = Poll()
            poll.register(self._child.pidfd, READ)
            while True:
                poll.wait(self._look(deadline))
                # Also when nothing is ready: what should have ended by now is ended by that.
                if self.poll() is not None:
                    break
                if deadline.passed:
                    assert timeout is not None
                    raise TimeoutExpired(self.args, timeout)
        assert self.returncode is not None
        return self.returncode

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:  # noqa: A002
        """Writes `input`, reads stdout and stderr to their ends, waits; returns what was read, None where that is no pipe.

        What it writes to its terminal stands for a standard output that is no pipe, as bytes.

        In a cell, what the command leaves behind may hold the pipes open: there they are read to the command's own end.

        The sandbox's `output` bounds each stream; where that is not set, 64 MiB do: a command that writes more is killed,
        its end is `output-limit`, and exactly the first so many bytes are returned.

        TimeoutExpired leaves the command running and holds what was read so far, as bytes; calling this again, without
        input, goes on where it stopped.
        """
        if not input and not (self.stdin or self.stdout or self.stderr or self.terminal):
            self.wait(timeout)
            return None, None
        exchanged = self._exchanged(input)
        deadline = Deadline(timeout)
        try:
            while not exchange([exchanged], self._look(deadline)):
                if deadline.passed:
                    raise TimeoutExpired(self.args, timeout or 0.0)
                self.poll()
            self.wait(deadline.left)
        except TimeoutExpired as expired:
            # The time that the caller gave, not what the first half left of it.
            output, errors = (data or None for data in exchanged.so_far)
            raise TimeoutExpired(self.args, timeout or expired.timeout, output, errors) from None
        return self._read()

    def _exchanged(self, data: Any = None) -> Exchange:
        """The exchange over this command's pipes, begun if it is not."""
        if self._exchange is None:
            if data and self.stdin is None:
                raise ValueError("input is given but stdin is not a pipe")
            pipes = self.stdin, self.stdout or self.terminal, self.stderr
            end = self._child.pidfd if self._child.pipes_may_stay else None
            self._exchange = Exchange(
                *pipes, self._encoded(data), self._bound(), WeakMethod(self._overflow), end
            )
        elif data:
            raise ValueError("input cannot be given after communicate has begun")
        return self._exchange

    def _bound(self) -> int:
        """Bytes that are kept of a stream. With a limit of the sandbox's, the warden lets no byte more through."""
        return sys.maxsize if self._sandbox._limits_output() else BOUND

    def _overflow(self) -> None:
        """It wrote more than is kept of a stream: that is its end."""
        if self._overflowed is None:
            self._overflowed = BOUND
            if self.outcome is None:
                self._child.kill()
            else:
                self._end(self.outcome)

    def _read(self) -> tuple[Any, Any]:
        """What the exchange has read, as this command's mode has it."""
        stdout, stderr = self._exchanged().so_far
        return self._decoded(stdout, self.stdout), self._decoded(stderr, self.stderr)

    def _encoded(self, data: Any) -> bytes | None:
        if isinstance(self.stdin, io.TextIOWrapper) and isinstance(data, str):
            return data.encode(self.stdin.encoding, self.stdin.errors or "strict")
        if data is None:
            return None
        if isinstance(data, str):
            raise TypeError(
                "input: text, and the pipe takes bytes; hint: text=True, or input.encode()"
            )
        if self._mode.text:
            raise TypeError(
                f"input: {type(data).__name__}, and the pipe takes text; hint: input.decode(), or no text=True"
            )
        try:
            return bytes(memoryview(data))
        except TypeError:
            raise TypeError(
                f"input: {data!r} is not bytes, but {type(data).__name__}; hint: bytes, or text=True and text"
            ) from None

    def _decoded(self, data: bytes | None, pipe: IO[Any] | None) -> Any:
        if data is None or not isinstance(pipe, io.TextIOWrapper):
            return data
        return (
            data.decode(pipe.encoding, pipe.errors or "strict")
            .replace("\r\n", "\n")
            .replace("\r", "\n")
        )

    def send_signal(self, sig: int) -> None:
        """Sends a signal to the command's first process; nothing if it has ended."""
        if self.poll() is None:
            self._child.signal(sig)

    def terminate(self) -> None:
        """Sends SIGTERM to the command's first process."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kills everything inside. The end is `killed`, unless it came before. Does not wait."""
        if self.outcome is None:
            self._child.kill()

    def listener(self) -> seclude.Listener:
        """Where the calls are heard that the sandbox's filter leaves to the caller. Somebody must listen. Once only."""
        listener = self._child.take_listener()
        if listener is None:
            raise PolicyError(
                "listener: there is none, or it was taken already", kind="invalid", step="listener"
            )
        from .seccomp import Listener

        return Listener(listener)

    def usage(self) -> Usage:
        """What it and all that it started have used so far; once it has ended, what they used in all."""
        return Usage._from_native(self._child.usage())

    def set_memory(self, bytes: int | str) -> None:  # noqa: A002
        """Changes the limit `memory` while it runs: bytes, or text ("64M").

        Only a limit that the sandbox has set can be changed, here and below: another is a PolicyError. Nothing happens
        once the command has ended.
        """
        self._child.set_memory(command.size("memory", bytes))

    def set_cpus(self, number: float) -> None:
        """Changes the limit `cpus` while it runs: 0.01 to 8192 processors."""
        self._child.set_cpus(number)

    def set_cpu_time(self, seconds: float) -> None:
        """Changes the limit `cpu_time` while it runs: seconds from its start, not from now."""
        self._child.set_cpu_time(seconds)

    def set_pids(self, number: int) -> None:
        """Changes the limit `pids` while it runs."""
        self._child.set_pids(number)

    def copy_out(
        self,
        inside: command.Text,
        to: command.Text,
        *,
        max_bytes: int | str = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        skip_special: bool = False,
    ) -> Copied:
        """Copies a file or tree out of the running sandbox, from an absolute path inside: as `copy`, with its root as the base.

        A privileged caller reads there what the sandbox's user may read, and no more. What runs may change it meanwhile: `freeze`
        keeps it still.
        """
        bounds = command.size("max_bytes", max_bytes), max_entries, skip_special
        return Copied._from_native(
            self._child.copy_out(os.fsencode(inside), os.fsencode(to), bounds)
        )

    def copy_in(
        self,
        path: command.Text,
        inside: command.Text,
        *,
        max_bytes: int | str = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        skip_special: bool = False,
    ) -> Copied:
        """Copies a file or tree of the caller's into the running sandbox, to an absolute path that the command may write to.

        It is made with the rights of the sandbox's user, whose the copies are. There must be nothing there yet.
        """
        bounds = command.size("max_bytes", max_bytes), max_entries, skip_special
        return Copied._from_native(
            self._child.copy_in(os.fsencode(path), os.fsencode(inside), bounds)
        )

    def freeze(self) -> Freezer:
        """Stops everything inside, and tells by which means: a cgroup's freezer, or SIGSTOP to each process.

        Time goes on: `wall_time` still ends it, and so does `kill`.
        """
        return self._child.freeze()

    def thaw(self) -> None:
        """Lets everything inside go on."""
        self._child.thaw()

    def processes(self) -> list[Process]:
        """Every process inside, the warden first, each after its parent. Empty once the command has ended."""
        return [Process._from_native(seen) for seen in self._child.processes()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            # Ctrl-C reached the caller alone: the command has a session of its own and would be waited for in vain.
            self.kill()
        for stream in (self.stdout, self.stderr, self.terminal):
            if stream is not None:
                stream.close()
        try:
            if self.stdin is not None:
                self.stdin.close()
        finally:
            self.wait()

    def __repr__(self) -> str:
        ended = "running" if self.outcome is None else str(self.outcome.ended)
        return f"<seclude.Popen: {self.args!r}, pid {self.pid}, {ended}>"

    def __del__(self, _getpid: Any = os.getpid, _warn: Any = warnings.warn) -> None:
        if not hasattr(self, "_child") or _getpid() != self._owner:
            return
        try:
            running = self.poll() is None
        except SecludeError:
            return
        if running:
            _warn(
                f"{self!r} was dropped: everything in it is killed",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )


def _terminal(fd: int | None) -> seclude.Terminal | None:
    """The caller's side of a command's terminal, if it has one."""
    if fd is None:
        return None
    from .terminal import Terminal

    return Terminal(fd)
