"""Published ports, and what sandboxes reach outside by rules."""

from __future__ import annotations

import contextlib
import copy
import http.server
import pathlib
import pickle
import re
import socket
import threading
from collections.abc import Iterator

import pytest

import seclude
from seclude import Attempt, EgressReport, PublishedPort, Sandbox

from .conftest import PATIENCE

ECHO = """
import socket, threading
def stream():
    server = socket.create_server(("", 7))
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"tcp " + connection.recv(100))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("", 7))
threading.Thread(target=stream).start()
while True:
    data, peer = datagrams.recvfrom(100)
    datagrams.sendto(b"udp " + data, peer)
"""
"""Answers on port 7, over TCP and UDP."""

ASK = """
import socket, sys
for place in sys.argv[1:]:
    kind, host, port = place.split()
    try:
        with socket.socket(socket.AF_INET, getattr(socket, kind)) as connection:
            connection.settimeout(30)
            connection.connect((host, int(port)))
            connection.sendall(b"question")
            print(connection.recv(100).decode())
    except OSError as error:
        print(type(error).__name__)
"""
"""Asks at each place, and prints the answer or the name of the error."""


def ask(port: PublishedPort) -> bytes:
    """Ask a server in a sandbox, from outside."""
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[port.protocol]
    family = socket.AF_INET6 if ":" in port.address[0] else socket.AF_INET
    with socket.socket(family, kind) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(port.address)
        connection.sendall(b"hello")
        return connection.recv(100)


def outside(kind: socket.SocketKind, answers: int) -> tuple[threading.Thread, int]:
    """Start a server on loopback that gives some answers, and return its thread and its port."""
    server = socket.socket(socket.AF_INET, kind)
    server.bind(("127.0.0.1", 0))
    server.settimeout(PATIENCE)
    if kind == socket.SOCK_STREAM:
        server.listen()

    def serve() -> None:
        with server:
            for _ in range(answers):
                if kind == socket.SOCK_STREAM:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(b"answer to " + connection.recv(100))
                else:
                    data, peer = server.recvfrom(100)
                    server.sendto(b"answer to " + data, peer)

    port = int(server.getsockname()[1])
    thread = threading.Thread(target=serve)
    thread.start()
    return thread, port


@contextlib.contextmanager
def ended(process: seclude.Popen) -> Iterator[seclude.Popen]:
    """End a server at the end of the block."""
    with process:
        try:
            yield process
        finally:
            process.kill()


class Service(http.server.BaseHTTPRequestHandler):
    """Tells whether a request has the credential."""

    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Authorization"] == "Bearer 1234" else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_caller_adds_a_credential(tmp_path: pathlib.Path) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = tmp_path / "token"
    file.write_text("Authorization: Bearer 1234\n")
    program = "import urllib.request as r; print(r.urlopen('http://one.test/', timeout=30).status)"
    box = Sandbox(
        egress=["one.test:80"],
        egress_names=[f"one.test=127.0.0.1:{server.server_port}"],
        egress_credentials=[f"http://one.test={file}"],
        wall_time=PATIENCE,
    )
    for sandbox, expected in (box, "200\n"), (box.replace(egress_credentials=[]), ""):
        done = sandbox.run(["python3", "-c", program], capture_output=True, text=True)
        assert done.stdout == expected
        assert ("401" in done.stderr) == (not expected)
    server.shutdown()
    server.server_close()


def test_a_published_port_leads_into_the_sandbox_over_tcp_and_udp() -> None:
    box = Sandbox(ports=["7", "[::1]:7", "7/udp"], wall_time=PATIENCE)
    with ended(box.popen(["python3", "-c", ECHO])) as server:
        # It is bound to the port for datagrams before.
        assert server.wait_ready(7, PATIENCE)
        ports = server.ports
        assert [ask(port) for port in ports] == [b"tcp hello", b"tcp hello", b"udp hello"]
        assert [(port.inside, port.protocol) for port in ports] == [
            (7, "tcp"),
            (7, "tcp"),
            (7, "udp"),
        ]
        assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*:7/tcp", str(ports[0]))
        assert re.fullmatch(r"\[::1\]:[1-9]\d*:7/tcp", str(ports[1]))
        assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*:7/udp", str(ports[2]))
        assert pickle.loads(pickle.dumps(ports)) == ports
        # The form is the policy's own.
        assert Sandbox(ports=map(str, ports)) == Sandbox(ports=[str(port) for port in ports])
    assert server.ports == []
    with pytest.raises(ConnectionRefusedError):
        ask(ports[0])


def test_a_cell_has_ports_until_it_is_closed() -> None:
    with Sandbox(ports=["7"]).cell() as cell:
        with ended(cell.popen(["python3", "-c", ECHO])) as server:
            assert cell.wait_ready(7, PATIENCE)
            assert server.ports == cell.ports
            assert ask(cell.ports[0]) == b"tcp hello"
        before = cell.ports
        cell.reset()
        assert cell.ports == before
    with pytest.raises(seclude.PolicyError, match="closed"):
        print(cell.ports)


