"""Measures seclude from Python: one whole run per line of input, as measure.h describes.

usage: face.py [--on template|pool|cell] MIB WARMUP PAYLOAD
"""

import mmap
import sys
import threading
import time

import seclude

PARKED = 4


def caller(mib: int) -> mmap.mmap | None:
    """Make this process a realistic caller: with waiting threads and this much memory in use."""
    for _ in range(PARKED):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if mib == 0:
        return None
    memory = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, mib << 20, mmap.PAGESIZE):
        memory[page] = 1
    return memory


def main() -> None:
    *words, mib, warmup, payload = sys.argv[1:]
    ground = words[1] if words[:1] == ["--on"] else None
    memory = caller(int(mib))
    sandbox = seclude.Sandbox(files=[seclude.bind(payload, "/payload")])
    pool = sandbox.pool(4) if ground == "pool" else None
    if ground == "template":
        sandbox.prepare()
    cell = sandbox.cell() if ground == "cell" else None
    runs = pool or cell or sandbox

    def settle() -> None:
        """Wait until the pool is full again, so that the next contestant's turn does not pay for
        it.
        """
        while pool and pool.statistics().ready < pool.size:
            time.sleep(0.0001)

    for _ in range(int(warmup)):
        runs.run(["/payload"], check=True)
    settle()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter_ns()
        runs.run(["/payload"], check=True)
        taken = time.perf_counter_ns() - start
        settle()
        print(taken, flush=True)
    if pool:
        pool.close()
    if cell:
        cell.close()
    del memory


if __name__ == "__main__":
    main()
