"""The time to the first byte of a caller's code: a warm `Interpreter` after a reset, over a new
process that imports the same modules. Run by `make bench-interpreter`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

import seclude

CODE = "print('x')"


def cold(python: str, preload: list[str]) -> float:
    """Start an interpreter outside, and return the seconds until its code writes."""
    code = "".join(f"import {name}\n" for name in preload) + CODE
    start = time.perf_counter()
    with subprocess.Popen([python, "-c", code], stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 1)
        taken = time.perf_counter() - start
        process.stdout.read()
    return taken


def warm(interpreter: seclude.Interpreter) -> float:
    """Reset the interpreter, and return the seconds until its code writes."""
    seen: list[float] = []
    start = time.perf_counter()
    interpreter.reset()
    interpreter.run(CODE, on_stdout=lambda _: seen.append(time.perf_counter()))
    return seen[0] - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the interpreter inside")
    parser.add_argument("--show", action="append", default=[], help="a directory that it needs")
    parser.add_argument("--preload", nargs="*", default=["json", "decimal"])
    parser.add_argument("--rounds", type=int, default=200)
    wanted = parser.parse_args()
    sandbox = seclude.Sandbox(files=[seclude.Bind(path) for path in wanted.show])
    times: dict[str, list[float]] = {"new process": [], "reset": []}
    with sandbox.interpreter(preload=wanted.preload, python=wanted.python) as interpreter:
        for _ in range(wanted.rounds):
            times["new process"].append(cold(wanted.python, wanted.preload))
            times["reset"].append(warm(interpreter))
    print(f"first byte of user code, with {' '.join(wanted.preload) or 'nothing'} preloaded")
    for name, each in times.items():
        each.sort()
        over = statistics.median(each) / statistics.median(times["new process"])
        print(
            f"{name:12} median {statistics.median(each) * 1e3:6.2f} ms,"
            f" best tenth {each[len(each) // 10] * 1e3:6.2f} ms, ratio {over:.2f}"
        )


if __name__ == "__main__":
    main()
