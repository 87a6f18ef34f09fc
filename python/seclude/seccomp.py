"""Which system calls a command may make: a small frozen value for `Sandbox(seccomp=...)`, and what a run has taught."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import seclude

from ._seclude import Listener as _Listener
from ._seclude import Notification
from .policy_part import Part
from .readiness import READ, Deadline, Poll
from .vocabulary import Action, Compare, Profile


@dataclass(frozen=True, slots=True)
class Test:
    """A test of one argument of a system call, for `Seccomp.rule`.

    Compared are the lower 32 bits, as the kernel uses flags, descriptors and `ioctl` requests; all 64 with `wide`, for
    sizes and addresses. Both sides are unsigned.
    """

    __test__ = False  # pytest: this is no test of ours.

    arg: int
    """Its number, 0 to 5."""
    compare: Compare
    value: int
    mask: int | None = field(default=None, kw_only=True)
    """Of the argument, only these bits."""
    wide: bool = field(default=False, kw_only=True)

    def policy(self) -> dict[str, Any]:
        """This value as a policy text has it."""
        number = (
            {"value": self.value} if self.mask is None else {"value": self.value, "mask": self.mask}
        )
        wide = {"wide": True} if self.wide else {}
        return {"arg": self.arg, "is": self.compare} | number | wide


@dataclass(frozen=True, slots=True)
class Seccomp(Part):
    """A seccomp filter: a profile, and rules over it.

    `default`: what programs of every kind use. `strict`: computing with files and threads only; anything else kills.
    `nested`: the default and what a sandbox inside a sandbox is made with. `debug`: the default and `ptrace(2)`.
    `unconfined`: every call but those that would change the warden.

    The last rule that fits a call decides, then the profile. Each method gives a filter with one more rule; a call goes by
    its name, or by its number as text. `Seccomp("default").kill("ptrace").deny("chmod", "EACCES")`. Starting the
    command itself needs no rule: a filter without `execve` lets the program run that the caller names, and no other.
    """

    profile: Profile = "default"
    rules: tuple[dict[str, Any], ...] = ()
    remainder: dict[str, Any] = field(default_factory=dict)

    def rule(
        self, call: str, action: Action, *tests: Test, errno: int | str | None = None
    ) -> Seccomp:
        """With this for a call, if all tests hold. `errno`, for `deny`: a number or a name; EPERM if not given."""
        said: dict[str, Any] = {"call": call, "action": action}
        if errno is not None:
            said["errno"] = errno
        if tests:
            said["when"] = [test.policy() for test in tests]
        return replace(self, rules=(*self.rules, said))

    def allow(self, call: str) -> Seccomp:
        """Lets it be made."""
        return self.rule(call, "allow")

    def deny(self, call: str, errno: int | str = "EPERM") -> Seccomp:
        """Has it fail."""
        return self.rule(call, "deny", errno=errno)

    def kill(self, call: str) -> Seccomp:
        """Has it end the command: `Ended("syscall", name)`."""
        return self.rule(call, "kill")

    def log(self, call: str) -> Seccomp:
        """Lets it be made, and written to the kernel's log."""
        return self.rule(call, "log")

    def notify(self, call: str) -> Seccomp:
        """Leaves it to the caller: `Popen.listener()`."""
        return self.rule(call, "notify")

    def socket_family(self, family: int) -> Seccomp:
        """Lets sockets of this family be made: an AF_ number."""
        return self.rule("socket", "allow", Test(0, "==", int(family)))

    def otherwise(self, action: Action, errno: int | str | None = None) -> Seccomp:
        """With this for every call that neither a rule nor the profile names, known or not."""
        said: dict[str, Any] = {"otherwise": action}
        return replace(self, remainder=said if errno is None else said | {"errno": errno})

    def policy(self) -> dict[str, Any]:
        """This value as a policy text has it."""
        return {"profile": self.profile, "rules": list(self.rules)} | self.remainder

    def __hash__(self) -> int:
        return hash(repr(self))


class Listener:
    """Where calls are heard that a filter leaves to the caller. Who makes such a call stands still until it has an answer.

    Iterating gives each call in turn, and ends when nobody is left who could make one. A call has `name`, `number`,
    `arguments`, `pid`, `read(address, size)`, `read_string(address)`, and takes one answer: `allow()`, `succeed(value)`,
    `fail(errno)`, `succeed_with_descriptor(fd, close_on_exec)`; dropped without one, it fails with EPERM.

    What its arguments point at lies in memory that other threads of the program can change while you look. So `allow` is no
    answer to "may it, with these contents": act for the program instead, and answer with the result.
    """

    __slots__ = ("_listener",)

    def __init__(self, listener: _Listener) -> None:
        self._listener = listener

    def fileno(self) -> int:
        """Its descriptor: readable when a call waits. It speaks `seccomp_unotify(2)`. Borrowed."""
        return self._listener.fileno()

    def receive(self, timeout: float | None = None) -> Notification | None:
        """The next call; None when nobody is left who could make one, or none came in so many seconds."""
        deadline = Deadline(timeout)
        poll = Poll()
        poll.register(self.fileno(), READ)
        while True:
            ready = poll.wait(deadline)
            call = self._listener.receive() if ready else None
            if call is not None or deadline.passed or (ready and self._listener.is_deserted()):
                return call

    def __iter__(self) -> Listener:
        return self

    def __next__(self) -> Notification:
        call = self.receive()
        if call is None:
            raise StopIteration
        return call


@dataclass(frozen=True, slots=True)
class Learned:
    """What a program did: `Sandbox.learn`."""

    outcome: seclude.Outcome
    """How it ended."""
    stdout: bytes
    stderr: bytes
    calls: dict[str, int]
    """The system calls that it made, and how often."""
    refused: frozenset[str]
    """Those among them that the sandbox's filter refuses, and so refused this time too."""
    paths: frozenset[bytes]
    """The paths that it named, as seen inside, whether or not there was anything."""
    sandbox: seclude.Sandbox
    """The sandbox with a filter for these calls alone, as its own filter has them; everything else fails with EPERM.

    `sandbox.to_toml()` writes it down. One run may not have done all that a program can do."""
