"""A thousand cells at once: the memory that each holds in its own processes and in the kernel, and
the time that they take.

Two ways are compared: cells made one after another from nothing, and cells copied from a template.
Times are ratios over as many starts of the static program alone, which the same process makes
before.
"""

import dataclasses
import statistics
import time

import machine
import tables
from build import Programs
from turns import Runner, progress

KERNEL = ("Slab", "PageTables", "KernelStack", "Percpu")
"""The lines of /proc/meminfo that are the kernel's memory."""


@dataclasses.dataclass(frozen=True)
class Crowd:
    """One measurement of this many cells."""

    cells: int
    making: float
    """Over as many starts of the program alone."""
    closing: float
    private_kib: float | None
    """Of one warden, the median. None if the kernel does not tell this user."""
    kernel_kib: float
    """Of one cell."""
    unavailable_kib: float
    """Of one cell: the total decrease of available memory."""
    left_kib: float
    """Of the kernel's memory, for each cell that has ended."""


def measure(programs: Programs, cells: int) -> dict[str, Crowd]:
    return {
        "made whole": crowd(programs, cells, []),
        "from a template": crowd(programs, cells, ["--template"]),
    }


def crowd(programs: Programs, cells: int, words: list[str]) -> Crowd:
    progress(f"{cells} cells at once {' '.join(words)}")
    runner = Runner([programs.rust, "crowd", programs.payload, *words, str(cells)])
    alone = int(runner.answer())
    wardens_before = set(machine.descendants(runner.process.pid))
    before = rested()
    making = runner.turn()
    during = rested()
    wardens = [pid for pid in machine.descendants(runner.process.pid) if pid not in wardens_before]
    try:
        private = statistics.median(machine.private_kib(pid) for pid in wardens)
    except PermissionError:
        private = None
    closing = runner.turn()
    runner.close()
    after = rested()
    progress("")
    return Crowd(
        cells=cells,
        making=making / alone,
        closing=closing / alone,
        private_kib=private,
        kernel_kib=(kernel(during) - kernel(before)) / cells,
        unavailable_kib=(before["MemAvailable"] - during["MemAvailable"]) / cells,
        left_kib=(kernel(after) - kernel(before)) / cells,
    )


def rested() -> dict[str, int]:
    """Return the kernel's memory after its background work has settled."""
    time.sleep(2)
    return machine.meminfo()


def kernel(info: dict[str, int]) -> int:
    return sum(info[name] for name in KERNEL)


def table(crowds: dict[str, Crowd]) -> str:
    cells = next(iter(crowds.values())).cells
    heads = [
        f"{cells} cells", f"making them, × {cells} posix_spawn", f"closing them, × {cells} posix_spawn",
        "warden's private memory, KiB",
        "kernel memory per cell, KiB", "all memory per cell, KiB", "kernel memory left afterwards, KiB",
    ]  # fmt: skip
    rows = []
    for name, crowd in crowds.items():
        private = "not told" if crowd.private_kib is None else f"{crowd.private_kib:.0f}"
        figures = [
            f"{value:.0f}" for value in (crowd.kernel_kib, crowd.unavailable_kib, crowd.left_kib)
        ]
        rows.append([name, f"{crowd.making:.1f}", f"{crowd.closing:.1f}", private, *figures])
    return tables.section("Many cells at once", *tables.grid(heads, rows))
