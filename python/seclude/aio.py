"""asyncio subprocesses in a sandbox: `await box.asyncio.create_subprocess_exec(...)`.

The event loop watches the pidfd and the pipes, without a child watcher, and starts commands in its
executor. Any loop that implements `add_reader` works.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import IO, Any, Unpack

import seclude

from . import command
from .collected import Collected
from .errors import SecludeError
from .exchange import Kept, pending
from .keywords import refuse_unknown
from .loop_start import start
from .popen import Popen
from .running import Running
from .text import Mode

_LIMIT = 2**16


class Runner:
    """The asyncio interface of a sandbox, a cell or a pool."""

    __slots__ = ("_sandbox",)

    def __init__(self, sandbox: seclude.command_runner.CommandRunner) -> None:
        self._sandbox = sandbox

    async def create_subprocess_exec(
        self,
        program: command.Text,
        *args: command.Text,
        limit: int = _LIMIT,
        **options: Unpack[command.CommandOptions],
    ) -> AsyncProcess:
        """Start a command, like `asyncio.create_subprocess_exec`, and return an `AsyncProcess`.

        The streams, `cwd`, `env`, descriptors and `arg0` are those of `Popen`. `limit` is the
        buffer size of the stream readers in bytes.

        A thread of the loop's starts the command, so that the loop keeps running. In a pool, the
        starts of one loop get their places in the order in which they were requested.

        Cancelling the call while it waits for a place starts nothing. Cancelling it later kills the
        command that was started and waits until that is gone.

        Raises RuntimeError, without starting anything, if no asyncio loop runs.
        """
        refuse_unknown("create_subprocess_exec", options, command.CommandOptions.__optional_keys__)
        loop = asyncio.get_running_loop()
        started = await start(self._sandbox, [program, *args], options)
        popen = Popen._started(self._sandbox, [program, *args], Mode.checked(bufsize=0), *started)
        return await AsyncProcess._connected(popen, loop, limit)


class AsyncProcess(Running):
    """A running command with the interface of `asyncio.subprocess.Process`.

    It adds `outcome`, `processes` and the other methods of `Popen`. The loop notices the end of the
    command, and keeps the object alive until then. The end of the loop or of the interpreter kills
    the command.
    """

    stdin: asyncio.StreamWriter | None = None
    stdout: asyncio.StreamReader | None = None
    stderr: asyncio.StreamReader | None = None

    @classmethod
    async def _connected(
        cls, process: Popen, loop: asyncio.AbstractEventLoop, limit: int
    ) -> AsyncProcess:
        """Hand a running command to the loop; kill the command if that fails.

        After a failure no caller has a reference by which to reach the command.
        """
        try:
            connected = cls(process, loop)
        except BaseException:
            # The loop lacks `add_reader`. Nothing but this `with` waits for the command's end.
            with process:
                process.kill()
            raise
        # A separate task continues when this one is cancelled: some loops do not close a pipe that
        # they have only half connected.
        connecting = loop.create_task(connected._connect(limit))
        try:
            await asyncio.shield(connecting)
        except BaseException as error:
            process.kill()
            if not loop.is_closed():
                connected._watch()
                connecting.add_done_callback(connected._abandon)
            # These end the coroutine or the program, so it must not await anything more.
            if not isinstance(error, (GeneratorExit, KeyboardInterrupt, SystemExit)):
                await connected._gone()
            raise
        return connected

    def __init__(self, process: Popen, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(process)
        self._loop = loop
        self._failure: Exception | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._pipes: list[tuple[asyncio.StreamReader, asyncio.ReadTransport, IO[Any]]] = []
        self._transports: list[asyncio.BaseTransport] = []
        # The pipes that the loop does not own yet. It closes those that it owns.
        self._waiting = [process.stdin, process.stdout, process.stderr]
        loop.add_reader(process.fileno(), self._end)
        self._timer: asyncio.TimerHandle | None = None
        self._watch()

    async def _connect(self, limit: int) -> None:
        """Connect the pipes to the loop. Each transport closes its own pipe."""
        loop = self._loop
        stdin = self._waiting.pop(0)
        if stdin is not None:
            protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader(loop=loop), loop=loop)
            transport, _ = await loop.connect_write_pipe(lambda: protocol, stdin)
            self._transports.append(transport)
            self.stdin = asyncio.StreamWriter(transport, protocol, None, loop)
        self.stdout = await self._reader(self._waiting.pop(0), limit)
        self.stderr = await self._reader(self._waiting.pop(0), limit)
        if self._process.outcome is not None:
            # The command ended while its pipes were being connected.
            self._cut()

    async def _reader(self, pipe: IO[Any] | None, limit: int) -> asyncio.StreamReader | None:
        if pipe is None:
            return None
        reader = asyncio.StreamReader(limit, loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        transport, _ = await self._loop.connect_read_pipe(lambda: protocol, pipe)
        self._transports.append(transport)
        self._pipes.append((reader, transport, pipe))
        return reader

    def _abandon(self, connecting: asyncio.Task[None]) -> None:
        """Close all pipes, connected or not. The loop still watches for the command's end."""
        if not connecting.cancelled():
            # Mark the exception as retrieved: it was raised already, or a cancellation came first.
            connecting.exception()
        for transport in self._transports:
            transport.close()
        for pipe in (*self._waiting, self._process.terminal):
            if pipe is not None:
                pipe.close()

    async def _gone(self) -> None:
        """Wait for the end of the command. A second cancellation ends only the waiting."""
        with contextlib.suppress(SecludeError):
            await self.wait()

    def _cut(self) -> None:
        """Read what is in the pipes after the command's end, then stop reading.

        In a cell, processes that the command left behind may hold the pipes open.
        """
        for reader, transport, pipe in self._pipes if self._process._child.pipes_may_stay else ():
            if not transport.is_closing():
                transport.pause_reading()
                if rest := pending(pipe.fileno()):
                    reader.feed_data(os.read(pipe.fileno(), rest))
                reader.feed_eof()
                transport.close()
        self._pipes.clear()

    def _watch(self) -> None:
        """Schedule a check at the command's deadline, in case the warden does not end it."""
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._process.deadline
        self._timer = None if deadline is None else self._loop.call_later(deadline, self._look)

    def _look(self) -> None:
        try:
            ended = self._process.poll() is not None
        except Exception:
            ended = True  # `_end` polls again and records the error.
        if ended:
            self._end()
        else:
            self._watch()

    def _end(self) -> None:
        """Collect the outcome of the ended command and wake the waiters."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._process.fileno())
        self._cut()
        try:
            self._process.poll()
        except Exception as failure:
            self._failure = failure
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            self._wake(waiter)

    @staticmethod
    def _wake(waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    async def wait(self) -> int:
        """Wait for the command to end and return the return code."""
        if self.returncode is None and self._failure is None:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter
        if self._failure is not None:
            raise self._failure
        assert self.returncode is not None
        return self.returncode

    async def communicate(self, input: bytes | None = None) -> tuple[bytes | None, bytes | None]:  # noqa: A002
        """Write `input`, read stdout and stderr to their ends, and wait for the command.

        Return the bytes read from stdout and stderr, or None for a stream that is not a pipe. Each
        stream is bounded as in `Popen.communicate`.
        """
        written = (
            self._drained(self.stdout)
            if self.terminal is None or self.stdout is not None
            else self._shown(self.terminal)
        )
        _, stdout, stderr = await asyncio.gather(
            self._feed(input), written, self._drained(self.stderr)
        )
        await self.wait()
        return stdout, stderr

    async def _feed(self, data: bytes | None) -> None:
        if self.stdin is None:
            if data:
                raise ValueError("input is given but stdin is not a pipe")
            return
        try:
            if data:
                self.stdin.write(data)
                await self.stdin.drain()
            self.stdin.close()
            await self.stdin.wait_closed()
        except (BrokenPipeError, ConnectionResetError):
            pass  # The command closed its end of the pipe or ended: it reads no more.

    async def _drained(self, stream: asyncio.StreamReader | None) -> bytes | None:
        if stream is None:
            return None
        kept = Kept(self._process._bound())
        while chunk := await stream.read(_LIMIT):
            if not kept.add(chunk):
                self._process._overflow()
        return b"".join(kept.chunks)

    async def _shown(self, terminal: seclude.Terminal) -> bytes:
        """Read the command's terminal until no process inside has it open.

        In a cell, reading also stops when the command has ended.
        """
        kept = Kept(self._process._bound())
        os.set_blocking(terminal.fileno(), False)
        while (chunk := terminal.read(_LIMIT)) != b"":
            if chunk is not None:
                if not kept.add(chunk):
                    self._process._overflow()
            elif self.returncode is None or not self._process._child.pipes_may_stay:
                await self._readable(terminal)
            else:
                break
        terminal.close()
        return b"".join(kept.chunks)

    async def _readable(self, terminal: seclude.Terminal) -> None:
        """Wait until the terminal has data to read or the command has ended."""
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        self._loop.add_reader(terminal.fileno(), self._wake, waiter)
        try:
            await waiter
        finally:
            self._loop.remove_reader(terminal.fileno())

    def send_signal(self, sig: int) -> None:
        """Send a signal to the command's first process.

        Raises ProcessLookupError if the loop has noticed the end, as in asyncio.
        """
        self._still_there()
        self._process._child.signal(sig)

    def terminate(self) -> None:
        """Send SIGTERM to the command's first process."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill everything inside. Does not wait."""
        self._still_there()
        self._process.kill()
        self._watch()

    async def collect(self) -> Collected:
        """Return the files that the command has left, once it has been waited for.

        A thread of the loop's executor reads them. Otherwise like `Popen.collect`.
        """
        return await self._loop.run_in_executor(None, self._process.collect)

    def _still_there(self) -> None:
        if self.returncode is not None:
            raise ProcessLookupError
