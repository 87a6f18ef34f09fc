"""Turns: programs that wait for their turn, and the statistics of their times.

Every contestant is a process that does one run for each line it receives. In every round each gets
one turn, in a new order, after a short rest. Other work on the machine then affects all alike, and
only ratios are meaningful.
"""

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator

Times = dict[str, list[int]]
"""The nanoseconds of each contestant's runs."""


class Runner:
    """The process of a contestant."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.command = command

    def ready(self) -> None:
        if (answer := self.answer()) != "ready":
            raise SystemExit(
                f"{' '.join(self.command)}: answered {answer!r} instead of being ready"
            )

    def turn(self) -> int:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.answer())

    def answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit(f"{' '.join(self.command)}: ended with {self.process.wait()}")
        return line

    def close(self) -> None:
        with self.process:
            assert self.process.stdin
            self.process.stdin.close()


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[Runner]:
    """Start a contestant, yield it when it is ready, and end it."""
    runner = Runner(command)
    try:
        runner.ready()
        yield runner
    finally:
        runner.close()


def take_turns(title: str, commands: dict[str, list[str]], rounds: int, settle: float) -> Times:
    """Run this many rounds, with this many seconds of rest before each turn."""
    times: Times = {name: [] for name in commands}
    order = random.Random(1)  # The same orders in every measurement.
    with contextlib.ExitStack() as stack:
        runners = {
            name: stack.enter_context(started(command)) for name, command in commands.items()
        }
        names = list(runners)
        for done in range(rounds):
            order.shuffle(names)
            for name in names:
                # The kernel destroys namespaces in the background. No contestant should pay for the
                # one before.
                time.sleep(settle)
                times[name].append(runners[name].turn())
            progress(f"{title}: {done + 1} of {rounds} rounds")
    progress("")
    print(f"{title}\n{microseconds(times)}", file=sys.stderr)
    return times


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def percentile(times: Iterable[int], percent: float) -> int:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def median(times: Times, name: str) -> int:
    return percentile(times[name], 50)


def ratio(times: Times, name: str, base: str) -> float:
    """Return the median of one over the median of another."""
    return median(times, name) / median(times, base)


def microseconds(times: Times) -> str:
    """Return the absolute times for the machine's own log, not for the documents."""
    width = max(map(len, times))
    lines = []
    for name, each in times.items():
        middle, tail = (percentile(each, percent) / 1e3 for percent in (50, 99))
        lines.append(f"    {name:{width}}  p50 {middle:8.0f} µs   p99 {tail:8.0f} µs")
    return "\n".join(lines)
