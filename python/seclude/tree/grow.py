"""Arrange namespaces and processes as nested boxes and trees, with their labels."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ..namespace_list import Namespaces
    from ..outcome import Process

INITIAL = 0xEFFFFFFC
"""The inode number of the initial pid namespace, the same on every Linux.

Process 2 in it is the parent of the kernel threads.
"""
LEVELS = 100
"""The deepest level to draw. Deeper processes are only counted.

The programs inside control the depth, so it must be bounded.
"""
LETTERS = 80
"""The number of characters of a command line to show."""


@dataclass(frozen=True, slots=True)
class Node:
    """A process with its children."""

    ids: tuple[int, ...]
    """Its ids, the outer one first. Empty for a line that counts processes which are not drawn."""
    label: str
    """Its name, and the kinds of namespace that it does not share with its parent.

    If the network is one of them, its addresses.
    """
    story: str
    """Details in one line."""
    branches: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """A pid namespace with the process trees in it."""

    title: str
    branches: tuple[Branch, ...] = ()


Branch: TypeAlias = Node | Box


def clean(text: str) -> str:
    """Return the text as one line, with unprintable characters and backslashes escaped.

    This covers control characters and marks that change the direction of writing.
    """
    kept = (
        letter
        if letter.isprintable() and letter != "\\"
        else letter.encode("unicode_escape").decode()
        for letter in text
    )
    return "".join(kept)


def grow(seen: Namespaces, pid: int | None = None, *, arguments: bool = False) -> Box:
    """Arrange the whole tree, or the part below the process `pid`.

    With `arguments`, processes are labelled with their command lines. Raises KeyError if there is
    no such process.
    """
    forest = _Forest(seen, arguments)
    if pid is None:
        return forest.box(forest.outermost, LEVELS)
    return Box(forest.title(forest.home[pid]), (forest.node(pid, LEVELS),))


class _Forest:
    """The places of all processes: boxes by namespace id, processes by their outer pid."""

    def __init__(self, seen: Namespaces, arguments: bool) -> None:
        self._arguments = arguments
        self._spaces = {space.id: space for space in seen}
        self._closed = {process.pid for process in seen.closed}
        self._kinds: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self._processes = {process.pid: process for process in seen.closed}
        for space in seen:
            for process in space.processes:
                self._processes[process.pid] = process
                self._kinds[process.pid][space.kind] = space.id
        self.home = self._homes()
        depths = ((len(process.pids), self.home[pid]) for pid, process in self._processes.items())
        self.outermost = min(depths, default=(1, INITIAL))[1]

        self._below: defaultdict[int, list[int]] = defaultdict(list)
        self._roots: defaultdict[int, list[int]] = defaultdict(list)
        for pid, process in sorted(self._processes.items()):
            near = self.home.get(process.parent) == self.home[pid]
            (self._below[process.parent] if near else self._roots[self.home[pid]]).append(pid)
        self._boxes_at: defaultdict[int, list[int]] = defaultdict(list)
        self._boxes_in: defaultdict[int, list[int]] = defaultdict(list)
        empty = {space.id for space in seen if space.kind == "pid"}
        for box in sorted((empty | set(self._roots)) - {self.outermost}):
            self._place(box)

    def _homes(self) -> dict[int, int]:
        """Return the box of each process, which is its pid namespace.

        For a closed process, the box is taken from a parent or child at the same depth: a child is
        in its parent's namespace or a deeper one. At depth one it is the caller's namespace. A
        closed process without such a relative gets a box of its own with a negative number.
        """
        home = {pid: kinds["pid"] for pid, kinds in self._kinds.items() if "pid" in kinds}
        relatives: defaultdict[int, list[int]] = defaultdict(list)
        for pid, process in self._processes.items():
            parent = self._processes.get(process.parent)
            if parent and len(parent.pids) == len(process.pids):
                relatives[pid].append(parent.pid)
                relatives[parent.pid].append(pid)

        def spread(known: list[int]) -> None:
            while known:
                pid = known.pop()
                fresh = [relative for relative in relatives[pid] if relative not in home]
                home.update((relative, home[pid]) for relative in fresh)
                known.extend(fresh)

        spread(list(home))
        ours = next(
            (
                home[pid]
                for pid, process in self._processes.items()
                if pid in home and len(process.pids) == 1
            ),
            None,
        )
        for pid, process in sorted(self._processes.items()):
            if pid not in home:
                home[pid] = ours if ours is not None and len(process.pids) == 1 else -pid
                spread([pid])
        return home

    def _place(self, box: int) -> None:
        """Draw a box at the parent of its first process, or else directly in the outer box."""
        space = self._spaces.get(box)
        first = min(self._roots[box], key=lambda pid: self._processes[pid].inside_pid, default=None)
        if first is not None and self._processes[first].parent in self._processes:
            self._boxes_at[self._processes[first].parent].append(box)
        elif space and space.parent in self._spaces:
            self._boxes_in[space.parent].append(box)
        else:
            self._boxes_in[self.outermost].append(box)

    def title(self, box: int) -> str:
        """Return the title at the edge of a box."""
        space = self._spaces.get(box)
        if space is None:
            return "pid namespace, closed to this caller"
        owner = self._spaces.get(space.owner) if space.owner is not None else None
        of = f" of user namespace {owner.id}, made by user {owner.owner_uid}" if owner else ""
        return clean(
            f"pid namespace {box}{of}" + "".join(f", held by {path}" for path in space.held_by)
        )

    def box(self, box: int, levels: int) -> Box:
        """Return a namespace with its contents, down to `levels` levels."""
        branches: list[Branch] = [self.node(pid, levels - 1) for pid in self._roots[box]]
        branches += [self.box(inner, levels - 1) for inner in self._boxes_in[box]]
        return Box(self.title(box), tuple(branches))

    def node(self, pid: int, levels: int) -> Node:
        """Return a process with its descendants, down to `levels` levels."""
        process = self._processes[pid]
        below, boxes = self._below[pid], self._boxes_at[pid]
        branches: list[Branch]
        if self.home[pid] == INITIAL and pid == 2:
            branches = [self._rest(below, [], "threads of the kernel")]
        elif levels <= 1 and (below or boxes):
            branches = [self._rest(below, boxes, "processes further down")]
        else:
            branches = [self.node(child, levels - 1) for child in below]
            branches += [self.box(box, levels - 1) for box in boxes]
        return Node(
            tuple(process.pids), self._label(process), self._story(process), tuple(branches)
        )

    def _rest(self, processes: list[int], boxes: list[int], what: str) -> Node:
        """Return a line that counts processes which are not drawn."""
        count, pending = 0, list(processes)
        more = list(boxes)
        while pending or more:
            if pending:
                pid = pending.pop()
                count += 1
                pending += self._below[pid]
                more += self._boxes_at[pid]
            else:
                pending += self._roots[more.pop()]
        return Node((), f"{count} {what}", "")

    def _label(self, process: Process) -> str:
        words = clean(" ".join(process.command)) if self._arguments else clean(process.name)
        if len(words) > LETTERS:
            words = words[: LETTERS - 1] + "…"
        if process.pid in self._closed:
            return f"{words} (closed)"
        kinds, around = self._kinds[process.pid], self._kinds.get(process.parent)
        apart = [
            kind
            for kind in kinds
            if kind != "pid" and around and around.get(kind, kinds[kind]) != kinds[kind]
        ]
        addresses = self._spaces[kinds["net"]].addresses if "net" in apart else ()
        return " ".join([words, *(f"+{kind}" for kind in apart), *addresses])

    def _story(self, process: Process) -> str:
        kinds = ", ".join(f"{kind} {number}" for kind, number in self._kinds[process.pid].items())
        words = clean(" ".join(process.command))
        about = f"{words}; user {process.uid}, state {process.state}"
        return f"{about}; {kinds or 'its namespaces are closed to this caller'}"
