"""How a command ended, what it used, and which processes are inside: plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import seclude

from .collected import Collected
from .egress import EgressReport
from .errors import CalledProcessError
from .vocabulary import EndedName, LimitName, Mechanism, MemorySource, Protection

if TYPE_CHECKING:
    from ._seclude import _Ending, _Seen, _Used


@dataclass(frozen=True, slots=True)
class Ended:
    # faces: begin the documentation of Ended
    """How a command ended: one of a closed set, by `name`. The cases never overlap.

    - `exited`: The command exited by itself. The value is the exit code, 0 to 255.
    - `signaled`: A signal killed the command, and no limit was involved. The value is the signal
      number.
    - `wall-time`: The command was still running when its wall time was over. The limit is in
      nanoseconds.
    - `cpu-time`: All processes together used up their processor time. The limit is in nanoseconds.
    - `memory-limit`: The command ran out of memory, even if its first process continued. The limit
      is in bytes.
    - `process-limit`: The command was refused a process or thread, and failed. The limit is a
      number of processes.
    - `output-limit`: The command wrote more than its output limit, or more than 64 MiB to a
      captured stream without a limit. The limit is in bytes.
    - `scratch-full`: The command failed, and a tmpfs with a limited size or number of files is
      full. The limit is in bytes or files, whichever ran out.
    - `killed`: The caller killed the command.
    - `warden-lost`: The warden was killed from outside, and all processes inside ended with it. The
      value is the signal that killed the warden, or 0 if unknown.
    - `syscall`: A process inside made a system call for which the filter has the action `kill`. The
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
    """Seconds of delay for lack of a resource (Linux's pressure stall information)."""

    cpu_some: float
    """Time in which at least one process waited for a processor."""
    memory_some: float
    """Time in which at least one process waited for memory."""
    memory_full: float
    """Time in which all processes waited for memory."""
    io_some: float
    """Time in which at least one process waited for I/O."""
    io_full: float
    """Time in which all processes waited for I/O."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command and its descendants used: times in seconds, sizes in bytes.

    The numbers come from a cgroup if there is one. Otherwise they come from `getrusage(2)` of all
    processes that were waited for, which misses a process whose parent ignores SIGCHLD. They never
    include the caller's own size or earlier runs.
    """

    # faces: begin figures as a dataclass
    wall: float
    """Time from the start of the command to the end of the last process inside."""
    user: float
    """Processor time of the whole tree in user mode."""
    system: float
    """Processor time of the whole tree in the kernel."""
    throttled: float
    """How long processes that were ready to run had to wait because the limit `cpus` was used
    up, added up over the processors. 0 without that limit, and for a command in a cell, where
    the limit is the cell's."""
    memory: int
    """Memory in use while the command runs; 0 afterwards. In bytes."""
    memory_peak: int
    """The most memory in use at one time. In bytes."""
    anonymous_peak: int | None
    """The most memory seen, without the pages of files: `RssAnon` and `RssShmem` of the
    processes, or `anon` and `shmem` of the cgroup. The warden samples it every 5 milliseconds
    or less often, where the memory of the sandbox, or of this command in a cell, is limited.
    In bytes. None if it was not counted."""
    max_rss: int
    """The largest resident set of any single process of the tree. In bytes."""
    processes: int
    """Processes and threads inside while the command runs, without the warden; 0 afterwards."""
    processes_peak: int | None
    """The most processes and threads at one time: from the cgroup since Linux 6.1, else sampled.
    None if it was not counted."""
    minor_faults: int
    """Page faults served without I/O."""
    major_faults: int
    """Page faults that needed I/O."""
    voluntary_switches: int
    """How often a process gave up the processor to wait."""
    involuntary_switches: int
    """How often the kernel took the processor from a process."""
    bytes_read: int
    """Bytes read from block devices. In bytes."""
    bytes_written: int
    """Bytes written to block devices. In bytes."""
    stdout_bytes: int | None
    """Bytes written to the standard output. Counted only with a limit on the output. In bytes.
    None if it was not counted."""
    stderr_bytes: int | None
    """Bytes written to the standard error. Counted only with a limit on the output. 0 if both
    streams are one file: then `stdout_bytes` counts both. In bytes. None if it was not
    counted."""
    # faces: end
    memory_source: MemorySource
    """The source of `memory_peak`.

    `cgroup`: the peak counter of the cgroup. `sampled`: the largest sum that the warden saw.
    `largest-process`: the peak of a single process.
    """
    pressure: Pressure | None
    """Delays for lack of resources. None without a cgroup v2 or without support in the kernel."""

    @property
    def cpu(self) -> float:
        """User and system time together."""
        return self.user + self.system

    @staticmethod
    def _from_native(used: _Used) -> Usage:
        """Convert a usage of the extension."""
        pressure = used["pressure"]
        return Usage(**(used | {"pressure": None if pressure is None else Pressure(*pressure)}))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, what it used, and which protections and limits were active.

    `str()` says how it ended, with the value of the limit that it exceeded: `stopped by the memory
    limit of 67108864 bytes`.
    """

    ended: Ended
    usage: Usage
    enforced: tuple[Protection, ...]
    """The names of the protections that were active."""
    returncode: int
    """The exit code, or the negative signal number.

    Reaching a process limit or filling scratch space kills nothing, so these ends have the value of
    `status`. Every other end by a limit or by the caller has -9.
    """
    status: int | None = None
    """The first process's own return code, whatever ended the command; None if unknown."""
    limit: int | None = None
    """The value of the limit that ended the command: bytes, nanoseconds, processes or files.

    None if no limit did.
    """
    limits: Mapping[LimitName, Mechanism] = field(default_factory=dict, hash=False)
    """The active limits, each with the mechanism that enforced it.

    `cgroup-v2` and `cgroup-v1` are controllers of a cgroup, `rlimit` is `setrlimit(2)`, and
    `warden` means that all data passes through the warden. With `sampled` the warden checks at an
    interval, and misses an excess between two checks.
    """
    _text: str = field(default="", repr=False, compare=False)
    landlock_abi: int | None = None
    """The Landlock ABI that was active, else None.

    `enforced` lists what Landlock restricted, under names that begin with `landlock-`.
    """
    by_caller: bool = False
    """Whether the caller's side ended the command because the warden did not within a second.

    The warden was stopped from outside or got no processor. `ended` still names the limit, or
    `killed`.
    """
    egress: EgressReport | None = field(default=None, hash=False)
    """What the command has reached outside, if its policy lets it out: `Sandbox(egress=...)`.

    For a command in a cell: what all its commands have since it was started.
    """

    def __str__(self) -> str:
        return self._text or str(self.ended)

    @property
    def success(self) -> bool:
        """Whether the command exited with 0."""
        return self.ended.name == "exited" and self.ended.value == 0

    @property
    def denial(self) -> seclude.Denial | None:
        """The limit, or the filter's rule, that decided the end. None if none did.

        A refusal that a program has handled by itself decides nothing, and is not here.
        """
        from .denial import of_outcome

        return of_outcome(self)

    @staticmethod
    def _from_native(ending: _Ending) -> Outcome:
        """Convert an outcome of the extension."""
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
            None if ending["egress"] is None else EgressReport._of(ending["egress"]),
        )

    def _output_limit(self, limit: int) -> Outcome:
        """Return this outcome with the end `output-limit`, counted on the caller's side.

        An end by an earlier limit is kept.
        """
        if self.ended.name not in ("exited", "signaled", "killed"):
            return self
        ended = Ended("output-limit", None, "stopped by the output limit")
        return replace(
            self, ended=ended, returncode=-9, limit=limit, _text=f"{ended} of {limit} bytes"
        )


