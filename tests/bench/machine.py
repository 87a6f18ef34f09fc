"""The machine under the measurement: its hardware, and what its kernel currently holds."""

import ctypes
import datetime
import os
import pathlib
import platform
import resource


def described() -> str:
    """Describe the machine for the head of every table and the foot of the plot."""
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")), ""
    )
    caller = "root" if os.geteuid() == 0 else "an unprivileged user"
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return f"{today}, {platform.machine()} {model}, {os.cpu_count()} processors, Linux {platform.release()}, as {caller}"


def small_pages() -> None:
    """Turn off large pages here and in all that is started (PR_SET_THP_DISABLE): they would hide
    what a fork of a large caller costs.
    """
    set_thp_disable = 41
    ctypes.CDLL(None, use_errno=True).prctl(set_thp_disable, 1, 0, 0, 0)


def many_descriptors() -> None:
    """Raise the limit on descriptors as far as this user may, here and in all that is started. A
    thousand cells need more than the usual thousand.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def meminfo() -> dict[str, int]:
    """Parse `/proc/meminfo`, in KiB."""
    pairs = (line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
    return {name: int(value.split()[0]) for name, value in pairs}


def network_namespaces() -> int | None:
    """Count the network namespaces in the kernel, unused ones included. None if the kernel does not
    tell this user.
    """
    try:
        lines = pathlib.Path("/proc/slabinfo").read_text().splitlines()
    except PermissionError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("net_namespace ")), None)


def descendants(root: int) -> list[int]:
    """Return every descendant of this process."""
    parents: dict[int, int] = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rpartition(")")[2].split()[1]
                )
            except (FileNotFoundError, ProcessLookupError):
                continue
    found: list[int] = []
    generation = {root}
    while generation:
        generation = {pid for pid, parent in parents.items() if parent in generation}
        found += generation
    return found


def private_kib(pid: int) -> int:
    """Return the memory that only this process uses."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