async def serve_on_a_loop(box: Sandbox) -> tuple[list[PublishedPort], EgressReport]:
    process = await box.asyncio.create_subprocess_exec("cat", stdin=seclude.PIPE)
    ports, report = process.ports, process.egress()
    process.kill()
    await process.wait()
    return ports, report


async def serve_on_any_loop(box: Sandbox) -> tuple[list[PublishedPort], EgressReport]:
    async with await box.aio.popen(["cat"], stdin=seclude.PIPE) as process:
        ports, report = process.ports, process.egress()
        process.kill()
    return ports, report


@pytest.mark.parametrize("serve", [serve_on_a_loop, serve_on_any_loop])
def test_a_command_on_an_event_loop(serve: type) -> None:
    import asyncio

    ports, report = asyncio.run(serve(Sandbox(ports=["7"], egress=["example.org"])))
    assert [(port.address[0], port.inside) for port in ports] == [("127.0.0.1", 7)]
    assert report == EgressReport(0, 0, 0, 0)


def test_what_rules_allow_is_reached_and_reported() -> None:
    server, port = outside(socket.SOCK_STREAM, 2)
    names = [f"one.test=127.0.0.1:{port}"]
    box = Sandbox(egress=["*.test:7"], egress_names=names, wall_time=PATIENCE)
    place = "SOCK_STREAM one.test 7"
    done = box.run(["python3", "-c", ASK, place, place], capture_output=True, text=True)
    assert done.stdout == "answer to question\n" * 2
    server.join()
    report = done.outcome.egress
    assert report == EgressReport(
        allowed=2,
        denied=0,
        sent_bytes=16,
        received_bytes=36,
        # The second attempt is the same as the first one.
        attempts=(Attempt("tcp", "one.test", "127.0.0.1", 7, None),),
    )
    assert str(report.attempts[0]) == "tcp one.test:7 (127.0.0.1): allowed"
    assert pickle.loads(pickle.dumps(done.outcome)) == done.outcome
    assert pickle.loads(pickle.dumps(report)) == copy.deepcopy(report) == report


def test_datagrams_are_carried_both_ways() -> None:
    server, port = outside(socket.SOCK_DGRAM, 1)
    names = [f"one.test=127.0.0.1:{port}"]
    box = Sandbox(egress=["one.test/udp"], egress_names=names, wall_time=PATIENCE)
    places = ["SOCK_DGRAM one.test 7", "SOCK_STREAM one.test 7"]
    done = box.run(["python3", "-c", ASK, *places], capture_output=True, text=True)
    assert done.stdout == "answer to question\nConnectionResetError\n"
    server.join()
    report = done.outcome.egress
    assert report is not None
    assert (report.allowed, report.denied, report.received_bytes) == (1, 1, 18)
    assert [str(attempt) for attempt in report.attempts] == [
        "udp one.test:7 (127.0.0.1): allowed",
        "tcp one.test:7: no rule allows it",
    ]


def test_what_no_rule_allows_is_denied_and_reported() -> None:
    box = Sandbox(
        egress=["*", "127.0.0.1"],
        egress_deny=["8.8.0.0/16", "*.test:1-79"],
        egress_names=["one.test=127.0.0.1"],
        wall_time=PATIENCE,
    )
    places = [
        "SOCK_STREAM 8.8.8.8 80",
        "SOCK_STREAM one.test 7",
        "SOCK_STREAM 169.254.169.254 80",
        "SOCK_STREAM ::ffff:10.0.0.1 80",
    ]
    script = ASK.replace("socket.AF_INET,", "socket.AF_INET6 if ':' in host else socket.AF_INET,")
    with box.popen(["python3", "-c", script, *places], stdout=seclude.PIPE, text=True) as process:
        out, _ = process.communicate()
    assert out == "ConnectionResetError\n" * 4
    report = process.egress()
    assert process.outcome is not None
    assert process.outcome.egress == report
    assert (report.allowed, report.denied, report.sent_bytes) == (0, 4, 0)
    assert [str(attempt) for attempt in report.attempts] == [
        'tcp 8.8.8.8:80: the rule "8.8.0.0/16" denies it',
        'tcp one.test:7: the rule "*.test:1-79" denies it',
        "tcp 169.254.169.254:80: no rule allows it",
        "tcp 10.0.0.1:80: no rule allows it",
    ]
    assert report.attempts[1] == Attempt(
        "tcp", "one.test", None, 7, 'the rule "*.test:1-79" denies it'
    )


def test_a_name_that_no_rule_allows_does_not_exist() -> None:
    box = Sandbox(egress=["one.test"], egress_names=["one.test=127.0.0.1"], wall_time=PATIENCE)
    found = box.run(["getent", "ahostsv4", "other.test"], capture_output=True)
    assert (found.returncode, found.stdout) == (2, b"")
    assert found.outcome.egress is not None
    assert {str(attempt) for attempt in found.outcome.egress.attempts} == {
        "udp other.test:53: no rule allows the name"
    }
    found = box.run(["getent", "ahostsv4", "one.test"], capture_output=True)
    assert found.stdout.startswith(b"198.18.0.16 ")


