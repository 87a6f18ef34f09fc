"""What a private network costs, over a sandbox with loopback only and over loopback itself.

Usage: networks.py --python PYTHON [--rounds N], where PYTHON has the wheel. All takes turns in one
run. Prints medians and their ratios: a cell that is a member over one that is not, and a round trip
and throughput over those on loopback: between members, through a published port, and through the
way out. And how much later than asked a round trip over a delayed link ends.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys

INSIDE = """
import subprocess, sys, time, socket, statistics, seclude

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
    stream = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.sendall(kind)
    return stream
stream = connect(b"p")
trips = int(sys.argv[3])
start = time.perf_counter_ns()
for _ in range(trips):
    stream.sendall(b"x"); stream.recv(1)
trip = (time.perf_counter_ns() - start) / trips
if trips < 100:
    print(trip)
    sys.exit()
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
lab = seclude.Network()
far, near = (seclude.Sandbox(network=lab, hostname=name).cell() for name in ("far", "near"))
echo = far.popen(["python3", "-c", ECHO])
assert far.wait_ready(7, timeout=60)
for pair in ("far", "near"), ("near", "far"):
    lab.set_link(*pair, delay=0.005)
host = subprocess.Popen([sys.executable, "-c", ECHO.replace('""', '"127.0.0.2"').replace(
    "family=socket.AF_INET6, dualstack_ipv6=True", "family=socket.AF_INET").replace("7)", "7077)")])
published = seclude.Sandbox(ports=["7"]).cell()
serving = published.popen(["python3", "-c", ECHO])
assert published.wait_ready(7, timeout=60)
out = seclude.Sandbox(egress=["echo.test"], egress_names=["echo.test=127.0.0.2:7077"]).cell()
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
        cell, name, port, trips = {
            "loopback": (server, "127.0.0.1", 7, 2000),
            "members": (client, "server", 7, 2000),
            "published": (subprocess, *published.ports[0].address, 2000),
            "out": (out, "echo.test", 7, 2000),
            "delayed": (near, "far", 7, 50),
        }[word]
        command = ["python3", "-c", ASK, name, str(port), str(trips)]
        done = cell.run(command, capture_output=True, check=True)
        print(done.stdout.decode().strip(), flush=True)
host.kill()
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
        often = number % 10 == 0
        traffic = ["loopback", "members", "published", "out", "delayed"] if often else []
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
        ("round trip through a published port over loopback", "published", "loopback", 0),
        ("round trip through the way out over loopback", "out", "loopback", 0),
        ("time to send 1 MiB between members over loopback", "members", "loopback", 1),
        ("time to send 1 MiB through a published port over loopback", "published", "loopback", 1),
        ("time to send 1 MiB through the way out over loopback", "out", "loopback", 1),
    ]:
        high, low = median(over, index), median(under, index)
        print(f"{name}: {high / low:.2f} ({high / 1000:.0f} and {low / 1000:.0f} us)")
    late = median("delayed", 0) / 1e6 - 10
    print(f"a round trip of 5 ms each way ends {late:.2f} ms late")


if __name__ == "__main__":
    main()
