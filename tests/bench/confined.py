"""What a run costs where namespaces are denied, over a cold run in namespaces.

Usage: confined.py --python PYTHON [--rounds N], where PYTHON has the wheel. Two processes take turns
in one run: one can make namespaces, the other cannot and does without. Each runs /bin/true.
"""

import argparse
import pathlib
import random
import statistics
import subprocess
import sys

DENIED = pathlib.Path(__file__).resolve().parent.parent / "exposure" / "denied.py"
CALLER = """
import sys, time, seclude
box = seclude.Sandbox(best_effort=["namespaces"])
for line in sys.stdin:
    start = time.perf_counter_ns()
    done = box.run(["/bin/true"])
    print(time.perf_counter_ns() - start, "net-namespace" in done.outcome.enforced, flush=True)
"""


class Caller:
    """A process that runs one sandbox on request."""

    def __init__(self, start: list[str], makes_namespaces: bool) -> None:
        self.makes_namespaces = makes_namespaces
        self.times: list[int] = []
        self.process = subprocess.Popen(
            [*start, "-c", CALLER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def turn(self) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        nanoseconds, made = self.process.stdout.readline().split()
        if (made == "True") != self.makes_namespaces:
            sys.exit("it ran otherwise than it should: are namespaces denied here?")
        return int(nanoseconds)

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    cold = Caller([options.python], True)
    confined = Caller([options.python, str(DENIED), options.python], False)
    for number in range(options.rounds + 20):
        for caller in random.sample([cold, confined], 2):
            time = caller.turn()
            if number >= 20:
                caller.times.append(time)
    cold.end()
    confined.end()
    ratio = statistics.median(confined.times) / statistics.median(cold.times)
    print(
        f"without namespaces / in namespaces: {ratio:.2f} (medians of {options.rounds} runs each)"
    )


main()
