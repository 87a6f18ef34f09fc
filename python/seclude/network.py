"""Private networks that sandboxes and cells join: `seclude.Network`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, Self

import seclude

from . import _seclude


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a private network."""

    hostname: str | None
    """The host name, or None if the policy sets none."""
    addresses: tuple[str, ...]
    """Its addresses, IPv4 first."""


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
        if isinstance(subnets, str):
            raise TypeError(f"subnets: a list of texts is expected, not the text {subnets!r}")
        self._core = _seclude.Network.make(name, list(subnets or ()))

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
