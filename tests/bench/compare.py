#!/usr/bin/env python3
"""Sets whole runs side by side: posix_spawn, the C floor, seclude from Rust, C and Python, bubblewrap.

Each contestant is a process of its own that waits for its turn; every round, each gets one turn, in a new order. So what
else the machine does falls on all alike, and only ratios are worth reading. docs/benchmarks.md explains the tables.

usage: compare.py [--rounds N] [--memory MIB,MIB,…] [--python PYTHON] [--write] [--require-all]
"""

import argparse
import contextlib
import ctypes
import datetime
import os
import pathlib
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator

sys.dont_write_bytecode = True  # Beside the sources it would be litter.

import contestants as field  # noqa: E402
import floor_check  # noqa: E402
from contestants import C, FLOOR, FLOOR_SHARED_NET, POSIX_SPAWN, PYTHON, RUST, RUST_SHARED_NET, TOP, Contestant  # noqa: E402

WARMUP = 20
SMALL = 10
RESULTS = TOP / "docs" / "benchmarks" / "results.md"

# What is aimed at: (what, over what, at most).
TARGETS = [(RUST, FLOOR, 1.6), (RUST_SHARED_NET, FLOOR_SHARED_NET, 1.6), (C, RUST, 1.15), (PYTHON, RUST, 1.15)]
FLAT = 1.1

Times = dict[str, list[int]]


class Runner:
    """A contestant's process: it does one run for each line it is sent."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.command = command
        self.expect("ready")

    def turn(self) -> int:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.expect(None))

    def expect(self, answer: str | None) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        if not line or (answer and line != answer):
            raise SystemExit(f"{' '.join(self.command)}: answered {line!r}, ended with {self.process.wait()}")
        return line

    def close(self) -> None:
        with self.process:
            assert self.process.stdin
            self.process.stdin.close()


def take_turns(commands: dict[str, list[str]], rounds: int, settle: float) -> Times:
    """So many rounds; the nanoseconds of each contestant's runs."""
    times: Times = {name: [] for name in commands}
    order = random.Random(1)  # The same orders every time.
    with contextlib.ExitStack() as stack:
        runners = {}
        for name, command in commands.items():
            runners[name] = Runner(command)
            stack.callback(runners[name].close)
        names = list(runners)
        for done in range(rounds):
            order.shuffle(names)
            for name in names:
                # The kernel takes namespaces apart behind the scenes: nobody should pay for the one before.
                time.sleep(settle)
                times[name].append(runners[name].turn())
            progress(f"{done + 1} of {rounds} rounds")
    progress("")
    return times


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def percentile(times: Iterable[int], percent: float) -> int:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def median_ratio(times: Times, name: str, base: str) -> float:
    return percentile(times[name], 50) / percentile(times[base], 50)


