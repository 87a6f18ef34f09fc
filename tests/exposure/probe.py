"""Prints what a program can see and do where it runs, as one JSON object. It uses only the standard
library, and every attempt is harmless if it succeeds.
"""

import ctypes
import json
import os
import socket
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
CANARY = json.loads(sys.argv[1])
# Calls that end, stop or block this process, or with which it starts. All others are tried with
# meaningless arguments.
NOT_TRIED = {
    "x86_64": [
        15,
        34,
        56,
        57,
        58,
        60,
        61,
        62,
        101,
        112,
        130,
        162,
        186,
        200,
        219,
        231,
        232,
        234,
        247,
        281,
        322,
        424,
        435,
        441,
        7,
        23,
        270,
        271,
        59,
        35,
        230,
        128,
        139,
        169,
        88,
        306,
    ],
}
# Calls that change the machine if nothing forbids them. They are not tried where nothing might.
DANGEROUS = {"x86_64": [88, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171, 173, 172, 175, 176, 155, 227, 246, 304, 305, 313, 320, 153, 159, 103, 305]}


def attempt(work):
    """Return whether a call does not fail."""
    try:
        return work() is not False
    except (OSError, ValueError):
        return False


def call(number, *arguments):
    ctypes.set_errno(0)
    return LIBC.syscall(number, *arguments) != -1


def reads(path):
    return attempt(lambda: len(open(path, "rb").read(64)) > 0)


def opens_for_writing(path):
    return attempt(lambda: os.close(os.open(path, os.O_WRONLY)))


def writable_places():
    places = []
    for place in ("/", "/tmp", "/dev", "/dev/shm", "/etc", "/run", "/var", "/proc/sys/kernel", "/sys/kernel", "/usr"):
        name = f"{place}/.exposure"
        if attempt(lambda name=name: os.close(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_EXCL))):
            os.unlink(name)
            places.append(place)
    return places


def processes():
    return sum(name.isdigit() for name in os.listdir("/proc"))


def canary_process():
    found = False
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found |= CANARY["argument"].encode() in open(f"/proc/{name}/cmdline", "rb").read() and int(name) not in (os.getpid(), os.getppid())
            except OSError:
                pass
    return found


def connects(family, address):
    with socket.socket(family) as one:
        one.settimeout(1)
        return one.connect(address) is None


def status(name):
    for line in open("/proc/self/status"):
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].strip()
    return "?"


def key():
    """Return whether the caller's session key is found by its name, or whether its id can be read."""
    found = LIBC.syscall(250, 10, -3, b"user", CANARY["key"].encode(), 0) if os.uname().machine == "x86_64" else -1
    return found > 0


def calls():
    """Count the calls that are not simply refused, each in a process of its own."""
    machine = os.uname().machine
    if machine not in NOT_TRIED:
        return None
    skipped = set(NOT_TRIED[machine]) | (set(DANGEROUS[machine]) if CANARY["careful"] else set())
    open_calls = 0
    for number in range(470):
        if number in skipped:
            continue
        child = os.fork()
        if child == 0:
            LIBC.alarm(2)
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            ctypes.set_errno(0)
            LIBC.syscall(number, -1, -1, -1, -1, -1, -1)
            os._exit(1 if ctypes.get_errno() in (1, 38) else 0)
        _, ended = os.waitpid(child, 0)
        open_calls += ended != 256
    return open_calls


def own_child_traced():
    child = os.fork()
    if child == 0:
        import time

        time.sleep(5)
        os._exit(0)
    traced = LIBC.ptrace(0x4206, child, 0, 0) == 0
    os.kill(child, 9)
    os.waitpid(child, 0)
    return traced


def in_a_child(work):
    """Make an attempt in a child, where it cannot affect what follows."""
    child = os.fork()
    if child == 0:
        try:
            good = attempt(work)
        except BaseException:
            good = False
        os._exit(0 if good else 1)
    return os.waitpid(child, 0)[1] == 0


def entries(place):
    """Return the number of entries of a directory, or why there is none."""
    try:
        return len(os.listdir(place))
    except FileNotFoundError:
        return 0
    except PermissionError:
        return "refused"


def of_pid_1(name, mode):
    return attempt(lambda: os.close(os.open(f"/proc/1/{name}", mode)))


print(
    json.dumps(
        {
            "processes it sees": processes(),
            "a process of the host's": canary_process(),
            "PID 1: environment read": reads("/proc/1/environ"),
            "PID 1: memory opened": of_pid_1("mem", os.O_RDONLY),
            "PID 1: traced": in_a_child(lambda: LIBC.ptrace(0x4206, 1, 0, 0) == 0),
            "PID 1: its descriptors listed": attempt(lambda: os.listdir("/proc/1/fd")),
            "a file of the caller's": reads(CANARY["file"]),
            "the host's /etc/hostname": reads("/etc/hostname"),
            "writable places": ", ".join(writable_places()) or "none",
            "a variable of the caller's": CANARY["variable"] in os.environ,
            "a descriptor of the caller's": attempt(lambda: os.fstat(CANARY["fd"])),
            "a key of the caller's session": key(),
            "an abstract socket": attempt(lambda: connects(socket.AF_UNIX, "\0" + CANARY["socket"])),
            "a port on 127.0.0.1": attempt(lambda: connects(socket.AF_INET, ("127.0.0.1", CANARY["port"]))),
            "System V memory": LIBC.shmget(CANARY["shm"], 0, 0) >= 0,
            "core_pattern opened to be written": opens_for_writing("/proc/sys/kernel/core_pattern"),
            "sysrq-trigger opened to be written": opens_for_writing("/proc/sysrq-trigger"),
            "/proc/kallsyms": reads("/proc/kallsyms"),
            "/proc/keys": reads("/proc/keys"),
            "/proc/interrupts": reads("/proc/interrupts"),
            "the kernel's log": LIBC.klogctl(10, 0, 0) >= 0,
            "entries in /sys": entries("/sys"),
            "entries in /dev": entries("/dev"),
            "capabilities": status("CapEff"),
            "no_new_privs": status("NoNewPrivs"),
            "seccomp": {"0": "none", "2": "filter"}.get(status("Seccomp"), "?"),
            "a user namespace": in_a_child(lambda: LIBC.unshare(0x10000000) == 0),
            "a mount, there or in a user namespace of its own": in_a_child(
                lambda: (
                    LIBC.mount(b"none", b"/proc", b"tmpfs", 0, None) == 0
                    or (LIBC.unshare(0x10020000) == 0 and LIBC.mount(b"none", b"/proc", b"tmpfs", 0, None) == 0)
                )
            ),
            "a child of its own traced": own_child_traced(),
            "a netlink socket": attempt(lambda: socket.socket(16, socket.SOCK_RAW).close()),
            "an io_uring": call(425, 1, ctypes.create_string_buffer(256)),
            "a kernel program (bpf)": in_a_child(lambda: (call(321, 0, 0, 0), ctypes.get_errno() not in (1, 38))[1]),
            "system calls not refused": calls(),
        }
    )
)
