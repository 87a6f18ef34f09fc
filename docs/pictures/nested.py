"""Draws docs/pictures/nested.svg from a sandbox that runs.

nested.py            draws it
nested.py --check    fails if what runs looks otherwise than the committed picture

A sandbox is started, and in it two user and pid namespaces, one within the other. What
`seclude.namespaces()` then sees is drawn by `seclude.tree`. Only numbers and names that differ from
run to run are replaced: process ids outside, numbers of namespaces, the caller's own name.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import seclude
from seclude.tree import grow, lines, svg
from seclude.tree.grow import Box, Branch

HERE = Path(__file__).resolve().parent
INNER = "unshare --user --map-root-user --pid --fork sh -c 'echo ready; read end'; :"
OUTER = f'unshare --user --map-root-user --pid --fork sh -c "{INNER}"; :'


def seen() -> Box:
    """The caller, its sandbox, and what runs in it, as the kernel tells it."""
    box = seclude.Sandbox(nested=True, hostname="outer")
    pipes = {"stdin": seclude.PIPE, "stdout": seclude.PIPE}
    with box.popen(["sh", "-c", OUTER], text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        picture = grow(seclude.namespaces(), os.getpid())
        process.kill()
        process.wait()
    return picture


class Steady:
    """Gives the same names to what has others in each run, in the order in which it is drawn."""

    def __init__(self) -> None:
        self._pids = 4710
        self._spaces = 0

    def box(self, box: Box) -> Box:
        self._spaces += 1
        title = f"pid namespace {self._spaces}"
        return Box(title, tuple(map(self.branch, box.branches)))

    def branch(self, branch: Branch) -> Branch:
        if isinstance(branch, Box):
            return self.box(branch)
        self._pids += 1
        # The first id is the caller's view; those inside are the same in each run.
        ids = (self._pids, *branch.ids[1:])
        label = branch.label.replace("memfd:seclude-w", "warden")
        label = "your program" if self._pids == 4711 else label
        branches = tuple(map(self.branch, branch.branches))
        return replace(branch, ids=ids, label=label, story=label, branches=branches)


def main() -> int:
    file = HERE / "nested.svg"
    picture = Steady().box(seen())
    if "--check" not in sys.argv:
        file.write_text(svg(picture))
    elif file.read_text() != svg(picture):
        print("docs/pictures/nested.svg is not what runs: `make pictures` draws it anew. Now it is")
        print(*lines(picture), sep="\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
