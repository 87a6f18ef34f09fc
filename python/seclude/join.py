"""Run commands in existing namespaces, and in cells that other processes have published."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

import seclude

from . import _seclude
from .command_runner import CommandRunner
from .vocabulary import NamespaceKind, Path, Sources


class Joined(CommandRunner):
    """A policy combined with existing namespaces, in which commands run.

    `Sandbox.join` and `enter` make one. The policy applies to the other kinds of namespace. `run`,
    `popen`, `command` and `asyncio` work as on a `Sandbox`. Everything that a command starts ends
    with it.

    The object keeps the namespaces alive through descriptors. Still, the processes of a pid
    namespace end with its first process. Any thread may use this object.
    """

    __slots__ = ("_core", "sandbox")

    def __init__(self, sandbox: seclude.Sandbox, core: _seclude.Joined) -> None:
        self.sandbox = sandbox
        self._core: _seclude.Joined = core

    def _limits_output(self) -> bool:
        return self.sandbox._limits_output()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of namespace that commands enter.

        The policy sets up the other kinds. A namespace that a source process shares with the caller
        is shared.
        """
        return frozenset(self._core.kinds())

    def __repr__(self) -> str:
        return f"<seclude.Joined: {' '.join(self._core.kinds())}, {self.sandbox!r}>"


@dataclass(frozen=True, slots=True)
class NamedCell:
    """A published cell (see `Cell.publish`), as any process of the same user sees it."""

    name: str
    pid: int
    """The process id of its warden as the caller sees it."""
    sandbox: seclude.Sandbox
    """The cell's policy."""

    def enter(self) -> Joined:
        """Enter this cell, like `seclude.enter(name)`."""
        return enter(self.name)


def cells() -> list[NamedCell]:
    """Return the published cells of this user that are alive, sorted by name.

    This removes stale entries, such as those of a caller that was killed.
    """
    from .sandbox import Sandbox

    return [
        NamedCell(name, pid, Sandbox.from_json(policy)) for name, pid, policy in _seclude.cells()
    ]


def enter(name: str) -> Joined:
    """Enter the published cell of this name.

    Commands run in all namespaces and cgroups of the cell, under its policy, beside the commands of
    the cell's owner. Processes that a command starts end with it. Wall time, output and processor
    time count for each command; the other limits are those of the cell. Landlock's rules on signals
    and abstract sockets are left out, because under them a command could not reach the processes of
    the cell.

    Raises PolicyError if no live cell has this name.
    """
    from .sandbox import Sandbox

    core, policy = _seclude.enter(name)
    return Joined(Sandbox.from_json(policy), core)


def persist(
    path: Path,
    kind: NamespaceKind,
    *,
    pid: int | None = None,
    pidfd: int | IO[Any] | None = None,
    fd: int | IO[Any] | None = None,
) -> None:
    """Keep a namespace alive with a mount at `path`, even without processes in it.

    The namespace is the one of this kind that a process is in (`pid`, `pidfd`), or the one that a
    descriptor refers to. A file of mode 0o444 is made at `path` as the mount point. The namespace
    stays until `release` or shutdown, as with `ip netns add`. This requires CAP_SYS_ADMIN in the
    user namespace that owns the caller's mount namespace.
    """
    fds = [] if fd is None else [fd]
    _seclude.persist(sources(pid, pidfd, (), fds, None), kind, os.fsencode(path))


def release(path: Path) -> None:
    """Remove the mount and file at `path` by which `persist` keeps a namespace.

    Processes that are still in the namespace continue.
    """
    _seclude.release(os.fsencode(path))


def sources(
    pid: int | None,
    pidfd: int | IO[Any] | None,
    paths: Iterable[Path],
    fds: Iterable[int | IO[Any]],
    only: Iterable[NamespaceKind] | None,
) -> Sources:
    """Return the sources of namespaces in the form that the extension takes."""
    return {
        "pid": pid,
        "pidfd": None if pidfd is None else _number(pidfd),
        "paths": [os.fsencode(path) for path in paths],
        "fds": [_number(fd) for fd in fds],
        "only": None if only is None else list(only),
    }


def _number(fd: int | IO[Any]) -> int:
    return fd if isinstance(fd, int) else fd.fileno()
