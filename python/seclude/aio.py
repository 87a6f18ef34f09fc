"""asyncio's subprocess, inside a sandbox: `await box.asyncio.create_subprocess_exec(...)`.

The loop watches the pidfd and the pipes; there is no thread and no child watcher, so any loop that has `add_reader` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import IO, TYPE_CHECKING, Any, Unpack, cast

import seclude

from . import command
from .errors import SecludeError
from .exchange import Kept, pending
from .keywords import refuse_unknown
from .outcome import Outcome, Process, Usage
from .popen import Popen
from .text import Mode
from .vocabulary import Freezer
from .waiters import Waiters

if TYPE_CHECKING:
    from . import _seclude

_LIMIT = 2**16


class Runner:
    """The asyncio face of a sandbox, a cell or a pool."""

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
        """Starts a command: `asyncio.create_subprocess_exec`, with `Popen`'s streams, `cwd`, `env`, descriptors, `arg0`.

        Starting it takes the loop about a millisecond. In a pool it first waits for a place, and
        the loop goes on meanwhile. The starts of one loop get their places in the order in which
        they came. `limit` is how many bytes the stream readers hold.

        One that is cancelled while it waits has started nothing; later, it kills what it has
        started, and waits until it is gone. RuntimeError if no asyncio loop runs: then nothing is
        started.
        """
        refuse_unknown("create_subprocess_exec", options, command.CommandOptions.__optional_keys__)
        loop = asyncio.get_running_loop()
        started = await self._start([program, *args], options)
        popen = Popen._started(self._sandbox, [program, *args], Mode.checked(bufsize=0), *started)
        return await AsyncProcess._connected(popen, loop, limit)

    async def _start(
        self, args: command.Args, options: command.CommandOptions
    ) -> tuple[_seclude.Child, command.Ends]:
        one = command.Start(self._sandbox._core, args, options)
        loop, loops = asyncio.get_running_loop(), self._sandbox._waiters()
        if loop not in loops:
            if (started := one.attempt()) is not None:
                return started
            loops[loop] = Waiters(loop, cast("_seclude.Pool", self._sandbox._core).fileno())
        waiters = loops[loop]
        try:
            return await waiters.wait(one.attempt)
        finally:
            if not waiters:
                loops.pop(loop, None)


class AsyncProcess:
    """A running command with `asyncio.subprocess.Process`'s face, and with `Popen`'s `outcome` and `processes`.

    The loop keeps it until it ends; the loop's end, like the interpreter's, kills it.
    """

    stdin: asyncio.StreamWriter | None = None
    stdout: asyncio.StreamReader | None = None
    stderr: asyncio.StreamReader | None = None

    @classmethod
    async def _connected(
        cls, process: Popen, loop: asyncio.AbstractEventLoop, limit: int
    ) -> AsyncProcess:
        """A command that runs, in the loop's hands. What cannot be handed over, nobody could reach: it is killed."""
        try:
            connected = cls(process, loop)
        except BaseException:
            # A loop that has no readers. Nobody waits for this one but here.
            with process:
                process.kill()
            raise
        # A task of its own, which goes on when this one is cancelled: not every loop closes a pipe that it has half taken.
        connecting = loop.create_task(connected._connect(limit))
        try:
            await asyncio.shield(connecting)
        except BaseException as error:
            process.kill()
            if not loop.is_closed():
                connected._watch()
                connecting.add_done_callback(connected._abandon)
            # Where nobody runs this coroutine any longer, it must not wait.
            if not isinstance(error, (GeneratorExit, KeyboardInterrupt, SystemExit)):
                await connected._gone()
            raise
        return connected

    def __init__(self, process: Popen, loop: asyncio.AbstractEventLoop) -> None:
        self._process = process
        self._loop = loop
        self._failure: Exception | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._pipes: list[tuple[asyncio.StreamReader, asyncio.ReadTransport, IO[Any]]] = []
        self._transports: list[asyncio.BaseTransport] = []
        # The pipes that the loop does not have yet: it closes those that it has.
        self._waiting = [process.stdin, process.stdout, process.stderr]
        loop.add_reader(process.fileno(), self._end)
        self._timer: asyncio.TimerHandle | None = None
        self._watch()

    async def _connect(self, limit: int) -> None:
        """Hands the pipes to the loop; each transport closes its own."""
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
            # It ended meanwhile.
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
        """Closes its pipes, those that the loop has and those that it has not. The loop still hears of its end."""
        if not connecting.cancelled():
            connecting.exception()  # It was raised, or a cancellation before it.
        for transport in self._transports:
            transport.close()
        for pipe in (*self._waiting, self._process.terminal):
            if pipe is not None:
                pipe.close()

    async def _gone(self) -> None:
        """Waits for the end, whatever it is. A second cancellation is the end of the waiting alone."""
        with contextlib.suppress(SecludeError):
            await self.wait()

    def _cut(self) -> None:
        """It has ended, and what it leaves behind may hold its pipes open: what is in them now is the rest."""
        for reader, transport, pipe in self._pipes if self._process._child.pipes_may_stay else ():
            if not transport.is_closing():
                transport.pause_reading()
                if rest := pending(pipe.fileno()):
                    reader.feed_data(os.read(pipe.fileno(), rest))
                reader.feed_eof()
                transport.close()
        self._pipes.clear()

    def _watch(self) -> None:
        """By then it must have ended, and is looked at: its warden may not see to that."""
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._process.deadline
        self._timer = None if deadline is None else self._loop.call_later(deadline, self._look)

    def _look(self) -> None:
        try:
            ended = self._process.poll() is not None
        except Exception:
            ended = True  # It will be told again.
        if ended:
            self._end()
        else:
            self._watch()

    def _end(self) -> None:
        """The pidfd is readable: the command has ended, and its report is there or about to be."""
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

    @property
    def pid(self) -> int:
        """The process id, as the caller sees it."""
        return self._process.pid

    @property
    def inside_pid(self) -> int:
        """The process id, as the command sees itself."""
        return self._process.inside_pid

    @property
    def terminal(self) -> seclude.Terminal | None:
        """The other side of its terminal, if a stream was `PTY`. Its methods wait, unless its descriptor is set not to."""
        return self._process.terminal

    @property
    def returncode(self) -> int | None:
        """The return code; None until the loop has noticed the end."""
        return self._process.returncode

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None until the loop has noticed."""
        return self._process.outcome

    async def wait(self) -> int:
        """Waits for the end and returns the return code."""
        if self.returncode is None and self._failure is None:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter
        if self._failure is not None:
            raise self._failure
        assert self.returncode is not None
        return self.returncode

    async def communicate(self, input: bytes | None = None) -> tuple[bytes | None, bytes | None]:  # noqa: A002
        """Writes `input`, reads stdout and stderr to their ends, waits; returns what was read, None for no pipe.

        Each stream is bounded as in `Popen.communicate`.
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
            pass  # It has closed its end, or ended: it wants no more.

    async def _drained(self, stream: asyncio.StreamReader | None) -> bytes | None:
        if stream is None:
            return None
        kept = Kept(self._process._bound())
        while chunk := await stream.read(_LIMIT):
            if not kept.add(chunk):
                self._process._overflow()
        return b"".join(kept.chunks)

    async def _shown(self, terminal: seclude.Terminal) -> bytes:
        """What the command writes to its terminal, until nobody inside has it open, or in a cell until the command has ended."""
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
        """Waits until there is something to read, or the command has ended."""
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        self._loop.add_reader(terminal.fileno(), self._wake, waiter)
        try:
            await waiter
        finally:
            self._loop.remove_reader(terminal.fileno())

    def send_signal(self, sig: int) -> None:
        """Sends a signal to the command's first process. ProcessLookupError if its end was noticed, as asyncio has it."""
        self._still_there()
        self._process._child.signal(sig)

    def terminate(self) -> None:
        """Sends SIGTERM to the command's first process."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kills everything inside. Does not wait."""
        self._still_there()
        self._process.kill()
        self._watch()

    def usage(self) -> Usage:
        """What it has used so far, as `Popen.usage` tells it."""
        return self._process.usage()

    def set_memory(self, bytes: int | str) -> None:  # noqa: A002
        """Changes the limit `memory` while it runs, as `Popen.set_memory` does."""
        self._process.set_memory(bytes)

    def set_cpus(self, number: float) -> None:
        """Changes the limit `cpus` while it runs."""
        self._process.set_cpus(number)

    def set_cpu_time(self, seconds: float) -> None:
        """Changes the limit `cpu_time` while it runs: seconds from its start."""
        self._process.set_cpu_time(seconds)

    def set_pids(self, number: int) -> None:
        """Changes the limit `pids` while it runs."""
        self._process.set_pids(number)

    def freeze(self) -> Freezer:
        """Stops everything inside, and tells by which means."""
        return self._process.freeze()

    def thaw(self) -> None:
        """Lets everything inside go on."""
        self._process.thaw()

    def processes(self) -> list[Process]:
        """Every process inside, as `Popen.processes` tells them."""
        return self._process.processes()

    def _still_there(self) -> None:
        if self.returncode is not None:
            raise ProcessLookupError

    def __repr__(self) -> str:
        return f"<seclude.aio.AsyncProcess: {self._process!r}>"
