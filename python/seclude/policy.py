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
from .vocabulary import Clock, IdsName, IsolationName, LimitName, NamespaceKind, Path, Profile

Limit: TypeAlias = int | str
"""A number, a size such as "64M", or "unlimited"."""


class Policy(TypedDict, total=False):
    """The keys of a policy, all optional. The documentation of `Sandbox` explains them."""

    # faces: begin keys
    share: Iterable[NamespaceKind] | None
    """The kinds of namespace that the sandbox shares with the caller. By default it has its own
    of every kind except `time`."""
    unshare: Iterable[NamespaceKind] | None
    """The kinds of namespace that the sandbox has of its own. Only needed for `time`, which is
    shared by default."""
    network: seclude.Network | str | None
    """The name of the private network that the sandbox is a member of (docs/networks.md). A
    policy as text only names it, and the program gives it. `host` is the network of the host:
    the same as to share `net`. Default: none. The sandbox then has a network with nothing but
    a loopback device."""
    address: str | None
    """The address in the network, IPv4 or IPv6. The address in the other subnet has the same
    number. By default the network chooses one that no member has."""
    ports: Iterable[str] | None
    """The TCP and UDP ports that are published on the host, each in the form
    `[ADDRESS:][PORT:]PORT[/udp]` (docs/networks.md). The last port is the one in the sandbox.
    By default the address is 127.0.0.1, and the kernel chooses the port."""
    egress: Iterable[str] | None
    """The destinations that the sandbox may reach outside, each in the form
    `HOST[:PORT[-PORT]][/PROTOCOL]` (docs/egress.md). HOST is a name, `*.` and a name, an
    address, a network such as `10.0.0.0/8`, or `*`. Default: none."""
    egress_deny: Iterable[str] | None
    """Destinations that are denied, although `egress` allows them. They have the same form."""
    egress_names: Iterable[str] | None
    """The addresses to which names lead instead of their own, each in the form
    `NAME=ADDRESS[:PORT]`. `egress` must allow the name. The address may be one of the host's."""
    egress_credentials: Iterable[str] | None
    """Credentials that the caller adds to what the sandbox sends to a host, each in the form
    `ORIGIN=FILE` (docs/egress.md). ORIGIN is `https://NAME[:PORT]`, or `http://` without
    encryption, and `egress` must allow it. The program speaks plain HTTP to port 80 of NAME,
    and the caller speaks to ORIGIN. FILE is an absolute path of the caller's, with lines of
    the form `HEADER: VALUE`. The caller reads it when the sandbox starts, and adds the
    headers to each request."""
    egress_ask: bool | None
    """Asks the program that runs the sandbox about destinations that no rule allows and none
    denies. A policy as text only says so, and the program gives a function that decides
    (docs/egress.md)."""
    hostname: str | None
    """The host name, 1 to 64 bytes. Default: `sandbox`. The members of a network find each other
    by it, if it is set."""
    domainname: str | None
    """The NIS domain name, 1 to 64 bytes. Default: the caller's."""
    clock_offsets: Mapping[Clock, int] | None
    """Offsets of these clocks in whole seconds, positive or negative. The sandbox then has its
    own time namespace (Linux 5.6)."""
    uid: int | None
    """The user id inside. Default: 1000. The id 0 is root inside, without any capability."""
    gid: int | None
    """The group id inside. The rules for `uid` apply."""
    user: str | None
    """The user's name in `/etc/passwd` and `/etc/group`, without colon, slash and newline.
    Default: `user`."""
    home: Path | None
    """The user's home directory in `/etc/passwd` and HOME, an absolute path. Default: `/tmp`.
    The directory is not created."""
    host_ids: int | None
    """The first host id to which a privileged caller's sandbox maps its ids, starting with id 0
    inside. Must not be 0. The sandbox maps 65536 ids, or as many as the caller's user
    namespace has from there on. It is an error if the caller's user namespace lacks the
    requested ids. Give sandboxes different ranges if they must not access each other's files."""
    ids: IdsName | None
    """How many ids the sandbox has: `single`, `range` or `auto`, which is a range if the caller
    can have one (docs/ids.md). By default, a privileged caller's sandbox has a range, and
    others have one user and one group."""
    as_caller: bool | None
    """Lets the command be the caller's own user and group outside, even if the caller is
    privileged. `uid` and `gid` still are its numbers inside."""
    root: Path | seclude.Image | None
    """A directory that holds another system, whose programs replace those in the host's `/usr`.
    Its top level is visible read-only, except `/dev`, `/proc`, `/run`, `/sys` and `/tmp`.
    Nothing is written to it."""
    empty_root: bool | None
    """The sandbox contains no programs except those in `files`."""
    etc: Iterable[str] | None
    """The visible names in the host's `/etc`, instead of the default list in docs/policy.md.
    With an empty list, none is visible. A `*` in the last part of a name matches any
    characters."""
    writable_root: bool | None
    """Keeps the root directory, a tmpfs, writable."""
    exact_files: bool | None
    """The file system consists of the entries in `files` alone, which are applied in their
    order. There is no program of the host's, no `/dev`, `/proc` and `/tmp` unless an entry
    adds it (`proc`, `dev`)."""
    terminals: bool | None
    """Whether the sandbox has its own pseudo-terminals: `/dev/pts`, `/dev/ptmx` and `/dev/tty`
    (docs/terminals.md). Default: true, unless the policy puts something else in their place
    or shares the mount namespace."""
    proc_subset: bool | None
    """Shows nothing but processes in `/proc`: the mount option `subset=pid` (`proc(5)`, Linux
    5.8). The files about the whole machine are not there, among them `cpuinfo`, `meminfo`,
    `stat`, `loadavg`, `mounts` and `sys`. Programs that ask how many processors and how much
    memory there is then may guess or fail. It also applies to `proc` entries. Excludes
    `nested` and a shared pid namespace."""
    as_pid_1: bool | None
    """The command is process 1 of its process tree, as some programs insist on being: systemd,
    s6, runit. Otherwise process 1 is the sandbox's own, which reaps orphans."""
    files: Iterable[seclude.Entry | Mapping[str, Any]] | None
    """Additional entries of the file system: binds, tmpfs, directories, links, files."""
    devices: Iterable[str] | None
    """The host's devices that the command may use (docs/hardware.md). Each is a class of device
    nodes: `accel`, `dri`, `fuse`, `kfd`, `kvm`, `render`, `snd`, `tun` or `video`, with all
    that the host has of it. Or it is a device of a CDI specification, of the form
    `vendor.com/class=name`. Default: none."""
    cdi_spec_dirs: Iterable[str] | None
    """The directories with CDI specifications, instead of `/etc/cdi` and `/var/run/cdi`. In
    which one a device is found last counts."""
    nested: bool | None
    """Lets programs inside create user namespaces, and so nested sandboxes. `/proc` is then
    neither masked nor partly hidden, because the kernel allows a fresh procfs only where a
    complete one is visible."""
    capabilities: Iterable[str] | None
    """The capabilities that the command keeps in the sandbox's user namespace, such as
    `net_admin` (`capabilities(7)`). Default: none. Without `nested`, `sys_resource` is not
    allowed, because it lifts the ban on user namespaces."""
    seccomp: Profile | seclude.Seccomp | Mapping[str, Any] | None
    """The seccomp filter: the name of a profile, or a profile with additional rules
    (docs/filters.md). Default: the profile `nested` if `nested` is set, else `default`."""
    seccomp_bpf: Iterable[bytes] | None
    """Additional seccomp filters as BPF programs, which consist of instructions of 8 bytes
    (`struct sock_filter`)."""
    landlock: bool | None
    """Whether a Landlock ruleset repeats what the mounts and namespaces enforce, as far as the
    kernel supports it (`landlock(7)`). Default: true."""
    tcp_bind: Iterable[int] | None
    """The only TCP ports that the sandbox may bind (Linux 6.7)."""
    tcp_connect: Iterable[int] | None
    """The only TCP ports that the sandbox may connect to, on any host (Linux 6.7)."""
    rlimits: Mapping[str, Limit | tuple[Limit, Limit]] | None
    """The soft and hard resource limits of each process: `setrlimit(2)`. Default: core 1 byte,
    which disables core dumps; nofile 1024, hard limit 10240; memlock 8 MiB; stack 8 MiB, with
    the caller's hard limit; sigpending 4096; all others as the caller's."""
    memory: int | str | None
    """The largest amount of memory for all processes inside together, including the warden, its
    kernel structures and files in memory (tmpfs). No swap is used unless `swap` allows it.
    Default: no limit. The other limits have the same default, except `output`."""
    swap: int | str | None
    """The largest amount of swap in addition to `memory`. Needs a cgroup, and a kernel that
    accounts swap."""
    cpu_time: float | str | None
    """The largest processor time, user and system, of all processes inside together. When it is
    used up, all processes inside are killed and the command ends with `cpu-time`."""
    cpus: float | None
    """The number of processors that the sandbox may keep busy at once: 0.01 to 8192. Needs a
    cgroup."""
    cpu_burst: float | str | None
    """The unused processor time of `cpus` that the sandbox can save up and use later, beyond its
    quota: at most what `cpus` gives in 100 ms. For programs that mostly wait, and must then
    answer quickly. Default: none. Needs `cpus`, a cgroup and Linux 5.14."""
    cpu_weight: int | None
    """The weight of the sandbox when it competes for processor time: 1 to 10000. The usual
    weight is 100. Needs a cgroup."""
    cpu_set: Iterable[int] | None
    """The numbers of the processors that the sandbox may run on, starting at 0. Needs a cgroup."""
    pids: int | None
    """The largest number of processes and threads at one time, without the warden. The kernel
    refuses to create more (EAGAIN). A command that was refused one and does not exit with
    code 0 ends with `process-limit`."""
    io: Iterable[seclude.Io | Mapping[str, Any]] | None
    """Limits on the rate of reads and writes of each device. Needs a cgroup."""
    wall_time: float | str | None
    """The largest duration of a command. When it is over, all processes inside are killed and
    the command ends with `wall-time`."""
    wall_time_grace: tuple[int, float | str] | Mapping[str, Any] | None
    """A signal for the command's process group at the end of the wall time, and the time from
    then until the command is killed. The command ends with `wall-time` in any case. The
    outcome's `status` tells how its first process ended."""
    output: int | str | None
    """The largest number of bytes to each of standard output and standard error, whether they
    are collected or passed on. A command that writes more is killed and ends with
    `output-limit`. Exactly the allowed number of bytes arrives."""
    require: Iterable[LimitName] | None
    """Limits that must be enforced exactly, not by sampling. Otherwise the command does not
    start."""
    best_effort: Iterable[LimitName | IsolationName] | None
    """Limits that the command may run without if the host cannot enforce them, and parts of the
    isolation that it may run without if the host denies namespaces: `namespaces` and others
    (docs/confined.md). The outcome lists what was enforced."""
    cgroup: Path | None
    """The parent directory of the sandbox's cgroup, in a mounted cgroup v2 hierarchy. The caller
    must have write access, and no process may be directly in it. The library enables missing
    controllers there. The environment variable SECLUDE_CGROUP has the same effect. By default
    the library looks for a suitable directory (docs/limits.md)."""
    warden: Path | None
    """An installed warden to execute instead of the built-in one. Needed on hosts that allow
    user namespaces by the path of the executable (AppArmor), or forbid to execute memory
    files (`vm.memfd_noexec=2`). `make install` puts one at `libexec/seclude/warden`. The
    environment variable SECLUDE_WARDEN has the same effect."""
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
