"""A running command with the interface of `subprocess.Popen`.

Waiting polls the pidfd, which releases the GIL and lets Ctrl-C through. There is no thread, no
signal handler and no `waitpid`.

The file is longer than 400 lines because `Popen` is one class with the methods of subprocess.
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

from . import _seclude, command, log
from .collected import Collected
from .egress import EgressReport, PublishedPort
from .errors import PolicyError, SecludeError, TimeoutExpired
from .exchange import BOUND, Exchange, exchange
from .keywords import refuse_unknown
from .network import wait_ready
from .outcome import Outcome, Process, Usage
from .readiness import READ, Deadline, Poll
from .text import Mode
from .transfer import MAX_BYTES, MAX_ENTRIES, Copied, Progress
from .vocabulary import Freezer


class PopenOptions(command.CommandOptions, total=False):
    """The options of `Popen` and `run`, with the meanings and defaults of `subprocess`."""

    bufsize: int | None
    text: bool | None
    encoding: str | None
    errors: str | None
    universal_newlines: bool | None


class Popen:
    """A running command, started by `Sandbox.Popen`.

    When the constructor returns, the program runs. If the program cannot be executed, the
    constructor raises.

    Dropping the object kills everything inside and gives a ResourceWarning. The end of the
    interpreter, however it comes, also kills everything inside. Any thread may use the object. A
    process forked from the caller may drop it, without effect on the command, but may not call it.

    The attributes are:

    - `args`: the program and its arguments.
    - `pid`, `inside_pid`: the process id as the caller sees it, and as the command sees it.
    - `stdin`, `stdout`, `stderr`: file objects for PIPE, else None.
    - `terminal`: the caller's side of the terminal for PTY, else None.
    - `returncode`, `outcome`: None until the end was noticed.
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
        """Start a command like the constructor, waiting up to `timeout` seconds for a place."""
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
        """Wrap a command that was started by other means than the constructor."""
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
        log.started(self, self.inside_pid)

    def fileno(self) -> int:
        """Return the pidfd, borrowed, which is readable once the command has ended.

        It works with `select` and event loops; see `pidfd_open(2)`.
        """
        return self._child.pidfd

    @property
    def pidfd(self) -> int:
        """The pidfd, borrowed: the same as `fileno()`."""
        return self._child.pidfd

    @property
    def addresses(self) -> list[str]:
        """The addresses in the private network of the command, IPv4 first."""
        return self._child.addresses()

    @property
    def ports(self) -> list[PublishedPort]:
        """The ports that are published on the host, in the order of the policy.

        Empty once the outcome is known.
        """
        return PublishedPort._of(self._child.ports())

    def egress(self) -> EgressReport:
        """Return what the command has reached outside by the rules of its policy, and has tried.

        In a cell: what all its commands have.
        """
        return EgressReport._of(self._child.egress())

    def wait_ready(self, port: int, timeout: float | None = None) -> bool:
        """Wait until a TCP socket listens on a port in the command's network.

        Makes no connection. Returns False if the command has ended or the time, in seconds, is
        over. In a network that the command shares, another program may be the one that listens.
        """
        return wait_ready(self._child.wait_ready, lambda: self.poll() is not None, port, timeout)

    def poll(self) -> int | None:
        """Return the return code if the command has ended, else None. Does not wait."""
        if self.outcome is None:
            ending = self._child.try_wait()
            if ending is not None:
                self._end(Outcome._from_native(ending))
                log.ended(self)
        return self.returncode

    @property
    def deadline(self) -> float | None:
        """Seconds until a time limit or `kill` must have ended the command, or None.

        A caller that only polls should call `poll()` after this time: that ends the command if its
        warden has not. `wait` and `communicate` do so by themselves.
        """
        return self._child.deadline if self.outcome is None else None

    def _look(self, deadline: Deadline) -> Deadline:
        """Return the earlier of the caller's deadline and the command's own."""
        return deadline.or_in(self.deadline)

    def _end(self, outcome: Outcome) -> None:
        self.outcome = (
            outcome if self._overflowed is None else outcome._output_limit(self._overflowed)
        )
        self.returncode = self.outcome.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the command to end and return the return code.

        `timeout` is in seconds; None and infinity mean no timeout. When this returns, nothing of
        the sandbox is left, except for files to `collect`. Raises TimeoutExpired after the timeout;
        the command keeps running.

        A command that fills a pipe which nobody reads never ends; use `communicate` to read.
        """
        deadline = Deadline(timeout)
        if self.outcome is None:
            poll = Poll()
            poll.register(self._child.pidfd, READ)
            while True:
                poll.wait(self._look(deadline))
                # Poll also after the command's own deadline: `poll` ends an overdue command.
                if self.poll() is not None:
                    break
                if deadline.passed:
                    assert timeout is not None
                    raise TimeoutExpired(self.args, timeout)
        assert self.returncode is not None
        return self.returncode

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:  # noqa: A002
        """Write `input`, read stdout and stderr to their ends, and wait for the command.

        Return the data read from stdout and stderr, or None for a stream that is not a pipe. If
        stdout is not a pipe, output to the command's terminal takes its place, as bytes.

        In a cell, processes that the command left behind may hold its pipes open. There the pipes
        are read until the command ends.

        The sandbox's `output` bounds each stream; without it the bound is 64 MiB. A command that
        writes more is killed and ends as `output-limit`. Exactly as many bytes as the bound are
        returned.

        Raises TimeoutExpired after `timeout` seconds; the command keeps running. The exception
        holds what was read so far, as bytes. Another call, without input, continues from there.
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
            # Report the caller's timeout, not the part that the exchange left of it.
            output, errors = (data or None for data in exchanged.so_far)
            raise TimeoutExpired(self.args, timeout or expired.timeout, output, errors) from None
        return self._read()

    def _exchanged(self, data: Any = None) -> Exchange:
        """Return the exchange over this command's pipes, and begin it if necessary."""
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
        """Return how many bytes of a stream to keep.

        If the sandbox limits output, the warden enforces the limit and no bound is needed here.
        """
        return sys.maxsize if self._sandbox._limits_output() else BOUND

    def _overflow(self) -> None:
        """End the command because it wrote more than is kept of a stream."""
        if self._overflowed is None:
            self._overflowed = BOUND
            if self.outcome is None:
                self._child.kill()
            else:
                # The end was told before all that the command had written was read.
                self._end(self.outcome)
                log.denied(self)

    def _read(self) -> tuple[Any, Any]:
        """Return the data of the exchange, decoded in text mode."""
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
                f"input: {type(data).__name__}, and the pipe takes text; "
                "hint: input.decode(), or no text=True"
            )
        try:
            return bytes(memoryview(data))
        except TypeError:
            raise TypeError(
                f"input: {data!r} is not bytes, but {type(data).__name__}; "
                "hint: bytes, or text=True and text"
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
        """Send a signal to the command's first process. Does nothing if the command has ended."""
        if self.poll() is None:
            self._child.signal(sig)

    def terminate(self) -> None:
        """Send SIGTERM to the command's first process."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill everything inside. Does not wait.

        The outcome is `killed`, unless the command ended before.
        """
        if self.outcome is None:
            self._child.kill()

    def listener(self) -> seclude.Listener:
        """Return the listener for the system calls that the filter leaves to the caller.

        The caller must listen, because such a call waits for its answer. Raises PolicyError if
        there is no listener, or if it was taken before.
        """
        listener = self._child.take_listener()
        if listener is None:
            raise PolicyError(
                "listener: there is none, or it was taken already", kind="invalid", step="listener"
            )
        from .seccomp import Listener

        return Listener(listener)

    def usage(self) -> Usage:
        """Return what the command and its descendants have used so far.

        After the end, return what they used in total.
        """
        return Usage._from_native(self._child.usage())

    def set_memory(self, bytes: int | str) -> None:  # noqa: A002
        """Change the limit `memory` while the command runs: bytes, or text such as "64M".

        This and the other setters raise PolicyError if the sandbox has not set the limit. They do
        nothing once the command has ended.
        """
        self._child.set_memory(command.size("memory", bytes))

    def set_cpus(self, number: float) -> None:
        """Change the limit `cpus` while the command runs: 0.01 to 8192 processors."""
        self._child.set_cpus(number)

    def set_cpu_time(self, seconds: float) -> None:
        """Change the limit `cpu_time`: seconds counted from the start of the command."""
        self._child.set_cpu_time(seconds)

    def set_pids(self, number: int) -> None:
        """Change the limit `pids` while the command runs."""
        self._child.set_pids(number)

    def copy_out(
        self,
        inside: command.Text,
        to: command.Text,
        *,
        max_bytes: int | str = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        skip_special: bool = False,
        archive: bool = False,
        progress: Progress | None = None,
    ) -> Copied:
        """Copy a file or tree out of the running sandbox, from an absolute path inside.

        This works like `copy`, with the sandbox's root as the base. If the caller is privileged, it
        can read only what the sandbox's user may read. Running processes may change the files
        meanwhile; `freeze` stops them. `progress` may not use this object.
        """
        bounds = command.size("max_bytes", max_bytes), max_entries, skip_special, archive
        return Copied._from_native(
            self._child.copy_out(os.fsencode(inside), os.fsencode(to), bounds, progress)
        )

    def copy_in(
        self,
        path: command.Text,
        inside: command.Text,
        *,
        max_bytes: int | str = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        skip_special: bool = False,
        archive: bool = False,
        progress: Progress | None = None,
    ) -> Copied:
        """Copy a file or tree of the caller into the running sandbox, to an absolute path inside.

        The copy is made with the rights of the sandbox's user, who owns it. The command must be
        able to write there, and the path must not exist yet. `progress` may not use this object.
        """
        bounds = command.size("max_bytes", max_bytes), max_entries, skip_special, archive
        return Copied._from_native(
            self._child.copy_in(os.fsencode(path), os.fsencode(inside), bounds, progress)
        )

    def collect(self) -> Collected:
        """Return the files that the command has left, once it has ended and been waited for.

        They can be collected once. What fails then is the result's `error`.

        Raises PolicyError if the command was started without `collect`, has not been waited for, or
        if its files have been collected.
        """
        return Collected._from_native(self._child.collect())

    def _collected(self) -> Collected | None:
        """Return the files that the command has left, or None if it was not asked for any."""
        return self.collect() if self._child.has_files() else None

    def freeze(self) -> Freezer:
        """Stop everything inside and return the mechanism: a cgroup's freezer, or SIGSTOP to each.

        Time keeps counting: `wall_time` still ends the command, and so does `kill`.
        """
        return self._child.freeze()

    def thaw(self) -> None:
        """Resume everything inside."""
        self._child.thaw()

    def processes(self) -> list[Process]:
        """Return every process inside: the warden first, each process after its parent.

        The list is empty once the command has ended.
        """
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
            # The command has a session of its own, so Ctrl-C reached only the caller. Without the
            # kill, `wait` below could wait for ever.
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
    """Return the caller's side of a command's terminal, or None."""
    if fd is None:
        return None
    from .terminal import Terminal

    return Terminal(fd)
