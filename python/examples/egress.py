"""A server in a sandbox that the caller reaches by a published port, and that reaches one name.

The server passes on what it is asked to a service of this program. A policy for the real world
would allow a name such as api.example.org:443, without an address in its place.
"""

import socket
import threading

import seclude

SERVER = """
import socket

def ask(host, port, question):
    try:
        with socket.create_connection((host, port)) as connection:
            connection.sendall(question)
            return connection.recv(100)
    except OSError as error:
        return error.strerror.encode()

server = socket.create_server(("", 80))
guest, _ = server.accept()
question = guest.recv(100)
guest.sendall(ask("service.test", 80, question) + b"; " + ask("203.0.113.5", 80, question))
"""


def serve(service: socket.socket) -> None:
    """Answer one question outside of the sandbox."""
    connection, _ = service.accept()
    with connection:
        connection.sendall(b"the service was asked: " + connection.recv(100))


with socket.create_server(("127.0.0.1", 0)) as service:
    threading.Thread(target=serve, args=[service], daemon=True).start()
    port = service.getsockname()[1]
    sandbox = seclude.Sandbox(
        ports=["80"],
        egress=["service.test:80"],
        egress_names=[f"service.test=127.0.0.1:{port}"],
        wall_time=20,
    )
    with sandbox.popen(["python3", "-c", SERVER]) as server:
        server.wait_ready(80)
        (published,) = server.ports
        print(f"published {published}")
        with socket.create_connection(published.address) as connection:
            connection.sendall(b"who is there?")
            print(connection.makefile().read())

assert server.outcome is not None
report = server.outcome.egress
assert report is not None
print(f"{report.sent_bytes} bytes sent, {report.received_bytes} received")
for attempt in report.attempts:
    print(attempt)
