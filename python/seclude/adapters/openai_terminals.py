"""Commands of `openai-agents` that keep running between the calls of an agent.

Each has a terminal, or a pipe for its output. Between two calls it may write a bounded number of
bytes. Then it waits until the agent asks again.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from subprocess import DEVNULL, PIPE, STDOUT

from agents.sandbox.errors import PtySessionNotFoundError
from agents.sandbox.session.pty_output import collect_pty_output
from agents.sandbox.session.pty_types import (
    PTY_PROCESSES_MAX,
    PtyExecUpdate,
    allocate_pty_process_id,
    clamp_pty_yield_time_ms,
    process_id_to_prune_from_meta,
    resolve_pty_write_yield_time_ms,
)

import seclude

from ..aio import AsyncProcess
from . import running
from .workspace import Ran

_PIECE = 1 << 16
_FULL = 0.02
"""Seconds between two attempts to write to a terminal whose program does not read."""


class Terminals:
    """The running commands of a session, by the numbers that the agent knows."""

    def __init__(self) -> None:
        self._started: dict[int, _Started] = {}

    async def start(
        self,
        cell: seclude.Cell,
        args: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        tty: bool,
        bound: int,
        seconds: float | None,
        tokens: int | None,
    ) -> PtyExecUpdate:
        """Start a command, and return what it has written after at most `seconds`."""
        streams = (seclude.PTY,) * 3 if tty else (DEVNULL, PIPE, STDOUT)
        process = await cell.asyncio.create_subprocess_exec(
            *args, stdin=streams[0], stdout=streams[1], stderr=streams[2], cwd=cwd, env=env
        )
        started = _Started(process, bound)
        if len(self._started) >= PTY_PROCESSES_MAX:
            known = [(number, one.used, one.done) for number, one in self._started.items()]
            oldest = process_id_to_prune_from_meta(known)
            if oldest is not None:
                await self._started.pop(oldest).end()
        number = allocate_pty_process_id(set(self._started))
        self._started[number] = started
        wait = 10_000 if seconds is None else int(seconds * 1000)
        return await self._told(number, clamp_pty_yield_time_ms(wait), tokens)

    async def write(
        self, number: int, text: str, *, seconds: float | None, tokens: int | None
    ) -> PtyExecUpdate:
        """Type text into a command's terminal, and return what it has written then."""
        started = self._started.get(number)
        if started is None:
            raise PtySessionNotFoundError(session_id=number)
        wait = resolve_pty_write_yield_time_ms(
            yield_time_ms=250 if seconds is None else int(seconds * 1000), input_empty=not text
        )
        if text:
            await asyncio.wait_for(started.type(text.encode()), wait / 1000)
        return await self._told(number, wait, tokens)

    async def _told(self, number: int, wait: int, tokens: int | None) -> PtyExecUpdate:
        started = self._started[number]
        started.make_room()
        output, original, closed = await collect_pty_output(
            output_chunks=started.chunks,
            output_lock=started.lock,
            output_notify=started.news,
            is_done=lambda: started.done,
            yield_time_ms=wait,
            max_output_tokens=tokens,
        )
        started.used = time.monotonic()
        if not closed:
            return PtyExecUpdate(number, output, None, original)
        self._started.pop(number, None)
        return PtyExecUpdate(None, output, await started.end(), original)

    async def end_all(self) -> None:
        """End every command with all that it has started."""
        while self._started:
            await self._started.popitem()[1].end()


class _Started:
    """A running command, and what it has written since the agent last asked."""

    def __init__(self, process: AsyncProcess, bound: int) -> None:
        self._process, self._bound = process, bound
        self.chunks: deque[bytes] = deque()
        self.lock, self.news = asyncio.Lock(), asyncio.Event()
        self._room, self._space = bound, asyncio.Event()
        self.used = time.monotonic()
        self._pump = asyncio.create_task(self._collect())

    @property
    def done(self) -> bool:
        """Whether it has ended and all it has written is here."""
        return self._pump.done()

    async def _collect(self) -> None:
        try:
            if self._process.terminal is not None:
                await self._read_terminal(self._process.terminal)
            elif self._process.stdout is not None:
                while piece := await self._process.stdout.read(_PIECE):
                    await self._put(piece)
            await self._process.wait()
            if remark := self._ran().remark:
                self.chunks.append(f"\n{remark}\n".encode())
        finally:
            self.news.set()

    async def _read_terminal(self, terminal: seclude.Terminal) -> None:
        os.set_blocking(terminal.fileno(), False)
        while (piece := terminal.read(_PIECE)) != b"":
            if piece is not None:
                await self._put(piece)
            elif self._process.returncode is None:
                await self._process._readable(terminal)
            else:
                break

    async def _put(self, piece: bytes) -> None:
        while self._room <= 0:
            self._space.clear()
            await self._space.wait()
        self._room -= len(piece)
        async with self.lock:
            self.chunks.append(piece)
        self.news.set()

    def make_room(self) -> None:
        """Let the command write on."""
        self._room = self._bound - sum(map(len, self.chunks))
        self._space.set()

    async def type(self, data: bytes) -> None:
        """Write to the terminal. Waits while the program does not read."""
        terminal = self._process.terminal
        if terminal is None or terminal.closed:
            raise RuntimeError("the command has no terminal; hint: start it with tty=true")
        while data and self._process.returncode is None:
            written = terminal.write(data)
            data = data[written or 0 :]
            if data:
                await asyncio.sleep(_FULL)

    async def end(self) -> int:
        """End the command and return its exit code."""
        if self._process.returncode is None:
            await running.end(self._process)
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        if self._process.terminal is not None:
            self._process.terminal.close()
        return self._ran().status

    def _ran(self) -> Ran:
        assert self._process.outcome is not None
        return Ran(b"", b"", self._process.outcome)
