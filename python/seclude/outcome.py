"""How a command ended, what it used, what held it; and who is inside while it runs. Plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .errors import CalledProcessError
from .vocabulary import EndedName, LimitName, Mechanism, MemorySource, Protection

if TYPE_CHECKING:
    from ._seclude import _Ending, _Seen, _Used


@dataclass(frozen=True, slots=True)
class Ended:
    # faces: begin the documentation of Ended
    """How a command ended: one of a closed set, by `name`. The cases never overlap.

    - `exited`: It ended by itself. The value is the exit code, 0 to 255.
    - `signaled`: A signal killed it, and no limit had a part in it. The value is the signal's
      number.
    - `wall-time`: It was still running when its wall time was over. The limit is told in
      nanoseconds.
    - `cpu-time`: All processes together used up their processor time. The limit is told in
      nanoseconds.
    - `memory-limit`: There was no more memory for it, even if its first process went on. The limit
      is told in bytes.
    - `process-limit`: It was refused a process or thread, and failed. The limit is told as their
      number.
    - `output-limit`: It wrote more than it may, or, captured without a limit, more than 64 MiB to a
      stream. The limit is told in bytes.
    - `scratch-full`: It failed, and a tmpfs is full whose size or number of files the policy
      limits. The limit is told in bytes or files, whichever ran out.
    - `killed`: The caller killed it.
    - `warden-lost`: The warden was killed from outside, and with it all that ran inside. The value
      is the signal that killed the warden, 0 if nobody can tell.
    - `syscall`: It made a system call that its filter answers with `kill`, somewhere inside. The
      value is the call.

    `value` is None where an end has none; of `syscall` it is the call's name. `match ended:` with
    `case Ended("exited", code)` works; `str()` is a sentence's end: `killed by SIGSEGV`.
    """

    # faces: end

    name: EndedName
    value: int | str | None = None
    _text: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        return self._text or (self.name if self.value is None else f"{self.name} {self.value}")


@dataclass(frozen=True, slots=True)
class Pressure:
    """Seconds that something inside stood still for want of a resource (Linux's pressure stall information)."""

    cpu_some: float
    """At least one process waited for a processor."""
    memory_some: float
    """At least one process waited for memory."""
    memory_full: float
    """All processes waited for memory."""
    io_some: float
    """At least one process waited for I/O."""
    io_full: float
    """All processes waited for I/O."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command and everything that it started used: times in seconds, sizes in bytes.

    A cgroup's counters where there is one, else `getrusage(2)` of all processes that were waited for: then a process
    whose parent ignores SIGCHLD is counted by nobody. The caller's own size and earlier runs are no part of any number.
    """

    # faces: begin figures as a dataclass
    wall: float
    """From the command's start to the end of the last process inside."""
    user: float
    """Processor time in user mode, of the whole tree."""
    system: float
    """Processor time in the kernel, of the whole tree."""
    memory: int
    """Memory in use, while it runs; 0 afterwards. In bytes."""
    memory_peak: int
    """The most memory that was in use at one time. In bytes."""
    anonymous_peak: int | None
    """The most memory that was seen without the pages of files: `RssAnon` and `RssShmem` of the
    processes, or `anon` and `shmem` of the cgroup. The warden looks every 5 milliseconds or
    less often, where the memory of the sandbox, or of this command in a cell, is limited. In
    bytes. None where nobody counted."""
    max_rss: int
    """The largest resident set that any single process of the tree had. In bytes."""
    processes: int
    """Processes and threads inside, while it runs, the warden not counted; 0 afterwards."""
    processes_peak: int | None
    """The most processes and threads at one time: by a cgroup of Linux 6.1, or sampled. None
    where nobody counted."""
    minor_faults: int
    """Page faults served without I/O."""
    major_faults: int
    """Page faults that needed I/O."""
    voluntary_switches: int
    """Times a process gave up the processor to wait."""
    involuntary_switches: int
    """Times a process was made to give up the processor."""
    bytes_read: int
    """What was read from block devices. In bytes."""
    bytes_written: int
    """What was written to block devices. In bytes."""
    stdout_bytes: int | None
    """What was written to the standard output. Counted only with a limit on the output. In
    bytes. None where nobody counted."""
    stderr_bytes: int | None
    """What was written to the standard error. Counted only with a limit on the output; 0 if both
    streams are one file: then `stdout_bytes` counts them all. In bytes. None where nobody
    counted."""
    # faces: end
    memory_source: MemorySource
    """Where `memory_peak` comes from: the cgroup's own peak; the largest sum that the warden saw; one process alone."""
    pressure: Pressure | None
    """Time lost for want of resources; None without a cgroup of version 2, or where the kernel keeps no count."""

    @property
    def cpu(self) -> float:
        """User and system time together."""
        return self.user + self.system

    @staticmethod
    def _from_native(used: _Used) -> Usage:
        """The usage that the native half tells."""
        pressure = used["pressure"]
        return Usage(**(used | {"pressure": None if pressure is None else Pressure(*pressure)}))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, what it used, and what really was in force while it ran.

    `str()` says how it ended, and at which limit's value: `stopped by the memory limit of 67108864 bytes`.
    """

    ended: Ended
    usage: Usage
    enforced: tuple[Protection, ...]
    """The names of the protections that were in force."""
    returncode: int
    """The exit code, or minus the signal. A process limit and full scratch space kill nothing, and read
    as `status`; every other end, by a limit or by the caller, reads -9.
    """
    status: int | None = None
    """The first process's own return code, whatever the end of the whole is called; None if nobody saw it."""
    limit: int | None = None
    """The value of the limit that is the end: bytes, nanoseconds, processes or files. None where the end is no limit."""
    limits: Mapping[LimitName, Mechanism] = field(default_factory=dict, hash=False)
    """The limits that were in force, each with what enforced it: a cgroup's controller (`cgroup-v2`, `cgroup-v1`),
    `setrlimit(2)` (`rlimit`), the `warden` that all of it passes through; or the warden that looks at an interval
    (`sampled`), and does not see what is above the limit between two looks.
    """
    _text: str = field(default="", repr=False, compare=False)
    landlock_abi: int | None = None
    """The ABI of Landlock that was in force; None if it was not. What it ruled are the `landlock-` names in `enforced`."""
    by_caller: bool = False
    """The caller's side ended it, because the warden had not a second after it should have: it was stopped from outside, or
    got no processor. What ended it is still the limit, or `kill`.
    """

    def __str__(self) -> str:
        return self._text or str(self.ended)

    @property
    def success(self) -> bool:
        """Whether the command exited with 0."""
        return self.ended.name == "exited" and self.ended.value == 0

    @staticmethod
    def _from_native(ending: _Ending) -> Outcome:
        """The outcome that the native half tells."""
        return Outcome(
            Ended(*ending["ended"]),
            Usage._from_native(ending["usage"]),
            tuple(ending["enforced"]),
            ending["returncode"],
            ending["status"],
            ending["limit"],
            dict(ending["limits"]),
            ending["text"],
            ending["landlock_abi"],
            ending["by_caller"],
        )

    def _output_limit(self, limit: int) -> Outcome:
        """The same where it was the caller's side that counted too much output; a limit that came before stays the end."""
        if self.ended.name not in ("exited", "signaled", "killed"):
            return self
        ended = Ended("output-limit", None, "stopped by the output limit")
        return replace(
            self, ended=ended, returncode=-9, limit=limit, _text=f"{ended} of {limit} bytes"
        )


@dataclass(frozen=True, slots=True)
class Process:
    """A process, as the caller sees it. What it calls itself is its own word."""

    pid: int
    """Its id in the caller's pid namespace."""
    inside_pid: int
    """Its id in the sandbox's pid namespace; the warden's is 1. From `namespaces`, its id in the pid namespace that it is in."""
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

    @staticmethod
    def _from_native(seen: _Seen) -> Process:
        pid, inside, pids, parent, name, words, uid, state = seen
        return Process(pid, inside, tuple(pids), parent, name, tuple(words), uid, state)


class CompletedRun:
    """A finished run: `subprocess.CompletedProcess`, and how it ended. Comparable, hashable, picklable.

    `stdout` and `stderr` are bytes, or text in text mode; None where they were not captured.
    """

    __slots__ = ("args", "outcome", "returncode", "stderr", "stdout")

    def __init__(self, args: Any, outcome: Outcome, stdout: Any = None, stderr: Any = None) -> None:
        self.args, self.outcome, self.stdout, self.stderr = args, outcome, stdout, stderr
        self.returncode = outcome.returncode

    def check_returncode(self) -> None:
        """Raises CalledProcessError if the command did not exit with 0."""
        if self.returncode:
            raise CalledProcessError(
                self.returncode, self.args, self.stdout, self.stderr, outcome=self.outcome
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CompletedRun):
            return NotImplemented
        mine, others = ((run.args, run.outcome, run.stdout, run.stderr) for run in (self, other))
        return mine == others

    def __hash__(self) -> int:
        return hash(self.outcome)

    def __repr__(self) -> str:
        parts = [
            f"args={self.args!r}",
            f"returncode={self.returncode!r}",
            f"ended={str(self.outcome.ended)!r}",
        ]
        parts += [
            f"{name}={getattr(self, name)!r}"
            for name in ("stdout", "stderr")
            if getattr(self, name) is not None
        ]
        return f"CompletedRun({', '.join(parts)})"
