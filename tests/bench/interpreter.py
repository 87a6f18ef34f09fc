"""What the Python package costs before it does anything: its import, and the threads that it starts."""

import dataclasses
import subprocess

from build import Missing, Programs
from turns import Times, median, ratio, take_turns

NOTHING = "python -c pass"
IMPORT = 'python -c "import seclude"'
USE = 'python -c "import seclude; seclude.Sandbox"'
"""What is imported for a run, too: names are imported when they are first asked for."""


@dataclasses.dataclass(frozen=True)
class Import:
    """What it was seen to cost."""

    times: Times
    threads: int

    @property
    def milliseconds(self) -> float:
        """For the verdict; what is written down is the ratio."""
        return (median(self.times, IMPORT) - median(self.times, NOTHING)) / 1e6

    def share(self, program: str) -> float:
        """What it takes longer than an empty interpreter, over that one's run."""
        return ratio(self.times, program, NOTHING) - 1


def measure(programs: Programs, rounds: int, settle: float) -> Import | None:
    """None without the wheel."""
    try:
        python = programs.python_face[0]
    except Missing:
        return None
    start = [programs.spawn, "0", "3", python, "-c"]
    codes = {NOTHING: "pass", IMPORT: "import seclude", USE: "import seclude; seclude.Sandbox"}
    times = take_turns("import", {name: [*start, code] for name, code in codes.items()}, rounds, settle)
    count = "import os, seclude; print(len(os.listdir('/proc/self/task')))"
    threads = int(subprocess.run([python, "-c", count], check=True, capture_output=True, text=True, cwd="/").stdout)
    return Import(times, threads)
