"""The cost of the Python package before it does anything: its import and the threads that it
starts.
"""

import dataclasses
import subprocess

from build import Missing, Programs
from turns import Times, median, ratio, take_turns

NOTHING = "python -c pass"
IMPORT = 'python -c "import seclude"'
USE = 'python -c "import seclude; seclude.Sandbox"'
"""A program that imports what a run needs: the package imports names on first use."""


@dataclasses.dataclass(frozen=True)
class Import:
    """The measured cost."""

    times: Times
    threads: int

    @property
    def milliseconds(self) -> float:
        """The absolute cost, for the verdict only. The tables show the ratio."""
        return (median(self.times, IMPORT) - median(self.times, NOTHING)) / 1e6

    def share(self, program: str) -> float:
        """The time beyond that of an empty interpreter, over the latter."""
        return ratio(self.times, program, NOTHING) - 1


def measure(programs: Programs, rounds: int, settle: float) -> Import | None:
    """Measure the cost, or return None without the wheel."""
    try:
        python = programs.python_face[0]
    except Missing:
        return None
    start = [programs.spawn, "0", "3", python, "-c"]
    codes = {NOTHING: "pass", IMPORT: "import seclude", USE: "import seclude; seclude.Sandbox"}
    times = take_turns(
        "import", {name: [*start, code] for name, code in codes.items()}, rounds, settle
    )
    count = "import os, seclude; print(len(os.listdir('/proc/self/task')))"
    threads = int(
        subprocess.run(
            [python, "-c", count], check=True, capture_output=True, text=True, cwd="/"
        ).stdout
    )
    return Import(times, threads)
