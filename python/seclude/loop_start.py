"""Starts on an event loop: in a thread of the loop's, so that the loop keeps running."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock

import seclude

from . import _seclude, command
from .loop_library import Library, running
from .loop_streams import ready
from .readiness import READ, Deadline

_Started = tuple[_seclude.Child, command.Ends]


async def start(
    sandbox: seclude.command_runner.CommandRunner,
    args: command.Args,
    options: command.CommandOptions,
) -> _Started:
    """Start a command, and wait for a place first if the sandbox is a pool.

    If this is cancelled, what was started is killed and gone when the cancellation is raised.
    """
    library = running()
    one = command.Start(sandbox._core, args, options)

    async def attempt() -> _Started | None:
        return await _in_thread(library, one.attempt)

    waiters = sandbox._waiters()
    started = await (attempt() if waiters is None else waiters.wait(library, attempt))
    assert started is not None  # Only a pool can lack a place.
    return started


def ends_all(kind: type[BaseException]) -> bool:
    """Return whether this exception ends the coroutine or the program, which may not await then."""
    return issubclass(kind, (GeneratorExit, KeyboardInterrupt, SystemExit))


async def _in_thread(library: Library, attempt: Callable[[], _Started | None]) -> _Started | None:
    """Try a start in a thread. If this is cancelled, end what was started."""
    starting = _Starting(attempt)
    try:
        await library.in_thread(starting.call)
    except BaseException as interruption:
        # No variable of this frame holds the command, because the exception keeps the frame.
        await _end_started(starting.abandon(), library, ends_all(type(interruption)))
        raise
    return starting.result()


async def _end_started(started: _Started | None, library: Library, at_once: bool) -> None:
    """Kill a command and wait until it is gone; `at_once` means without awaiting anything."""
    if started is None:
        return
    child, pipes = started
    _close(pipes)
    child.kill()
    if not at_once:  # Else dropping the child waits.
        with library.shield():
            while child.try_wait() is None:
                await ready({child.pidfd: READ}, Deadline(child.deadline))


class _Starting:
    """A start in a thread. If nobody waits for its result any more, the thread ends it."""

    def __init__(self, attempt: Callable[[], _Started | None]) -> None:
        self._attempt = attempt
        self._lock = Lock()
        self._abandoned = False
        self._started: _Started | None = None
        self._error: BaseException | None = None

    def call(self) -> None:
        try:
            started = self._attempt()
        except BaseException as error:
            self._error = error
            return
        with self._lock:
            if not self._abandoned:
                self._started = started
                return
        if started is not None:
            _close(started[1])

    def abandon(self) -> _Started | None:
        with self._lock:
            self._abandoned = True
            started, self._started = self._started, None
        return started

    def result(self) -> _Started | None:
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # Its traceback refers to this frame.
        return self.abandon()


def _close(pipes: command.Ends) -> None:
    for fd in pipes:
        if fd is not None:
            os.close(fd)
