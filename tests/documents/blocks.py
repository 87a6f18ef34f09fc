"""The fenced code blocks of a Markdown document, and the purpose of each.

A program is a block of `rust`, `c` or `python` whose next block is `text`: the output of the
program. A `console` block holds commands after `$ `, each with its output. A comment `<!-- file:
NAME -->` before a block makes a file of it, for the programs and commands below.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LANGUAGES = ("rust", "c", "python")

_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"<!-- file: (\S+) -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    text: str
    line: int
    """The number of its first line, for messages."""
    file: str | None
    """The name that a comment before it gives."""


@dataclass(frozen=True)
class Program:
    """A whole program and its expected output."""

    language: str
    text: str
    prints: str
    line: int
    files: dict[str, str]
    """The files in its working directory, by name."""


@dataclass(frozen=True)
class Command:
    """A shell command, its expected output, and the files in its working directory."""

    text: str
    prints: str
    line: int
    files: dict[str, str]


def blocks(text: str) -> list[Block]:
    """Return all fenced blocks, in order."""
    found = []
    for fence in _FENCE.finditer(text):
        name = _FILE.search(text, 0, fence.start())
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(fence[1], fence[2], line, name[1] if name else None))
    return found


def programs(found: list[Block]) -> Iterator[Program]:
    """Return the blocks that are programs: the next block is their output."""
    files: dict[str, str] = {}
    for block, after in itertools.pairwise(found):
        if block.file:
            files[block.file] = block.text
        if block.language in LANGUAGES and after.language == "text":
            yield Program(block.language, block.text, after.text, block.line, dict(files))


def silent(found: list[Block]) -> list[Block]:
    """Return the blocks in a programming language without expected output."""
    shown = {program.line for program in programs(found)}
    return [block for block in found if block.language in LANGUAGES and block.line not in shown]


def commands(found: list[Block]) -> Iterator[Command]:
    """Return the commands of all `console` blocks, in order."""
    files: dict[str, str] = {}
    for block in found:
        if block.file:
            files[block.file] = block.text
        if block.language != "console":
            continue
        # A line of output does not begin with `$ `. Text before the first command is a mistake.
        before, *entries = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
        if before or not entries:
            raise ValueError(f"line {block.line}: a console block begins with no `$ `")
        for entry in entries:
            command, _, prints = entry.partition("\n")
            yield Command(command, prints, block.line, dict(files))


def fits(wanted: str, got: str) -> bool:
    """Return whether a program printed what the document shows. `…` in the document matches
    anything.
    """
    pattern = ".*".join(re.escape(part) for part in wanted.split("…"))
    return re.fullmatch(pattern, got, re.DOTALL) is not None
