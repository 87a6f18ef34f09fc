"""List existing namespaces and their processes: `seclude.namespaces()`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import _seclude
from .outcome import Process
from .vocabulary import NamespaceKind


@dataclass(frozen=True, slots=True)
class LiveNamespace:
    """An existing namespace."""

    kind: NamespaceKind
    """Its kind, as named in policies."""
    id: int
    """The inode number that `readlink /proc/PID/ns/…` shows, unique while the namespace exists."""
    owner: int | None
    """The id of the user namespace that owns it; for a user namespace, its parent.

    None for the initial user namespace, which has no parent. Also None if the caller may not know
    the owner, because the caller is in another branch or further inside.
    """
    owner_uid: int | None
    """The user id, as the caller sees it, that created this user namespace; else None."""
    parent: int | None
    """The id of the parent of a pid or user namespace. None in the cases given for `owner`."""
    processes: tuple[Process, ...]
    """Its processes, each after its parent, without those in nested namespaces.

    `pid` is the id as the caller sees it, and `inside_pid` the id in the process's own pid
    namespace. `pids` has all ids from the one to the other.
    """
    held_by: tuple[str, ...]
    """The mounts that keep it alive: paths in the caller's mount namespace."""
    addresses: tuple[str, ...]
    """The addresses of a network namespace that others can reach, IPv4 first.

    Loopback and link-local addresses are left out. None are known if no process is in it, or
    `/proc` does not show them.
    """


@dataclass(frozen=True, slots=True)
class Namespaces:
    """A snapshot of the namespaces that the caller may see.

    Iterating yields each namespace. `seen[id]` returns one.
    """

    list: tuple[LiveNamespace, ...]
    """The namespaces, by kind, outer ones before inner ones."""
    closed: tuple[Process, ...]
    """The processes whose namespaces are unknown, usually those of another user.

    The caller may not inspect them. Their depth in pid namespaces is known, from `pids`.
    """

    def __iter__(self) -> Iterator[LiveNamespace]:
        return iter(self.list)

    def __len__(self) -> int:
        return len(self.list)

    def __getitem__(self, id: int) -> LiveNamespace:  # noqa: A002
        for namespace in self.list:
            if namespace.id == id:
                return namespace
        raise KeyError(id)

    def of(self, pid: int) -> dict[str, LiveNamespace]:
        """Return the namespaces that a process is in, by kind; `pid` is its id for the caller.

        The result is empty if the process is closed to the caller or has ended.
        """
        within = (
            namespace
            for namespace in self.list
            if any(process.pid == pid for process in namespace.processes)
        )
        return {namespace.kind: namespace for namespace in within}


def namespaces() -> Namespaces:
    """Find every namespace that the caller may see, and the processes in each.

    The function enters, stops and changes nothing. It finds:

    - the namespaces of all processes in `/proc`,
    - those that a process has prepared for its next children,
    - those that own or contain another one in the list, even without processes,
    - those that a mount keeps alive.

    It does not find namespaces that only an open descriptor keeps alive.

    Raises SetupError if `/proc` cannot be read or no descriptor can be opened. What other processes
    do meanwhile never causes an error.

        >>> import os, seclude
        >>> with seclude.Sandbox().popen(["sleep", "1000"]) as process:
        ...     inside = seclude.namespaces().of(process.pid)["pid"]
        ...     process.kill()
        >>> [process.inside_pid for process in inside.processes]
        [1, 2]
    """
    seen_processes, living, closed = _seclude.namespaces()
    processes = [Process._from_native(seen) for seen in seen_processes]
    found = []
    for kind, number, owner, owner_uid, parent, within, held_by, addresses in living:
        inside = tuple(processes[place] for place in within)
        kept = (tuple(held_by), tuple(addresses))
        found.append(LiveNamespace(kind, number, owner, owner_uid, parent, inside, *kept))
    return Namespaces(tuple(found), tuple(processes[place] for place in closed))
