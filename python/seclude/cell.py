"""A cell: a sandbox that stays up and runs many commands, one after another or at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

import seclude

from . import _seclude, log
from .command import Text, size
from .command_runner import CommandRunner
from .egress import EgressReport, PublishedPort
from .errors import SecludeError
from .network import wait_ready
from .outcome import Process, Usage
from .transfer import MAX_BYTES, MAX_ENTRIES, Copied, Progress
from .vocabulary import Freezer, Protection


class Cell(CommandRunner):
    r"""A running sandbox whose commands share files, processes and network.

    What one command leaves behind is there for the next. `run`, `popen`, `command` and `asyncio`
    work as on a `Sandbox`.

    A command ends when its first process ends; other processes that it started keep running. If a
    limit or the caller kills the command, those are killed with it. The usage of a command covers
    its first process and the children that this process has waited for.

    The limits on memory, processes, processor time and I/O apply to all commands together.
    `wall_time` and `output` apply to each command separately.

    `with box.cell() as cell:` closes the cell at the end of the block. Dropping the cell together
    with its commands and processes also closes it, and so does the end of the interpreter. Any
    thread may use a cell.

        >>> import seclude
        >>> with seclude.Sandbox(files=[seclude.tmpfs("/tmp", "16M")]).cell() as cell:
        ...     _ = cell.run(["sh", "-c", "echo hello > /tmp/greeting"])
        ...     cell.run(["cat", "/tmp/greeting"], capture_output=True, text=True).stdout
        ...     cell.reset()
        ...     cell.run(["ls", "/tmp"], capture_output=True, text=True).stdout
        'hello\n'
        ''
    """

    __slots__ = ("_core", "sandbox")

    def __init__(self, sandbox: seclude.Sandbox) -> None:
        self.sandbox = sandbox
        try:
            self._core: _seclude.Cell = sandbox._core.cell()
        except SecludeError as error:
            log.refused(None, error)
            raise

    def _limits_output(self) -> bool:
        return self.sandbox._limits_output()

    @property
    def enforced(self) -> tuple[Protection, ...]:
        """The names of the protections that apply to all commands of the cell."""
        return tuple(self._core.enforced())

    @property
    def pid(self) -> int:
        """The process id of the warden as the caller sees it. A reset changes it."""
        return self._core.pid()

    def interpreter(
        self,
        *,
        preload: Iterable[str] = (),
        path: Iterable[Text] = (),
        python: Text = "python3",
        program: Sequence[Text] | None = None,
    ) -> seclude.Interpreter:
        """Start a warm interpreter in this cell: state from call to call, a reset by fork.

        `preload` are modules to import once, and `path` further directories inside to find them in.
        `python` is the interpreter inside. `program` is another program in its place, which speaks
        the protocol of `docs/interpreters.md`.
        """
        from .interpreter import Interpreter

        return Interpreter(self, preload=preload, path=path, python=python, program=program)

    def publish(self, name: str) -> None:
        """Publish the cell under a name, by which other processes of this user can `enter` it.

        The name has 1 to 64 letters, digits, dots, hyphens and underscores, and does not begin with
        a dot. It holds until the cell is closed or published under another name.

        The entry is made in the directory that the environment variable SECLUDE_CELLS names, else
        in `$XDG_RUNTIME_DIR/seclude`. If neither is set, it is `/run/seclude` for root and
        `/tmp/seclude-UID` for other users. The directory must belong to the user.

        Raises PolicyError if another live cell has this name.
        """
        self._core.publish(name)

    @property
    def is_alive(self) -> bool:
        """Whether the cell can run commands: it is not closed and its warden is alive."""
        return self._core.is_alive()

    def processes(self) -> list[Process]:
        """Return every process inside: the warden first, each process after its parent."""
        return [Process._from_native(seen) for seen in self._core.processes()]

    @property
    def addresses(self) -> list[str]:
        """The addresses in the cell's private networks, those of its policy's network first."""
        return self._core.addresses()

    @property
    def ports(self) -> list[PublishedPort]:
        """The ports that are published on the host, in the order of the policy."""
        return PublishedPort._of(self._core.ports())

    def egress(self) -> EgressReport:
        """Return what the cell's commands have reached outside since it was started or reset."""
        return EgressReport._of(self._core.egress())

    def wait_ready(self, port: int, timeout: float | None = None) -> bool:
        """Wait until a TCP socket listens on a port in the cell's network. Makes no connection.

        Returns False if the cell has ended or the time, in seconds, is over.
        """
        return wait_ready(self._core.wait_ready, lambda: not self.is_alive, port, timeout)

    def connect(self, network: seclude.Network) -> list[str]:
        """Join a private network with a further Ethernet device, and return the addresses there.

        The other members find the cell by its host name, if its policy sets one. It finds them by
        their addresses: its own `/etc/hosts` lists only the network of its policy.

        Raises PolicyError if the cell shares the caller's network, if the subnets overlap with
        those of a network that it is a member of, if a member has its host name, or if no address
        is left.
        """
        return self._core.connect(network._core)

    def disconnect(self, network: seclude.Network) -> None:
        """Leave a private network. The connections there stop."""
        self._core.disconnect(network._core)

    def usage(self) -> Usage:
        """Return what all commands have used since the cell was started or reset."""
        return Usage._from_native(self._core.usage())

    def freeze(self) -> Freezer:
        """Stop everything inside and return the mechanism used. Wall time keeps counting."""
        return self._core.freeze()

    def thaw(self) -> None:
        """Resume everything inside."""
        self._core.thaw()

    def kill_all(self) -> None:
        """Kill everything inside; running commands end as `killed`. Does not wait.

        The cell stays up and keeps its files.
        """
        self._core.kill_all()

    def reset(self) -> None:
        """Return to the state after set-up.

        A reset kills every process and empties the scratch file systems. Network, IPC objects, keys
        and clocks are new, counters start at zero, and the limits are those of the policy. Files of
        the caller that are bound writable are not changed. The cell is a member of its policy's
        network again, and of no other. It keeps its address there, and its ports on the host.

        The first reset makes a template (see `Sandbox.prepare`). Later resets take a fraction of
        the time that a new cell takes.
        """
        self._core.reset()

    def changes(self) -> list[seclude.Change]:
        """Return what differs in the cell's overlay from its layers, by path.

        The overlay is the one at `/`, or else the first of the policy. A directory counts as
        changed if its owner or mode is another one, or if it took the place of another file; not
        for what is in it. Times do not count. Commands that run meanwhile may change more: `freeze`
        stops them. Raises PolicyError if the policy has no overlay.
        """
        from .image import Change

        return [Change(kind, os.fspath(path)) for kind, path in self._core.changes()]

    def commit(self, name: str | None = None) -> seclude.Image:
        """Make an image: the one of the cell's policy, with the changes as one more layer.

        `name` is the name in the same store; without one it is the digest. The cell goes on as it
        is, and the new image never changes. What is mounted in the overlay is not a part of it. An
        image of very many layers becomes one of a single layer. Commands that run meanwhile may
        change what is read: `freeze` stops them. Raises PolicyError if the policy has no overlay
        with an image.
        """
        from .image import Image

        return Image._of(self._core.commit(name))

    def close(self) -> None:
        """Kill everything inside and wait until it is gone.

        Closing a closed cell has no effect. Any other use of it raises PolicyError.
        """
        self._core.close()

    def set_memory(self, bytes: int | str) -> None:  # noqa: A002
        """Change the limit `memory` of all commands together: bytes, or text such as "64M".

        The change holds until the next reset. The policy must have set this limit.
        """
        self._core.set_memory(size("memory", bytes))

    def set_cpus(self, number: float) -> None:
        """Change the limit `cpus` of all commands together: 0.01 to 8192 processors."""
        self._core.set_cpus(number)

    def set_pids(self, number: int) -> None:
        """Change the limit `pids` of all commands together."""
        self._core.set_pids(number)

    def copy_out(
        self,
        inside: Text,
        to: Text,
        *,
        max_bytes: int | str = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        skip_special: bool = False,
        archive: bool = False,
        progress: Progress | None = None,
    ) -> Copied:
        """Copy a file or tree out of the cell, as `Popen.copy_out` does."""
        bounds = size("max_bytes", max_bytes), max_entries, skip_special, archive
        return Copied._from_native(
            self._core.copy_out(os.fsencode(inside), os.fsencode(to), bounds, progress)
        )

    def copy_in(
        self,
        path: Text,
        inside: Text,
        *,
        max_bytes: int | str = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        skip_special: bool = False,
        archive: bool = False,
        progress: Progress | None = None,
    ) -> Copied:
        """Copy a file or tree of the caller into the cell, as `Popen.copy_in` does."""
        bounds = size("max_bytes", max_bytes), max_entries, skip_special, archive
        return Copied._from_native(
            self._core.copy_in(os.fsencode(path), os.fsencode(inside), bounds, progress)
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
