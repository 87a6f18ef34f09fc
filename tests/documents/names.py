"""The tables of the reference must list all names of the header and no others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A page, the heading of a table's first or second column, and the prefix of the header's constants
# that the column lists.
TABLES = (
    ("outcomes.md", "end", "SECLUDE_ENDED_"),
    ("outcomes.md", "protection", "SECLUDE_PROTECTION_"),
    ("errors.md", "C", "SECLUDE_E(?!NDED_)"),
)


def wrong(root: Path, page: str) -> Iterator[str]:
    """Yield the names that a page's tables lack, and those that the header does not have."""
    header = (root / "include" / "seclude.h").read_text()
    for document, head, prefix in TABLES:
        if document != page:
            continue
        listed = set(_column((root / "docs" / page).read_text(), head))
        there = set(re.findall(rf"^#define ({prefix}\w+)", header, re.MULTILINE))
        if head != "C":
            there = {_name(constant, prefix) for constant in there}
        for name in sorted(there - listed):
            yield f"the table of `{head}` lacks `{name}`"
        for name in sorted(listed - there):
            yield f"the table of `{head}` has `{name}`, which the header does not know"


def _name(constant: str, prefix: str) -> str:
    """Return the name of a constant in other languages."""
    return constant.removeprefix(prefix).lower().replace("_", "-")


def _column(text: str, head: str) -> Iterator[str]:
    """Yield all names in the column with this heading, of the one table that has it."""
    table = rf"^(\|(?:[^|\n]*\|)?? {head} \|.*)\n\|[-|]+\|\n((?:\|.*\n)+)"
    ((heads, rows),) = re.findall(table, text, re.MULTILINE)
    place = [cell.strip() for cell in heads.split("|")].index(head)
    for row in rows.splitlines():
        yield from re.findall(r"`([^`]+)`", row.split("|")[place])
