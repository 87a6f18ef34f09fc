"""Run a command in a cell from asyncio: with a timeout, bounded output and input from a stream."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from subprocess import DEVNULL, PIPE
from typing import IO

import seclude

from ..aio import AsyncProcess
from .workspace import Ran

_PIECE = 1 << 16


async def run(
    cell: seclude.Cell,
    args: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str] | None,
    timeout: float,
    bound: int,
    source: Callable[[int], bytes] | None = None,
    into: IO[bytes] | None = None,
) -> Ran:
    """Run a command, and return what it has written, at most `bound` bytes of each stream.

    `source` is a `read` method for its input. With `into`, its output goes there. A command whose
    time is over, or that writes more, is killed with all that it has started. So is one whose task
    is cancelled.
    """
    process = await cell.asyncio.create_subprocess_exec(
        *args,
        stdin=DEVNULL if source is None else PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=cwd,
        env=env,
    )
    stdout, stderr = into or io.BytesIO(), io.BytesIO()
    expired = False
    serve = asyncio.gather(
        _feed(process, source),
        _keep(process, process.stdout, stdout, bound),
        _keep(process, process.stderr, stderr, bound),
        process.wait(),
    )
    try:
        done = await asyncio.wait_for(serve, timeout)
        over = done[1] or done[2]
    except TimeoutError:
        expired, over = True, False
    finally:
        if process.returncode is None:
            await asyncio.shield(end(process))
    assert process.outcome is not None
    outcome = process.outcome._output_limit(bound) if over else process.outcome
    told = b"" if into is not None else stdout.getvalue()  # type: ignore[attr-defined]
    return Ran(told, stderr.getvalue(), outcome, expired)


async def end(process: AsyncProcess) -> None:
    """Kill a command with all that it has started, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()


async def _feed(process: AsyncProcess, source: Callable[[int], bytes] | None) -> None:
    """Write the input, unless the command stops reading it."""
    if process.stdin is None or source is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while piece := source(_PIECE):
            process.stdin.write(piece)
            await process.stdin.drain()
    process.stdin.close()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        await process.stdin.wait_closed()


async def _keep(
    process: AsyncProcess, stream: asyncio.StreamReader | None, into: IO[bytes], bound: int
) -> bool:
    """Read a stream to its end and keep as much as fits. Return whether there was more."""
    over, room = False, bound
    while stream is not None and (piece := await stream.read(_PIECE)):
        into.write(piece[:room])
        if len(piece) > room and not over:
            over = True
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        room = max(0, room - len(piece))
    return over
