"""Attempts to reach what is the caller's. Prints the name of each that succeeds.

Usage: attempts.py SCENE, or attempts.py SCENE victim for the process that has it all.
"""

import ctypes
import fcntl
import json
import os
import resource
import socket
import sys

AT = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
IPC_CREAT = 0o1000
IPC_RMID = 0


def call(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def be_victim() -> None:
    """Tells its number and port, and lives until its input ends."""
    stream = socket.create_server(("127.0.0.1", 0))
    at_path = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    at_path.bind(AT["socket"])
    at_path.listen()
    abstract = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    abstract.bind("\0" + AT["abstract"])
    abstract.listen()
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(AT["datagrams"])
    key = os.getpid()
    shared = call(libc.shmget(key, 4096, IPC_CREAT | 0o600))
    semaphores = call(libc.semget(key, 1, IPC_CREAT | 0o600))
    messages = call(libc.msgget(key, IPC_CREAT | 0o600))
    print(key, stream.getsockname()[1], flush=True)
    sys.stdin.read()
    libc.shmctl(shared, IPC_RMID, None)
    libc.semctl(semaphores, 0, IPC_RMID)
    libc.msgctl(messages, IPC_RMID, None)


if sys.argv[2:] == ["victim"]:
    be_victim()
    sys.exit()

VICTIM, PORT = AT["victim"], AT["port"]


def open_and(path: str, then) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        then(descriptor)
    finally:
        os.close(descriptor)


def connect(family: int, kind: int, address) -> None:
    with socket.socket(family, kind) as one:
        one.connect(address)


def from_pair(kind: int) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    with one, other:
        one.connect(AT["datagrams"])


def memory_of_victim() -> None:
    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    start = int(open(f"/proc/{VICTIM}/maps").readline().split("-")[0], 16)
    buffer = ctypes.create_string_buffer(16)
    local = Vector(ctypes.cast(buffer, ctypes.c_void_p).value, 16)
    remote = Vector(start, 16)
    call(libc.process_vm_readv(VICTIM, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))


def trace() -> None:
    call(libc.ptrace(0x4206, VICTIM, None, None))


def flags(descriptor: int) -> None:
    number = ctypes.c_int(0)
    fcntl.ioctl(descriptor, 0x80086601, number)
    fcntl.ioctl(descriptor, 0x40086602, number)


SECRET, SHOWN, OUTSIDE, WORK = (AT[name] for name in ("secret", "shown", "outside", "work"))
ATTEMPTS = {
    "read": lambda: open(SECRET).read(),
    "list": lambda: os.listdir(OUTSIDE),
    "write": lambda: open(f"{OUTSIDE}/new", "w").close(),
    "write to a read-only bind": lambda: open(SHOWN, "a").close(),
    "truncate": lambda: os.truncate(SECRET, 0),
    "truncate a read-only bind": lambda: os.truncate(SHOWN, 0),
    "remove": lambda: os.unlink(f"{OUTSIDE}/removable"),
    "move out": lambda: os.rename(f"{WORK}/movable", f"{OUTSIDE}/moved"),
    "link in": lambda: os.link(SECRET, f"{WORK}/link"),
    "mode": lambda: os.chmod(SECRET, 0o600),
    "mode of a read-only bind": lambda: os.chmod(SHOWN, 0o644),
    "mode by descriptor": lambda: open_and(SHOWN, lambda one: os.fchmod(one, 0o644)),
    "times": lambda: os.utime(SECRET),
    "times by descriptor": lambda: open_and(SHOWN, lambda one: os.utime(one, (5, 5))),
    "attribute": lambda: os.setxattr(SHOWN, "user.seclude", b"x"),
    "owner": lambda: os.chown(SECRET, -1, os.stat(SECRET).st_gid),
    "flags": lambda: open_and(SHOWN, flags),
    "signal": lambda: os.kill(VICTIM, 0),
    "limit": lambda: resource.prlimit(VICTIM, resource.RLIMIT_CORE, (0, 0)),
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, VICTIM, 19),
    "priority of the user": lambda: os.setpriority(os.PRIO_USER, 0, 19),
    "processors": lambda: os.sched_setaffinity(VICTIM, {0}),
    "environment": lambda: open(f"/proc/{VICTIM}/environ").read(),
    "memory": lambda: open(f"/proc/{VICTIM}/mem", "rb").close(),
    "memory by call": memory_of_victim,
    "descriptors": lambda: os.readlink(f"/proc/{VICTIM}/fd/0"),
    "directory": lambda: os.listdir(f"/proc/{VICTIM}/cwd"),
    "kill first": lambda: open(f"/proc/{VICTIM}/oom_score_adj", "w").write("1000"),
    "trace": trace,
    "TCP": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", PORT)),
    "UDP": lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", PORT)),
    "unix socket": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, AT["socket"]),
    "abstract socket": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + AT["abstract"]),
    "a pair's datagrams": lambda: from_pair(socket.SOCK_DGRAM),
    "a pair's raw datagrams": lambda: from_pair(socket.SOCK_RAW),
    "shared memory": lambda: call(libc.shmget(VICTIM, 1, 0)),
    "semaphores": lambda: call(libc.semget(VICTIM, 1, 0)),
    "messages": lambda: call(libc.msgget(VICTIM, 0)),
    # The last one: where it succeeds, the program prints the name.
    "execute": lambda: os.execv(f"{OUTSIDE}/program", ["program"]),
}

for name, attempt in ATTEMPTS.items():
    if name in AT["without"]:
        continue
    try:
        attempt()
        print(name, flush=True)
    except OSError:
        pass
