"""`python -m seclude doctor`: what this host allows. Exits with 0 if sandboxes can be started at all, else with 1."""

from __future__ import annotations

import argparse
import os
import re
import sys

from . import __version__
from .doctor import doctor

_COLOURS = {"works": "32", "weaker": "33", "missing": "31"}


def _coloured(table: str) -> str:
    """The table with each state in its colour: the second word of a line that begins with a name."""
    paint = r"^(\S+ +)(works|weaker|missing)\b"
    return re.sub(paint, lambda line: f"{line[1]}\x1b[{_COLOURS[line[2]]}m{line[2]}\x1b[0m", table, flags=re.MULTILINE)


def main(args: list[str] | None = None) -> int:
    """Runs the command line `args`, `sys.argv`'s if not given, and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m seclude", description="Runs programs alone, in Linux namespaces of their own."
    )
    parser.add_argument("--version", action="version", version=f"seclude {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    told = "tell what this host allows, by trying it; exit with 0 if sandboxes can be started at all"
    command = commands.add_parser("doctor", help=told, description=told.capitalize() + ".")
    command.add_argument("--json", action="store_true", help="in JSON, for programs")
    wanted = parser.parse_args(args)

    report = doctor()
    if wanted.json:
        print(report.to_json())
    elif sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        print(_coloured(str(report)))
    else:
        print(report)
    return 0 if report.ready else 1


if __name__ == "__main__":
    sys.exit(main())
