"""How a command ended, what it used, what held it; and who is inside while it runs. Plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .errors import CalledProcessError

if TYPE_CHECKING:
    from ._seclude import _Ending


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: one of a closed set, by `name`.

    - `exited`: by itself; `value` is the exit code, 0 to 255.
    - `signaled`: by a signal of its own making or from inside; `value` is its number.
    - `wall-time`: the sandbox's `wall_time` was over.
    - `killed`: the caller killed it.

    `match ended: case Ended("exited", code): ...` works; `str()` is a sentence's end: `killed by SIGSEGV`.
    """

    name: Literal["exited", "signaled", "wall-time", "killed"]
    value: int | None = None
    _text: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        return self._text or (self.name if self.value is None else f"{self.name} {self.value}")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command and everything that it started used: times in seconds, sizes in bytes (`getrusage(2)`).

    The sums are of all processes that were waited for. A process whose parent ignores SIGCHLD is counted by nobody.
    """

    wall: float
    """From the command's start to the end of the last process inside."""
    user: float
    """Processor time in user mode, of the whole tree."""
    system: float
    """Processor time in the kernel, of the whole tree."""
    max_rss: int
    """The largest resident set that any single process of the tree had. The caller's own size is no part of it."""
    minor_faults: int
    """Page faults served without I/O."""
    major_faults: int
    """Page faults that needed I/O."""
    voluntary_switches: int
    """Times a process gave up the processor to wait."""
    involuntary_switches: int
    """Times a process was made to give up the processor."""
    blocks_in: int
    """Blocks of 512 bytes read from a device."""
    blocks_out: int
    """Blocks of 512 bytes written to a device."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, what it used, and the names of the protections that really were in force while it ran."""

    ended: Ended
    usage: Usage
    enforced: frozenset[str]
    returncode: int
    """The exit code, or minus the signal; -9 where a limit or the caller ended it."""

    @property
    def success(self) -> bool:
        """Whether the command exited with 0."""
        return self.ended.name == "exited" and self.ended.value == 0

    @staticmethod
    def _told(ending: _Ending) -> Outcome:
        """The outcome that the native half tells."""
        ended, returncode, usage, enforced = ending
        return Outcome(Ended(*ended), Usage(*usage), frozenset(enforced), returncode)


@dataclass(frozen=True, slots=True)
class Process:
    """A process inside a sandbox, as the caller sees it. What it calls itself is its own word."""

    pid: int
    """Its id in the caller's pid namespace."""
    inside_pid: int
    """Its id in the sandbox's pid namespace; the warden's is 1."""
    pids: tuple[int, ...]
    """All its ids, from the caller's namespace inwards: more than two in a sandbox within the sandbox."""
    parent: int
    """Its parent's id in the caller's pid namespace."""
    name: str
    """Its name, at most 15 bytes."""
    command: tuple[str, ...]
    """Its command line; the name in brackets where the kernel shows none."""
    uid: int
    """Its user id, as the caller sees it."""
    state: str
    """R running, S sleeping, D in uninterruptible sleep, T stopped, Z ended but not reaped."""


class CompletedRun:
    """A finished run: `subprocess.CompletedProcess`, and how it ended.

    `stdout` and `stderr` are bytes, or text in text mode; None where they were not captured.
    """

    __slots__ = ("args", "outcome", "returncode", "stderr", "stdout")

    def __init__(self, args: Any, outcome: Outcome, stdout: Any = None, stderr: Any = None) -> None:
        self.args, self.outcome, self.stdout, self.stderr = args, outcome, stdout, stderr
        self.returncode = outcome.returncode

    def check_returncode(self) -> None:
        """Raises CalledProcessError if the command did not exit with 0."""
        if self.returncode:
            raise CalledProcessError(self.returncode, self.args, self.stdout, self.stderr, outcome=self.outcome)

    def __repr__(self) -> str:
        parts = [f"args={self.args!r}", f"returncode={self.returncode!r}", f"ended={str(self.outcome.ended)!r}"]
        parts += [f"{name}={getattr(self, name)!r}" for name in ("stdout", "stderr") if getattr(self, name) is not None]
        return f"CompletedRun({', '.join(parts)})"
