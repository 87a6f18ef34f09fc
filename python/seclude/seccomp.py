"""Which system calls a command may make, for `Sandbox(seccomp=...)`, and what a run made."""

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

    It compares the lower 32 bits, as the kernel does for flags, descriptors and `ioctl` requests.
    With `wide` it compares all 64 bits, for sizes and addresses. Both sides are unsigned.
    """

    __test__ = False  # Tells pytest that this class is not a test.

    arg: int
    """The index of the argument, 0 to 5."""
    compare: Compare
    value: int
    mask: int | None = field(default=None, kw_only=True)
    """The bits of the argument to compare. Default: all."""
    wide: bool = field(default=False, kw_only=True)

    def policy(self) -> dict[str, Any]:
        """Return this value in the form of a policy's text."""
        number = (
            {"value": self.value} if self.mask is None else {"value": self.value, "mask": self.mask}
        )
        wide = {"wide": True} if self.wide else {}
        return {"arg": self.arg, "is": self.compare} | number | wide


@dataclass(frozen=True, slots=True)
class Seccomp(Part):
    """A seccomp filter: a profile, and rules on top of it.

    The profiles are:

    - `default`: the calls that programs of all kinds use.
    - `strict`: computing with files and threads only. Any other call kills.
    - `nested`: the default, and the calls that set up a sandbox inside a sandbox.
    - `debug`: the default, and `ptrace(2)`.
    - `unconfined`: every call except those that would change the warden.

    The last rule that matches a call decides. If no rule matches, the profile decides. Each method
    returns a filter with one more rule. A call is given by name, or by number as text. For example:
    `Seccomp("default").kill("ptrace").deny("fchmod", "EACCES")`.

    aarch64 lacks the older calls of x86_64, and its programs make the newer ones. A rule that names
    `mkdir` and none that names `mkdirat` is an error there. Rules for both are valid everywhere.

    Starting the command itself needs no rule. A filter without `execve` runs the program that the
    caller names, and no other.
    """

    profile: Profile = "default"
    rules: tuple[dict[str, Any], ...] = ()
    remainder: dict[str, Any] = field(default_factory=dict)

    def rule(
        self, call: str, action: Action, *tests: Test, errno: int | str | None = None
    ) -> Seccomp:
        """Add a rule: this action for a call, if all tests match.

        `errno` is a number or a name, for the action `deny`. Default: EPERM.
        """
        said: dict[str, Any] = {"call": call, "action": action}
        if errno is not None:
            said["errno"] = errno
        if tests:
            said["when"] = [test.policy() for test in tests]
        return replace(self, rules=(*self.rules, said))

    def allow(self, call: str) -> Seccomp:
        """Add a rule that allows the call."""
        return self.rule(call, "allow")

    def deny(self, call: str, errno: int | str = "EPERM") -> Seccomp:
        """Add a rule that makes the call fail with `errno`."""
        return self.rule(call, "deny", errno=errno)

    def kill(self, call: str) -> Seccomp:
        """Add a rule by which the call kills the command: `Ended("syscall", name)`."""
        return self.rule(call, "kill")

    def log(self, call: str) -> Seccomp:
        """Add a rule that allows the call and writes it to the kernel's log."""
        return self.rule(call, "log")

    def notify(self, call: str) -> Seccomp:
        """Add a rule that leaves the call to the caller; see `Popen.listener()`."""
        return self.rule(call, "notify")

    def socket_family(self, family: int) -> Seccomp:
        """Allow sockets of this family, an AF_ number."""
        return self.rule("socket", "allow", Test(0, "==", int(family)))

    def otherwise(self, action: Action, errno: int | str | None = None) -> Seccomp:
        """Set the action for calls that neither a rule nor the profile names, known or not."""
        said: dict[str, Any] = {"otherwise": action}
        return replace(self, remainder=said if errno is None else said | {"errno": errno})

    def policy(self) -> dict[str, Any]:
        """Return this value in the form of a policy's text."""
        return {"profile": self.profile, "rules": list(self.rules)} | self.remainder

    def __hash__(self) -> int:
        return hash(repr(self))


class Listener:
    """Receives the system calls that a filter leaves to the caller.

    The thread that makes such a call waits until the call is answered. Iterating yields one call
    after another, and ends when no process is left that could make one.

    A call has `name`, `number`, `arguments`, `pid`, `read(address, size)` and
    `read_string(address)`. It takes one answer: `allow()`, `succeed(value)`, `fail(errno)` or
    `succeed_with_descriptor(fd, close_on_exec)`. A call dropped without an answer fails with EPERM.

    Other threads of the program can change the memory that the arguments point to at any time, even
    after you have read it. So do not use `allow()` to permit a call because of that memory's
    contents. Perform the action for the program, and answer with the result.
    """

    __slots__ = ("_listener",)

    def __init__(self, listener: _Listener) -> None:
        self._listener = listener

    def fileno(self) -> int:
        """Return its descriptor, borrowed, which is readable when a call waits.

        The descriptor is the one that `seccomp_unotify(2)` describes.
        """
        return self._listener.fileno()

    def receive(self, timeout: float | None = None) -> Notification | None:
        """Return the next call, waiting up to `timeout` seconds.

        Return None after the timeout, or if no process is left that could make a call.
        """
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
    """The record of a program's run, from `Sandbox.learn`."""

    outcome: seclude.Outcome
    """How the program ended."""
    stdout: bytes
    stderr: bytes
    calls: dict[str, int]
    """The system calls that it made, with their counts."""
    refused: frozenset[str]
    """Those of the calls that the sandbox's filter refuses, and refused in this run."""
    paths: frozenset[bytes]
    """The paths that it named, as seen inside, whether or not they exist."""
    sandbox: seclude.Sandbox
    """The sandbox with a filter for these calls only, treated as its own filter treats them.

    Every other call fails with EPERM. `sandbox.to_toml()` gives the policy as text. One run may not
    do everything that the program can do.
    """
