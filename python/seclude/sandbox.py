"""The sandbox: a policy as a value, and the ways to run a program in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, TYPE_CHECKING, Any, Self, Unpack, get_type_hints

import seclude

from . import _seclude
from .command import Args, CommandOptions, Streams, Text, prepare
from .command_runner import CommandRunner
from .errors import PolicyError
from .keywords import hint, refuse_unknown
from .outcome import Outcome
from .policy import Policy, as_json
from .vocabulary import NamespaceKind

if TYPE_CHECKING:
    from inspect import Signature


class _Keywords:
    """The signature of a sandbox, which takes the keys of a policy by name. It is made when somebody asks for it."""

    def __get__(self, sandbox: Sandbox | None, owner: type[Sandbox]) -> Signature:
        from inspect import Parameter, Signature

        hints = get_type_hints(Policy)
        named = [
            Parameter(key, Parameter.KEYWORD_ONLY, default=None, annotation=hint)
            for key, hint in hints.items()
        ]
        return Signature(named)


class Sandbox(CommandRunner):
    """What world a program sees and what it may use. Nothing runs yet.

    A new one is safe by default: every namespace private but the clocks', no network but loopback, the host's `/usr`
    read-only, nothing writable but `/tmp` and `/dev/shm`, which are its own, a user id that means nothing outside, no
    privileges. Each keyword opens or shapes one thing; None means its default. A mistake is a PolicyError, here and not
    when it is first used.

    Namespaces: `share` and `unshare` (sets of `user mount pid net ipc uts cgroup time`; all are private but `time`),
    `hostname`, `domainname` (1 to 64 bytes), `clock_offsets` (`{"monotonic": s, "boottime": s}`, whole seconds).

    Identity: `uid`, `gid` inside (1000; 0 is root without power outside), `user` and `home` as `/etc/passwd` names them,
    `host_ids`, the first of the host's ids that a privileged caller's sandbox maps to: 65536, or as many as the caller's
    user namespace has from there on. Ids that cannot be had are an error. None: 0x70000000, or in a container without
    such ids the highest that it has.

    Files: `files`, a list of `bind`, `tmpfs`, `directory`, `symlink`, `file`; `root`, a directory with another system in
    it; `empty_root`, no programs but what is bound; `etc`, names in the host's `/etc` to show instead of the usual ones
    ("ssl/certs", "java-*"; `[]` for none); `writable_root`; `terminals=False` leaves out pseudo-terminals of its own
    (`/dev/pts`), `True` insists on them, and a command can have one (`PTY`).

    Limits on all that runs inside together: `memory` and `swap`, bytes or text ("256M"); `cpu_time`, seconds or text of
    processor time; `cpus`, how many processors' worth of it at once (0.01 to 8192), `cpu_weight`, the share where others
    want it too (1 to 10000; 100 is usual), `cpu_set`, on which processors; `pids`, processes and threads at one time; `io`, a
    list of `io(path, read_bytes=...)`, rates on devices; `output`, bytes to stdout, and to stderr; `wall_time`, seconds or
    text ("1.5s", "200ms", "2m") from the start. What goes beyond is ended and its `Outcome` says by which limit.
    A time is at most 4294967295 seconds; what is not limited is None, and infinity a PolicyError.
    `wall_time_grace=(signal, seconds)` sends a signal first and kills only so much later.

    `require` names limits that must be held exactly, not by looks at an interval; `best_effort` those that may go missing
    where the host cannot hold them: `Outcome.limits` tells. Else a limit that cannot be held at all is a SetupError of kind
    `limit-unavailable`. `cgroup` is the directory below which the sandbox's own cgroups are made; one is looked for if not given.

    `seccomp`, which system calls may be made: the name of a profile, or a `Seccomp` with rules over one; `seccomp_bpf`, further
    filters as the kernel takes them. `landlock=False` leaves out the second wall, which else says once more, where the kernel
    can, what mounts and namespaces say; `tcp_bind` and `tcp_connect`, the only TCP ports that may be bound and connected to
    (Linux 6.7).

    The rest: `nested` lets programs inside make sandboxes of their own; `rlimits`, `{name: number, "64M", "unlimited" or
    (soft, hard)}` for each process (`setrlimit(2)`); `warden`, an installed warden to execute instead of the one in the library.

    Sandboxes are immutable, comparable, hashable, picklable, and may be used from any thread.
    """

    __slots__ = ("_core", "_limited")
    __signature__: Any = _Keywords()
    _core: _seclude.Sandbox
    _limited: bool

    def __init__(self, **policy: Unpack[Policy]) -> None:
        _check_keys("Sandbox", policy)
        object.__setattr__(self, "_core", _seclude.Sandbox.from_json(as_json(policy)))

    @classmethod
    def _of(cls, core: _seclude.Sandbox) -> Self:
        sandbox = cls.__new__(cls)
        object.__setattr__(sandbox, "_core", core)
        return sandbox

    # ---- the policy as text

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The sandbox of a policy in JSON. An unknown key is a PolicyError that names the nearest known one."""
        return cls._of(_seclude.Sandbox.from_json(text))

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """The sandbox of a policy in TOML, with the same keys."""
        return cls._of(_seclude.Sandbox.from_toml(text))

    def to_json(self) -> str:
        """The policy in JSON: every key that is not at its default. Equal sandboxes give equal text."""
        return self._core.to_json()

    def to_toml(self) -> str:
        """The policy in TOML."""
        return self._core.to_toml()

    def replace(self, **changes: Unpack[Policy]) -> Self:
        """A sandbox like this one but for these keys. None brings back a key's default."""
        _check_keys("replace", changes)
        policy = json.loads(self.to_json()) | dict(changes)
        return self._of(_seclude.Sandbox.from_json(as_json(policy)))

    # ---- running, besides `run`, `popen`, `command` and `asyncio`

    def learn(self, args: Args, **options: Unpack[CommandOptions]) -> seclude.Learned:
        """Runs a command to its end, and learns which system calls it makes and which paths it names.

        stdout and stderr are collected unless given; stdin is empty. The sandbox's filter holds meanwhile, by the caller's
        hand instead of the kernel's: every call waits for the caller, so expect it to take many times as long, and Ctrl-C to
        be heard at its end. `options` are those of `popen` but for text. Linux 5.5.
        """
        from .seccomp import Learned

        refuse_unknown("learn", options, CommandOptions.__optional_keys__)
        with Streams() as streams:
            known = prepare(self._core, args, streams, **options).learn()
        return Learned(
            Outcome._from_native(known["outcome"]),
            known["stdout"],
            known["stderr"],
            dict(known["calls"]),
            frozenset(known["refused"]),
            frozenset(known["paths"]),
            self._of(known["sandbox"]),
        )

    def prepare(self) -> Self:
        """Makes a template of this policy, and returns the sandbox itself.

        Later runs, cells and pools are copied from it, which spares them the mounts; they are as fresh and as apart as
        without it. It lives as long as one of them, or this object, does. What the policy binds is opened now, and not again.
        Does nothing where a template cannot serve: with `writable_root`, a shared user, mount or pid namespace, or something
        else at `/proc`.
        """
        self._core.prepare()
        return self

    def join(
        self,
        pid: int | None = None,
        *,
        pidfd: int | IO[Any] | None = None,
        paths: Iterable[Text] = (),
        fds: Iterable[int | IO[Any]] = (),
        only: Iterable[NamespaceKind] | None = None,
    ) -> seclude.Joined:
        """For commands in namespaces that exist already, instead of new ones of these kinds: `setns(2)`.

        Those that a process is in, by `pid` or `pidfd`, all of them or `only` some kinds; those that `paths` (`/run/netns/x`) and
        descriptors lead to. The policy holds for all the rest: who the command is, its filter, limits, files if the mount
        namespace is not among them. The user is the policy's by its number in the user namespace that is joined, and never
        the host's root. What a process shares with the caller is shared, but for the user namespace.
        """
        from .join import Joined, sources

        return Joined(self, self._core.join(sources(pid, pidfd, paths, fds, only)))

    def cell(self) -> seclude.Cell:
        """Starts a cell: a sandbox that stays up, for many commands. `with box.cell() as cell:` closes it."""
        from .cell import Cell

        return Cell(self)

    def pool(self, size: int | None = None, *, reuse: bool = False) -> seclude.Pool:
        """Starts a pool that keeps `size` sandboxes ready, as many as there are processors if not given.

        `with box.pool(8) as pool:` closes it. `reuse`: a sandbox is used again when its command has ended, with all that it
        left behind.
        """
        from .pool import Pool

        return Pool(self, size, reuse=reuse)

    def _limits_output(self) -> bool:
        # Asked by every run that reads a pipe, of a policy that does not change: it is looked up once.
        try:
            return self._limited
        except AttributeError:
            object.__setattr__(self, "_limited", "output" in json.loads(self.to_json()))
        return self._limited

    # ---- a value

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a sandbox is immutable: replace({name}=...) makes another")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a sandbox is immutable")

    def __eq__(self, other: object) -> bool:
        return self._core == other._core if isinstance(other, Sandbox) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_json, (self.to_json(),)

    def __repr__(self) -> str:
        return f"Sandbox({', '.join(f'{key}={value!r}' for key, value in json.loads(self.to_json()).items())})"


def _check_keys(function: str, policy: Mapping[str, Any]) -> None:
    """Refuses a keyword that is no key of a policy, also where its value is None.

    It is a PolicyError, as for a policy's text.
    """
    for key in policy.keys() - Policy.__optional_keys__:
        remedy = hint(key, Policy.__optional_keys__)
        step = f"{function}() keyword {key}"
        raise PolicyError(
            f"{step}: is unknown; hint: {remedy}", kind="policy", step=step, hint=remedy
        )
