"""The namespaces that exist and what runs in them: `seclude.namespaces()`. `python -m seclude tree` draws it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import _seclude
from .outcome import Process
from .vocabulary import NamespaceKind


@dataclass(frozen=True, slots=True)
class LiveNamespace:
    """A namespace that exists."""

    kind: NamespaceKind
    """Its kind, as policies name it."""
    id: int
    """Its number, which no other of any kind has while it exists: the inode that `readlink /proc/PID/ns/…` shows."""
    owner: int | None
    """The number of the user namespace that it belongs to; a user namespace's is its parent. None where the caller may not
    know it, being in another branch or further inside, and for the first of all user namespaces, which has none.
    """
    owner_uid: int | None
    """Of a user namespace, the user who made it, as the caller counts."""
    parent: int | None
    """Of a pid or user namespace, the number of the one around it; None as for the owner."""
    processes: tuple[Process, ...]
    """The processes in it, each after its parent, without those in namespaces further inside. `pid` is the id as the caller
    counts, `inside_pid` that in the pid namespace that the process is in, `pids` all from the one to the other.
    """
    held_by: tuple[str, ...]
    """The mounts that keep it, with processes or without: paths in the caller's own mount namespace."""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The namespaces that the caller may see, at one moment. Iterating gives each; `seen[id]` is one."""

    list: tuple[LiveNamespace, ...]
    """Each namespace, by kind, outer ones before inner ones."""
    closed: tuple[Process, ...]
    """The processes whose namespaces are not known, for the caller may not look into them: another user's, as a rule. How deep
    they are in pid namespaces is known, too: `pids`.
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
        """The namespaces that a process is in, by its id as the caller counts; none if it is closed or has ended."""
        within = (
            namespace
            for namespace in self.list
            if any(process.pid == pid for process in namespace.processes)
        )
        return {namespace.kind: namespace for namespace in within}


def namespaces() -> Namespaces:
    """Finds every namespace that the caller may see, and the processes in each. Nothing is entered, stopped or changed.

    Found are the namespaces of all processes in `/proc`; those that a process has ready for its next children; those that own
    or surround one of these, though nobody is in them; and those that a mount keeps. Not found are namespaces that only an
    open descriptor keeps.

    Raises SetupError if `/proc` cannot be read, or no descriptor can be opened; never because of what another process does
    meanwhile.

        >>> import os, seclude
        >>> with seclude.Sandbox().popen(["sleep", "1000"]) as process:
        ...     inside = seclude.namespaces().of(process.pid)["pid"]
        ...     process.kill()
        >>> [process.inside_pid for process in inside.processes]
        [1, 2]
    """
    told, living, closed = _seclude.namespaces()
    processes = [Process._from_native(seen) for seen in told]
    found = []
    for kind, number, owner, owner_uid, parent, within, held_by in living:
        inside = tuple(processes[place] for place in within)
        found.append(LiveNamespace(kind, number, owner, owner_uid, parent, inside, tuple(held_by)))
    return Namespaces(tuple(found), tuple(processes[place] for place in closed))
