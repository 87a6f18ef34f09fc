"""Markdown tables, and wording that several tables share."""

import subprocess

from turns import Times, percentile, ratio


def section(title: str, *lines: str) -> str:
    return "\n".join([f"### {title}", "", *lines]).rstrip() + "\n"


def grid(heads: list[str], rows: list[list[str]], words: int = 0) -> list[str]:
    """Return a table. The first column and the last `words` columns hold words."""
    rule = "|---" + "|---:" * (len(heads) - 1 - words) + "|---" * words + "|"
    return [f"| {' | '.join(heads)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)]


def whole_runs(
    title: str, times: Times, bases: list[str], notes: dict[str, str] | None = None
) -> str:
    """Return medians over the medians of `bases`, and the tail over the first of them."""
    bases = [base for base in bases if base in times]
    heads = [
        "",
        *(f"× {base}" for base in bases),
        f"p99, × {bases[0]}",
        *(["what it does otherwise"] if notes else []),
    ]
    rows = []
    for name, each in times.items():
        tail = percentile(each, 99) / percentile(times[bases[0]], 50)
        row = [name, *(f"{ratio(times, name, base):.2f}" for base in bases), f"{tail:.2f}"]
        rows.append([*row, notes.get(name, "")] if notes else row)
    return section(title, *grid(heads, rows, 1 if notes else 0))


def sizes(measured: dict[str, Times]) -> str:
    """Return each contestant over itself in the smallest caller."""
    columns = list(next(iter(measured.values())))
    rows = [
        [name, *(f"{ratio(times, column, columns[0]):.2f}" for column in columns)]
        for name, times in measured.items()
    ]
    return section("The caller's memory", *grid(["", *columns], rows))


def first_error(command: list[str]) -> str | None:
    """Return the first line that a command prints if it fails on one line of input."""
    try:
        done = subprocess.run(command, input="\n", capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "it did not end within a minute"
    if done.returncode == 0:
        return None
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return (
        said[-1].removeprefix("Error: ").strip('"')
        if said
        else f"it ended with status {done.returncode}"
    )
