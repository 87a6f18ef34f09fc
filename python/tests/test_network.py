"""Private networks: members, names, addresses, and cells that join further ones."""

from __future__ import annotations

import copy
import pickle

import pytest

import seclude
from seclude import Network, Sandbox

from .conftest import PATIENCE


@pytest.fixture
def network() -> Network:
    """Make a network with known addresses."""
    return Network("lab", ["10.9.0.0/24"])


def member(network: Network, hostname: str) -> Sandbox:
    return Sandbox(network=network, hostname=hostname, wall_time=PATIENCE)


def test_members_find_each_other_by_name(network: Network) -> None:
    with member(network, "server").replace(address="10.9.0.5").cell() as cell:
        assert cell.addresses == ["10.9.0.5"]
        assert network.members == [seclude.Member("server", ("10.9.0.5",))]
        found = member(network, "client").run(
            ["getent", "hosts", "server"], capture_output=True, text=True
        )
        assert found.stdout.split() == ["10.9.0.5", "server"]
        with Sandbox(network=network).popen(["cat"], stdin=seclude.PIPE) as process:
            assert [(one.hostname, list(one.addresses)) for one in network.members[1:]] == [
                (None, process.addresses)
            ]
            process.kill()
        assert process.addresses == []
    assert network.members == []


def test_a_network_chooses_what_is_not_said() -> None:
    one, other = Network(), Network()
    assert (one.name, one == other, one.subnets == other.subnets) == ("network", False, False)
    assert repr(one) == f"<seclude.Network: network, {' '.join(one.subnets)}>"
    with Sandbox().popen(["cat"], stdin=seclude.PIPE) as process:
        assert process.addresses == []
        process.kill()


def test_a_cell_joins_and_leaves_a_further_network(network: Network) -> None:
    other = Network("other", ["10.8.0.0/24"])
    with member(network, "both").cell() as cell:
        there = cell.connect(other)
        assert there[0].startswith("10.8.0.")
        assert cell.addresses[1:] == there
        assert [one.hostname for one in other.members] == ["both"]
        with pytest.raises(seclude.PolicyError, match="overlap"):
            cell.connect(Network("same", ["10.9.0.0/16"]))
        cell.disconnect(other)
        assert (len(cell.addresses), other.members) == (1, [])
        with pytest.raises(seclude.PolicyError, match="no member"):
            cell.disconnect(other)
        cell.connect(other)
        cell.reset()
        assert (len(cell.addresses), other.members) == (1, [])
    with pytest.raises(seclude.PolicyError, match="closed"):
        cell.connect(other)
    with (
        Sandbox(share={"net"}).cell() as cell,
        pytest.raises(seclude.PolicyError, match="no network of its own"),
    ):
        cell.connect(other)


async def ask_on_a_loop(box: Sandbox) -> list[str]:
    process = await box.asyncio.create_subprocess_exec("cat", stdin=seclude.PIPE)
    addresses = process.addresses
    process.kill()
    await process.wait()
    return addresses


def test_a_command_on_an_event_loop(network: Network) -> None:
    import asyncio

    assert len(asyncio.run(ask_on_a_loop(member(network, "one")))) == 1


def test_a_sandbox_keeps_its_network_and_is_compared_with_it(network: Network) -> None:
    box = member(network, "one")
    same = Network("lab", ["10.9.0.0/24"])
    assert box == member(network, "one")
    assert hash(box) == hash(member(network, "one"))
    assert box != member(same, "one")
    assert box.replace(uid=5).replace(uid=None) == box
    assert box.replace(network=None) == Sandbox(hostname="one", wall_time=PATIENCE)
    assert "network='lab'" in repr(box)
    assert '"network":"lab"' in box.to_json().replace(" ", "")
    assert copy.copy(network) is network


def test_neither_is_pickled(network: Network) -> None:
    box = member(network, "one")
    with pytest.raises(TypeError, match="cannot pickle the network 'lab'"):
        pickle.dumps(network)
    with pytest.raises(TypeError, match=r"'lab'.*pickle replace\(network=None\)"):
        pickle.dumps(box)
    assert pickle.loads(pickle.dumps(box.replace(network=None))) == box.replace(network=None)


def test_a_policy_as_text_names_its_network(network: Network) -> None:
    box = Sandbox.from_toml("network = 'lab'\naddress = '10.9.0.7'")
    assert box == Sandbox(network="lab", address="10.9.0.7")
    assert pickle.loads(pickle.dumps(box)) == box
    with pytest.raises(seclude.PolicyError, match="the policy names it, and nothing gives it"):
        box.run(["true"])
    with box.replace(network=network).cell() as cell:
        assert cell.addresses == ["10.9.0.7"]


def test_mistakes_name_themselves(network: Network) -> None:
    for wrong in (["10.9.0.1/24"], ["lab"], ["10.9.0.0/24", "10.8.0.0/24"]):
        with pytest.raises(seclude.PolicyError, match="subnet"):
            Network(subnets=wrong)
    with pytest.raises(TypeError, match="a list of texts"):
        Network(subnets="10.9.0.0/24")
    with pytest.raises(seclude.PolicyError, match="name"):
        Network("")
    with pytest.raises(seclude.PolicyError, match=r"addresses are 10\.9\.0\.0/24"):
        Sandbox(network=network, address="192.0.2.1")
    with pytest.raises(seclude.PolicyError, match="others look up"):
        Sandbox(network=network, hostname="one two")
    with pytest.raises(seclude.PolicyError, match="shared"):
        Sandbox(network=network, share={"net"})
    with pytest.raises(seclude.PolicyError, match="no network"):
        Sandbox(address="10.9.0.5")
    with (
        member(network, "one").cell(),
        pytest.raises(seclude.PolicyError, match="a member of the network lab has it"),
    ):
        member(network, "one").run(["true"])
