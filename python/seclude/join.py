"""Joining: commands in namespaces that exist already, whoever made them; and cells that other processes have published."""

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
    """A policy, and namespaces that exist: commands run in those, and what the policy says of the other kinds holds.

    `Sandbox.join` and `enter` make one. `run`, `popen`, `command` and `asyncio` are those of a sandbox; all that a command starts
    ends with it. It holds the namespaces by descriptors: they are there as long as it is. A process tree ends with its first
    process all the same. Any thread may use it.
    """

    __slots__ = ("_core", "sandbox")

    def __init__(self, sandbox: seclude.Sandbox, core: _seclude.Joined) -> None:
        self.sandbox = sandbox
        self._core: _seclude.Joined = core

    def _limits_output(self) -> bool:
        return self.sandbox._limits_output()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds that are entered. The others are as the policy has them; what a process shares with the caller is shared."""
        return frozenset(self._core.kinds())

    def __repr__(self) -> str:
        return f"<seclude.Joined: {' '.join(self._core.kinds())}, {self.sandbox!r}>"


@dataclass(frozen=True, slots=True)
class NamedCell:
    """A cell that has been published (`Cell.publish`), as any process of its user's sees it."""

    name: str
    pid: int
    """Its warden's process id, as the caller counts."""
    sandbox: seclude.Sandbox
    """Its policy."""

    def enter(self) -> Joined:
        """As `enter` with its name."""
        return enter(self.name)


def cells() -> list[NamedCell]:
    """Every published cell of this user's that lives, by name.

    Entries of others are removed: of a caller that was killed, for one.
    """
    from .sandbox import Sandbox

    return [
        NamedCell(name, pid, Sandbox.from_json(policy)) for name, pid, policy in _seclude.cells()
    ]


def enter(name: str) -> Joined:
    """Enters the published cell of this name: a PolicyError if none lives.

    Commands run in all its namespaces and cgroups, under its policy, beside those of the cell's own caller. What one has started
    ends with it. Wall time, output and processor time are each command's own; the other limits are the cell's. What Landlock
    says of signals and abstract sockets is left out, for they would not reach the cell's own processes.
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
    """Keeps a namespace, with processes or without, by a mount of it at `path`, where a file of mode 444 is made for it.

    The one of this kind that a process is in (`pid`, `pidfd`), or that a descriptor is of: until `release` or the machine's
    end. As `ip netns add` does: takes CAP_SYS_ADMIN over the caller's mount namespace.
    """
    fds = [] if fd is None else [fd]
    _seclude.persist(sources(pid, pidfd, (), fds, None), kind, os.fsencode(path))


def release(path: Path) -> None:
    """Lets go of a namespace that `persist` keeps there: takes the mount and the file away. What still runs in it goes on."""
    _seclude.release(os.fsencode(path))


def sources(
    pid: int | None,
    pidfd: int | IO[Any] | None,
    paths: Iterable[Path],
    fds: Iterable[int | IO[Any]],
    only: Iterable[NamespaceKind] | None,
) -> Sources:
    """What the native half takes."""
    return {
        "pid": pid,
        "pidfd": None if pidfd is None else _number(pidfd),
        "paths": [os.fsencode(path) for path in paths],
        "fds": [_number(fd) for fd in fds],
        "only": None if only is None else list(only),
    }


def _number(fd: int | IO[Any]) -> int:
    return fd if isinstance(fd, int) else fd.fileno()
