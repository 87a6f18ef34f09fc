"""The cost of each protection: the same run with one of them removed or added at a time.

The figure is the difference of the two medians as a share of the default run. The cost of a layer
depends on the others (without a network namespace there is less to tear down), so the shares need
not add up to one.
"""

import tables
from build import Programs
from contestants import POSIX_SPAWN, other, rust
from turns import Times, median, take_turns

DEFAULT = "the default sandbox"

WITHOUT = {
    "no-net": "network namespace, loopback",
    "no-ipc": "ipc namespace",
    "no-uts": "uts namespace, host name",
    "no-cgroup": "cgroup namespace",
    "no-pid": "pid namespace",
    "no-user": "user namespace, with the ban on nested ones",
    "nested": "ban on nested user namespaces; /proc's masks with it",
    "no-system": "the host's programs, read-only",
    "no-landlock": "Landlock",
    "no-seccomp": "seccomp: the default profile and the warden's own",
}
WITH = {
    "time": "time namespace",
    "wall-time": "wall time limit",
    "output": "output limit",
    "pids": "limit on processes",
    "memory": "limit on memory",
    "cpus": "limit on processors",
    "cpu-time": "limit on processor time",
    "limits": "memory, processes, processor time and wall time at once",
}


def measure(
    programs: Programs, warmup: int, rounds: int, settle: float
) -> tuple[Times, dict[str, str]]:
    """Return the times, and the protections that this user cannot change with the reason."""
    commands = {POSIX_SPAWN: other(programs.spawn)(10, warmup, programs.payload)}
    commands[DEFAULT] = rust(programs)(10, warmup, programs.payload)
    refused = {}
    for change, name in (WITHOUT | WITH).items():
        command = rust(programs, "--but", change)
        if error := tables.first_error(command(0, 1, programs.payload)):
            refused[name] = error
        else:
            commands[change] = command(10, warmup, programs.payload)
    return take_turns("layers", commands, rounds, settle), refused


def table(times: Times, refused: dict[str, str]) -> str:
    whole = median(times, DEFAULT)
    lines = ["| layer | share of the default run |", "|---|---:|"]
    lines += [
        f"| {name} | {(whole - median(times, key)) / whole:+.1%} |"
        for key, name in WITHOUT.items()
        if key in times
    ]
    lines += [
        f"| added: {name} | {(median(times, key) - whole) / whole:+.1%} |"
        for key, name in WITH.items()
        if key in times
    ]
    notes = [f"Not measured: {name} ({reason}).\n" for name, reason in refused.items()]
    return tables.section("Each layer by itself", *lines, "", *notes)
