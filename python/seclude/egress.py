"""Published ports, and what sandboxes reach outside by the rules of their policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ._seclude import _Reached


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port of a sandbox that is published on the host: `Sandbox(ports=...)`.

    `str()` has the form of the policy, with the port of the host: `127.0.0.1:40123:80/tcp`.
    """

    address: tuple[str, int]
    """The address and port on the host that lead to it: what `socket.connect` takes."""
    inside: int
    """The port in the sandbox."""
    protocol: Literal["tcp", "udp"]

    def __str__(self) -> str:
        host, port = self.address
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{port}:{self.inside}/{self.protocol}"

    @staticmethod
    def _of(ports: list[tuple[str, int, int, Literal["tcp", "udp"]]]) -> list[PublishedPort]:
        """Convert ports of the extension."""
        return [PublishedPort((host, port), *rest) for host, port, *rest in ports]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a sandbox to reach something outside."""

    protocol: Literal["tcp", "udp"]
    """The protocol. A question for a name that is not allowed is one of UDP, to port 53."""
    name: str | None
    """The name of the host, if the program has asked for it by name."""
    address: str | None
    """The address that the program has chosen, or the one in place of the name.

    None if the name was not looked up.
    """
    port: int
    denial: str | None
    """Why it was denied. None if it was allowed, whether or not the destination answered."""

    def __str__(self) -> str:
        host = self.name or self.address
        if host is None:
            place = f"port {self.port}"
        else:
            place = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        behind = f" ({self.address})" if self.name and self.address else ""
        return f"{self.protocol} {place}{behind}: {self.denial or 'allowed'}"


@dataclass(frozen=True, slots=True)
class EgressReport:
    """What a sandbox has reached outside by the rules of its policy, and what it has tried in vain.

    All values are zero without such rules.
    """

    allowed: int
    """The number of attempts that were allowed."""
    denied: int
    """The number of attempts that were denied."""
    sent_bytes: int
    """The bytes that were carried out, without the headers of the protocols."""
    received_bytes: int
    """The bytes that were carried in."""
    attempts: tuple[Attempt, ...] = field(default=())
    """The last attempts, at most 1000, the oldest first.

    Attempts that are the same as the one before them are not listed again.
    """

    @staticmethod
    def _of(reached: _Reached) -> EgressReport:
        """Convert a report of the extension."""
        allowed, denied, sent_bytes, received_bytes, tried = reached
        attempts = tuple(Attempt(*attempt) for attempt in tried)
        return EgressReport(allowed, denied, sent_bytes, received_bytes, attempts)
