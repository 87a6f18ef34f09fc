"""The native half: only this package calls it."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, TypedDict, final, type_check_only

from .errors import SetupError
from .vocabulary import (
    EndedName,
    Freezer,
    LimitName,
    Mechanism,
    MemorySource,
    NamespaceKind,
    Parts,
    Protection,
    Sources,
)

__all__ = [
    "Cell",
    "Child",
    "Command",
    "Joined",
    "Listener",
    "Notification",
    "Pool",
    "Sandbox",
    "__version__",
    "cells",
    "copy",
    "doctor",
    "enter",
    "namespaces",
    "persist",
    "release",
    "size_of_text",
    "spawn_together",
    "system_error",
    "time_of_text",
]

__version__: str

_End: TypeAlias = tuple[int, int]

@type_check_only
class _Used(TypedDict):
    # faces: begin figures as a dictionary
    wall: float
    user: float
    system: float
    memory: int
    memory_peak: int
    anonymous_peak: int | None
    max_rss: int
    processes: int
    processes_peak: int | None
    minor_faults: int
    major_faults: int
    voluntary_switches: int
    involuntary_switches: int
    bytes_read: int
    bytes_written: int
    stdout_bytes: int | None
    stderr_bytes: int | None
    # faces: end
    memory_source: MemorySource
    pressure: tuple[float, float, float, float, float] | None

@type_check_only
class _Ending(TypedDict):
    ended: tuple[EndedName, int | str | None, str]
    returncode: int
    status: int | None
    limit: int | None
    text: str
    usage: _Used
    enforced: list[Protection]
    landlock_abi: int | None
    by_caller: bool
    limits: list[tuple[LimitName, Mechanism]]

@type_check_only
class _Known(TypedDict):
    outcome: _Ending
    stdout: bytes
    stderr: bytes
    calls: list[tuple[str, int]]
    refused: list[str]
    paths: list[bytes]
    sandbox: Sandbox

@type_check_only
class _Statistics(TypedDict):
    size: int
    ready: int
    in_use: int
    most_in_use: int
    made: int
    handed_out: int
    waited: int
    lost: int
    failed: int
    hand_out_p50: float
    hand_out_p99: float
    make_p50: float
    make_p99: float

_Bounds: TypeAlias = tuple[int, int, bool]
_Done: TypeAlias = tuple[int, int, list[bytes]]
_Seen: TypeAlias = tuple[int, int, list[int], int, str, list[str], int, str]
_Living: TypeAlias = tuple[
    NamespaceKind, int, int | None, int | None, int | None, list[int], list[str]
]

@final
class Sandbox:
    """A sandbox: a policy that has been read and found sound."""

    @staticmethod
    def from_json(text: str) -> Sandbox:
        """Reads a policy in JSON."""
    @staticmethod
    def from_toml(text: str) -> Sandbox:
        """Reads a policy in TOML."""
    def to_json(self) -> str:
        """The policy in JSON."""
    def to_toml(self) -> str:
        """The policy in TOML."""
    def join(self, sources: Sources) -> Joined:
        """For commands in namespaces that exist."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def command(self, parts: Parts) -> Command:
        """A command, not started yet. All descriptors are copied."""
    def prepare(self) -> None:
        """Makes a template of the policy."""
    def cell(self) -> Cell:
        """Starts a cell."""
    def pool(self, size: int, reuse: bool) -> Pool:
        """Starts a pool."""

@final
class Cell:
    """A cell. Dropping it, and its commands and children, ends everything inside."""

    def command(self, parts: Parts) -> Command:
        """A command, not started yet. All descriptors are copied."""
    def pid(self) -> int:
        """Its warden's process id."""
    def publish(self, name: str) -> None:
        """Publishes it under a name."""
    def enforced(self) -> list[Protection]:
        """The names of what is enforced on all that run in it."""
    def processes(self) -> list[_Seen]:
        """Every process inside."""
    def usage(self) -> _Used:
        """What all its commands have used so far."""
    def freeze(self) -> Freezer:
        """Stops everything inside, and tells by which means."""
    def thaw(self) -> None:
        """Lets everything inside go on."""
    def kill_all(self) -> None:
        """Kills everything inside."""
    def reset(self) -> None:
        """Back to the state after set-up."""
    def close(self) -> None:
        """Ends everything inside."""
    def is_alive(self) -> bool:
        """Whether it can run commands."""
    def set_memory(self, bytes: int) -> None:  # noqa: A002
        """Changes the limit on memory of all together, in bytes."""
    def set_cpus(self, number: float) -> None:
        """Changes the limit on processors."""
    def set_pids(self, number: int) -> None:
        """Changes the limit on processes and threads."""
    def copy_out(self, inside: bytes, to: bytes, bounds: _Bounds) -> _Done:
        """Copies out of it."""
    def copy_in(self, source: bytes, inside: bytes, bounds: _Bounds) -> _Done:
        """Copies into it."""

@final
class Joined:
    """A policy, and namespaces that exist."""

    def command(self, parts: Parts) -> Command:
        """A command, not started yet. All descriptors are copied."""
    def kinds(self) -> list[str]:
        """The names of the kinds that are entered."""

def persist(sources: Sources, name: str, place: bytes) -> None:
    """Keeps a namespace by a mount."""

def release(place: bytes) -> None:
    """Lets go of one that is kept."""

def cells() -> list[tuple[str, int, str]]:
    """The published cells that live: name, the warden's process id, policy in JSON."""

