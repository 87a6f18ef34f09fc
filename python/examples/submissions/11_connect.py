# contained: connects to the judge's machine and to the network
import os
import socket
import sys

for family, address in (
    (socket.AF_INET, ("127.0.0.1", int(os.environ["TARGET_PORT"]))),
    (socket.AF_UNIX, "\0" + os.environ["TARGET_SOCKET"]),
    (socket.AF_INET, ("192.0.2.1", 80)),
):
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        try:
            connection.settimeout(0.2)
            connection.connect(address)
            print(f"attack: connect to {address}: SUCCEEDED", file=sys.stderr)
        except OSError as error:
            print(f"attack: connect to {address}: {error.strerror or error}", file=sys.stderr)
