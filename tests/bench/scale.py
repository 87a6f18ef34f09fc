#!/usr/bin/env python3
"""Compares jobs per second: a bare subprocess loop, sandboxes one by one, a batch over a pool, and
a batch over dask.

All run the same jobs in turns, in a new order every round, so that other work on the machine
affects all alike. Only the ratios are meaningful. Every outcome is checked. The program needs an
interpreter with the wheel and its extra `dask`. It starts a scheduler and two workers of one thread
each on 127.0.0.1, and ends them. docs/scale.md has results.

    usage: scale.py [--jobs N] [--rounds N] [--payload echo|python]
"""

import argparse
import contextlib
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import seclude

PAYLOADS: dict[str, Callable[[int], list[str]]] = {
    "echo": lambda n: ["/usr/bin/echo", str(n)],
    "python": lambda n: ["/usr/bin/python3", "-I", "-c", f"print({n})"],
}
BARE = "bare subprocess.run"


def bare(jobs: list[list[str]]) -> list[str]:
    return [subprocess.run(job, capture_output=True, text=True, check=True).stdout for job in jobs]


def sandboxed(jobs: list[list[str]]) -> list[str]:
    box = seclude.Sandbox()
    return [box.run(job, capture_output=True, text=True).stdout for job in jobs]


def batched(jobs: list[list[str]], *options: str) -> list[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".jobs") as file:
        file.writelines(json.dumps({"args": job}) + "\n" for job in jobs)
        file.flush()
        command = [sys.executable, "-m", "seclude", "batch", file.name, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line)["stdout"] for line in done.stdout.splitlines()]


@contextlib.contextmanager
def engine() -> Iterator[str]:
    """Start a dask scheduler with two workers and yield its address."""
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="seclude-scale-"))
        )

        def start(*words: str) -> None:
            command = [
                sys.executable,
                "-m",
                "dask",
                *words,
                "--host",
                "127.0.0.1",
                "--no-dashboard",
            ]
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=directory
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)

        known = directory / "scheduler.json"
        start("scheduler", "--port", "0", "--scheduler-file", str(known))
        while not (known.exists() and known.read_text().endswith("}")):
            time.sleep(0.1)
        address = json.loads(known.read_text())["address"]
        for _ in range(2):
            start(
                "worker",
                address,
                "--no-nanny",
                "--nthreads",
                "1",
                "--local-directory",
                str(directory),
            )
        from distributed import Client

        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--jobs", type=int, default=10_000, help="for each contestant, in all rounds together"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--payload", choices=PAYLOADS, default="echo")
    wanted = parser.parse_args()
    each = wanted.jobs // wanted.rounds
    jobs = [PAYLOADS[wanted.payload](n) for n in range(each)]
    expected = [f"{n}\n" for n in range(each)]
    with engine() as address:
        field: dict[str, Callable[[list[list[str]]], list[str]]] = {
            BARE: bare,
            "sandboxes one by one": sandboxed,
            "batch --workers 2": lambda jobs: batched(jobs, "--workers", "2"),
            "batch --workers 4": lambda jobs: batched(jobs, "--workers", "4"),
            "batch --scheduler, two workers": lambda jobs: batched(jobs, "--scheduler", address),
        }
        rates: dict[str, list[float]] = {name: [] for name in field}
        for _ in range(wanted.rounds):
            for name in random.sample(list(field), len(field)):
                began = time.monotonic()
                if field[name](jobs) != expected:
                    raise SystemExit(f"{name}: a wrong outcome")
                rates[name].append(each / (time.monotonic() - began))
    for name, found in rates.items():
        ratios = [rate / base for rate, base in zip(found, rates[BARE], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(
            f"{name:32} {statistics.median(ratios):5.2f} x the jobs per second of the bare loop ({spread})"
        )


if __name__ == "__main__":
    main()
