"""A cell: a sandbox that stays up and runs many commands, in turn or at once."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

import seclude

from . import _seclude
from .command import Text, size
from .command_runner import CommandRunner
from .outcome import Process, Usage
from .transfer import MAX_BYTES, MAX_ENTRIES, Copied
from .vocabulary import Freezer, Protection


class Cell(CommandRunner):
    """A sandbox that is alive: its commands share files, processes and network, and what one leaves behind is there for the next.

    `run`, `popen`, `command` and `asyncio` are those of a sandbox. A command ends when its first process does; what that has
    started goes on, unless it is ended by force: then what it has started ends with it. Its usage is what its first process,
    and those that this has waited for, have used. The sandbox's limits on memory, processes, processor time and I/O bound
    what all commands use together; `wall_time` and `output` each command by itself.

    `with box.cell() as cell:` closes it; so does dropping it, its commands and processes, and the interpreter's end. Any
    thread may use it.

        >>> import seclude
        >>> with seclude.Sandbox(files=[seclude.tmpfs("/tmp", "16M")]).cell() as cell:
        ...     _ = cell.run(["sh", "-c", "echo hello > /tmp/greeting"])
        ...     print(cell.run(["cat", "/tmp/greeting"], capture_output=True, text=True).stdout, end="")
        ...     cell.reset()
        ...     print(cell.run(["ls", "/tmp"], capture_output=True, text=True).stdout, end="")
        hello
    """

    __slots__ = ("_core", "sandbox")

    def __init__(self, sandbox: seclude.Sandbox) -> None:
        self.sandbox = sandbox
        self._core: _seclude.Cell = sandbox._core.cell()

    def _limits_output(self) -> bool:
        return self.sandbox._limits_output()

    @property
    def enforced(self) -> tuple[Protection, ...]:
        """The names of the protections that hold all that run in it."""
        return tuple(self._core.enforced())

    @property
    def pid(self) -> int:
        """Its warden's process id, as the caller counts: another one after a reset."""
        return self._core.pid()

    def publish(self, name: str) -> None:
        """Publishes it under a name, by which other processes of the caller's user find and `enter` it.

        Until it is closed, or published under another. 1 to 64 letters, digits, dots, hyphens and underscores, not beginning with
        a dot; a PolicyError if another cell lives under it.

        In the directory that the environment variable SECLUDE_CELLS names; else in `$XDG_RUNTIME_DIR/seclude`, root's in
        `/run/seclude`, and the rest in `/tmp/seclude-UID`. It must be the user's own.
        """
        self._core.publish(name)

    @property
    def is_alive(self) -> bool:
        """Whether it can run commands: it has not been closed, and its warden lives."""
        return self._core.is_alive()

    def processes(self) -> list[Process]:
        """Every process inside, the warden first, each after its parent."""
        return [Process._from_native(seen) for seen in self._core.processes()]

    def usage(self) -> Usage:
        """What all its commands have used so far, since it was started or reset."""
        return Usage._from_native(self._core.usage())

    def freeze(self) -> Freezer:
        """Stops everything inside, and tells by which means. Wall times go on."""
        return self._core.freeze()

    def thaw(self) -> None:
        """Lets everything inside go on."""
        self._core.thaw()

    def kill_all(self) -> None:
        """Kills everything inside: commands that run end as `killed`. The cell stays, with its files. Does not wait."""
        self._core.kill_all()

    def reset(self) -> None:
        """Back to the state after set-up: no process, the scratch file systems empty, network, IPC objects, keys and clocks new.

        The counters begin at zero, and limits are the policy's again. The caller's files that are bound writable stay as they
        are. The first one makes a template (`Sandbox.prepare`), and from then on a reset costs a fraction of a new cell.
        """
        self._core.reset()

    def close(self) -> None:
        """Ends everything inside and waits until it is gone. Using it afterwards is a PolicyError; closing it again is none."""
        self._core.close()

    def set_memory(self, bytes: int | str) -> None:  # noqa: A002
        """Changes the limit `memory` of all together, until the next reset: bytes, or text ("64M").

        The sandbox must have set one.
        """
        self._core.set_memory(size("memory", bytes))

    def set_cpus(self, number: float) -> None:
        """Changes the limit `cpus` of all together."""
        self._core.set_cpus(number)

    def set_pids(self, number: int) -> None:
        """Changes the limit `pids` of all together."""
        self._core.set_pids(number)

    def copy_out(
        self,
        inside: Text,
        to: Text,
        *,
        max_bytes: int | str = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        skip_special: bool = False,
    ) -> Copied:
        """Copies a file or tree out of it, from an absolute path inside: as `Popen.copy_out`."""
        bounds = size("max_bytes", max_bytes), max_entries, skip_special
        return Copied._from_native(
            self._core.copy_out(os.fsencode(inside), os.fsencode(to), bounds)
        )

    def copy_in(
        self,
        path: Text,
        inside: Text,
        *,
        max_bytes: int | str = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        skip_special: bool = False,
    ) -> Copied:
        """Copies a file or tree of the caller's into it, to an absolute path that commands may write to: as `Popen.copy_in`."""
        bounds = size("max_bytes", max_bytes), max_entries, skip_special
        return Copied._from_native(
            self._core.copy_in(os.fsencode(path), os.fsencode(inside), bounds)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<seclude.Cell: {'alive' if self.is_alive else 'ended'}>"
