"""The program inside: a warm Python that is forked for each state. It runs alone, without seclude.

    python3 guest.py '{"preload": ["json"], "path": []}'

Descriptor 3 is the supervisor's channel, 4 that of the worker. `docs/interpreters.md` describes the
messages. The supervisor imports the modules, and then runs no code of the caller's. It forks a
worker, which does. It ends the worker with every process that the worker has started.
"""

import ctypes
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
from importlib import import_module
from typing import Any, NoReturn

SUPERVISOR, WORKER = 3, 4
LONGEST = 64 << 20
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
prctl = ctypes.CDLL(None).prctl
ROUNDS = 1000


def receive(channel: int) -> dict[str, Any] | None:
    """Return the next message, or None at the end of the channel."""
    head = exactly(channel, 4)
    body = head and exactly(channel, min(struct.unpack("<I", head)[0], LONGEST))
    return json.loads(body) if body else None


def exactly(channel: int, length: int) -> bytes | None:
    """Return this many bytes, or None at the end."""
    data = b""
    while len(data) < length:
        piece = os.read(channel, length - len(data))
        if not piece:
            return None
        data += piece
    return data


def send(channel: int, message: dict[str, Any]) -> None:
    """Send a message whole."""
    body = json.dumps(message).encode()
    data = memoryview(struct.pack("<I", len(body)) + body)
    while data:
        data = data[os.write(channel, data) :]


# ---- the supervisor


def supervise(options: dict[str, list[str]]) -> None:
    """Import the modules, then keep one worker until the channel closes."""
    # Orphans of a worker become children of this process, which can then end and count them.
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # The worker has the same user, and must neither trace this process nor read its memory.
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    # One thread, because a fork copies only the thread that calls it.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    sys.path[:0] = options.get("path", [])
    try:
        for name in options.get("preload", []):
            import_module(name)
    except BaseException as error:
        send(SUPERVISOR, {"failed": f"preload {name}: {type(error).__name__}: {error}"})
        return
    # numpy loads this part when it is first used, which each new state would do to seed it.
    if "numpy" in sys.modules:
        import_module("numpy.random")
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        send(SUPERVISOR, {"failed": f"the preloaded modules have started {threads - 1} threads"})
        return
    # The first call of the compiler is slow. It is done once here, and not in each worker.
    exec(compile("None", "<warm>", "exec"), {})
    gc.collect()
    # The collector never looks at what there is now. Its marks would copy the pages.
    gc.freeze()
    awake, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    send(SUPERVISOR, {"warm": True, "forks": True})
    worker = 0
    poll = select.poll()
    poll.register(SUPERVISOR, select.POLLIN)
    poll.register(awake, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if awake in ready:
            os.read(awake, 4096)
            worker = report(reap(), worker)
        if SUPERVISOR in ready:
            message = receive(SUPERVISOR)
            killed, worker = kill_all(), 0
            if message is None:
                return
            if killed is None:
                send(SUPERVISOR, {"failed": "processes appear faster than they can be ended"})
            elif message.get("do") == "fork":
                # The new worker gets ready while the kernel takes down the old one. A limit on
                # processes may count the old one, so a second attempt follows.
                forked = fork(awake, wake)
                ended = await_ends(killed, awake)
                forked = forked or fork(awake, wake)
                if forked is None:
                    send(SUPERVISOR, {"failed": "there is no room for another process"})
                    continue
                worker, gate = forked
                drain(WORKER)
                os.close(gate)
                send(SUPERVISOR, {"forked": True})
                worker = report(ended, worker)
            else:
                await_ends(killed, awake)
                send(SUPERVISOR, {"ended": None})


def fork(*private: int) -> tuple[int, int] | None:
    """Fork a worker, without these descriptors. Return None if the kernel refuses.

    The worker reads no message before the returned descriptor, its gate, has been closed.
    """
    gate, keeper = os.pipe2(os.O_CLOEXEC)
    try:
        worker = os.fork()
    except OSError:
        os.close(gate)
        os.close(keeper)
        return None
    if worker == 0:
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        for fd in (SUPERVISOR, keeper, *private):
            os.close(fd)
        work(gate)
    os.close(gate)
    return worker, keeper


def drain(channel: int) -> None:
    """Take what is left of a call that nobody has read to its end."""
    waiting = socket.socket(fileno=os.dup(channel))
    with waiting:
        try:
            while waiting.recv(1 << 20, socket.MSG_DONTWAIT):
                pass
        except BlockingIOError:
            pass


def reap() -> dict[int, int]:
    """Reap what has ended. Return the process ids with their exit codes."""
    ended = {}
    try:
        while (child := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            ended[child[0]] = os.waitstatus_to_exitcode(child[1])
    except ChildProcessError:
        pass
    return ended


def report(ended: dict[int, int], worker: int) -> int:
    """Report the worker's end, if it has ended. Return the worker that is left."""
    if worker not in ended:
        return worker
    send(SUPERVISOR, {"ended": ended[worker]})
    return 0


def kill_all() -> set[int] | None:
    """Kill every descendant of this process. Return what was killed, or None if some may be left.

    A process that has been killed starts no other. So when all that a look finds had been killed
    before, that was all.
    """
    killed: set[int] = set()
    for _ in range(ROUNDS):
        found = descendants() - killed
        if not found:
            return killed
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # Nothing is reaped here, so no number is used again.
        killed |= found
    return None


def await_ends(killed: set[int], awake: int) -> dict[int, int]:
    """Wait until nothing is left of what was killed. Return the exit codes of what was reaped."""
    ended = reap()
    while left := killed - ended.keys():
        if select.select([awake], [], [], 0.001)[0]:
            os.read(awake, 4096)
        elif not descendants() & left:
            # The kernel reaps the children of a process that ignores SIGCHLD.
            break
        ended |= reap()
    return ended


def descendants() -> set[int]:
    """Return the processes below this one."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stat:
                    parent = int(stat.read().rsplit(b")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    pending = [os.getpid()]
    while pending:
        more = children.get(pending.pop(), [])
        found.update(more)
        pending += more
    return found


# ---- the worker


def work(gate: int) -> NoReturn:
    """Run the caller's code until the channel closes. Never returns."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    os.set_inheritable(WORKER, False)
    reseed()
    sys.stdin = open(os.devnull)
    sys.stdout = open(1, "w", buffering=1, closefd=False)
    sys.stderr = open(2, "w", buffering=1, closefd=False)
    main = sys.modules["__main__"] = type(sys)("__main__")
    code = 0
    os.read(gate, 1)
    os.close(gate)
    try:
        while (message := receive(WORKER)) is not None:
            send(WORKER, answer(message, main.__dict__))
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    flush()
    os._exit(code & 0xFF)


def reseed() -> None:
    """Give this state random numbers of its own. CPython has reseeded `random` at the fork."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(int.from_bytes(os.urandom(4), "little"))


def answer(message: dict[str, str], world: dict[str, Any]) -> dict[str, Any]:
    """Run one piece of code, and return what it gave."""
    told: dict[str, Any]
    try:
        if message["do"] == "eval":
            told = {"value": eval(compile(message["code"], "<eval>", "eval"), world)}
            json.dumps(told)
        else:
            exec(compile(message["code"], "<run>", "exec"), world)
            told = {"done": True}
    except SystemExit:
        raise
    except BaseException as error:
        # The first entry is this function.
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        told = {
            "error": type(error).__name__,
            "message": str(error),
            "traceback": "".join(traceback.format_exception(error)),
        }
    flush()
    return told


def flush() -> None:
    """Write what the streams hold."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass


if __name__ == "__main__":
    supervise(json.loads(sys.argv[1]))
