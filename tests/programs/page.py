"""Makes docs/programs.md from programs.toml and exclusions.toml alone."""

import json
import pathlib
import textwrap
from collections.abc import Sequence

import rows
from rows import Exclusion, Program

DOCUMENT = rows.HERE.parent.parent / "docs" / "programs.md"

HEAD = """# What programs find inside

This page lists what works in the default sandbox, and what needs one more line. Each line of the
tables is a test. The test runs the program outside as an ordinary user, and inside a sandbox that
root or an ordinary user started. All must print the same. A line that needs something is also run
without it, and must then fail. `make test-programs` runs all lines and the suites below, and
`make test` a part of them. This page is made from the same data (`tests/programs`).

A policy is given as its text ([policy.md](policy.md)), and an environment is the command's. The
programs work in a directory below `/tmp`. They come from the host's `/usr`: a program that is not
installed there does not exist inside.

A Java, JavaScript or Go program that derives its heap size from the machine does not see the limit
on memory, unless the policy has the entry `sys` ([hardware.md](hardware.md)). An environment
variable sets the heap size, too.
"""

SUITES = """
## Suites

The same comparison, case by case, with the tests of other projects:

- **CPython's own tests** of files, processes, sockets, TLS, asyncio, signals, threads, terminals,
  HTTP and multiprocessing.
- **busybox's testsuite**, over the installed busybox.
- **The Linux Test Project's** tests (LTP) of system calls, as far as an ordinary user can run them.

Every case that passes outside passes inside, with these exceptions:

"""
NAMES = {"cpython": "CPython", "ltp": "LTP", "busybox": "busybox"}


def needed(program: Program) -> str:
    """The third column."""
    parts = [f"`{json.dumps(program.policy)}`"] if program.policy else []
    parts += [f"environment `{name}={value}`" for name, value in program.env.items()]
    return ", ".join(parts)


def made(programs: list[Program], exclusions: list[Exclusion]) -> str:
    text = HEAD
    for language in dict.fromkeys(program.language for program in programs):
        text += f"\n## {language}\n\n| what | by default | else |\n|---|---|---|\n"
        for program in programs:
            if program.language == language:
                default = "no" if program.special else "yes"
                text += f"| {program.does} | {default} | {needed(program)} |\n"
    text += SUITES
    for one in exclusions:
        text += item(f"{one.reason} Cases: {listed(one.cases)}.") + "\n"
    return text


def listed(cases: Sequence[str]) -> str:
    """The cases by suite: CPython `a`, `b`; LTP `c`."""
    suites: dict[str, list[str]] = {}
    for case in cases:
        suite, _, pattern = case.partition(" ")
        suites.setdefault(suite, []).append(f"`{pattern}`")
    return "; ".join(f"{NAMES[suite]} {', '.join(names)}" for suite, names in suites.items())


def item(text: str) -> str:
    """An item of a list, at most 100 columns wide."""
    return textwrap.fill(
        text,
        100,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def check(*, write: bool) -> str | None:
    """Return what is wrong with the page, if anything."""
    text = made(rows.programs(), rows.exclusions())
    if write:
        DOCUMENT.write_text(text)
    there = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    place = pathlib.PurePath(*DOCUMENT.parts[-2:])
    return (
        None
        if there == text
        else f"{place} is not what tests/programs says: make it anew with `make programs-page`"
    )
