"""The sandbox: a policy as a value, and the ways to run a program in it."""

from __future__ import annotations

import json
from subprocess import PIPE
from typing import TYPE_CHECKING, Any

from . import _seclude
from .command import Streams, prepare
from .errors import TimeoutExpired
from .interaction import Command
from .outcome import CompletedRun, Outcome
from .policy import Policy, as_json
from .popen import Popen as _Popen
from .seccomp import Learned

if TYPE_CHECKING:
    from typing import Self, Unpack

    from .aio import Runner
    from .command import Args, CommandOptions
    from .popen import PopenOptions


class Sandbox:
    """What world a program sees and what it may use. Nothing runs yet.

    A new one is safe by default: every namespace private but the clocks', no network but loopback, the host's `/usr`
    read-only, nothing writable but `/dev/shm`, a user id that means nothing outside, no privileges. Each keyword opens
    or shapes one thing; None means its default. A mistake is a PolicyError, here and not when it is first used.

    Namespaces: `share` and `unshare` (sets of `user mount pid net ipc uts cgroup time`; all are private but `time`),
    `hostname`, `domainname` (1 to 64 bytes), `clock_offsets` (`{"monotonic": s, "boottime": s}`, whole seconds).

    Identity: `uid`, `gid` inside (1000; 0 is root without power outside), `user` and `home` as `/etc/passwd` names them,
    `host_ids`, the first of 65536 ids of the host's that a privileged caller's sandbox maps to.

    Files: `files`, a list of `bind`, `tmpfs`, `directory`, `symlink`, `file`; `root`, a directory with another system in
    it; `empty_root`, no programs but what is bound; `writable_root`.

    Limits on all that runs inside together: `memory` and `swap`, bytes or text ("256M"); `cpu_time`, seconds or text of
    processor time; `cpus`, how many processors' worth of it at once (0.01 to 8192), `cpu_weight`, the share where others
    want it too (1 to 10000; 100 is usual), `cpu_set`, on which processors; `pids`, processes and threads at one time; `io`, a
    list of `io(path, read_bytes=...)`, rates on devices; `output`, bytes to stdout, and to stderr; `wall_time`, seconds or
    text ("1.5s", "200ms", "2m") from the start. What goes beyond is ended and its `Outcome` says by which limit.
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

    __slots__ = ("_core",)
    _core: _seclude.Sandbox

    def __init__(self, **policy: Unpack[Policy]) -> None:
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
        policy = json.loads(self.to_json()) | dict(changes)
        return self._of(_seclude.Sandbox.from_json(as_json(policy)))

    # ---- running

    def run(
        self,
        args: Args,
        *,
        input: Any = None,  # noqa: A002
        capture_output: bool = False,
        timeout: float | None = None,
        check: bool = False,
        **options: Unpack[PopenOptions],
    ) -> CompletedRun:
        """Runs a command to its end: `subprocess.run`, inside.

        `args` is the program and its arguments, or the program alone; without a slash the program is looked for in PATH
        inside. `input` is what it reads (bytes, or text in text mode); `capture_output` collects stdout and stderr, at most
        `output` or 64 MiB of each: who writes more is killed, and the end is `output-limit`. After
        `timeout` seconds it is killed and TimeoutExpired raised. `check` raises CalledProcessError unless it exits with
        0. `options` are those of `Popen`.
        """
        if input is not None:
            if options.get("stdin") is not None:
                raise ValueError("input and stdin exclude each other")
            options["stdin"] = PIPE
        if capture_output:
            if options.get("stdout") is not None or options.get("stderr") is not None:
                raise ValueError("capture_output excludes stdout and stderr")
            options["stdout"] = options["stderr"] = PIPE
        with _Popen(self, args, **options) as process:
            try:
                stdout, stderr = process.communicate(input, timeout)
            except BaseException as error:
                process.kill()
                process.wait()
                if isinstance(error, TimeoutExpired):
                    error.outcome = process.outcome
                raise
        assert process.outcome is not None
        done = CompletedRun(args, process.outcome, stdout, stderr)
        if check:
            done.check_returncode()
        return done

    def popen(self, args: Args, **options: Unpack[PopenOptions]) -> _Popen:
        """Starts a command: `subprocess.Popen`, inside.

        `stdin`, `stdout`, `stderr`: None for the caller's own, PIPE, DEVNULL, a descriptor or file, for stderr STDOUT.
        `text`, `encoding`, `errors`, `bufsize` as in `subprocess`. `cwd` is an absolute path inside. `env` is the whole
        environment; if not given, PATH, HOME and LANG. `pass_fds` and `fds={target: descriptor}` grant descriptors.
        `arg0` is what the program sees as its own name. `wall_time` is this command's own, in seconds, instead of the sandbox's.
        """
        return _Popen(self, args, **options)

    Popen = popen

    def learn(self, args: Args, **options: Unpack[CommandOptions]) -> Learned:
        """Runs a command to its end, and learns which system calls it makes and which paths it names.

        stdout and stderr are collected unless given; stdin is empty. The sandbox's filter holds meanwhile, by the caller's
        hand instead of the kernel's: every call waits for the caller, so expect it to take many times as long, and Ctrl-C to
        be heard at its end. `options` are those of `popen` but for text. Linux 5.5.
        """
        with Streams() as streams:
            known = prepare(self._core, args, streams, **options).learn()
        return Learned(
            Outcome._told(known["outcome"]),
            known["stdout"],
            known["stderr"],
            dict(known["calls"]),
            frozenset(known["refused"]),
            frozenset(known["paths"]),
            self._of(known["sandbox"]),
        )

    def command(self, args: Args, **options: Unpack[PopenOptions]) -> Command:
        """A command for an `Interaction`, not started yet; `args` and `options` as for `popen`."""
        return Command(self, args, options)

    @property
    def asyncio(self) -> Runner:
        """`await box.asyncio.create_subprocess_exec(...)`: asyncio's, inside."""
        from .aio import Runner

        return Runner(self)

    def _limits_output(self) -> bool:
        return "output" in json.loads(self.to_json())

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
