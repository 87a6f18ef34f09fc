import pty
import socket
import ssl
import tempfile
import threading

inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
inside.load_cert_chain("certificate", "key")
listener = socket.create_server(("localhost", 0))


def serve():
    inside.wrap_socket(listener.accept()[0], server_side=True).send(b"private")


threading.Thread(target=serve).start()
outside = ssl.create_default_context(cafile="certificate")
client = socket.create_connection(("localhost", listener.getsockname()[1]))
print(outside.wrap_socket(client, server_hostname="localhost").recv(10).decode())
with tempfile.NamedTemporaryFile() as file:
    print(file.name.startswith(tempfile.gettempdir()), flush=True)
print(pty.spawn(["echo", "in a terminal"]))
