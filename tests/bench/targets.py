"""The targets and whether they are met: one table over everything that was measured.

A missed target is printed as "missed". A target that was not measured here is left out, and the
head of the report names what was not measured.
"""

import dataclasses
import os
from collections.abc import Iterator

import contestants as names
import interpreter
import tables
import throughput as rates
from memory import Crowd
from turns import Times, median, ratio

FLAT = 1.10
NEAR = 1.15
STATIC, TRUE = "static", "/bin/true"

# What, over what, with which payload, at most.
RATIOS = [
    (names.RUST, names.FLOOR, STATIC, 1.15),
    (names.RUST, names.BUBBLEWRAP, STATIC, 0.30),
    (names.RUST_SHARED_NET, names.FLOOR_SHARED_NET, STATIC, 1.20),
    (names.RUST_TEMPLATE, names.POSIX_SPAWN, STATIC, 2.5),
    (names.RUST_TEMPLATE, names.BUBBLEWRAP, STATIC, 0.10),
    (names.RUST_POOL, names.POSIX_SPAWN, STATIC, 2.5),
    (names.RUST_POOL, names.BUBBLEWRAP, STATIC, 0.10),
    (names.RUST_CELL, names.POSIX_SPAWN, STATIC, 1.8),
    (names.RUST_CELL, names.POSIX_SPAWN, TRUE, 1.25),
    (names.RUST_RESET, names.RUST_NEW_CELL, STATIC, 0.33),
    (names.C, names.RUST, STATIC, NEAR),
]
# At least how many times bubblewrap's throughput, with a thread for each processor.
RATES = [("", 2.8), ("template", 11.0), ("pool", 11.0)]
PRIVATE_KIB = 12
PYTHON_MILLISECONDS = 0.1
IMPORT_MILLISECONDS = 25


@dataclasses.dataclass(frozen=True)
class Study:
    """All measurements."""

    payloads: dict[str, Times]
    by_size: dict[str, Times]
    throughput: rates.Result | None
    crowds: dict[str, Crowd]
    imported: interpreter.Import | None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One target."""

    what: str
    aim: str
    measured: str
    met: bool


def at_most(what: str, value: float, most: float, unit: str = "") -> Verdict:
    return Verdict(what, f"≤ {most:g}{unit}", f"{value:.2f}{unit}", value <= most)


def at_least(what: str, value: float, least: float) -> Verdict:
    return Verdict(what, f"≥ {least:g}", f"{value:.2f}", value >= least)


def verdicts(study: Study) -> Iterator[Verdict]:
    for name, base, payload, most in RATIOS:
        times = study.payloads.get(payload, {})
        if name in times and base in times:
            suffix = "" if payload == STATIC else f", {payload}"
            yield at_most(f"{name} over {base}{suffix}", ratio(times, name, base), most)
    yield from of_sizes(study.by_size)
    yield from of_throughput(study.throughput)
    for way, crowd in study.crowds.items():
        if crowd.private_kib is not None:
            yield at_most(
                f"private memory of a warden, cells {way}", crowd.private_kib, PRIVATE_KIB, " KiB"
            )
    yield from of_python(study)


def of_sizes(by_size: dict[str, Times]) -> Iterator[Verdict]:
    for name, times in by_size.items():
        *_, largest = columns = list(times)
        if len(columns) > 1 and name.startswith(("Rust", "C,", "Python")):
            yield at_most(
                f"{name}: {largest} over {columns[0]}", ratio(times, largest, columns[0]), FLAT
            )


def of_throughput(result: rates.Result | None) -> Iterator[Verdict]:
    if result is None:
        return
    threads = max(number for number in rates.THREADS if number <= max(os.cpu_count() or 1, 1))
    for ground, least in RATES:
        name = rates.seclude(ground)
        if (rate := result.rate(name, threads, names.BUBBLEWRAP)) is not None:
            yield at_least(f"throughput, {name} over bubblewrap, {threads} threads", rate, least)
    for ground in names.GROUNDS:
        name = rates.seclude(ground)
        watched = result.watched[name]
        seen = "bounded" if watched.bounded else "grows"
        gone = "" if watched.drained else ", stays"
        yield Verdict(
            f"what waits in the kernel, {name}",
            "bounded, then gone",
            seen + gone,
            watched.bounded and watched.drained,
        )


def of_python(study: Study) -> Iterator[Verdict]:
    static = study.payloads[STATIC]
    if names.PYTHON in static:
        difference = median(static, names.PYTHON) - median(static, names.RUST)
        share = difference / median(static, names.RUST)
        met = difference / 1e6 <= PYTHON_MILLISECONDS
        yield Verdict(
            "run in Python over Rust, the difference",
            f"≤ {PYTHON_MILLISECONDS} ms",
            f"{share:.2f} of a run",
            met,
        )
    if (seen := study.imported) is not None:
        share, used = seen.share(interpreter.IMPORT), seen.share(interpreter.USE)
        measured = (
            f"{share:.2f} of an empty interpreter's run; {used:.2f} with all that a run takes"
        )
        met = seen.milliseconds <= IMPORT_MILLISECONDS
        yield Verdict("import of the package", f"≤ {IMPORT_MILLISECONDS} ms", measured, met)
        yield Verdict("threads after the import", "1", str(seen.threads), seen.threads == 1)


def table(study: Study) -> str:
    rows = [
        [each.what, each.aim, each.measured, "met" if each.met else "**missed**"]
        for each in verdicts(study)
    ]
    return tables.section("Targets", *tables.grid(["", "aim", "measured", ""], rows, 1))
