"""Draw the private networks: which sandboxes are in one.

The network namespaces of its members belong to a user namespace of the network's own, in which
there is no process.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from .grow import clean

if TYPE_CHECKING:
    from ..namespace_list import LiveNamespace, Namespaces


def networks(seen: Namespaces, pid: int | None = None) -> list[str]:
    """Return a line for each network, and one for each member: first process and addresses.

    Members are sorted by their addresses. With `pid`, only members below this process count.
    """
    parents = {process.pid: process.parent for space in seen for process in space.processes}

    def is_below(member: LiveNamespace) -> bool:
        at = next((process.pid for process in member.processes), None)
        # The processes were read one after another. With an id that was used again meanwhile, the
        # line can be a circle.
        for _ in parents:
            if at is None or at == pid:
                break
            at = parents.get(at)
        return at == pid

    drawn = []
    for owner in seen:
        if owner.kind == "user" and not owner.processes:
            members = [
                space
                for space in seen
                if space.kind == "net" and space.owner == owner.id and space.addresses
                if pid is None or is_below(space)
            ]
            # The numbers of namespaces are used again, so they tell no order.
            members.sort(key=_place)
            if len(members) > 1:
                drawn.append(f"Network of user namespace {owner.id}")
                drawn += [f"├─ {_shown(member)}" for member in members[:-1]]
                drawn.append(f"└─ {_shown(members[-1])}")
    return drawn


def _place(member: LiveNamespace) -> list[tuple[int, int]]:
    addresses = map(ip_address, member.addresses)
    return [(address.version, int(address)) for address in addresses]


def _shown(member: LiveNamespace) -> str:
    words = [
        f"{'→'.join(map(str, process.pids))} {clean(process.name)}"
        for process in member.processes[:1]
    ]
    return " ".join([*words, *member.addresses])
