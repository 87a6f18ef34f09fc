import asyncio
import concurrent.futures
import ctypes
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import tempfile
import venv


async def served():
    server = await asyncio.start_server(
        lambda _, writer: (writer.write(b"served"), writer.close()), "localhost", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    said = await reader.read()
    writer.close()
    server.close()
    return said.decode()


def main():
    with tempfile.TemporaryDirectory() as directory, open("file", "w") as file:
        file.write("moved")
        file.flush()
        os.replace("file", os.path.join(directory, "file"))
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.apply(abs, (-42,)))
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        print(sum(pool.map(abs, [-20, -22])))
    loopback = next(name for _, name in socket.if_nameindex() if name == "lo")
    print(asyncio.run(served()), socket.gethostbyname("localhost"), loopback)
    print(subprocess.check_output(["echo", "executed"], text=True).strip())
    print(sqlite3.connect("base").execute("select 6 * 7").fetchone()[0], ctypes.CDLL(None).abs(-42))
    venv.create("environment", with_pip=False)
    words = ["environment/bin/python", "-c", "print('in an environment')"]
    print(subprocess.check_output(words, text=True).strip())


if __name__ == "__main__":
    main()
