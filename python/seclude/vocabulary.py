"""The names that policies, commands and outcomes use, as `Literal` types, and shared types.

They are here and not in the stub of the extension, because tools evaluate annotations at run time
(`typing.get_type_hints`). For the same reason this package imports none of its modules under
`TYPE_CHECKING`. A name that only an annotation needs is written `seclude.Name`, and the package
imports its module on access.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Literal, TypeAlias, TypedDict

Path: TypeAlias = str | bytes | PathLike[str] | PathLike[bytes]
"""A path in any of the types that `os` accepts."""

Action: TypeAlias = Literal["allow", "deny", "kill", "log", "notify"]
# faces: begin names
ChangeKind: TypeAlias = Literal["added", "changed", "deleted"]
Clock: TypeAlias = Literal["monotonic", "boottime"]
Compare: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
EndedName: TypeAlias = Literal[
    "exited",
    "signaled",
    "wall-time",
    "cpu-time",
    "memory-limit",
    "process-limit",
    "output-limit",
    "scratch-full",
    "killed",
    "warden-lost",
    "syscall",
]
Freezer: TypeAlias = Literal["cgroup-v2", "cgroup-v1", "sigstop"]
IdsName: TypeAlias = Literal["single", "range", "auto"]
IsolationName: TypeAlias = Literal[
    "namespaces",
    "files",
    "processes",
    "network",
    "names",
    "clocks",
    "terminals",
    "signals",
]
LimitName: TypeAlias = Literal[
    "memory",
    "swap",
    "cpu_time",
    "cpus",
    "cpu_weight",
    "cpu_set",
    "pids",
    "io",
    "wall_time",
    "output",
    "cpu_burst",
]
Mechanism: TypeAlias = Literal["cgroup-v2", "cgroup-v1", "rlimit", "warden", "sampled"]
MemorySource: TypeAlias = Literal["cgroup", "sampled", "largest-process"]
NamespaceKind: TypeAlias = Literal["user", "mount", "pid", "net", "ipc", "uts", "cgroup", "time"]
Profile: TypeAlias = Literal["default", "strict", "nested", "debug", "unconfined"]
Protection: TypeAlias = Literal[
    "user-namespace",
    "mount-namespace",
    "pid-namespace",
    "net-namespace",
    "ipc-namespace",
    "uts-namespace",
    "cgroup-namespace",
    "time-namespace",
    "own-root",
    "read-only-root",
    "masked-proc",
    "no-capabilities",
    "locked-securebits",
    "no-new-privileges",
    "no-groups",
    "no-nested-users",
    "own-keyring",
    "own-session",
    "no-core-dumps",
    "hidden-warden",
    "kill-by-namespace",
    "kill-by-warden",
    "kill-by-cgroup",
    "seccomp-filter",
    "filtered-warden",
    "landlock-files",
    "landlock-signals",
    "landlock-sockets",
    "landlock-ports",
    "guarded-warden",
    "other-user",
    "kill-by-group",
]
Step: TypeAlias = Literal[
    "launch",
    "join",
    "attributes",
    "open-source",
    "open-device",
    "admission",
    "process-view",
    "reserve-pids",
    "map-ids",
    "check-ids",
    "become-user",
    "check-readable",
    "clocks",
    "cgroup-namespace",
    "process-tree",
    "host-name",
    "domain-name",
    "loopback",
    "private-mounts",
    "root",
    "show-entries",
    "bind",
    "tmpfs",
    "message-queues",
    "directory",
    "file",
    "remount",
    "chmod",
    "symlink",
    "proc",
    "mask-proc",
    "read-only-proc",
    "terminals",
    "pivot-root",
    "read-only-root",
    "adopt-root",
    "no-nested-users",
    "landlock",
    "keyring",
    "drop-privileges",
    "seccomp-filter",
    "lend-namespaces",
    "start",
    "overlay",
    "cgroup",
]
# faces: end


class Parts(TypedDict):
    """A command in the form that the extension takes."""

    args: Sequence[bytes]
    arg0: bytes | None
    env: Sequence[tuple[bytes, bytes]] | None
    cwd: bytes | None
    streams: Sequence[int | None]
    own_pipes: Sequence[bool]
    fds: Sequence[tuple[int, int]]
    ignored_signals: Sequence[int]
    inherit_ignored_signals: bool
    umask: int | None
    process_group: int | None
    uid: int | None
    gid: int | None
    groups: Sequence[int] | None
    wall_time: float | None
    memory: int | None
    cpu_time: float | None
    pids: int | None
    collect: Sequence[bytes]
    collect_into: bytes | None
    collect_bounds: tuple[int, int, bool, bool]
    window_size: tuple[int, int] | None


class Sources(TypedDict):
    """Existing namespaces in the form that the extension takes."""

    pid: int | None
    pidfd: int | None
    paths: Sequence[bytes]
    fds: Sequence[int]
    only: Sequence[str] | None
