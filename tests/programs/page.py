"""Makes docs/programs.md from programs.toml and exclusions.toml alone."""

import json
import pathlib

import rows
from rows import Exclusion, Program

DOCUMENT = rows.HERE.parent.parent / "docs" / "programs.md"

HEAD = """# What programs find inside

What works in the default sandbox, and what needs one line. Each line of the tables is a test. The
program runs outside, as an ordinary user, and inside, started by root and by an ordinary user, and
must say the same. A line that needs something is also run without it, and must then fail.
`make test-programs` runs all of them and the suites below; `make test` runs a part. This page is
made from their data (`tests/programs`).

A policy is given as its text ([policy.md](policy.md)); an environment is the command's. The
programs work in a directory below `/tmp`. They are those of the host's `/usr`: what is not
installed there is not there inside.
"""

SUITES = """
## Suites

The same comparison, case by case, with other people's tests:

- **CPython's own tests** of files, processes, sockets, TLS, asyncio, signals, threads, terminals,
  HTTP and multiprocessing.
- **busybox's testsuite**, over the installed busybox.
- **The Linux Test Project's** tests of system calls, as far as an ordinary user can run them.

What passes outside passes inside, but for these:
"""


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
    text += "\n| suite and cases | why |\n|---|---|\n"
    for one in exclusions:
        text += f"| {', '.join(f'`{case}`' for case in one.cases)} | {one.reason} |\n"
    return text


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
