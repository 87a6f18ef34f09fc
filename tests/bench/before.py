"""The cost of a change: every path through this tree beside the same path through an earlier
commit, in turns.

The earlier core is built from the files of that commit, with the measuring program of that commit.
"""

import io
import subprocess
import tarfile

import tables
from build import TOP, Programs, built_measure
from contestants import PATHS
from turns import Times, percentile, take_turns

BEFORE, NOW = "before: ", "now: "


def build(programs: Programs, commit: str) -> str:
    """Build the measuring program of that commit."""
    tree = programs.folder / f"before-{commit}"
    if not tree.exists():
        packed = subprocess.run(
            ["git", "archive", commit], cwd=TOP, check=True, capture_output=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            # Python 3.11.2 of Debian 12 has no filters.
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(tree, **safe)
    return built_measure(tree, programs.folder / f"measure-{commit}", target=tree / "target")


def measure(
    programs: Programs,
    commit: str,
    payload: str,
    title: str,
    warmup: int,
    rounds: int,
    settle: float,
) -> Times:
    """Return the times of every path that both commits have, from one run."""
    earlier, commands = build(programs, commit), {}
    for path, words in PATHS.items():
        pair = {when + path: [program, "turns", payload, *words, "10", str(warmup)]
                for when, program in ((NOW, programs.rust), (BEFORE, earlier))}  # fmt: skip
        if not any(tables.first_error(command) for command in pair.values()):
            commands |= pair
    return take_turns(title, commands, rounds, settle)


def table(commit: str, title: str, times: Times) -> str:
    """Return now over before: the median, and the tenth percentile, which other work on the machine
    affects less.
    """
    rows = []
    for path in PATHS:
        if NOW + path in times:
            now, then = (
                [percentile(times[when + path], percent) for percent in (50, 10)]
                for when in (NOW, BEFORE)
            )
            rows.append([path, *(f"{new / old:.3f}" for new, old in zip(now, then, strict=True))])
    return tables.section(
        f"{title}, over {commit}", *tables.grid(["", "median", "10th percentile"], rows)
    )
