"""The site that `make docs` builds from the pages of docs/, by Sphinx.

The pages are plain Markdown, and read well without it. The site's navigation has the order of the
lists in index.md. A link that leads nowhere, and a page that index.md does not name, are errors:
the build runs with warnings as errors.
"""

import re
from pathlib import Path

from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]
_MANIFEST = (ROOT / "Cargo.toml").read_text()


def _declared(name):
    return re.search(rf'^{name} = "(.*)"$', _MANIFEST, re.MULTILINE)[1]


project = "seclude"
version = release = _declared("version")
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["site"]

# Headings down to the third level can be linked to, as on the pages of a repository.
myst_heading_anchors = 3
# Tables that programs write may skip a level of heading. Some blocks are not quite in the language
# that they name, such as a policy beside a command.
suppress_warnings = ["misc.highlighting_failure", "myst.header"]

html_theme = "furo"
html_title = f"seclude {version}"
templates_path = ["templates"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "api.html",
        "sidebar/scroll-end.html",
    ]
}

_LINK = re.compile(r"\]\((\.\./[^)#\s]+)(#[^)]*)?\)")


def _outside(text, page, name):
    """Links to files that are no pages, as links into the repository; the files must be there."""

    def link(found):
        place = (page.parent / found[1]).resolve()
        if not place.exists() or not place.is_relative_to(ROOT):
            logging.getLogger(__name__).warning("%s leads to nothing", found[1], location=name)
        if place.is_relative_to(ROOT / "docs"):
            return found[0]
        kind = "tree" if place.is_dir() else "blob"
        path = place.relative_to(ROOT) if place.is_relative_to(ROOT) else found[1]
        return f"]({_declared('repository')}/{kind}/main/{path}{found[2] or ''})"

    return _LINK.sub(link, text)


def _navigation(text):
    """The lists of index.md, once more as the site's navigation."""
    trees = ""
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        caption, _, rest = part.partition("\n")
        pages = "\n".join(re.findall(r"\]\(([\w/-]+)\.md\)", rest))
        trees += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"
    return text + trees


def _read(app, name, source):
    source[0] = _outside(source[0], Path(app.env.doc2path(name)), name)
    if name == root_doc:
        source[0] = _navigation(source[0])


def setup(app):
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
