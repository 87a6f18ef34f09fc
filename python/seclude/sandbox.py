"""The sandbox: a policy as a value, and the ways to run a program under it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Self, Unpack, get_type_hints

import seclude

from . import _seclude, log
from .command import Args, CommandOptions, Streams, Text, prepare
from .command_runner import CommandRunner
from .errors import PolicyError, SecludeError
from .keywords import hint, refuse_unknown
from .network import Network, given
from .outcome import Outcome
from .policy import Policy, as_json
from .vocabulary import NamespaceKind

if TYPE_CHECKING:
    from inspect import Signature


LEARN_OPTIONS = frozenset(
    name for name in CommandOptions.__optional_keys__ if not name.startswith("collect")
)


class _Keywords:
    """The signature of `Sandbox`: the keys of a policy as keywords, built on first access."""

    def __get__(self, sandbox: Sandbox | None, owner: type[Sandbox]) -> Signature:
        from inspect import Parameter, Signature

        hints = get_type_hints(Policy)
        named = [
            Parameter(key, Parameter.KEYWORD_ONLY, default=None, annotation=hint)
            for key, hint in hints.items()
        ]
        return Signature(named)


class Sandbox(CommandRunner):
    """A policy: what a program can see and what it may use. Creating one starts nothing.

    The default is safe. Every namespace except the time namespace is private. The only network is a
    loopback device. The host's `/usr` is read-only. Only `/tmp` and `/dev/shm` are writable, and
    both are private. The user id means nothing outside, and there are no privileges. Each keyword
    changes one of these things, and None means its default. The constructor raises PolicyError if
    the policy is invalid.

    Namespaces:

    - `share`, `unshare`: sets of `user mount pid net ipc uts cgroup time`. All but `time` are
      private by default.
    - `network`: the `Network` that each command and each cell is a member of. A policy as text only
      names it; `replace(network=...)` then gives it, and until that nothing runs.
    - `address`: the IPv4 or IPv6 address in the network, which otherwise chooses one.
    - `ports`: TCP and UDP ports that are published on the host, such as `"8080:80"`, `"80"` with a
      port that the kernel chooses (`Popen.ports`), or `"0.0.0.0:53:53/udp"`.
    - `egress`, `egress_deny`: destinations that the sandbox may reach outside, and exceptions:
      `"*.example.org:443"`, `"192.0.2.0/24"`, `"*"`. Without them it reaches nothing.
    - `egress_ask`: ask the function of `decide_egress` about all other destinations.
    - `egress_names`: addresses to which names lead instead of their own:
      `"db.test=127.0.0.1:5432"`.
    - `egress_credentials`: files with headers that the caller adds to requests, which the sandbox
      never sees: `"https://api.example.org=/run/secrets/api"`. The program asks
      `http://api.example.org`.
    - `hostname`, `domainname`: 1 to 64 bytes.
    - `clock_offsets`: `{"monotonic": s, "boottime": s}`, in whole seconds.

    Identity:

    - `uid`, `gid`: the ids inside, 1000 by default. 0 is root without power outside.
    - `as_caller`: be the caller's own user outside, even if the caller is privileged.
    - `user`, `home`: the name and home directory in `/etc/passwd`.
    - `host_ids`: the first host id to map, if the caller is privileged. The sandbox maps 65536 ids,
      or as many as the caller's user namespace has from there on. The default is 0x70000000, or the
      highest possible in a container without such ids. Ids that the caller does not have are an
      error.

    Files:

    - `files`: a list of `bind`, `tmpfs`, `directory`, `symlink` and `file`.
    - `root`: a directory that holds another system, or an `Image`, which the command can change.
    - `empty_root`: show no programs except those that are bound.
    - `etc`: the names in the host's `/etc` to show instead of the usual ones, such as "ssl/certs"
      or "java-*". `[]` shows none.
    - `exact_files`: `files` are all there is, applied in their order: no default `/dev`, `/proc`
      or `/tmp`, mounts over mounts, and mount points in writable binds.
    - `writable_root`: keep the root directory itself, a file system in memory, writable.
    - `terminals`: False leaves out private pseudo-terminals (`/dev/pts`). True requires them. With
      them a command can have a terminal (`PTY`).

    Limits on everything that runs inside, together. Exceeding one ends the command, and its
    `Outcome` names the limit. None means no limit; infinity is a PolicyError. Times are seconds or
    text ("1.5s", "200ms", "2m"), at most 4294967295 seconds. Sizes are bytes or text ("256M").

    - `memory`, `swap`: sizes.
    - `cpu_time`: processor time.
    - `cpus`: how many processors to use at once, 0.01 to 8192.
    - `cpu_weight`: the share of a contended processor, 1 to 10000, normally 100.
    - `cpu_set`: the processors to run on.
    - `pids`: the number of processes and threads at one time.
    - `io`: a list of `io(path, read_bytes=...)`, rates on devices.
    - `output`: the size of stdout, and of stderr.
    - `wall_time`: time from the start.
    - `wall_time_grace`: `(signal, seconds)`. Sends the signal at the limit, and kills only after
      this many seconds more.
    - `require`: names of limits that must be enforced exactly, not by checks at an interval.
    - `best_effort`: names of limits that may be left out if the host cannot enforce them; see
      `Outcome.limits`. Otherwise a limit that the host cannot enforce at all raises SetupError of
      kind `limit-unavailable`. With `"namespaces"`, commands run also where the host denies
      namespaces: Landlock (Linux 6.2) and a filter of system calls hold them, and
      `Outcome.enforced` says what is in force. What the policy asks for and only a namespace can
      give is an error then, unless it is named, too: `"files"`, `"processes"`, `"network"`,
      `"names"`, `"clocks"`, `"terminals"`, `"signals"` (docs/confined.md).
    - `cgroup`: the directory below which to make the sandbox's cgroups. By default one is searched.

    System calls and further protections:

    - `seccomp`: the name of a profile, or a `Seccomp` with rules on top of a profile.
    - `seccomp_bpf`: further filters, in the kernel's form.
    - `landlock`: False leaves out the Landlock ruleset, which otherwise repeats the restrictions of
      mounts and namespaces where the kernel supports it.
    - `tcp_bind`, `tcp_connect`: the only TCP ports that may be bound or connected to (Linux 6.7).

    Other:

    - `nested`: let programs inside make sandboxes of their own.
    - `capabilities`: names such as `net_admin` that the command keeps in its user namespace.
    - `rlimits`: `{name: value}` for each process, where a value is a number, "64M", "unlimited" or
      `(soft, hard)`; see `setrlimit(2)`.
    - `warden`: an installed warden to execute instead of the one in the library.

    Sandboxes are immutable, comparable, hashable and, unless they have a network, picklable. Any
    thread may use them.
    """

    __slots__ = ("_core", "_limited")
    __signature__: Any = _Keywords()
    _core: _seclude.Sandbox
    _limited: bool

    def __init__(self, **policy: Unpack[Policy]) -> None:
        _check_keys("Sandbox", policy)
        object.__setattr__(self, "_core", _core(dict(policy)))

    @classmethod
    def _of(cls, core: _seclude.Sandbox) -> Self:
        sandbox = cls.__new__(cls)
        object.__setattr__(sandbox, "_core", core)
        return sandbox

    @classmethod
    def for_tests(cls) -> Self:
        """Return a sandbox for the caller's own tests.

        These are programs that the caller trusts, but that must not disturb each other or the
        machine. The files are the host's, at the same paths and with the same rights; `/sys` is
        read-only. `/tmp`, `/run` and `/dev/shm` are private and empty, except for the working
        directory. The network has only a loopback device, and the process tree, IPC objects and
        host name are private. The command is the caller's user and group, without capabilities.
        Filters stop nothing that a test may do.
        """
        return cls._of(_seclude.Sandbox.for_tests())

    # ---- the policy as text

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the sandbox of a policy written in JSON.

        Raises PolicyError for an unknown key, with a hint that names the nearest known one.
        """
        return cls._of(_seclude.Sandbox.from_json(text, None))

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Return the sandbox of a policy written in TOML, with the same keys as in JSON."""
        return cls._of(_seclude.Sandbox.from_toml(text))

    def to_json(self) -> str:
        """Return the policy as JSON, without the keys that have their default.

        Equal sandboxes give equal text.
        """
        return self._core.to_json()

    def to_toml(self) -> str:
        """Return the policy as TOML."""
        return self._core.to_toml()

    def replace(self, **changes: Unpack[Policy]) -> Self:
        """Return a copy of this sandbox with these keys changed. None restores a default."""
        _check_keys("replace", changes)
        policy = json.loads(self.to_json())
        network = self._core.network()
        if network is not None:
            policy["network"] = Network._of(network)
        return self._of(_core(policy | dict(changes)).deciding_as(self._core))

    def decide_egress(self, decide: Callable[[seclude.Attempt], bool]) -> Self:
        """Return a copy that has a function decide about destinations outside.

        It is asked about each destination that no rule allows (`egress`) and none denies: for a
        name when the program asks for that (port 53 of UDP, no address), and again for each
        connection and each first datagram, with the address. A true result allows it. An exception
        denies, and goes to `sys.unraisablehook`.

        It is called in threads of the library, several at once, and the program waits meanwhile. It
        cannot open an address that is not public, or is the host's own: that takes a rule. A policy
        as text says only that something is to be asked (`egress_ask`), and such a sandbox cannot be
        pickled.
        """
        from .egress import Attempt

        def asked(*fields: Any) -> bool:
            return decide(Attempt(*fields))

        return self._of(self._core.decide_egress(asked))

    # ---- running, in addition to the methods of `CommandRunner`

    def learn(self, args: Args, **options: Unpack[CommandOptions]) -> seclude.Learned:
        """Run a command to its end and record its system calls and the paths that it names.

        stdin is empty. stdout and stderr are collected unless redirected. `options` are those of
        `popen`, without those for text and for files to collect.

        The sandbox's filter still applies, but the caller enforces it instead of the kernel. Every
        call waits for the caller, so the run takes many times as long, and Ctrl-C has no effect
        before its end. This requires Linux 5.5.
        """
        from .seccomp import Learned

        refuse_unknown("learn", options, LEARN_OPTIONS)
        with Streams() as streams:
            try:
                known = prepare(self._core, args, streams, **options).learn()
            except SecludeError as error:
                log.refused(args, error)
                raise
        learned = Learned(
            Outcome._from_native(known["outcome"]),
            known["stdout"],
            known["stderr"],
            dict(known["calls"]),
            frozenset(known["refused"]),
            frozenset(known["paths"]),
            self._of(known["sandbox"]),
        )
        log.learned(args, learned)
        return learned

    def prepare(self) -> Self:
        """Make a template of this policy, and return the sandbox itself.

        Later runs, cells and pools are copies of the template, which saves the mounts. They are as
        fresh and isolated as without it. The template lives as long as one of them or this object.
        Bound files are opened now and not again.

        Does nothing if the policy allows no template: with a shared user, mount or pid namespace,
        a network of the caller's, or an overlay with `kept`.
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
        """Return a `Joined`, which runs commands in existing namespaces, as with `setns(2)`.

        `pid` or `pidfd` selects the namespaces of a process: all, or only the kinds in `only`.
        `paths` (such as `/run/netns/x`) and `fds` select single namespaces. A namespace that the
        selected process shares with the caller is shared, except for the user namespace.

        The policy applies to everything else: user, filter, limits, and files unless the mount
        namespace is joined. The policy's user id counts in the joined user namespace, and is never
        the host's root.
        """
        from .join import Joined, sources

        return Joined(self, self._core.join(sources(pid, pidfd, paths, fds, only)))

    def cell(self) -> seclude.Cell:
        """Start a cell, a sandbox that stays up for many commands.

        `with box.cell() as cell:` closes it.
        """
        from .cell import Cell

        return Cell(self)

    def interpreter(
        self,
        *,
        preload: Iterable[str] = (),
        path: Iterable[Text] = (),
        python: Text = "python3",
        program: Sequence[Text] | None = None,
    ) -> seclude.Interpreter:
        """Start a warm interpreter in a cell of its own: state from call to call, a reset by fork.

        `preload` are modules to import once, and `path` further directories inside to find them in.
        `python` is the interpreter inside. `program` is another program in its place, which speaks
        the protocol of `docs/interpreters.md`.
        """
        from .interpreter import Interpreter

        return Interpreter(
            self.cell(), preload=preload, path=path, python=python, program=program, owns=True
        )

    def executor(
        self,
        workers: int | None = None,
        *,
        path: Iterable[Text] = (),
        python: Text = "python3",
        trusted: bool = False,
    ) -> seclude.Executor:
        """Return an executor of `concurrent.futures` whose calls run in sandboxes of this policy.

        `workers` calls run at once, by default one for each processor. `path` are directories of
        the host's with modules that the functions need; they are visible read-only. `python` is
        the interpreter inside. With `trusted`, results are unpickled.
        """
        from .executor import Executor

        return Executor(self, workers, path=path, python=python, trusted=trusted)

    def pool(self, size: int | None = None, *, reuse: bool = False) -> seclude.Pool:
        """Start a pool that keeps `size` sandboxes ready, by default one for each processor.

        With `reuse`, a sandbox is used again after its command has ended, with all that the command
        left behind. `with box.pool(8) as pool:` closes the pool.
        """
        from .pool import Pool

        return Pool(self, size, reuse=reuse)

    def _limits_output(self) -> bool:
        # Cached, because every run that reads a pipe asks and the policy never changes.
        try:
            return self._limited
        except AttributeError:
            object.__setattr__(self, "_limited", "output" in json.loads(self.to_json()))
        return self._limited

    # ---- value semantics

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a sandbox is immutable: replace({name}=...) makes another")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a sandbox is immutable")

    def __eq__(self, other: object) -> bool:
        return self._core == other._core if isinstance(other, Sandbox) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        network = self._core.network()
        if network is not None:
            raise TypeError(
                f"cannot pickle a sandbox in the network {network.name!r}, which exists only in"
                " the process that made it: pickle replace(network=None)"
            )
        if self._core.decides_egress():
            raise TypeError("cannot pickle a sandbox with a function that decides about egress")
        return type(self).from_json, (self.to_json(),)

    def __repr__(self) -> str:
        policy = json.loads(self.to_json())
        return f"Sandbox({', '.join(f'{key}={value!r}' for key, value in policy.items())})"


def _core(policy: dict[str, Any]) -> _seclude.Sandbox:
    root = policy.get("root")
    if not (root is None or isinstance(root, str | bytes | os.PathLike)):
        from .image import given as with_image

        policy = with_image(policy)
    network = given(policy)
    return _seclude.Sandbox.from_json(as_json(policy), network)


def _check_keys(function: str, policy: Mapping[str, Any]) -> None:
    """Raise PolicyError for a keyword that is not a key of a policy, even if its value is None.

    The error is the same as for a policy's text.
    """
    for key in policy.keys() - Policy.__optional_keys__:
        remedy = hint(key, Policy.__optional_keys__)
        step = f"{function}() keyword {key}"
        raise PolicyError(
            f"{step}: is unknown; hint: {remedy}", kind="policy", step=step, hint=remedy
        )