def table(title: str, times: Times, bases: list[str]) -> str:
    """Markdown: medians over the medians of `bases`, and the tail over the first of them."""
    bases = [base for base in bases if base in times]
    heads = ["", *(f"× {base}" for base in bases), f"p99, × {bases[0]}"]
    lines = [f"### {title}", "", "| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for name, each in times.items():
        tail = percentile(each, 99) / percentile(times[bases[0]], 50)
        cells = [name, *(f"{median_ratio(times, name, base):.2f}" for base in bases), f"{tail:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def microseconds(times: Times) -> str:
    """For this machine's own log; not for the documents."""
    width = max(map(len, times))
    return "\n".join(f"    {name:{width}}  p50 {percentile(t, 50) / 1e3:8.0f} µs   p99 {percentile(t, 99) / 1e3:8.0f} µs" for name, t in times.items())


def whole_runs(found: dict[str, Contestant], payload: str, rounds: int, settle: float) -> Times:
    return take_turns({name: one.command(SMALL, WARMUP, payload) for name, one in found.items()}, rounds, settle)


def sizes(one: Contestant, payload: str, memory: list[int], rounds: int, settle: float) -> Times:
    return take_turns({f"{mib} MiB": one.command(mib, WARMUP, payload) for mib in memory}, rounds, settle)


def size_table(measured: dict[str, Times]) -> str:
    columns = list(next(iter(measured.values())))
    lines = ["### The caller's memory", "", "| | " + " | ".join(columns) + " |", "|---" + "|---:" * len(columns) + "|"]
    for name, times in measured.items():
        lines.append(f"| {name} | " + " | ".join(f"{median_ratio(times, column, columns[0]):.2f}" for column in columns) + " |")
    return "\n".join([*lines, ""])


def verdicts(static: Times, by_size: dict[str, Times]) -> Iterator[str]:
    for name, base, most in TARGETS:
        if name in static and base in static:
            ratio = median_ratio(static, name, base)
            yield f"| {name} over {base} | ≤ {most} | {ratio:.2f} | {'met' if ratio <= most else 'missed'} |"
    for name, times in by_size.items():
        columns = list(times)
        if name.startswith("seclude") and len(columns) > 1:
            ratio = median_ratio(times, columns[-1], columns[0])
            yield f"| {name}: {columns[-1]} over {columns[0]} | ≤ {FLAT} | {ratio:.2f} | {'met' if ratio <= FLAT else 'missed'} |"


def machine() -> str:
    model = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    caller = "root" if os.geteuid() == 0 else "an unprivileged user"
    return f"{datetime.date.today()}, {platform.machine()} {model}, {os.cpu_count()} processors, Linux {platform.release()}, as {caller}"


def small_pages() -> None:
    """Here and in all that is started: a caller's large pages would hide what a fork of it costs (PR_SET_THP_DISABLE)."""
    PR_SET_THP_DISABLE = 41
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def available_mib() -> int:
    line = next(line for line in pathlib.Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=300, help="turns of each contestant (default 300)")
    parser.add_argument("--memory", default="10,1024,4096", help="the caller's sizes in MiB (default 10,1024,4096)")
    parser.add_argument("--settle", type=float, default=2, help="milliseconds of rest before each turn (default 2)")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the wheel")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target")) / "compare")
    parser.add_argument("--write", action="store_true", help=f"write the tables to {RESULTS.relative_to(TOP)}")
    parser.add_argument("--require-all", action="store_true", help="fail if a contestant is missing")
    options = parser.parse_args()
    settle = options.settle / 1000

    small_pages()
    found, missing = field.build(options.build.resolve(), options.python)
    for name, reason in missing.items():
        print(f"not measured: {name}: {reason}", file=sys.stderr)
    if missing and options.require_all:
        raise SystemExit(1)
    floor_check.same_isolation(found[FLOOR], found[RUST], options.build.resolve())

    payloads = [("A static program of 500 bytes", str(options.build.resolve() / "payload")), ("/bin/true", os.path.realpath("/bin/true"))]
    parts, static = [], None
    for title, payload in payloads:
        times = whole_runs(found, payload, options.rounds, settle)
        static = static or times
        print(f"{title}\n{microseconds(times)}", file=sys.stderr)
        parts.append(table(title, times, [POSIX_SPAWN, FLOOR, RUST]))

    memory = [int(mib) for mib in options.memory.split(",")]
    by_size = {}
    if len(memory) > 1:
        if sum(memory) + 256 > available_mib():
            raise SystemExit(f"callers of {options.memory} MiB at once need more memory than is free: give other sizes with --memory")
        for name in (POSIX_SPAWN, FLOOR, RUST, C, PYTHON):
            if name in found:
                by_size[name] = sizes(found[name], payloads[0][1], memory, max(options.rounds // 3, 30), settle)
                print(f"{name}\n{microseconds(by_size[name])}", file=sys.stderr)
        parts.append(size_table(by_size))

    assert static
    targets = ["### Targets", "", "| | aim | measured | |", "|---|---:|---:|---|", *verdicts(static, by_size), ""]
    absent = [f"Not measured: {name} ({reason}).\n" for name, reason in missing.items()]
    report = "\n".join([f"Measured {machine()}; {options.rounds} rounds.", "", *absent, *targets, *parts])
    print(report)
    if options.write:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text("# Measured ratios\n\nMade by `tests/bench/compare.py --write`; [how to read them](../benchmarks.md).\n\n" + report)


if __name__ == "__main__":
    main()
