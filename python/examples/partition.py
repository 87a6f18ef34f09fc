"""Five nodes of a small replicated store, in a network that is partitioned and healed."""

from __future__ import annotations

import json
from typing import Any

import seclude

NODES = ["n1", "n2", "n3", "n4", "n5"]
PORT = 7000

# A node keeps each value with its version. The node that a client asks reads from all and writes to
# all, and says "unavailable" unless most of them answer: so two clients never see different values.
NODE = f"""
import json, socket, threading
nodes, store = {NODES!r}, {{}}

def ask(node, request):
    try:
        with socket.create_connection((node, {PORT}), 0.5) as stream:
            stream.settimeout(0.5)
            stream.sendall(json.dumps(request).encode() + b"\\n")
            return json.loads(stream.makefile().readline())
    except (OSError, ValueError):
        return None

def ask_all(request):
    answers = [None] * len(nodes)
    def one(index):
        answers[index] = ask(nodes[index], request)
    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(nodes))]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    answers = [answer for answer in answers if answer is not None]
    return answers if len(answers) > len(nodes) // 2 else None

def answer(request):
    kind, key = request["kind"], request["key"]
    if kind == "read":
        return store.get(key, [0, None])
    if kind == "write":
        store[key] = max(store.get(key, [0, None]), request["value"], key=lambda one: one[0])
        return "done"
    found = ask_all(dict(kind="read", key=key))
    if found is None:
        return "unavailable"
    newest = max(found, key=lambda one: one[0])
    if kind == "put":
        newest = [newest[0] + 1, request["value"]]
    done = ask_all(dict(kind="write", key=key, value=newest))
    return "unavailable" if done is None else newest[1]

def serve(stream):
    with stream:
        request = json.loads(stream.makefile().readline())
        stream.sendall(json.dumps(answer(request)).encode() + b"\\n")

server = socket.create_server(("", {PORT}))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""

CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as stream:
    stream.sendall(sys.argv[3].encode() + b"\\n")
    print(stream.makefile().readline())
"""


class Cluster:
    """The harness: nodes in sandboxes of their own, and a client beside each."""

    def __init__(self) -> None:
        self.network = seclude.Network()
        sandbox = seclude.Sandbox(network=self.network)
        self.cells = {name: sandbox.replace(hostname=name).cell() for name in NODES}
        # A process that nobody refers to any more is ended.
        self.nodes = [cell.popen(["python3", "-c", NODE]) for cell in self.cells.values()]
        for cell in self.cells.values():
            assert cell.wait_ready(PORT, timeout=60)

    def ask(self, node: str, kind: str, key: str, value: str | None = None) -> Any:
        """Ask a node, from beside it: clients are not cut off from their nodes."""
        request = json.dumps({"kind": kind, "key": key, "value": value})
        client = ["python3", "-c", CLIENT, node, str(PORT), request]
        return json.loads(self.cells[node].run(client, capture_output=True, check=True).stdout)

    def close(self) -> None:
        """End all nodes."""
        for cell in self.cells.values():
            cell.close()


def main() -> None:
    cluster = Cluster()
    print("n1 puts red:", cluster.ask("n1", "put", "color", "red"))
    print("n5 gets:", cluster.ask("n5", "get", "color"))

    cluster.network.partition([["n1", "n2"], ["n3", "n4", "n5"]])
    print("n1 puts green:", cluster.ask("n1", "put", "color", "green"))
    print("n4 puts blue:", cluster.ask("n4", "put", "color", "blue"))

    cluster.network.heal()
    print("n1 gets:", cluster.ask("n1", "get", "color"))

    cluster.network.isolate("n3")
    print("n3 gets:", cluster.ask("n3", "get", "color"))
    print("n2 gets:", cluster.ask("n2", "get", "color"))
    cluster.close()


if __name__ == "__main__":
    main()
