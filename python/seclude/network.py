"""Private networks that sandboxes and cells join: `seclude.Network`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Self

import seclude

from . import _seclude


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a private network."""

    hostname: str | None
    """The host name, or None if the policy sets none."""
    addresses: tuple[str, ...]
    """Its addresses, IPv4 first."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a member of a network has sent and received since it joined.

    The kernel counts it at the port of the switch. Bytes include the headers of the frames.
    """

    sent_packets: int
    """The frames that it has sent."""
    sent_bytes: int
    """The bytes in these frames."""
    received_packets: int
    """The frames that it has received. Those that were lost on the way do not count."""
    received_bytes: int
    """The bytes in these frames."""


class Network:
    r"""A private network that sandboxes and cells join: `Sandbox(network=...)`.

    Each member has an Ethernet device `eth0` with an address of its own, and reaches the others
    directly, in IPv4 and IPv6. Nothing leads out: neither to the host nor to another network. The
    members find each other by their host names (`Sandbox(hostname=...)`), which are in the
    `/etc/hosts` of each. A member is part of the network as long as its sandbox lives.

    `name` has 1 to 64 bytes and is "network" by default. Policies as text name the network by it.
    `subnets` are one in the form "10.9.0.0/24", one in the form "fd00:9::/64", or one of each. By
    default the network has 254 IPv4 addresses, and IPv6 unless the kernel has none, and no other
    network of this process has the same.

    No privileges are needed. A command can change neither the links and addresses nor the routes
    and packet filters of its network, whatever capabilities it keeps.

    The network ends with the last object, sandbox and member that refers to it. There is nothing to
    close. Any thread may use a network. It exists only in the process that made it, so it cannot be
    pickled, and a process forked from that one can neither use nor change it.

    Raises SetupError of kind `namespaces-denied` if the host allows no user and network namespaces,
    and of kind `unsupported` if the kernel has no bridges or no virtual Ethernet devices.

        >>> import seclude
        >>> network = seclude.Network()
        >>> server = seclude.Sandbox(network=network, hostname="server").cell()
        >>> client = seclude.Sandbox(network=network, hostname="client")
        >>> found = client.run(["getent", "hosts", "server"], capture_output=True, text=True)
        >>> found.stdout.split()[-1]
        'server'
        >>> server.close()
    """

    __slots__ = ("_core",)
    _core: _seclude.Network

    def __init__(self, name: str | None = None, subnets: Iterable[str] | None = None) -> None:
        self._core = _seclude.Network.make(name, names("subnets", subnets or ()))

    @classmethod
    def _of(cls, core: _seclude.Network) -> Self:
        network = cls.__new__(cls)
        network._core = core
        return network

    @property
    def name(self) -> str:
        """The name, by which policies as text name the network."""
        return self._core.name

    @property
    def subnets(self) -> list[str]:
        """The subnets, such as "10.64.0.0/24", IPv4 first."""
        return self._core.subnets()

    @property
    def members(self) -> list[Member]:
        """The members at this moment, in the order of their addresses."""
        return [Member(hostname, tuple(found)) for hostname, found in self._core.members()]

    def __str__(self) -> str:
        """Draw the network: its members, their addresses, and the faults between them."""
        return str(self._core)

    def traffic(self, member: str) -> Traffic:
        """Return what a member has sent and received since it joined.

        The member is named by its host name or by one of its addresses. Raises PolicyError if there
        is none.
        """
        return Traffic(*self._core.traffic(member))

    def partition(self, groups: Iterable[Iterable[str]]) -> None:
        """Part the members into groups that do not reach each other.

        The members that no group names form a group of their own. This replaces an earlier
        partition.

        A fault applies to whoever has the name, also to a member that ends and starts again. The
        members may run meanwhile. A frame that meets a fault is lost. The ports of the network
        change one after another, within about a tenth of a millisecond each.

        Raises PolicyError if there is no such member, or if one is in two groups; SetupError of
        kind `unsupported` if the kernel has no classic filters (CONFIG_NET_CLS_BPF).
        """
        self._core.partition([names("groups", group) for group in groups])

    def isolate(self, member: str) -> None:
        """Cut a member off from all others. Raises as `partition` does."""
        self._core.isolate(member)

    def block(self, sender: str, receiver: str) -> None:
        """Drop everything that one member sends to another.

        The other direction stays as it is. Raises as `partition` does.
        """
        self._core.block(sender, receiver)

    def set_link(
        self,
        sender: str,
        receiver: str,
        *,
        delay: float = 0,
        jitter: float = 0,
        loss: float = 0,
        duplicate: float = 0,
        reorder: float = 0,
        rate: int | None = None,
        seed: int | None = None,
        backend: Literal["auto", "kernel", "relay"] = "auto",
    ) -> None:
        """Delay, lose, duplicate or reorder the frames that one member sends to another.

        This takes the place of an earlier call for the same two members, and without a fault ends
        it. The other direction stays as it is.

        - `delay`: seconds by which each frame comes later, at most 3600.
        - `jitter`: seconds by which the delay of each frame varies, in both directions, evenly. At
          most as long as the delay. The order of the frames stays.
        - `loss`, `duplicate`: the probabilities, from 0 to 1, that a frame is lost, or comes twice.
        - `reorder`: the probability that a frame comes at once, and overtakes those that are
          delayed.
        - `rate`: the most bits that are delivered in a second, 1000 or more. Frames wait for it, at
          most 10,000 of 16 MiB together; what is more is lost.
        - `seed`: the seed of the random numbers. With the same frames, the same ones are then lost,
          duplicated and reordered. By default it is another one each time.
        - `backend`: the part that does it. The kernel's filters can only lose frames, and not by a
          seed. Everything else is done by a thread of this process, the relay.

        A frame holds up to 64 KiB of a TCP stream. Frames of ARP and neighbour discovery are
        delayed, and never lost, duplicated or reordered.

        Raises PolicyError if a value is out of its range or has no effect. Otherwise as `partition`
        does.
        """
        probabilities = (loss, duplicate, reorder)
        self._core.set_link(sender, receiver, (delay, jitter), probabilities, rate, seed, backend)

    def heal(self) -> None:
        """End the partition, all isolation and all blocks. Links stay as they are."""
        self._core.heal()

    def __eq__(self, other: object) -> bool:
        return self._core == other._core if isinstance(other, Network) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.name, *self.subnets))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"cannot pickle the network {self.name!r}: it exists only in the process that made it"
        )

    def __repr__(self) -> str:
        return f"<seclude.Network: {self.name}, {' '.join(self.subnets)}>"


def names(what: str, given: Iterable[str]) -> list[str]:
    """Return a list of texts, and refuse a text, which is one of its letters."""
    if isinstance(given, str):
        raise TypeError(f"{what}: a list of texts is expected, not the text {given!r}")
    return list(given)


def wait_ready(
    listens: Callable[[int, float], bool],
    ended: Callable[[], bool],
    port: int,
    timeout: float | None,
) -> bool:
    """Ask until there is a listener, in short waits, so that signals are handled between them."""
    longest = 0.1
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = longest if deadline is None else max(0.0, deadline - time.monotonic())
        if listens(port, min(left, longest)):
            return True
        if left == 0 or ended():
            return False


def with_named(sandbox: seclude.Sandbox) -> seclude.Sandbox:
    """Make the network that a policy read from text names, and give it to the sandbox."""
    name = json.loads(sandbox.to_json()).get("network")
    return sandbox if name is None else sandbox.replace(network=Network(name))


def given(policy: dict[str, Any]) -> _seclude.Network | None:
    """Return the network that a policy holds, and leave its name in its place."""
    network = policy.get("network")
    if not isinstance(network, Network):
        return None
    policy["network"] = network.name
    return network._core
