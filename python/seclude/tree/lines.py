"""Draw the tree in characters."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from .grow import Box

if TYPE_CHECKING:
    from .grow import Branch

PLAIN = str.maketrans("╭╮╰╯─│├└→…", "++++-||`>~")
"""The ASCII replacements of the drawing characters."""


def lines(box: Box) -> list[str]:
    """Return the picture as lines. Each process shows its ids, outer first: `4711→2 sh`."""
    inner = [line for branch in box.branches for line in _drawn(branch)]
    title = f" {box.title} "
    width = max(columns(line) for line in [title, *inner])
    drawn = [f"╭─{title}{'─' * (width - columns(title))}─╮"]
    drawn += [f"│ {line}{' ' * (width - columns(line))} │" for line in inner]
    return [*drawn, f"╰{'─' * (width + 2)}╯"]


def _drawn(branch: Branch) -> list[str]:
    if isinstance(branch, Box):
        return lines(branch)
    drawn = [" ".join(filter(None, ["→".join(map(str, branch.ids)), branch.label]))]
    for index, below in enumerate(branch.branches):
        last = index + 1 == len(branch.branches)
        first, *rest = _drawn(below)
        drawn.append(("└─ " if last else "├─ ") + first)
        drawn += [("   " if last else "│  ") + line for line in rest]
    return drawn


def columns(text: str) -> int:
    """Return how many columns a terminal uses for the text."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.category(letter) in ("Mn", "Me") for letter in text)
