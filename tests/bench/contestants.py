"""The contestants, and how each is started.

A contestant is a command for a caller of a given size in MiB, a number of warm-up runs, and a
payload. One that this machine cannot run is listed with the reason.
"""

import dataclasses
import functools
import os
import pathlib
import shutil
from collections.abc import Callable

from build import Missing, Programs

POSIX_SPAWN = "posix_spawn"
FLOOR = "C floor"
FLOOR_SHARED_NET = "C floor, network shared"
RUST = "seclude"
RUST_SHARED_NET = "seclude, network shared"
RUST_LIMITS = "seclude, limits"
RUST_TEMPLATE = "seclude, from a template"
RUST_POOL = "seclude, from a pool"
RUST_CELL = "seclude, in a cell"
RUST_CELL_LIMITS = "seclude, in a cell with limits"
RUST_SHARES = "seclude, in a cell, with limits of its own"
RUST_RESET = "a cell's reset"
RUST_NEW_CELL = "a new cell, closed"
C = "seclude in C"
PYTHON = "seclude in Python"
BUBBLEWRAP = "bubblewrap"

GROUNDS = {"": "cold", "template": "from a template", "pool": "from a pool", "cell": "in a cell"}
"""The ways to run a command, by the names in each face's program and in the tables."""

PATHS = {
    RUST: [],
    RUST_SHARED_NET: ["--but", "no-net"],
    RUST_LIMITS: ["--but", "limits"],
    RUST_TEMPLATE: ["--on", "template"],
    RUST_POOL: ["--on", "pool"],
    RUST_CELL: ["--on", "cell"],
    RUST_CELL_LIMITS: ["--but", "limits", "--on", "cell"],
    RUST_SHARES: ["--but", "limits", "--on", "shares"],
    RUST_RESET: ["--on", "reset"],
    RUST_NEW_CELL: ["--on", "new-cell"],
}
"""Every path through the Rust core, and the measuring program's words for it."""

Command = Callable[[int, int, str], list[str]]


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A contestant."""

    name: str
    command: Command


@dataclasses.dataclass
class Field:
    """The contestants that take part, and those that cannot."""

    contestants: dict[str, Contestant] = dataclasses.field(default_factory=dict)
    missing: dict[str, str] = dataclasses.field(default_factory=dict)

    def add(self, name: str, make: Callable[[], Command]) -> None:
        try:
            self.contestants[name] = Contestant(name, make())
        except Missing as reason:
            self.missing[name] = str(reason)

    def commands(
        self, names: list[str], mib: int, warmup: int, payload: str
    ) -> dict[str, list[str]]:
        """Return the commands of these contestants, as far as they take part."""
        return {
            name: self.contestants[name].command(mib, warmup, payload)
            for name in names
            if name in self.contestants
        }


def rust(programs: Programs, *words: str) -> Command:
    return lambda mib, warmup, payload: [
        programs.rust,
        "turns",
        payload,
        *words,
        str(mib),
        str(warmup),
    ]


def other(*start: str) -> Command:
    return lambda mib, warmup, payload: [*start, str(mib), str(warmup), payload]


def on(ground: str) -> list[str]:
    return ["--on", ground] if ground else []


def c_face(programs: Programs, ground: str = "") -> Command:
    return other(programs.c_face, *on(ground))


def python_face(programs: Programs, ground: str = "") -> Command:
    return other(*programs.python_face, *on(ground))


def main_field(programs: Programs) -> Field:
    """Return the contestants of the main tables."""
    field = Field()
    programs.rust  # A failed build is an error on every machine.  # noqa: B018
    makers: dict[str, Callable[[], Command]] = {
        POSIX_SPAWN: lambda: other(programs.spawn),
        FLOOR: lambda: other(programs.floor),
        **{name: functools.partial(rust, programs, *words) for name, words in PATHS.items()},
        C: lambda: c_face(programs),
        PYTHON: lambda: python_face(programs),
        BUBBLEWRAP: lambda: bubblewrap_turns(programs),
        FLOOR_SHARED_NET: lambda: other(programs.floor, "--share-net"),
    }
    for name, make in makers.items():
        field.add(name, make)
    return field


def face_field(programs: Programs) -> Field:
    """Return every way through every face, for the tables over the size of the caller."""
    field = Field()
    field.add(POSIX_SPAWN, lambda: other(programs.spawn))
    field.add(FLOOR, lambda: other(programs.floor))
    for ground, name in GROUNDS.items():
        field.add(f"Rust, {name}", functools.partial(rust, programs, *on(ground)))
        field.add(f"C, {name}", functools.partial(c_face, programs, ground))
        field.add(f"Python, {name}", functools.partial(python_face, programs, ground))
    return field


def bubblewrap_turns(programs: Programs) -> Command:
    words = bubblewrap()
    return lambda mib, warmup, payload: [
        programs.spawn,
        str(mib),
        str(warmup),
        *words,
        *with_payload(payload),
    ]


def with_payload(payload: str) -> list[str]:
    return ["--ro-bind", payload, "/payload", "/payload"]


def bubblewrap() -> list[str]:
    """Return bubblewrap with its usual options, like seclude's default sandbox: the same programs,
    part of /etc, proc, dev and ids.
    """
    path = shutil.which("bwrap")
    if path is None:
        raise Missing("bwrap is not installed (the package is called bubblewrap)")
    words = [path, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += ["--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--tmpfs", "/"]
    for name in SYSTEM:
        words += shown(pathlib.Path("/") / name)
    for name in (
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "alternatives",
        "localtime",
        "nsswitch.conf",
    ):
        words += shown(pathlib.Path("/etc") / name)
    return [*words, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]


SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""The parts of the host's root that its programs need."""


def shown(path: pathlib.Path) -> list[str]:
    if path.is_symlink():
        return ["--symlink", os.readlink(path), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.exists() else []
