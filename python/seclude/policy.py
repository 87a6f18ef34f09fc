"""The keys of a policy, and their conversion to the JSON that the core reads.

The core parses all policies. So Python, JSON, TOML and the other languages accept the same policies
and report the same mistakes in the same words.
"""

from __future__ import annotations

import json
import os
from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from math import isfinite
from typing import Any, TypeAlias, TypedDict

import seclude

from .errors import PolicyError
from .policy_part import Part
from .vocabulary import Clock, LimitName, NamespaceKind, Path, Profile

Limit: TypeAlias = int | str
"""A number, a size such as "64M", or "unlimited"."""


class Policy(TypedDict, total=False):
    """The keys of a policy, all optional. The documentation of `Sandbox` explains them."""

    # faces: begin keys
    share: Iterable[NamespaceKind] | None
    """The caller's namespaces of these kinds are used. All but `time` are the sandbox's own
    otherwise."""
    unshare: Iterable[NamespaceKind] | None
    """Namespaces of these kinds are the sandbox's own: of use for `time`, which is shared
    otherwise."""
    hostname: str | None
    """The host name, 1 to 64 bytes. `sandbox` if nothing is said."""
    domainname: str | None
    """The NIS domain name, 1 to 64 bytes. The caller's if nothing is said."""
    clock_offsets: Mapping[Clock, int] | None
    """Shifts these clocks by so many whole seconds, forwards or back, in a time namespace (Linux
    5.6)."""
    uid: int | None
    """The user id inside. 1000 if nothing is said; 0 is root inside, without any power."""
    gid: int | None
    """The group id inside, as for `uid`."""
    user: str | None
    """The user's name in `/etc/passwd` and `/etc/group`. `user` if nothing is said. No colon,
    slash or newline."""
    home: Path | None
    """The user's home directory in `/etc/passwd` and HOME, an absolute path. `/tmp` if nothing
    is said. It is not made."""
    host_ids: int | None
    """The first of the host's ids that the ids inside from 0 on map to, if the caller is
    privileged; not 0. There are 65536 of them, or as many as the caller's user namespace maps
    from there on. Ids that cannot be had are an error. Sandboxes that must not touch each
    other's files want ranges of their own."""
    root: Path | None
    """The programs are those of this directory, which holds another system, instead of the
    host's `/usr`. Its top level is shown read-only, but for `/dev`, `/proc`, `/run`, `/sys`
    and `/tmp`; nothing is ever written to it."""
    empty_root: bool | None
    """There are no programs but what is bound."""
    etc: Iterable[str] | None
    """The names in the host's `/etc` that are shown, instead of the usual ones, which
    docs/policy.md lists; none if the list is empty. A `*` in the last part of a name stands
    for any characters."""
    writable_root: bool | None
    """The root directory itself, a file system in memory, stays writable."""
    terminals: bool | None
    """Pseudo-terminals of the sandbox's own: `/dev/pts`, `/dev/ptmx` and `/dev/tty`
    (docs/terminals.md). They are there if nothing is said, unless the policy puts something
    else at their places or shares the mount namespace."""
    files: Iterable[seclude.Entry | Mapping[str, Any]] | None
    """What else stands in the file system: binds, file systems in memory, directories, links,
    files."""
    nested: bool | None
    """Programs inside may make user namespaces, and so sandboxes of their own. `/proc` is then
    neither masked nor hidden in part, because the kernel gives a fresh one only to a process
    that sees a whole one."""
    seccomp: Profile | seclude.Seccomp | Mapping[str, Any] | None
    """Which system calls may be made: a profile by name, or one with rules over it
    (docs/filters.md). If nothing is said, the profile is `nested` with the key `nested`, else
    `default`."""
    seccomp_bpf: Iterable[bytes] | None
    """Further filters, as the kernel takes them: instructions of 8 bytes (`struct sock_filter`)."""
    landlock: bool | None
    """Whether Landlock says once more what the mounts and namespaces say, where the kernel can
    (`landlock(7)`)."""
    tcp_bind: Iterable[int] | None
    """The only TCP ports that may be bound (Linux 6.7)."""
    tcp_connect: Iterable[int] | None
    """The only TCP ports that may be connected to, wherever they are (Linux 6.7)."""
    rlimits: Mapping[str, Limit | tuple[Limit, Limit]] | None
    """Resource limits of each process, soft and hard: `setrlimit(2)`. If nothing is said: core 1
    byte, which is no dump; nofile 1024 of at most 10240; memlock 8 MiB; stack 8 MiB of at
    most what the caller has; sigpending 4096; and the rest as the caller has it."""
    memory: int | str | None
    """The most memory of all that runs inside, the warden and its kernel structures included;
    files in memory (tmpfs) count. No swap is used unless `swap` grants some. No limit if
    nothing is said, and so below."""
    swap: int | str | None
    """The most swap besides the memory. Takes a cgroup, and a kernel that counts swap."""
    cpu_time: float | str | None
    """The most processor time, user and system, of all processes inside together. When it is
    used up, everything inside is killed, and the end is `cpu-time`."""
    cpus: float | None
    """How many processors' worth of time it may use at once: 0.01 to 8192. Takes a cgroup."""
    cpu_weight: int | None
    """The share of processor time where others want it too: 1 to 10000; 100 is usual. Takes a
    cgroup."""
    cpu_set: Iterable[int] | None
    """The processors that it may run on, by their numbers from 0. Takes a cgroup."""
    pids: int | None
    """The most processes and threads at one time, the warden not counted. One more is refused
    (EAGAIN); if the command then does not exit with code 0, its end is `process-limit`."""
    io: Iterable[seclude.Io | Mapping[str, Any]] | None
    """Rates of reading and writing, for each device. Takes a cgroup."""
    wall_time: float | str | None
    """How long a command may take. When it is over, everything inside is killed, and the end is
    `wall-time`."""
    wall_time_grace: tuple[int, float | str] | Mapping[str, Any] | None
    """A signal to the command's process group when the wall time is over, and how much later it
    is killed. The end is `wall-time` either way; the outcome's `status` says what the command
    made of it."""
    output: int | str | None
    """The most bytes to the standard output, and the most to the standard error, whether they
    are collected or passed on. A command that writes more is killed, and the end is
    `output-limit`; exactly the first so many bytes arrive."""
    require: Iterable[LimitName] | None
    """Limits that must be held exactly, and not by looks at an interval, or the command does not
    start."""
    best_effort: Iterable[LimitName] | None
    """Limits that may go missing where the host cannot hold them: the outcome tells."""
    cgroup: Path | None
    """The directory of a mounted cgroup v2 hierarchy below which the sandbox's cgroup is made.
    The caller may write it, and no process is directly in it; controllers that it lacks are
    turned on in it. The environment variable SECLUDE_CGROUP does the same. If nothing is
    said, one is looked for (docs/limits.md)."""
    warden: Path | None
    """The installed warden to execute instead of the one in the library, for hosts that grant
    user namespaces by the path of the executable (AppArmor) or forbid executing memory
    (`vm.memfd_noexec=2`). `make install` puts one at `libexec/seclude/warden`. The
    environment variable SECLUDE_WARDEN does the same."""
    # faces: end


