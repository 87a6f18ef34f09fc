"""A private network: a server in one sandbox, and a client in another that finds it by its name.

No other program on the machine can reach either.
"""

import seclude

SERVER = """
import socket
server = socket.create_server(("", 80))
print("it listens", flush=True)
guest, (address, port) = server.accept()
guest.sendall(b"hello, " + guest.recv(100))
"""
CLIENT = """
import socket
server = socket.create_connection(("server", 80))
server.sendall(socket.gethostname().encode())
print(server.recv(100).decode())
"""

network = seclude.Network(subnets=["10.9.0.0/24"])
servers = seclude.Sandbox(network=network, hostname="server", address="10.9.0.5", wall_time=10)
clients = seclude.Sandbox(network=network, hostname="client", wall_time=10)

with servers.popen(["python3", "-c", SERVER], stdout=seclude.PIPE, text=True) as server:
    print("the server's address is", *server.addresses)
    assert server.stdout is not None
    print(server.stdout.readline(), end="")
    for member in network.members:
        print("a member:", member.hostname)
    done = clients.run(["python3", "-c", CLIENT], capture_output=True, text=True)
    print(done.stdout, end="")
