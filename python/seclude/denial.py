"""What a sandbox is known to have refused: a limit that decided a command's end, or a system call.

Only what the warden, the kernel or the learner has reported becomes a `Denial`. Nothing is
concluded from exit codes or from what a program prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import seclude


@dataclass(frozen=True, slots=True)
class Denial:
    """One thing that the sandbox refused, with the rule and a remedy.

    `str()` is the cause and the hint, as in errors.
    """

    kind: Literal["limit", "system-call"]
    name: str
    """The limit's key in the policy, `files` for a full tmpfs, or the system call."""
    rule: str
    """The part of the policy that decided."""
    cause: str
    """What happened, as text."""
    hint: str
    """A remedy, if the program may do what was refused."""
    value: int | None = None
    """The limit's value in the unit of `Outcome.limit`, or how often the call was refused.

    None if that was not counted.
    """

    def __str__(self) -> str:
        return f"{self.cause}; hint: {self.hint}"


# The key of each limit's end, and a remedy.
_LIMITS = {
    "wall-time": ("wall_time", "a longer wall_time"),
    "cpu-time": ("cpu_time", "more cpu_time, or a program that computes less"),
    "memory-limit": ("memory", "more memory; usage.memory_peak is what was used"),
    "process-limit": ("pids", "more pids; threads count too"),
    "output-limit": ("output", "more output; without it, 64 MiB of a captured stream are kept"),
    "scratch-full": ("files", "a tmpfs with a larger size, or more inodes"),
}


def of_outcome(outcome: seclude.Outcome) -> Denial | None:
    """Return the limit or the filter's rule that decided the end, or None if none did."""
    ended = outcome.ended
    if ended.name == "syscall":
        return of_call(str(ended.value), str(outcome))
    if ended.name not in _LIMITS:
        return None
    key, hint = _LIMITS[ended.name]
    return Denial("limit", key, key, str(outcome), hint, outcome.limit)


def of_call(call: str, cause: str, count: int | None = None) -> Denial:
    """Return the refusal of a system call by the filter."""
    hint = f"Seccomp.allow({call!r}), if the program needs the call"
    return Denial("system-call", call, "seccomp", cause, hint, count)
