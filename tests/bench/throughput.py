"""Many runs: how many per second, from one thread and from several, and whether the kernel keeps
up.

The kernel destroys network namespaces in the background, so a caller can be faster than the kernel.
The number of unused ones is watched meanwhile. The contestants do all their runs in turn, several
times, and the medians are compared.
"""

import contextlib
import dataclasses
import random
import statistics
import threading
import time

import machine
import tables
from build import Missing, Programs
from contestants import BUBBLEWRAP, GROUNDS, POSIX_SPAWN, bubblewrap, on, with_payload
from turns import Runner, progress

THREADS = (1, 2, 4, 8)
REPEATS = 3
PATIENCE = 20.0
"""How many seconds the backlog may take to disappear."""


@dataclasses.dataclass
class Watched:
    """What the kernel held during all runs of one contestant."""

    most_waiting: int | None = 0
    """The most unused network namespaces. None if the kernel does not tell this user."""
    most_kib: int = 0
    bounded: bool = True
    drained: bool = True


@dataclasses.dataclass
class Result:
    """The nanoseconds of a series of runs, by contestant and number of threads."""

    runs: int
    times: dict[tuple[str, int], list[int]] = dataclasses.field(default_factory=dict)
    watched: dict[str, Watched] = dataclasses.field(default_factory=dict)

    def rate(self, name: str, threads: int, base: str) -> float | None:
        """Return how many times as many runs per second as another contestant."""
        if (name, threads) not in self.times or (base, threads) not in self.times:
            return None
        return statistics.median(self.times[base, threads]) / statistics.median(
            self.times[name, threads]
        )


def seclude(ground: str) -> str:
    return f"seclude, {GROUNDS[ground]}"


def measure(programs: Programs, runs: int) -> Result:
    starts: dict[str, list[str]] = {
        POSIX_SPAWN: [programs.spawn, "--many", "THREADS", "RUNS", programs.payload]
    }
    with contextlib.suppress(Missing):
        starts[BUBBLEWRAP] = [
            programs.spawn,
            "--many",
            "THREADS",
            "RUNS",
            *bubblewrap(),
            *with_payload(programs.payload),
        ]
    for ground in GROUNDS:
        starts[seclude(ground)] = [
            programs.rust,
            "throughput",
            programs.payload,
            *on(ground),
            "THREADS",
            "RUNS",
        ]
    result = Result(runs, watched={name: Watched() for name in starts})
    turns = [(name, threads) for name in starts for threads in THREADS]
    order = random.Random(1)
    for repeat in range(REPEATS):
        order.shuffle(turns)
        for name, threads in turns:
            progress(f"throughput: {repeat + 1} of {REPEATS}: {name}, {threads} threads")
            command = [
                {"THREADS": str(threads), "RUNS": str(runs)}.get(word, word)
                for word in starts[name]
            ]
            result.times.setdefault((name, threads), []).append(
                watched_run(command, result.watched[name])
            )
    progress("")
    return result


def watched_run(command: list[str], watched: Watched) -> int:
    """Do all runs of one contestant once while watching the kernel, then wait until the kernel has
    settled.
    """
    runner = Runner(command)
    runner.ready()
    time.sleep(0.3)  # Lets the processes that started it end.
    watch = Watch()
    taken = runner.turn()
    watch.stop()
    runner.close()
    watch.judge(watched)
    return taken


class Watch:
    """Samples the kernel at intervals."""

    def __init__(self) -> None:
        self.before = held()
        self.samples: list[tuple[int | None, int]] = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self) -> None:
        # Rarely enough to cost the contestant nothing.
        while not self.ended.wait(0.05):
            self.samples.append(held())

    def stop(self) -> None:
        self.ended.set()
        self.thread.join()
        self.samples.append(held())

    def judge(self, watched: Watched) -> None:
        waiting_before, kib_before = self.before
        kib = [kib - kib_before for _, kib in self.samples]
        watched.most_kib = max(watched.most_kib, *kib)
        watched.bounded &= levels_off(kib, 32 << 10)
        if waiting_before is None:
            watched.most_waiting = None
            return
        waiting = [(waiting or 0) - waiting_before for waiting, _ in self.samples]
        watched.most_waiting = max(watched.most_waiting or 0, *waiting)
        watched.bounded &= levels_off(waiting, 100)
        watched.drained &= drains(waiting_before)


def held() -> tuple[int | None, int]:
    """Return the number of network namespaces, and the KiB of kernel memory that cannot be
    reclaimed at once.
    """
    info = machine.meminfo()
    return machine.network_namespaces(), info["SUnreclaim"] + info["PageTables"] + info[
        "KernelStack"
    ] + info["Percpu"]


def levels_off(samples: list[int], little: int) -> bool:
    """Return whether the second half of the time added less than half of what the first did, or
    both are small.
    """
    half = max(len(samples) // 2, 1)
    first, second = max(samples[:half]), max(samples[half:], default=0)
    return second <= little or second <= 1.5 * first


def drains(before: int) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        # A slab's count is exact except for what each processor caches.
        if (machine.network_namespaces() or 0) <= before + 32:
            return True
        time.sleep(0.1)
    return False


def table(result: Result) -> str:
    base = BUBBLEWRAP if result.rate(BUBBLEWRAP, 1, BUBBLEWRAP) else POSIX_SPAWN
    heads = [
        "runs per second, × " + base,
        *(f"{threads} thread{'s' if threads > 1 else ''}" for threads in THREADS),
    ]
    heads += [
        "most namespaces waiting, per 100 runs",
        "kernel memory at the most, KiB per run",
        "bounded",
        "gone afterwards",
    ]
    rows = []
    for name, seen in result.watched.items():
        rates = [f"{result.rate(name, threads, base) or 0:.2f}" for threads in THREADS]
        waiting = (
            "not told"
            if seen.most_waiting is None
            else f"{100 * seen.most_waiting / result.runs:.1f}"
        )
        kib = f"{seen.most_kib / result.runs:.1f}"
        drained = "not told" if seen.most_waiting is None else yes(seen.drained)
        rows.append([name, *rates, waiting, kib, yes(seen.bounded), drained])
    return tables.section(
        f"Throughput, {result.runs} runs of the static program", *tables.grid(heads, rows)
    )


def yes(value: bool) -> str:
    return "yes" if value else "no"
