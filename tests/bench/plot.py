"""The plot: the median of every contestant over that of posix_spawn, with both payloads, on a log
scale, as SVG.

It is written without a library because it is only a few lines and circles. Text stays text, and the
colours follow the reader's light or dark mode.
"""

import dataclasses
import html
import math
from collections.abc import Iterator

from turns import Times, percentile

WIDTH, LEFT, RIGHT = 860, 230, 40
ROW, TOP, BOTTOM = 22, 74, 64
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .small { font-size: 11px; fill: #57606a } .title { font-size: 16px; font-weight: 600 }
  .grid { stroke: #d0d7de } .group { font-weight: 600 } .page { fill: #ffffff }
  .first { fill: #0969da; stroke: #0969da } .second { fill: #bc4c00; stroke: #bc4c00 } .tail { stroke-width: 1.5; opacity: .45 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d } .page { fill: #0d1117 }
    .first { fill: #4493f8; stroke: #4493f8 } .second { fill: #f0883e; stroke: #f0883e }
  }
"""


@dataclasses.dataclass(frozen=True)
class Row:
    """A contestant: its median and 99th percentile over posix_spawn's median, for each payload."""

    name: str
    marks: list[tuple[float, float]]


def rows(payloads: list[Times], base: str, leave_out: tuple[str, ...] = ()) -> list[Row]:
    """Return the contestants, ordered by their medians with the first payload."""
    found = []
    for name in payloads[0]:
        if name in leave_out or any(name not in times for times in payloads):
            continue
        middles = [percentile(times[base], 50) for times in payloads]
        each = zip(payloads, middles, strict=True)
        found.append(
            Row(
                name,
                [
                    (percentile(t[name], 50) / middle, percentile(t[name], 99) / middle)
                    for t, middle in each
                ],
            )
        )
    return sorted(found, key=lambda row: row.marks[0][0])


def svg(groups: dict[str, list[Row]], payloads: list[str], machine: str) -> str:
    height = TOP + BOTTOM + ROW * sum(len(group) + 1.4 for group in groups.values())
    return "\n".join([*picture(groups, payloads, machine, math.ceil(height)), "</svg>", ""])


def picture(
    groups: dict[str, list[Row]], payloads: list[str], machine: str, height: int
) -> Iterator[str]:
    values = [
        value for group in groups.values() for row in group for mark in row.marks for value in mark
    ]
    least, most = min([0.8, *values]), max([10.0, *values]) * 1.15

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(value / least) / math.log(most / least)

    title = "From start to end, over posix_spawn of the same program (log scale)"
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">'
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="page" width="{WIDTH}" height="{height}"/>'
    yield f'<text class="title" x="16" y="26">{title}</text>'
    for index, (payload, kind) in enumerate(zip(payloads, ("first", "second"), strict=True)):
        at = 22 + 260 * index
        yield f'<circle class="{kind}" cx="{at}" cy="46" r="4.5"/>'
        yield f'<text class="small" x="{at + 10}" y="50">{html.escape(payload)}</text>'
    yield '<text class="small" x="540" y="50">dot: median; line: to the 99th percentile</text>'
    for tick in ticks(least, most):
        yield f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 8}" y2="{height - BOTTOM + 6}"/>'
        yield f'<text class="small" x="{x(tick):.1f}" y="{height - BOTTOM + 22}" text-anchor="middle">{tick:g} ×</text>'
    y = TOP + 4.0
    for name, group in groups.items():
        y += ROW * 0.9
        yield f'<text class="group" x="16" y="{y - 4:.1f}">{html.escape(name)}</text>'
        for row in group:
            y += ROW
            yield f'<text x="{LEFT - 12}" y="{y - 6:.1f}" text-anchor="end">{html.escape(row.name)}</text>'
            for kind, lift, (middle, tail) in zip(
                ("first", "second"), (13, 7), row.marks, strict=True
            ):
                high = y - lift
                yield f'<line class="{kind} tail" x1="{x(middle):.1f}" x2="{x(tail):.1f}" y1="{high:.1f}" y2="{high:.1f}"/>'
                yield f'<circle class="{kind}" cx="{x(middle):.1f}" cy="{high:.1f}" r="4"/>'
        y += ROW * 0.5
    yield f'<text class="small" x="16" y="{height - 14}">{html.escape(machine)}</text>'


def ticks(least: float, most: float) -> Iterator[float]:
    """Yield 1, 2, 5, 10, … up to the end of the scale."""
    for power in range(-1, 6):
        for digit in (1, 2, 5):
            if least <= digit * 10**power <= most:
                yield digit * 10**power
