"""Follows every link of a built site that stays within it. Usage: browse.py DIRECTORY

The generator checks the links between its pages. This program reads the site as a browser does:
also the links of templates, to the reference of the Rust API, to pictures, and to places within a
page.
"""

from __future__ import annotations

import html.parser
import pathlib
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    """The links of a page, and the anchors that links can name."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.links.add(value)
            elif name in ("id", "name") and value:
                self.places.add(value)


def read(file: pathlib.Path) -> Page:
    page = Page()
    page.feed(file.read_text())
    return page


def main() -> int:
    site = pathlib.Path(sys.argv[1]).resolve()
    # rustdoc checks the links within the API reference. Here only links to it are checked.
    pages = {file: read(file) for file in site.rglob("*.html") if site / "api" not in file.parents}
    followed, broken = 0, []
    for file, page in pages.items():
        for link in sorted(page.links):
            where = urllib.parse.urlsplit(link)
            if where.scheme or where.netloc:
                continue
            followed += 1
            path = urllib.parse.unquote(where.path)
            place = (file.parent / path).resolve() if path else file
            target = place / "index.html" if place.is_dir() else place
            name = urllib.parse.unquote(where.fragment)
            if not target.is_relative_to(site) or not target.exists():
                broken.append(f"{file.relative_to(site)}: {link} leads to nothing")
            elif name and target in pages and name not in pages[target].places:
                broken.append(f"{file.relative_to(site)}: {link} names no place there")
    print(*broken, sep="\n", end="\n" if broken else "")
    print(f"{len(pages)} pages, {followed} links followed, {len(broken)} broken")
    return not pages or bool(broken)


if __name__ == "__main__":
    sys.exit(main())
