"""Draw the tree as an SVG image. Hovering over a process shows its details."""

from __future__ import annotations

from html import escape

from .grow import Box, Branch, Node
from .lines import columns

ROW = 26
"""The height of a line. All sizes are in pixels."""
STEP = 26
"""The indentation of a child."""
EDGE = 12
"""The distance between the edge of a box and its contents."""
LETTER = 7.2
"""The width of a character."""
TINTS = ("#f6f7f9", "#e3eefb", "#fdf1d6", "#e4f5e6", "#f8e4ee")
"""The colour of a box by its depth, repeating after five."""
STYLE = (
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1c2530}"
    ".title{font-weight:600;fill:#3a4a5c}"
    ".id{fill:#ffffff}.pill{fill:#2f5d8a}.rest{fill:#6b7785}"
    ".line{fill:none;stroke:#8796a8;stroke-width:1.2}"
    ".box{stroke:#5b6f86;stroke-width:1.2}"
)


def svg(box: Box) -> str:
    """Return the picture as an SVG document."""
    drawing = _Drawing()
    right, bottom = drawing.box(box, EDGE, EDGE, 0)
    width, height = round(right + EDGE), round(bottom + EDGE)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img">'
        "<title>Processes in nested pid namespaces, each by its ids outside and inside</title>"
        f"<style>{STYLE}</style>"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    )
    return "\n".join([head, *drawing.parts, "</svg>\n"])


class _Drawing:
    """The elements so far. Each drawing method returns its right and bottom edges."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def box(self, box: Box, x: float, y: float, depth: int) -> tuple[float, float]:
        # The rectangle must come before its contents, which lie on top of it, but its size is known
        # only after them.
        place = len(self.parts)
        self.parts.append("")
        self._text(x + EDGE, y, "title", box.title)
        right, bottom = x + 2 * EDGE + columns(box.title) * LETTER, y + ROW
        for branch in box.branches:
            across, bottom = self._branch(branch, x + EDGE, bottom, depth)
            right = max(right, across + EDGE)
        bottom += EDGE / 2
        tint = TINTS[depth % len(TINTS)]
        size = f'x="{x:g}" y="{y:g}" width="{right - x:.1f}" height="{bottom - y:.1f}"'
        self.parts[place] = f'<rect class="box" {size} rx="8" fill="{tint}"/>'
        return right, bottom + EDGE / 2

    def _branch(self, branch: Branch, x: float, y: float, depth: int) -> tuple[float, float]:
        return (
            self.box(branch, x, y, depth + 1)
            if isinstance(branch, Box)
            else self._node(branch, x, y, depth)
        )

    def _node(self, node: Node, x: float, y: float, depth: int) -> tuple[float, float]:
        ids = "→".join(map(str, node.ids))
        pill = (len(ids) * LETTER + 12) if ids else 0
        self.parts.append(f"<g><title>{escape(node.story)}</title>" if node.story else "<g>")
        if ids:
            self.parts.append(
                f'<rect class="pill" x="{x:g}" y="{y + 4:g}"'
                f' width="{pill:.1f}" height="{ROW - 8}" rx="9"/>'
            )
            self._text(x + 6, y, "id", ids)
        self._text(x + pill + 6, y, "name" if ids else "rest", node.label)
        self.parts.append("</g>")
        right, bottom = x + pill + 6 + columns(node.label) * LETTER, y + ROW
        stem, down = x + 10, y + ROW - 4
        for branch in node.branches:
            level = bottom + ROW / 2
            self.parts.append(f'<path class="line" d="M{stem:g} {down:g}V{level:g}H{x + STEP:g}"/>')
            across, bottom = self._branch(branch, x + STEP, bottom, depth)
            right = max(right, across)
        return right, bottom

    def _text(self, x: float, y: float, kind: str, text: str) -> None:
        # Set the length, so that the text fits whatever font the viewer has.
        fit = f'textLength="{columns(text) * LETTER:.1f}" lengthAdjust="spacingAndGlyphs"'
        self.parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y + 17:g}" {fit} xml:space="preserve">'
            f"{escape(text)}</text>"
        )