def test_a_cell_counts_for_all_its_commands_until_a_reset() -> None:
    with Sandbox(egress=["example.org"], wall_time=PATIENCE).cell() as cell:
        for count in (1, 2):
            done = cell.run(["python3", "-c", ASK, "SOCK_STREAM 8.8.8.8 80"], capture_output=True)
            assert done.stdout == b"ConnectionResetError\n"
            assert done.outcome.egress == cell.egress()
            assert (cell.egress().denied, len(cell.egress().attempts)) == (count, 1)
        cell.reset()
        assert cell.egress() == EgressReport(0, 0, 0, 0)
    with pytest.raises(seclude.PolicyError, match="closed"):
        cell.egress()


def test_without_rules_there_is_no_report() -> None:
    with Sandbox(ports=["7"]).popen(["true"]) as process:
        assert process.egress() == EgressReport(0, 0, 0, 0)
    assert process.outcome is not None
    assert process.outcome.egress is None


def test_values_have_the_form_of_the_library() -> None:
    # The lines are those of the core: core/src/policy/outcome/egress.rs.
    for attempt, line in [
        (Attempt("tcp", "a.test", "::1", 443, None), "tcp a.test:443 (::1): allowed"),
        (Attempt("udp", None, "fd00::1", 53, "no"), "udp [fd00::1]:53: no"),
        (Attempt("tcp", None, "8.8.8.8", 80, None), "tcp 8.8.8.8:80: allowed"),
        (Attempt("tcp", None, None, 80, "no"), "tcp port 80: no"),
    ]:
        assert str(attempt) == line
        assert pickle.loads(pickle.dumps(attempt)) == attempt
    assert str(PublishedPort(("::1", 8080), 80, "tcp")) == "[::1]:8080:80/tcp"


def test_mistakes_name_themselves() -> None:
    for wrong in (["80:x"], ["80/sctp"], ["8080:80", "8080:81"], ["host:8080:80"]):
        with pytest.raises(seclude.PolicyError, match="port "):
            Sandbox(ports=wrong)
    for rule in ("a.*.org", "example.org:0", "10.0.0.1/8", "a b"):
        with pytest.raises(seclude.PolicyError, match=f'egress "{re.escape(rule)}"'):
            Sandbox(egress=[rule])
    with pytest.raises(seclude.PolicyError, match="nothing to deny"):
        Sandbox(egress_deny=["example.org"])
    with pytest.raises(seclude.PolicyError, match="no rule allows the name"):
        Sandbox(egress=["example.org"], egress_names=["example.net=127.0.0.1"])
    for policy in ({"ports": ["80"]}, {"egress": ["*"]}):
        with pytest.raises(seclude.PolicyError, match="the net namespace is shared"):
            Sandbox(share=["net"], **policy)  # type: ignore[arg-type]
        key = next(iter(policy))
        with pytest.raises(seclude.PolicyError, match=f"{key}.*is not a list"):
            Sandbox(**{key: "80"})  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        box = Sandbox(ports=[f"{taken.getsockname()[1]}:80"])
        with pytest.raises(seclude.PolicyError, match="another socket has the port"):
            box.run(["true"])


def test_a_function_decides_about_what_no_rule_is_about() -> None:
    asked: list[Attempt] = []

    def decide(attempt: Attempt) -> bool:
        asked.append(attempt)
        return attempt.name == "allowed.test"

    program = """
import socket
for host in "denied.test", "8.8.8.8", "169.254.169.254", "allowed.test":
    try:
        with socket.create_connection((host, 80)) as connection:
            print(connection.recv(100).decode())
    except OSError as error:
        print(type(error).__name__)
"""

    def answer() -> None:
        with server.accept()[0] as connection:
            connection.sendall(b"hello")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        names = [f"allowed.test=127.0.0.1:{server.getsockname()[1]}"]
        box = Sandbox(egress_ask=True, egress_deny=["denied.test"])
        with pytest.raises(seclude.PolicyError, match="nothing answers"):
            box.run(["true"])
        box = box.decide_egress(decide).replace(egress_names=names)
        done = box.run(["python3", "-c", program], capture_output=True, text=True)
        thread.join(60)
    refused = "gaierror\nConnectionResetError\nConnectionResetError\n"
    assert done.stdout == f"{refused}hello\n"
    assert {(one.name, one.address, one.port) for one in asked} == {
        (None, "8.8.8.8", 80),
        ("allowed.test", None, 53),
        ("allowed.test", "127.0.0.1", 80),
    }
    assert done.outcome.egress is not None
    assert done.outcome.egress.allowed == 1


def test_a_sandbox_whose_destinations_a_function_decides_is_not_text() -> None:
    box = Sandbox().decide_egress(lambda _: False)
    assert box != Sandbox()
    assert box.replace(hostname="other") != Sandbox(hostname="other")
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(box)
