"""Private networks: members, names, addresses, and cells that join further ones."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable

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


def test_the_tree_draws_a_network(network: Network) -> None:
    with member(network, "a").cell() as a, member(network, "b").cell() as b:
        seen = seclude.namespaces()
        assert [seen.of(cell.pid)["net"].addresses for cell in (a, b)] == [
            tuple(a.addresses),
            tuple(b.addresses),
        ]
        words = [sys.executable, "-m", "seclude", "tree", str(os.getpid())]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        ends = [line for line in done.stdout.splitlines() if line.startswith(("├─", "└─"))]
        assert [line.split()[-1] for line in ends] == [a.addresses[-1], b.addresses[-1]]


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
        home = cell.addresses[0]
        cell.reset()
        assert (cell.addresses, other.members) == ([home], [])
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


def test_faults_between_members(network: Network) -> None:
    ask = ["python3", "-c", "import socket, sys; socket.create_connection((sys.argv[1], 7), 0.3)"]
    server_code = "import socket, time; s = socket.create_server(('', 7)); time.sleep(1000)"
    serve = ["python3", "-c", server_code]
    with member(network, "a").cell() as a, member(network, "b").cell() as b:
        server = b.popen(serve)
        assert not b.wait_ready(8, 0)
        assert server.wait_ready(7)
        assert b.wait_ready(7, PATIENCE)

        def reached() -> bool:
            return a.run([*ask, "b"], capture_output=True).returncode == 0

        assert reached()
        faults: list[Callable[[], None]] = [
            lambda: network.partition([["a"], ["b"]]),
            lambda: network.isolate("b"),
            lambda: network.block("a", "b"),
            lambda: network.block("b", a.addresses[0]),
        ]
        for fault in faults:
            fault()
            assert not reached()
            network.heal()
            assert reached()
        network.set_link("a", "b", loss=1)
        assert not reached()
        network.heal()
        assert not reached()
        network.set_link("a", "b", delay=0.001, jitter=0.0005, rate=10_000_000, seed=1)
        assert reached()
        network.set_link("a", "b", loss=1, seed=1, backend="relay")
        assert not reached()
        assert str(network).splitlines()[1:3] == ["├─ a  10.9.0.1", "│  └─ to b: loss 1, seed 1"]
        network.set_link("a", "b")
        assert reached()
        counted = network.traffic("b")
        assert min(counted.received_packets, counted.sent_packets) > 5
        assert counted.received_bytes > counted.received_packets * 40
        server.kill()
        server.wait()
        assert not server.wait_ready(7, PATIENCE)


def test_faults_of_no_one_are_mistakes(network: Network) -> None:
    with member(network, "a").cell(), member(network, "b").cell():
        for mistake in (
            lambda: network.partition([["a"], ["x"]]),
            lambda: network.partition([["a"], ["a"]]),
            lambda: network.isolate("x"),
            lambda: network.block("a", "x"),
            lambda: network.set_link("a", "b", loss=2),
            lambda: network.set_link("a", "b", delay=-1),
            lambda: network.set_link("a", "b", reorder=0.1),
            lambda: network.set_link("a", "b", delay=1, jitter=2),
            lambda: network.set_link("a", "b", delay=1, backend="kernel"),
            lambda: network.set_link("a", "b", rate=10),
            lambda: network.traffic("x"),
        ):
            with pytest.raises(seclude.PolicyError):
                mistake()
        with pytest.raises(TypeError, match="a list of texts"):
            network.partition(["a"])


def test_a_forked_process_can_only_drop_a_network(network: Network) -> None:
    cell = member(network, "a").cell()
    child = os.fork()
    if child == 0:
        refused = 0
        uses: list[Callable[[], object]] = [
            lambda: member(network, "b").cell(),
            lambda: network.isolate("a"),
            network.heal,
            lambda: network.traffic("a"),
            lambda: member(network, "b").run(["true"]),
        ]
        try:
            for use in uses:
                with contextlib.suppress(seclude.PolicyError):
                    use()
                    continue
                refused += 1
            del cell
        finally:
            os._exit(refused)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 5
    assert [one.hostname for one in network.members] == ["a"]
    assert cell.run(["true"]).returncode == 0
    cell.close()
