"""Links within the repository's Markdown: every target must exist, headings included."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def broken(root: Path, document: Path) -> Iterator[str]:
    """Yield the links of a document that lead nowhere, each with the reason."""
    for target in _LINK.findall(_CODE.sub("", document.read_text())):
        if _ELSEWHERE.match(target):
            continue
        path, _, heading = target.partition("#")
        place = (document.parent / path).resolve() if path else document
        if not place.is_relative_to(root):
            yield f"{target} leads out of the repository"
        elif not place.exists():
            yield f"{target} leads to nothing"
        elif heading and place.suffix == ".md" and heading not in _anchors(place):
            yield f"{target} names no heading of {place.name}"


def unlisted(root: Path) -> Iterator[str]:
    """Yield the pages that the index does not link to."""
    docs = root / "docs"
    listed = set(_LINK.findall((docs / "index.md").read_text()))
    for page in sorted(docs.glob("**/*.md")):
        name = page.relative_to(docs).as_posix()
        if name not in listed | {"index.md"}:
            yield f"docs/index.md does not lead to {name}"


def _anchors(document: Path) -> set[str]:
    """Return the anchors that Markdown renderers make of the headings."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }
