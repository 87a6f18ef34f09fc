"""What the copies of the library cost over `cp -a` of the same tree.

Usage: copies.py [--rounds N] [--place DIRECTORY]..., with a Python that has the wheel. The ways to
copy take turns in one run. A place should be a file system of interest: by default there are a
tmpfs and the directory for temporary files. Ratios of medians; the target is 1.2.
"""

import argparse
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import seclude

MIB = 1 << 20
TARGET = 1.2
BOUNDS = {"max_bytes": 64 << 30, "max_entries": 100_000, "archive": True}


def many(tree: pathlib.Path) -> None:
    """10,000 files of 4 KiB in 100 directories."""
    for directory in range(100):
        (tree / str(directory)).mkdir(parents=True)
        for file in range(100):
            (tree / str(directory) / str(file)).write_bytes(os.urandom(4096))


def large(tree: pathlib.Path) -> None:
    """One file of 256 MiB."""
    tree.mkdir()
    with (tree / "large").open("wb") as file:
        for _ in range(256):
            file.write(os.urandom(MIB))


def sparse(tree: pathlib.Path) -> None:
    """A file of 10 GiB with 100 pages of data."""
    tree.mkdir()
    with (tree / "sparse").open("wb") as file:
        for number in range(100):
            file.seek(number * 100 * MIB)
            file.write(b"x" * 4096)
        file.truncate(10 << 30)


def measure(place: pathlib.Path, make: Callable[[pathlib.Path], None], rounds: int) -> bool:
    """Print a line for one tree. Return whether it meets the target."""
    tree, to = place / "tree", place / "to"
    place.chmod(0o755)
    make(tree)
    to.mkdir()
    to.chmod(0o777)
    copy = to / "copy"
    files = [seclude.bind(str(tree)), seclude.bind(str(to), writable=True)]
    with seclude.Sandbox(files=files).cell() as cell:
        ways: dict[str, Callable[[], object]] = {
            "cp -a": lambda: subprocess.run(["cp", "-a", tree, copy], check=True),
            "copy": lambda: seclude.copy(place, "tree", copy, **BOUNDS),
            "copy_out": lambda: cell.copy_out(tree, copy, **BOUNDS),
            "copy_in": lambda: cell.copy_in(tree, copy, **BOUNDS),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        # The first round warms up.
        for number in range(rounds + 1):
            for way in random.sample(list(ways), len(ways)):
                # What the turn before has written must not be written back in this one.
                os.sync()
                start = time.perf_counter()
                ways[way]()
                if number:
                    times[way].append(time.perf_counter() - start)
                shutil.rmtree(copy)
    base = statistics.median(times.pop("cp -a"))
    ratios = {way: statistics.median(each) / base for way, each in times.items()}
    shown = ", ".join(f"{way} {ratio:.2f}" for way, ratio in ratios.items())
    print(f"{place.parent}: {(make.__doc__ or '').rstrip('.')}: {shown} x cp -a", flush=True)
    return all(ratio <= TARGET for ratio in ratios.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--place", action="append", type=pathlib.Path, default=[])
    options = parser.parse_args()
    met = True
    for parent in options.place or [pathlib.Path("/dev/shm"), pathlib.Path(tempfile.gettempdir())]:
        for make in (many, large, sparse):
            with tempfile.TemporaryDirectory(dir=parent) as place:
                met = measure(pathlib.Path(place), make, options.rounds) and met
    print(f"target, at most {TARGET} x cp -a: {'met' if met else 'missed'}")
    sys.exit(not met)


main()
