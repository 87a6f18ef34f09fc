"""The command line: `python -m seclude doctor | tree | batch | shell`.

`doctor` reports what this host allows. `tree` draws the processes in their pid namespaces. `batch`
runs the jobs listed in a file. `shell` runs a program on a terminal inside a sandbox.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys

from . import __version__, shell
from .batch import command as batch
from .errors import SecludeError
from .host import doctor
from .namespace_list import namespaces
from .tree import grow, lines, networks, svg
from .tree.lines import PLAIN

_COLOURS = {"works": "32", "weaker": "33", "missing": "31"}


def _coloured(table: str) -> str:
    """Return the table with colour codes around the state, the second word of each line."""
    paint = r"^(\S+ +)(works|weaker|missing)\b"
    return re.sub(
        paint,
        lambda line: f"{line[1]}\x1b[{_COLOURS[line[2]]}m{line[2]}\x1b[0m",
        table,
        flags=re.MULTILINE,
    )


def _wants_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _doctor(wanted: argparse.Namespace) -> int:
    report = doctor()
    if wanted.json:
        print(report.to_json())
    elif _wants_colour():
        print(_coloured(str(report)))
    else:
        print(report)
    return 0 if report.ready else 1


def _tree(wanted: argparse.Namespace) -> int:
    seen = namespaces()
    try:
        box = grow(seen, wanted.pid, arguments=wanted.arguments)
    except KeyError:
        print(f"python -m seclude tree: there is no process {wanted.pid}", file=sys.stderr)
        return 1
    if wanted.svg is None:
        _show([*lines(box), *networks(seen, wanted.pid)])
        if seen.closed:
            print(
                "Processes closed to this caller, whose namespaces are not known:",
                len(seen.closed),
            )
        return 0
    try:
        with open(wanted.svg, "w", encoding="utf-8") as file:
            file.write(svg(box))
    except OSError as error:
        print(f"python -m seclude tree: write {wanted.svg}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _show(picture: list[str]) -> None:
    if _wants_colour() and _paint(picture):
        return
    text = "\n".join(picture)
    encoding = sys.stdout.encoding
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    print(text)


def _paint(picture: list[str]) -> bool:
    """Print with `rich` and return True, or return False if `rich` is not installed.

    Ids and box edges are coloured. Lines are cut at the width of the terminal.
    """
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return False
    console = Console()
    for line in picture:
        text = Text(line, no_wrap=True, overflow="ellipsis")
        text.highlight_regex(r"[╭╮╰╯─│├└]+", "dim")
        text.highlight_regex(r"(?<![^ ])\d+(→\d+)*(?= )", "bold cyan")
        text.highlight_regex(r" \+[a-z]+\b", "green")
        console.print(text)
    return True


def main(args: list[str] | None = None) -> int:
    """Run the command line `args`, or `sys.argv` if it is None, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m seclude",
        description="Runs programs alone, in Linux namespaces of their own.",
    )
    parser.add_argument("--version", action="version", version=f"seclude {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    summary = (
        "tell what this host allows, by trying it; exit with 0 if sandboxes can be started at all"
    )
    command = commands.add_parser("doctor", help=summary, description=summary.capitalize() + ".")
    command.add_argument("--json", action="store_true", help="in JSON, for programs")
    command.set_defaults(run=_doctor)
    summary = (
        "draw what runs in which pid namespace, each a box in the one around it,"
        " each process by its ids outside and inside"
    )
    command = commands.add_parser("tree", help=summary, description=summary.capitalize() + ".")
    command.add_argument("pid", type=int, nargs="?", help="only what is below this process")
    command.add_argument("--svg", metavar="FILE", help="as an image, in a file")
    command.add_argument("--arguments", action="store_true", help="command lines, instead of names")
    command.set_defaults(run=_tree)
    command = commands.add_parser(
        "batch",
        help="run jobs that stand in a file, many at a time",
        description=batch.DESCRIPTION,
        epilog=batch.EPILOG,
    )
    batch.add_arguments(command)
    command.set_defaults(run=batch.run)
    shell.add_to(commands)
    wanted = parser.parse_args(args)
    try:
        code = int(wanted.run(wanted))
        if sys.stdout is not None:
            sys.stdout.flush()
    except SecludeError as error:
        print(f"python -m seclude {wanted.command}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader has seen enough, as in `tree | head`. Python would fail again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    return code


if __name__ == "__main__":
    sys.exit(main())
