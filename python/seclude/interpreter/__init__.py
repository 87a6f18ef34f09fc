"""A warm interpreter inside a cell: state from call to call, and a reset in milliseconds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from types import TracebackType
from typing import Any, Self

import seclude

from ..command import Text
from ..errors import SecludeError, SetupError, TimeoutExpired
from ..popen import Popen
from ..readiness import READ, Deadline, Poll
from .channel import Channel, Garbled

Show = Callable[[str], object]

_LARGEST = 64 << 20
"""The most bytes that one call may write to each stream."""
_PATIENCE = 5.0
"""Seconds that the supervisor inside has for an answer of its own."""


class InterpreterError(SecludeError):
    """The code inside has raised an exception. The state is as the exception left it.

    `type` is the name of the exception's class, and `traceback` its whole text. Both come from the
    program inside, which may be hostile. `stdout` and `stderr` are what the call has written.
    """

    _kind = "failed"

    def __init__(self, *args: Any, **fields: Any) -> None:
        self.type: str = fields.pop("type", "")
        self.traceback: str = fields.pop("traceback", "")
        self.stdout: str = fields.pop("stdout", "")
        self.stderr: str = fields.pop("stderr", "")
        super().__init__(*args, **fields)


class InterpreterLost(SecludeError):
    """The interpreter has ended during a call, and its state is lost. The next call has a new one.

    `status` is its exit code, or minus the signal that killed it. None if the whole program inside
    is lost. `stdout` and `stderr` are what the call has written.
    """

    _kind = "failed"

    def __init__(self, *args: Any, **fields: Any) -> None:
        self.status: int | None = fields.pop("status", None)
        self.stdout: str = fields.pop("stdout", "")
        self.stderr: str = fields.pop("stderr", "")
        super().__init__(*args, **fields)


@dataclass(frozen=True, slots=True)
class Execution:
    """What one call has written."""

    stdout: str
    stderr: str


class Interpreter:
    r"""An interpreter in a cell, made by `Sandbox.interpreter` or `Cell.interpreter`.

    Modules are imported once. Each reset forks the warm interpreter inside the sandbox, after it
    has ended every process of the state before. Files stay; `Cell.reset` removes them, too.

    The code is not trusted. Results are JSON, and never unpickled. Code can end or disturb its own
    interpreter. The limits of the sandbox apply. Hash seeds and addresses are the same in all
    states of one interpreter, so different tenants need different ones.

        >>> import seclude
        >>> with seclude.Sandbox().interpreter(preload=["math"]) as it:
        ...     _ = it.run("import math; x = math.floor(6.5)")
        ...     it.eval("x * 7")
        42
    """

    def __init__(
        self,
        cell: seclude.Cell,
        *,
        preload: Iterable[str] = (),
        path: Iterable[Text] = (),
        python: Text = "python3",
        program: Sequence[Text] | None = None,
        owns: bool = False,
    ) -> None:
        self._cell, self._owns = cell, owns
        options = {"preload": list(preload), "path": [os.fsdecode(name) for name in path]}
        if program is None:
            guest = files(__package__).joinpath("guest.py").read_text(encoding="utf-8")
            program = [python, "-B", "-c", guest, json.dumps(options)]
        self._program = list(program)
        self._process: Popen | None = None
        self._forks = True
        self._state = False
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    # ---- what a caller does

    def run(
        self,
        code: str,
        *,
        timeout: float | None = None,
        on_stdout: Show | None = None,
        on_stderr: Show | None = None,
    ) -> Execution:
        """Run statements, and return what they have written.

        `on_stdout` and `on_stderr` get the output piece by piece as it comes. After `timeout`
        seconds the state is ended, and TimeoutExpired raised; the next call has a new one. An
        exception inside raises InterpreterError. The end of the interpreter, by `sys.exit`, a
        signal or a limit, raises InterpreterLost. Ctrl-C, and what a callback raises, leaves the
        call; the next one has a new state.
        """
        output = _Output(on_stdout, on_stderr)
        self._call({"do": "run", "code": code}, timeout, output)
        return Execution(*output.texts())

    def eval(
        self,
        expression: str,
        *,
        timeout: float | None = None,
        on_stdout: Show | None = None,
        on_stderr: Show | None = None,
    ) -> Any:
        """Return the value of an expression. It must be one that JSON has. Otherwise like `run`."""
        output = _Output(on_stdout, on_stderr)
        told = self._call({"do": "eval", "code": expression}, timeout, output)
        return told.get("value")

    def reset(self) -> None:
        """Return to the warm state: no variables of earlier calls, and no processes.

        Files stay. Costs a few milliseconds.
        """
        self._fork()

    def close(self) -> None:
        """End the interpreter, and the cell if it was made for this interpreter."""
        self._stop()
        if self._owns:
            self._cell.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- the program inside

    def _start(self) -> None:
        """Start the program, and wait until it is warm."""
        self._supervisor, self._worker = Channel(), Channel()
        fds = {3: self._supervisor.theirs.fileno(), 4: self._worker.theirs.fileno()}
        pipe = seclude.PIPE
        self._process = self._cell.popen(
            self._program, stdout=pipe, stderr=pipe, fds=fds, bufsize=0, cwd="/"
        )
        for channel in (self._supervisor, self._worker):
            channel.theirs.close()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._streams = [self._process.stdout.fileno(), self._process.stderr.fileno()]
        for stream in self._streams:
            os.set_blocking(stream, False)
        output = _Output(None, None)
        try:
            told = self._await(self._supervisor, Deadline(None), output)
        except (EOFError, Garbled):
            told = {}
        if not told.get("warm"):
            self._stop()
            said = told.get("failed") or output.texts()[1].strip() or "it has ended"
            raise SetupError(f"start the interpreter: {said}", step="start the interpreter")
        self._forks, self._state = bool(told.get("forks")), not told.get("forks")

    def _stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            self._state = False
            self._supervisor.close()
            self._worker.close()
            process.kill()
            process.__exit__(None, None, None)

    def _fork(self) -> None:
        """Make a new state. If the supervisor does not answer, start another one."""
        if self._process is None or not self._forks:
            self._stop()
            self._start()
            if not self._forks:
                return
        try:
            self._ask("fork")
        except (OSError, EOFError, Garbled, TimeoutExpired):
            self._stop()
            self._start()
            self._ask("fork")
        self._state = True

    def _ask(self, what: str) -> None:
        """Let the supervisor end the state, and for `fork` make a new one."""
        self._state = False
        deadline = Deadline(_PATIENCE)
        self._supervisor.clear()
        self._supervisor.send({"do": what}, _PATIENCE)
        while True:
            # What a state writes after its call belongs to no call.
            told = self._await(self._supervisor, deadline, _Output(None, None))
            if "failed" in told:
                raise SetupError(f"make a new state: {told['failed']}", step="make a new state")
            if ("forked" if what == "fork" else "ended") in told:
                self._worker.clear()
                return

    def _call(
        self, message: dict[str, Any], timeout: float | None, output: _Output
    ) -> dict[str, Any]:
        if not self._state:
            self._fork()
        deadline = Deadline(timeout)
        try:
            self._worker.send(message, deadline.left)
            told = self._await(self._worker, deadline, output)
        except (TimeoutExpired, TimeoutError):
            self._end()
            assert timeout is not None
            raise TimeoutExpired(message["code"], timeout, *output.texts()) from None
        except (OSError, EOFError, Garbled) as error:
            self._end()
            texts = dict(zip(("stdout", "stderr"), output.texts(), strict=True))
            status = error.args[0] if isinstance(error, _Ended) else None
            how = "was lost" if status is None else f"has ended with {status}"
            raise InterpreterLost(
                f"the interpreter {how}", step="run code", status=status, **texts
            ) from None
        except BaseException:
            # Ctrl-C, or what `on_stdout` raises. A late answer must not be taken for the next one.
            self._state = False
            raise
        if "error" in told:
            texts = dict(zip(("stdout", "stderr"), output.texts(), strict=True))
            raise InterpreterError(
                f"{told['error']}: {told.get('message')}",
                step="run code",
                type=str(told["error"]),
                traceback=str(told.get("traceback", "")),
                **texts,
            )
        return told

    def _end(self) -> None:
        """End a state that is of no more use."""
        self._state = False
        try:
            if self._process is not None and self._forks:
                self._ask("end")
            else:
                self._stop()
        except (OSError, EOFError, Garbled, TimeoutExpired):
            self._stop()

    def _await(self, channel: Channel, deadline: Deadline, output: _Output) -> dict[str, Any]:
        """Return the next message of a channel. Collect what is written meanwhile."""
        assert self._process is not None
        open_streams = set(self._streams)
        while True:
            told = channel.receive()
            if told is not None:
                self._collect(open_streams, output)
                return told
            if channel is self._worker:
                report = self._supervisor.receive() if self._forks else None
                if report is not None and "ended" in report:
                    self._collect(open_streams, output)
                    raise _Ended(report["ended"])
            if deadline.passed:
                raise TimeoutExpired("", 0)
            poll = Poll()
            for fd in {channel.fileno(), self._supervisor.fileno(), *open_streams}:
                poll.register(fd, READ)
            poll.wait(deadline)
            self._collect(open_streams, output)

    def _collect(self, open_streams: set[int], output: _Output) -> None:
        """Read what the streams hold now."""
        for number, stream in enumerate(self._streams):
            while stream in open_streams:
                try:
                    piece = os.read(stream, 1 << 16)
                except BlockingIOError:
                    break
                if not piece:
                    open_streams.discard(stream)
                elif not output.add(number, piece):
                    raise _Ended(None)


class _Ended(EOFError):
    """The state has ended: with its exit code or minus its signal, or None."""


class _Output:
    """What a call writes."""

    def __init__(self, on_stdout: Show | None, on_stderr: Show | None) -> None:
        from codecs import getincrementaldecoder

        decoder = getincrementaldecoder("utf-8")
        self._decoders = [decoder("replace"), decoder("replace")]
        self._pieces: list[list[str]] = [[], []]
        self._sizes = [0, 0]
        self._show = [on_stdout, on_stderr]

    def add(self, number: int, piece: bytes) -> bool:
        """Take a piece. Return False if the stream has become too long."""
        text = self._decoders[number].decode(piece)
        self._pieces[number].append(text)
        self._sizes[number] += len(piece)
        show = self._show[number]
        if show is not None and text:
            show(text)
        return self._sizes[number] <= _LARGEST

    def texts(self) -> tuple[str, str]:
        return "".join(self._pieces[0]), "".join(self._pieces[1])
