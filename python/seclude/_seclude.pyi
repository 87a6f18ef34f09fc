"""The native extension module. It is private to this package."""

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Literal, TypeAlias, TypedDict, final, type_check_only

from .errors import SecludeError, SetupError
from .vocabulary import (
    ChangeKind,
    EndedName,
    Freezer,
    IdsName,
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
    "Image",
    "Joined",
    "Listener",
    "Network",
    "Notification",
    "Pool",
    "Sandbox",
    "Store",
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
    throttled: float
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

_Published: TypeAlias = tuple[str, int, int, Literal["tcp", "udp"]]
_Tried: TypeAlias = tuple[Literal["tcp", "udp"], str | None, str | None, int, str | None]
_Reached: TypeAlias = tuple[int, int, int, int, list[_Tried]]

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
    egress: _Reached | None
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

@type_check_only
class _Collected(TypedDict):
    files: list[tuple[bytes, bytes, int]]
    entries: int
    bytes: int
    skipped: list[bytes]
    unmatched: list[bytes]
    error: SecludeError | None

_Bounds: TypeAlias = tuple[int, int, bool, bool]
_Progress: TypeAlias = Callable[[int, int], object] | None
_Done: TypeAlias = tuple[int, int, list[bytes]]
_Seen: TypeAlias = tuple[int, int, list[int], int, str, list[str], int, str]
_Living: TypeAlias = tuple[
    NamespaceKind, int, int | None, int | None, int | None, list[int], list[str], list[str]
]

@final
class Sandbox:
    """A validated policy."""

    @staticmethod
    def for_tests() -> Sandbox:
        """Make the sandbox for the caller's own tests."""
    @staticmethod
    def from_json(text: str, network: Network | None) -> Sandbox:
        """Parse a policy written in JSON, and give it a network."""
    @staticmethod
    def from_toml(text: str) -> Sandbox:
        """Parse a policy written in TOML."""
    def to_json(self) -> str:
        """Return the policy as JSON."""
    def to_toml(self) -> str:
        """Return the policy as TOML."""
    def decide_egress(self, decide: Callable[..., bool]) -> Sandbox:
        """Return a sandbox that asks `decide` about destinations."""
    def decides_egress(self) -> bool:
        """Whether a function decides about destinations."""
    def deciding_as(self, other: Sandbox) -> Sandbox:
        """Return this sandbox with the same function as another one."""
    def network(self) -> Network | None:
        """Return the private network that it has been given."""
    def join(self, sources: Sources) -> Joined:
        """Return a `Joined` that runs commands in existing namespaces."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def command(self, parts: Parts) -> Command:
        """Prepare a command without starting it. Duplicates all descriptors."""
    def prepare(self) -> None:
        """Create a template of the policy."""
    def cell(self) -> Cell:
        """Start a cell."""
    def pool(self, size: int, reuse: bool) -> Pool:
        """Start a pool."""

@final
class Store:
    """A store of images."""

    @property
    def path(self) -> PurePath:
        """The path of the store."""
    @staticmethod
    def open(path: str | None) -> Store:
        """Open the store at a path, or the caller's own."""
    def import_(
        self,
        form: str,
        path: str,
        reference: str | None,
        name: str | None,
        max_bytes: int | None,
        max_entries: int | None,
        ids: IdsName | None,
    ) -> Image:
        """Import an image."""
    def image(self, name: str) -> Image:
        """Find an image by its name."""
    def images(self) -> list[tuple[str, str, int, int, int, float]]:
        """List the images."""
    def remove(self, name: str) -> None:
        """Remove the name of an image."""
    def collect(self, unused_for: float | None) -> tuple[int, int]:
        """Remove the files of no image, and images that were not used for so long."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class Image:
    """An image."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def store(self) -> Store: ...
    @property
    def layers(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def entries(self) -> int: ...
    @property
    def left_out(self) -> int: ...
    @property
    def directory(self) -> PurePath: ...
    @property
    def user(self) -> str: ...
    def environment(self) -> list[tuple[str, str]]:
        """Return the environment of its commands."""
    def arguments(self) -> list[str]:
        """Return the program that it is for, with its arguments."""
    def policy(self) -> str:
        """Return the policy of a sandbox with the image as its root, as JSON."""
    def export_oci(self, directory: str, reference: str) -> None:
        """Write the image as an OCI image layout."""
    def export_tar(self, file: str) -> None:
        """Write the files of the image as a tar archive."""

@final
class Cell:
    """A cell. Dropping it together with its commands and children kills everything inside."""

    def changes(self) -> list[tuple[ChangeKind, PurePath]]:
        """Return what differs in the overlay from its layers."""
    def commit(self, name: str | None) -> Image:
        """Make an image of the cell's image and the changes to it."""
    def command(self, parts: Parts) -> Command:
        """Prepare a command without starting it. Duplicates all descriptors."""
    def pid(self) -> int:
        """Return the process id of the warden."""
    def publish(self, name: str) -> None:
        """Publish the cell under a name."""
    def enforced(self) -> list[Protection]:
        """Return the names of the protections that apply to all commands of the cell."""
    def processes(self) -> list[_Seen]:
        """Return every process inside."""
    def addresses(self) -> list[str]:
        """Return the addresses in its private networks."""
    def ports(self) -> list[_Published]:
        """Return its published ports."""
    def egress(self) -> _Reached:
        """Return what it has reached outside."""
    def wait_ready(self, port: int, timeout: float) -> bool:
        """Wait until a TCP socket listens on a port, for at most this many seconds."""
    def connect(self, network: Network) -> list[str]:
        """Join a private network, and return the addresses there."""
    def disconnect(self, network: Network) -> None:
        """Leave a private network."""
    def usage(self) -> _Used:
        """Return what all commands have used so far."""
    def freeze(self) -> Freezer:
        """Stop everything inside and return the mechanism used."""
    def thaw(self) -> None:
        """Resume everything inside."""
    def kill_all(self) -> None:
        """Kill everything inside."""
    def reset(self) -> None:
        """Return to the state after set-up."""
    def close(self) -> None:
        """Kill everything inside and close the cell."""
    def is_alive(self) -> bool:
        """Return whether the cell can run commands."""
    def set_memory(self, bytes: int) -> None:  # noqa: A002
        """Change the memory limit shared by all commands, in bytes."""
    def set_cpus(self, number: float) -> None:
        """Change the limit on processors."""
    def set_pids(self, number: int) -> None:
        """Change the limit on processes and threads."""
    def copy_out(self, inside: bytes, to: bytes, bounds: _Bounds, progress: _Progress) -> _Done:
        """Copy a file or tree out of the cell."""
    def copy_in(self, source: bytes, inside: bytes, bounds: _Bounds, progress: _Progress) -> _Done:
        """Copy a file or tree into the cell."""

@final
class Joined:
    """A policy combined with existing namespaces."""

    def command(self, parts: Parts) -> Command:
        """Prepare a command without starting it. Duplicates all descriptors."""
    def kinds(self) -> list[str]:
        """Return the kinds of namespace that commands enter."""

def persist(sources: Sources, name: str, place: bytes) -> None:
    """Keep a namespace alive with a mount."""

def release(place: bytes) -> None:
    """Remove the mount that keeps a namespace alive."""

def cells() -> list[tuple[str, int, str]]:
    """Return the name, warden pid and policy (JSON) of every published cell that is alive."""

def enter(name: str) -> tuple[Joined, str]:
    """Enter the published cell of this name. Also return its policy in JSON."""

@final
class Network:
    """A private network."""

    @staticmethod
    def make(name: str | None, subnets: list[str]) -> Network:
        """Make a network. Without subnets, the network has its own choice of them."""
    @property
    def name(self) -> str:
        """The name, by which policies as text name it."""
    def subnets(self) -> list[str]:
        """Return the subnets, IPv4 first."""
    def members(self) -> list[tuple[str | None, list[str]]]:
        """Return the host name and the addresses of each member."""
    def traffic(self, member: str) -> tuple[int, int, int, int]:
        """Return the packets and bytes that a member has sent, and those that it has received."""
    def partition(self, groups: list[list[str]]) -> None:
        """Part the members into groups that do not reach each other."""
    def isolate(self, member: str) -> None:
        """Cut a member off from all others."""
    def block(self, sender: str, receiver: str) -> None:
        """Drop everything that one member sends to another."""
    def set_link(
        self,
        sender: str,
        receiver: str,
        times: tuple[float, float],
        probabilities: tuple[float, float, float],
        rate: int | None,
        seed: int | None,
        backend: str,
    ) -> None:
        """Set the faults of a link: delay and jitter, then loss, duplicates and another order."""
    def heal(self) -> None:
        """End the partition, all isolation and all blocks."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Pool:
    """A pool. Dropping it together with its commands ends the sandboxes that are ready."""

    def command(self, parts: Parts) -> Command:
        """Prepare a command without starting it. Duplicates all descriptors."""
    def fileno(self) -> int:
        """Return a borrowed descriptor, readable while a start is worth trying."""
    def networks(self) -> tuple[int, int, int, tuple[int, str] | None]:
        """Return the counts of namespaces made, reused and retired, and the last retired one.

        The last item is the id of that namespace and the reason.
        """
    def statistics(self) -> _Statistics:
        """Return the counters of the pool."""
    def close(self) -> None:
        """End the ready sandboxes and the threads of the pool."""

@final
class Command:
    """A command that can be started once."""

    def try_spawn(self, waited: float) -> Child | None:
        """Start the command, or return None if its pool has no free place.

        `waited` is the time in seconds since the first attempt was refused.
        """
    def learn(self) -> _Known:
        """Run the command to its end and record what it does."""

def spawn_together(
    commands: Sequence[Command], pipes: Sequence[tuple[_End, _End]], timeout: float
) -> list[Child] | None:
    """Start several commands at once, each pipe given as its writing end and its reading end.

    Return None if the pool did not have enough free places within `timeout` seconds.
    """

@final
class Child:
    """A running command. Dropping it kills everything inside."""

    @property
    def pid(self) -> int:
        """The process id as the caller sees it."""
    @property
    def inside_pid(self) -> int:
        """The process id as the command sees it."""
    @property
    def pidfd(self) -> int:
        """A borrowed descriptor that becomes readable when the command ends."""
    @property
    def deadline(self) -> float | None:
        """Seconds until a time limit or `kill` must have ended the command, or None."""

    def addresses(self) -> list[str]:
        """Return its addresses in its private network."""
    def ports(self) -> list[_Published]:
        """Return its published ports."""
    def egress(self) -> _Reached:
        """Return what it has reached outside."""
    def wait_ready(self, port: int, timeout: float) -> bool:
        """Wait until a TCP socket listens on a port, for at most this many seconds."""
    @property
    def pipes_may_stay(self) -> bool:
        """Whether its pipes may stay open after it has ended."""
    def take_terminal(self) -> int | None: ...
    def take_listener(self) -> Listener | None:
        """Return the listener of its filter, or None if there is none or it was taken."""
    def has_files(self) -> bool:
        """Return whether there are files to collect once the command has ended."""
    def discard_files(self) -> None:
        """Give up the files to collect."""
    def collect(self) -> _Collected:
        """Collect the files that the command has left."""
    def copy_out(self, inside: bytes, to: bytes, bounds: _Bounds, progress: _Progress) -> _Done:
        """Copy a file or tree out of the running sandbox."""
    def copy_in(self, source: bytes, inside: bytes, bounds: _Bounds, progress: _Progress) -> _Done:
        """Copy a file or tree into the running sandbox."""
    def try_wait(self) -> _Ending | None:
        """Return how the command ended, or None while it runs."""
    def kill(self) -> None:
        """Kill everything inside."""
    def signal(self, number: int) -> None:
        """Send a signal to the command's first process."""
    def processes(self) -> list[_Seen]:
        """Return every process inside."""
    def usage(self) -> _Used:
        """Return what the command has used so far, or in total once it has ended."""
    def set_memory(self, bytes: int) -> None:  # noqa: A002
        """Change the memory limit, in bytes."""
    def set_cpus(self, number: float) -> None:
        """Change the limit on processors."""
    def set_cpu_time(self, seconds: float) -> None:
        """Change the limit on processor time, in seconds."""
    def set_pids(self, number: int) -> None:
        """Change the limit on processes and threads."""
    def freeze(self) -> Freezer:
        """Stop everything inside and return the mechanism used."""
    def thaw(self) -> None:
        """Resume everything inside."""

@final
class Listener:
    """Receives the system calls that a filter leaves to the caller."""

    def fileno(self) -> int:
        """Return its borrowed descriptor."""
    def receive(self) -> Notification | None:
        """Return a call that is waiting now, or None."""
    def is_deserted(self) -> bool:
        """Return whether no process is left that could make a call."""

@final
class Notification:
    """A system call that waits for an answer. If dropped unanswered, the call fails with EPERM."""

    @property
    def name(self) -> str:
        """The name of the call."""
    @property
    def number(self) -> int:
        """The number of the call."""
    @property
    def arguments(self) -> tuple[int, int, int, int, int, int]:
        """The six arguments of the call."""
    @property
    def pid(self) -> int:
        """The id of the thread that makes the call."""
    def read(self, address: int, size: int) -> bytes:
        """Read `size` bytes of the program's memory."""
    def read_string(self, address: int) -> bytes:
        """Read a null-terminated string from the program's memory."""
    def allow(self) -> None:
        """Let the kernel carry out the call."""
    def succeed(self, value: int) -> None:
        """Make the call succeed with this value."""
    def fail(self, errno: int) -> None:
        """Make the call fail with this error number."""
    def succeed_with_descriptor(self, fd: int, close_on_exec: bool) -> int:
        """Make the call succeed with a new descriptor, and return its number."""

def copy(base: bytes, source: bytes, to: bytes, bounds: _Bounds, progress: _Progress) -> _Done:
    """Copy a file or tree that lies below a directory."""

def size_of_text(what: str, text: str) -> int:
    """Convert a size such as "64M" to bytes. Errors name the value as `what`."""

def time_of_text(what: str, text: str) -> float:
    """Convert a time such as "200ms" to seconds. Errors name the value as `what`."""

def system_error(step: str, errno: int) -> SetupError:
    """Return the exception for a failed system call."""

def doctor() -> tuple[
    str,
    list[tuple[str, Literal["works", "weaker", "missing"], str, str | None, str | None]],
    bool,
    str,
    str,
]:
    """Return kernel release, checks, readiness, the table for people, and the JSON."""

def namespaces() -> tuple[list[_Seen], list[_Living], list[int]]:
    """Return the processes, the visible namespaces, and the pids with unknown namespaces."""