def as_json(policy: Mapping[str, Any]) -> str:
    """Return the policy as JSON. A key whose value is None is left out and has its default."""
    given = {key: _plain(value) for key, value in policy.items() if value is not None}
    for key, value in given.items():
        _finite(key, value)
    match given.get("wall_time_grace"):
        case [sig, time]:
            given["wall_time_grace"] = {"signal": sig, "time": time}
    return json.dumps(given)


def _finite(key: str, value: Any) -> None:
    """Refuse numbers that JSON cannot express, with a better message than the parser's."""
    match value:
        case float() if not isfinite(value):
            raise _no_number(key, value)
        case int() if value.bit_length() > 1023:
            raise _no_number(key, "an integer of more than 1023 bits")
        case dict():
            for name, item in value.items():
                _finite(f"{key}.{name}", item)
        case list():
            for item in value:
                _finite(key, item)


def _no_number(key: str, value: Any) -> PolicyError:
    hint = "what is not limited is left out, or None"
    message = f"policy key {key}: {value} is not a number that a policy can hold; hint: {hint}"
    return PolicyError(message, kind="policy", step=f"policy key {key}", hint=hint)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str() | bytes() | os.PathLike():
            return _text(value)
        case Part():
            return _plain(value.policy())
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case AbstractSet():
            return sorted(value)
        case Iterable():
            return [_plain(item) for item in value]
        case _:
            raise TypeError(f"a policy cannot hold a {type(value).__name__}: {value!r}")


def _text(value: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str | dict[str, str]:
    """Return text unchanged, and bytes or surrogate escapes (PEP 383) in base64.

    Bytes that are UTF-8 become text.
    """
    data = os.fsencode(value)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b2a_base64(data, newline=False).decode()}