@dataclass(frozen=True, slots=True)
class Process:
    """A process as the caller sees it. The process itself chooses its name and command line."""

    pid: int
    """Its id in the caller's pid namespace."""
    inside_pid: int
    """Its id in the sandbox's pid namespace, where the warden is 1.

    From `namespaces`, its id in its own pid namespace.
    """
    pids: tuple[int, ...]
    """All its ids, from the caller's namespace inwards. A nested sandbox makes more than two."""
    parent: int
    """Its parent's id in the caller's pid namespace."""
    name: str
    """Its name, at most 15 bytes."""
    command: tuple[str, ...]
    """Its command line. If the kernel shows none, the name in brackets."""
    uid: int
    """Its user id as the caller sees it."""
    state: str
    """R running, S sleeping, D uninterruptible sleep, T stopped, Z zombie.

    T and Z mean all its threads.
    """

    @staticmethod
    def _from_native(seen: _Seen) -> Process:
        pid, inside, pids, parent, name, words, uid, state = seen
        return Process(pid, inside, tuple(pids), parent, name, tuple(words), uid, state)


class CompletedRun:
    """The result of `run`: `subprocess.CompletedProcess` with an outcome.

    It is comparable, hashable and picklable. `stdout` and `stderr` are bytes, or text in text mode,
    or None if they were not captured. `collected` has the files that the command has left, or is
    None if it was run without `collect`.
    """

    __slots__ = ("args", "collected", "outcome", "returncode", "stderr", "stdout")

    def __init__(
        self,
        args: Any,
        outcome: Outcome,
        stdout: Any = None,
        stderr: Any = None,
        collected: Collected | None = None,
    ) -> None:
        self.args, self.outcome, self.stdout, self.stderr = args, outcome, stdout, stderr
        self.returncode = outcome.returncode
        self.collected = collected

    @property
    def files(self) -> Mapping[str, bytes]:
        """What each file contains that the command has left, by its path inside.

        Raises the error of collecting them, if there was one: `collected.error`.
        """
        return {} if self.collected is None else self.collected.files

    def check_returncode(self) -> None:
        """Raise CalledProcessError if the command did not exit with 0."""
        if self.returncode:
            raise CalledProcessError(
                self.returncode, self.args, self.stdout, self.stderr, outcome=self.outcome
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CompletedRun):
            return NotImplemented
        mine, others = (
            (run.args, run.outcome, run.stdout, run.stderr, run.collected) for run in (self, other)
        )
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
            for name in ("stdout", "stderr", "collected")
            if getattr(self, name) is not None
        ]
        return f"CompletedRun({', '.join(parts)})"
