"""Measures seclude from Python: one whole run per line of input, as measure.h says.

usage: face.py MIB WARMUP PAYLOAD
"""

import mmap
import sys
import time

import seclude


def touched(mib: int) -> mmap.mmap | None:
    """So many MiB, filled page by page."""
    if mib == 0:
        return None
    memory = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, mib << 20, mmap.PAGESIZE):
        memory[page] = 1
    return memory


def main() -> None:
    mib, warmup, payload = sys.argv[1:]
    memory = touched(int(mib))
    sandbox = seclude.Sandbox(files=[seclude.bind(payload, "/payload")])

    def run() -> None:
        sandbox.run(["/payload"], check=True)

    for _ in range(int(warmup)):
        run()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter_ns()
        run()
        print(time.perf_counter_ns() - start, flush=True)
    del memory


if __name__ == "__main__":
    main()
