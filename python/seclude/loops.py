"""Commands under trio, anyio and asyncio alike: `await box.aio.run(...)`, `box.aio.popen(...)`.

The running library is found at each call, and none is imported. It waits for the pidfd and the
pipes. A cancellation never loses a command: it runs on with its object, or it is killed.
"""

from __future__ import annotations

import os
import signal
from types import TracebackType
from typing import Any, Self, Unpack

import seclude

from . import command
from .collected import Collected
from .command_runner import POPEN_OPTIONS, RUN_OPTIONS, add_pipes
from .exchange import Serving
from .keywords import refuse_unknown
from .loop_library import running
from .loop_start import ends_all, start
from .loop_streams import ReceiveStream, SendStream, ready
from .outcome import CompletedRun
from .popen import Popen, PopenOptions
from .readiness import READ, Deadline
from .running import Running
from .text import Mode


class Runner:
    """The interface of a sandbox, a cell or a pool for any event loop."""

    __slots__ = ("_sandbox",)

    def __init__(self, sandbox: seclude.command_runner.CommandRunner) -> None:
        self._sandbox = sandbox

    async def run(
        self,
        args: command.Args,
        *,
        input: Any = None,  # noqa: A002
        capture_output: bool = False,
        check: bool = False,
        **options: Unpack[PopenOptions],
    ) -> CompletedRun:
        """Run a command, wait for it to end, and return a `CompletedRun`, as `Sandbox.run` does.

        Cancelling the call kills the command and waits until it is gone. So `trio.fail_after`,
        `anyio.fail_after` or `asyncio.timeout` take the place of `timeout`. With `wall_time` the
        end by time is an outcome.

        Raises RuntimeError, without starting anything, if no event loop runs.
        """
        refuse_unknown("run", options, RUN_OPTIONS - {"timeout"})
        add_pipes(options, input, capture_output)
        mode, others = Mode.taken(options)
        async with await self._popen(args, mode, others) as process:
            try:
                stdout, stderr = await process.communicate(input)
            except BaseException:
                process.kill()
                raise
            collected = await process.collect() if process._process._child.has_files() else None
        assert process.outcome is not None
        done = CompletedRun(args, process.outcome, stdout, stderr, collected)
        if check:
            done.check_returncode()
        return done

    async def popen(
        self, args: command.Args, **options: Unpack[command.CommandOptions]
    ) -> AsyncPopen:
        """Start a command and return an `AsyncPopen`. The options are those of `Sandbox.popen`.

        A thread of the loop's starts the command, so that the loop keeps running. In a pool, the
        starts of one loop get their places in the order in which they were requested.

        Cancelling the call kills a command that was started and waits until that is gone.

        Raises RuntimeError, without starting anything, if no event loop runs.
        """
        refuse_unknown("popen", options, POPEN_OPTIONS)
        return await self._popen(args, Mode.checked(bufsize=0), dict(options))

    async def _popen(self, args: command.Args, mode: Mode, options: dict[str, Any]) -> AsyncPopen:
        started = await start(self._sandbox, args, options)  # type: ignore[arg-type]
        return AsyncPopen(Popen._started(self._sandbox, args, mode, *started))


class AsyncPopen(Running):
    """A running command: a `Popen` whose methods are awaited where they wait.

    `async with await box.aio.popen(...) as process:` waits for the command at the end of the
    block. If a cancellation leaves the block, or anything else that is not an `Exception`, the
    command is killed first. Dropping the object kills the command and gives a ResourceWarning.

    A cancelled `wait`, `communicate`, `send` or `receive` leaves the command running. `stdin`,
    `stdout` and `stderr` are streams of bytes for PIPE, else None.
    """

    stdin: SendStream | None
    stdout: ReceiveStream | None
    stderr: ReceiveStream | None

    def __init__(self, process: Popen) -> None:
        super().__init__(process)
        pipes = process.stdin, process.stdout, process.stderr
        for pipe in pipes:
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        self.stdin = None if pipes[0] is None else SendStream(pipes[0])
        # In a cell, processes that the command left behind may hold the pipes open.
        end = process.fileno() if process._child.pipes_may_stay else None
        self.stdout, self.stderr = (
            None if pipe is None else ReceiveStream(pipe, end) for pipe in pipes[1:]
        )

    async def collect(self) -> Collected:
        """Return the files that the command has left, once it has been waited for.

        A thread of the loop's reads them. Otherwise like `Popen.collect`.
        """
        found: list[Collected] = []
        errors: list[Exception] = []

        def collect() -> None:
            try:
                found.append(self._process.collect())
            except Exception as error:
                errors.append(error)

        await running().in_thread(collect)
        for error in errors:
            raise error
        return found[0]

    def fileno(self) -> int:
        """Return the pidfd, borrowed, which is readable once the command has ended."""
        return self._process.fileno()

    def poll(self) -> int | None:
        """Return the return code if the command has ended, else None. Does not wait."""
        return self._process.poll()

    async def wait(self) -> int:
        """Wait for the command to end and return the return code.

        When this returns, nothing of the sandbox is left. Any number of tasks may wait. A command
        that fills a pipe which nobody reads never ends.
        """
        while True:
            # Also at the command's own deadline, because `poll` ends an overdue command.
            await ready({self.fileno(): READ}, Deadline(self._process.deadline))
            if (returncode := self._process.poll()) is not None:
                return returncode

    async def communicate(self, input: Any = None) -> tuple[Any, Any]:  # noqa: A002
        """Write `input`, read stdout and stderr to their ends, and wait for the command.

        The result and the bounds are those of `Popen.communicate`. After a cancellation, another
        call without input continues: no data is lost or repeated.
        """
        process = self._process
        serving = Serving([process._exchanged(input)])
        while serving.wanted:
            deadline = Deadline(process.deadline)
            serving.serve(await ready(serving.wanted, deadline))
            if deadline.passed:
                process.poll()
        await self.wait()
        return process._read()

    def send_signal(self, sig: int) -> None:
        """Send a signal to the command's first process. Does nothing if the command has ended."""
        self._process.send_signal(sig)

    def terminate(self) -> None:
        """Send SIGTERM to the command's first process."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill everything inside. Does not wait."""
        self._process.kill()

    async def aclose(self) -> None:
        """Close the pipes and wait for the command. A cancellation kills it, and still waits."""
        await self.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        if self.terminal is not None:
            self.terminal.close()
        if kind is None or issubclass(kind, Exception):
            try:
                await self.wait()
            except BaseException as interruption:
                await self._end(type(interruption))
                raise
        else:
            await self._end(kind)

    async def _end(self, kind: type[BaseException]) -> None:
        """Kill the command and wait until it is gone, because of an exception of this kind."""
        self._process.kill()
        if ends_all(kind):
            self._process.wait()
        else:
            with running().shield():
                await self.wait()