def enter(name: str) -> tuple[Joined, str]:
    """Enters the published cell of this name; with its policy in JSON."""

@final
class Pool:
    """A pool. Dropping it, and its commands, ends what is ready."""

    def command(self, parts: Parts) -> Command:
        """A command, not started yet. All descriptors are copied."""
    def fileno(self) -> int:
        """The descriptor that is readable while there is reason to try a start. It stays this object's."""
    def networks(self) -> tuple[int, int, int, tuple[int, str] | None]:
        """Of its template's: how many have been made, used again, given up; of the last of these, the number and why."""
    def statistics(self) -> _Statistics:
        """What it has done so far."""
    def close(self) -> None:
        """Ends what is ready, and its threads."""

@final
class Command:
    """A command, ready to start once."""

    def try_spawn(self, waited: float) -> Child | None:
        """Starts it; None if there is no place in its pool now.

        `waited`: seconds since the caller was first refused one.
        """
    def learn(self) -> _Known:
        """Runs it to its end, and learns what it does."""

def spawn_together(
    commands: Sequence[Command], pipes: Sequence[tuple[_End, _End]], timeout: float
) -> list[Child] | None:
    """Starts several commands at one time, joined by pipes from the end that writes to the end that reads.

    None if there were not enough places in a pool within `timeout` seconds.
    """

@final
class Child:
    """A running command. Dropping it kills everything inside."""

    @property
    def pid(self) -> int:
        """The process id, as the caller sees it."""
    @property
    def inside_pid(self) -> int:
        """The process id, as the command sees itself."""
    @property
    def pidfd(self) -> int:
        """The number of the descriptor that becomes readable when the command ends. It stays this object's."""
    @property
    def deadline(self) -> float | None:
        """In how many seconds it must have ended by its limits on time, or by `kill`, if there is such a moment."""

    @property
    def pipes_may_stay(self) -> bool:
        """Whether its pipes may stay open when it has ended."""
    def take_terminal(self) -> int | None: ...
    def take_listener(self) -> Listener | None:
        """The listener of its filter, if it has one that nobody has taken."""
    def copy_out(self, inside: bytes, to: bytes, bounds: _Bounds) -> _Done:
        """Copies out of the running sandbox."""
    def copy_in(self, source: bytes, inside: bytes, bounds: _Bounds) -> _Done:
        """Copies into the running sandbox."""
    def try_wait(self) -> _Ending | None:
        """How it ended, if it has."""
    def kill(self) -> None:
        """Kills everything inside."""
    def signal(self, number: int) -> None:
        """Sends a signal to the command's first process."""
    def processes(self) -> list[_Seen]:
        """Every process inside."""
    def usage(self) -> _Used:
        """What it has used so far; what it used in all, once it has ended."""
    def set_memory(self, bytes: int) -> None:  # noqa: A002
        """Changes the limit on memory, in bytes."""
    def set_cpus(self, number: float) -> None:
        """Changes the limit on processors."""
    def set_cpu_time(self, seconds: float) -> None:
        """Changes the limit on processor time, in seconds."""
    def set_pids(self, number: int) -> None:
        """Changes the limit on processes and threads."""
    def freeze(self) -> Freezer:
        """Stops everything inside, and tells by which means."""
    def thaw(self) -> None:
        """Lets everything inside go on."""

@final
class Listener:
    """Where calls are heard that a filter leaves to the caller."""

    def fileno(self) -> int:
        """Its descriptor."""
    def receive(self) -> Notification | None:
        """A call that waits now, if one does."""
    def is_deserted(self) -> bool:
        """Whether nobody is left who could make a call."""

@final
class Notification:
    """A system call that waits for an answer. Dropped without one, it fails with EPERM."""

    @property
    def name(self) -> str:
        """The call's name."""
    @property
    def number(self) -> int:
        """The call's number."""
    @property
    def arguments(self) -> tuple[int, int, int, int, int, int]:
        """Its six arguments."""
    @property
    def pid(self) -> int:
        """The thread that makes it."""
    def read(self, address: int, size: int) -> bytes:
        """Reads the program's memory."""
    def read_string(self, address: int) -> bytes:
        """Reads a string of the program's."""
    def allow(self) -> None:
        """Has the kernel carry it out."""
    def succeed(self, value: int) -> None:
        """It has succeeded."""
    def fail(self, errno: int) -> None:
        """It has failed."""
    def succeed_with_descriptor(self, fd: int, close_on_exec: bool) -> int:
        """It has succeeded with a new descriptor."""

def copy(base: bytes, source: bytes, to: bytes, bounds: _Bounds) -> _Done:
    """Copies what stands below a directory."""

def size_of_text(what: str, text: str) -> int:
    """The bytes that a text such as "64M" says; `what` names the value in the error."""

def time_of_text(what: str, text: str) -> float:
    """The seconds that a text such as "200ms" says."""

def system_error(step: str, errno: int) -> SetupError:
    """The exception for a failed system call."""

def doctor() -> tuple[
    str,
    list[tuple[str, Literal["works", "weaker", "missing"], str, str | None, str | None]],
    bool,
    str,
    str,
]:
    """What this host allows: the kernel's release, the checks, whether sandboxes start at all, the table, the JSON."""

def namespaces() -> tuple[list[_Seen], list[_Living], list[int]]:
    """The namespaces that the caller may see: the processes, the namespaces, the processes whose namespaces are not known."""
