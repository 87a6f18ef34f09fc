"""What a private network costs, over a sandbox with loopback only and over loopback itself.

Usage: networks.py --python PYTHON [--rounds N], where PYTHON has the wheel. All takes turns in one
run. Prints medians and their ratios: a cell that is a member over one that is not, a round trip
between members over one on loopback, and the same for throughput.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys

INSIDE = """
import sys, time, socket, statistics, seclude

ECHO = '''
import socket
server = socket.create_server(("", 7), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    stream, _ = server.accept()
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if stream.recv(1) == b"p":
        while data := stream.recv(1): stream.sendall(data)
    else:
        while stream.recv(1 << 20): pass
'''
ASK = '''
import socket, sys, time
def connect(kind):
    stream = socket.create_connection((sys.argv[1], 7))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.sendall(kind)
    return stream
stream = connect(b"p")
start = time.perf_counter_ns()
for _ in range(2000):
    stream.sendall(b"x"); stream.recv(1)
trip = (time.perf_counter_ns() - start) / 2000
stream = connect(b"t")
block = bytes(1 << 20)
start = time.perf_counter_ns()
for _ in range(300): stream.sendall(block)
print(trip, (time.perf_counter_ns() - start) / 300)
'''
network = seclude.Network()
server = seclude.Sandbox(network=network, hostname="server").cell()
running = server.popen(["python3", "-c", ECHO])
assert server.wait_ready(7, timeout=60)
client = seclude.Sandbox(network=network).cell()
plain, member = seclude.Sandbox(), seclude.Sandbox(network=network)
for line in sys.stdin:
    word = line.strip()
    if word in ("plain", "member"):
        box = plain if word == "plain" else member
        start = time.perf_counter_ns()
        cell = box.cell()
        print(time.perf_counter_ns() - start, flush=True)
        cell.close()
    else:
        cell, host = (server, "127.0.0.1") if word == "loopback" else (client, "server")
        done = cell.run(["python3", "-c", ASK, host], capture_output=True, check=True)
        print(done.stdout.decode().strip(), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    caller = subprocess.Popen(
        [options.python, "-c", INSIDE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert caller.stdin
    assert caller.stdout
    found: dict[str, list[list[float]]] = {}
    for number in range(options.rounds + 5):
        # A round of traffic takes as long as many starts.
        traffic = ["loopback", "members"] if number % 10 == 0 else []
        for word in random.sample(["plain", "member", *traffic], 2 + len(traffic)):
            caller.stdin.write(f"{word}\n")
            caller.stdin.flush()
            numbers = [float(text) for text in caller.stdout.readline().split()]
            if number >= 5 or traffic:
                found.setdefault(word, []).append(numbers)
    caller.stdin.close()
    caller.wait()

    def median(word: str, index: int) -> float:
        return statistics.median(numbers[index] for numbers in found[word])

    for name, over, under, index in [
        ("a member over a plain cell", "member", "plain", 0),
        ("round trip between members over loopback", "members", "loopback", 0),
        ("time to send 1 MiB between members over loopback", "members", "loopback", 1),
    ]:
        high, low = median(over, index), median(under, index)
        print(f"{name}: {high / low:.2f} ({high / 1000:.0f} and {low / 1000:.0f} us)")


if __name__ == "__main__":
    main()
