"""From a list of namespaces to boxes within boxes: which process is drawn where, and what is written beside it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ..namespace_list import Namespaces
    from ..outcome import Process

INITIAL = 0xEFFFFFFC
"""The number of the first pid namespace, the same on every Linux. Process 2 there is the parent of the kernel's own threads."""
LEVELS = 100
"""What stands deeper is counted, not drawn: how deep it goes is for whoever runs in there to say."""
LETTERS = 80
"""How much of a command line is shown."""


@dataclass(frozen=True, slots=True)
class Node:
    """A process, and what it has started."""

    ids: tuple[int, ...]
    """Its ids, the one outside first; none for a line that tells how many processes are not drawn."""
    label: str
    """Its name, and the kinds of namespace in which it is apart from its parent."""
    story: str
    """More about it, in one line."""
    branches: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """A pid namespace, with the trees in it."""

    title: str
    branches: tuple[Branch, ...] = ()


Branch: TypeAlias = Node | Box


def clean(text: str) -> str:
    """The text on one line, with what does not print escaped: control characters, marks that turn the direction of writing."""
    kept = (
        letter
        if letter.isprintable() and letter != "\\"
        else letter.encode("unicode_escape").decode()
        for letter in text
    )
    return "".join(kept)


def grow(seen: Namespaces, pid: int | None = None, *, arguments: bool = False) -> Box:
    """The whole tree, or what is below one process; with `arguments`, processes are told by their command lines.

    Raises KeyError if there is no such process.
    """
    forest = _Forest(seen, arguments)
    if pid is None:
        return forest.box(forest.outermost, LEVELS)
    return Box(forest.title(forest.home[pid]), (forest.node(pid, LEVELS),))


class _Forest:
    """Who is drawn where: boxes by the number of their namespace, processes by their id outside."""

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
        """The box of each process: its pid namespace. That of a closed one is told by a parent or child at the same depth, for
        children are in their parent's namespace or deeper; at depth one it is the caller's. Who has no such relative is in a box
        of a negative number, for nobody knows the right one.
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
        """A box is drawn at the process that has started its first one, or, where nobody has, straight in the box around it."""
        space = self._spaces.get(box)
        first = min(self._roots[box], key=lambda pid: self._processes[pid].inside_pid, default=None)
        if first is not None and self._processes[first].parent in self._processes:
            self._boxes_at[self._processes[first].parent].append(box)
        elif space and space.parent in self._spaces:
            self._boxes_in[space.parent].append(box)
        else:
            self._boxes_in[self.outermost].append(box)

    def title(self, box: int) -> str:
        """What is written at the edge of a box."""
        space = self._spaces.get(box)
        if space is None:
            return "pid namespace, closed to this caller"
        owner = self._spaces.get(space.owner) if space.owner is not None else None
        of = f" of user namespace {owner.id}, made by user {owner.owner_uid}" if owner else ""
        return clean(
            f"pid namespace {box}{of}" + "".join(f", held by {path}" for path in space.held_by)
        )

    def box(self, box: int, levels: int) -> Box:
        """A namespace with all that is in it, so many levels deep."""
        branches: list[Branch] = [self.node(pid, levels - 1) for pid in self._roots[box]]
        branches += [self.box(inner, levels - 1) for inner in self._boxes_in[box]]
        return Box(self.title(box), tuple(branches))

    def node(self, pid: int, levels: int) -> Node:
        """A process with all that is below it, so many levels deep."""
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
        """What is counted, not drawn."""
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
        return " ".join([words, *(f"+{kind}" for kind in apart)])

    def _story(self, process: Process) -> str:
        kinds = ", ".join(f"{kind} {number}" for kind, number in self._kinds[process.pid].items())
        words = clean(" ".join(process.command))
        return f"{words}; user {process.uid}, state {process.state}; {kinds or 'its namespaces are closed to this caller'}"
