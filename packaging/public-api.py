"""Compares the public API of the crate `seclude` with the committed one.

    public-api.py BASELINE DOCUMENTS [--update]

DOCUMENTS is the directory of the crate in what `cargo doc` has written. Every declaration of a page
is one line: items, methods, fields, variants, and implementations of traits, the automatic ones
included, since a type that is no longer `Send` breaks its users too. Implementations for every type
are left out. It ends with status 1 and a diff if the two differ. An API that changes on purpose is
written with `--update`; docs/versioning.md says which changes a version may have.

rustdoc's pages are read, not its JSON, because the JSON takes a nightly compiler.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from html.parser import HTMLParser
from pathlib import Path

PAGES = ("struct.", "enum.", "fn.", "trait.", "type.", "constant.", "macro.", "union.", "static.")
# Of no type of ours: `impl<T> From<T> for T` and the like.
SKIPPED = "blanket-implementations-list"
DECLARATIONS = {"item-decl", "code-header"}
# Traits that only the compiler may name. They come and go with its versions.
UNSTABLE = ("impl Freeze for ", "impl UnsafeUnpin for ", "impl StructuralPartialEq for ")
# Elements without an end.
VOID = {"br", "hr", "img", "input", "link", "meta", "wbr"}


class Declarations(HTMLParser):
    """Collects the text of the declarations on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []
        self._text: list[str] | None = None
        self._until = 0
        self._skip = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Begin a declaration, or something that is left out."""
        if tag in VOID:
            return
        self._open.append(tag)
        values = dict(attributes)
        classes = set((values.get("class") or "").split())
        # Links to sources, and notes about the version, stand within declarations.
        if not self._skip and (
            values.get("id") == SKIPPED or classes & {"src", "since", "rightside"}
        ):
            self._skip = len(self._open)
        if self._text is None and not self._skip and classes & DECLARATIONS:
            self._text, self._until = [], len(self._open)

    def handle_endtag(self, tag: str) -> None:
        """End a declaration."""
        if tag not in self._open:
            return
        while self._open.pop() != tag:
            pass
        if self._skip > len(self._open):
            self._skip = 0
        if self._text is not None and self._until > len(self._open):
            line = " ".join("".join(self._text).split())
            self.found.append(line.removesuffix("§"))
            self._text = None

    def handle_data(self, text: str) -> None:
        """Note the text of a declaration."""
        if self._text is not None and not self._skip:
            self._text.append(text)


def surface(documents: Path) -> list[str]:
    """Return the lines of the API: a heading for each item, and its declarations below it."""
    lines = []
    for page in sorted(documents.rglob("*.html")):
        if not page.name.startswith(PAGES):
            continue
        parser = Declarations()
        parser.feed(page.read_text())
        if not parser.found:
            # It only leads to the item's own page.
            continue
        kind, name, _ = page.name.split(".", 2)
        path = "::".join((*page.parent.relative_to(documents).parts, name))
        lines.append(f"{kind} {path}")
        declarations = {found for found in parser.found if not found.startswith(UNSTABLE)}
        lines += sorted(f"    {declaration}" for declaration in declarations)
    return lines


def main() -> int:
    """Compare, or write the baseline."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("baseline", type=Path)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--update", action="store_true")
    wanted = parser.parse_args()
    found = surface(wanted.documents)
    if len(found) < 500:
        print(f"{wanted.documents}: only {len(found)} declarations were found", file=sys.stderr)
        return 1
    if wanted.update:
        wanted.baseline.write_text("\n".join(found) + "\n")
        return 0
    known = wanted.baseline.read_text().splitlines()
    changes = list(difflib.unified_diff(known, found, "the baseline", "this tree", "", "", 1, ""))
    print("\n".join(changes) or f"{len(found)} declarations, as in the baseline")
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
