"""`python -m seclude shell`: an interactive program on a terminal of its own in a sandbox.

The caller's terminal is in raw mode. Keys, including Ctrl-C, go to the program's terminal, and the
program's output comes back. Changes of the window size are passed on.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

from .command import PTY
from .files import bind
from .network import with_named
from .readiness import READ, WRITE, Deadline, Poll
from .sandbox import Sandbox
from .terminal import Terminal, raw_mode, window_size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from .popen import Popen

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PIECE = 32768


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `shell` to the command line."""
    summary = (
        "run a shell, or another program, in a sandbox, on a terminal of its own; exit as it does"
    )
    command = commands.add_parser("shell", help=summary, description=summary.capitalize() + ".")
    command.add_argument(
        "--policy", metavar="FILE", help="the policy, in JSON or TOML; the default one if not given"
    )
    command.add_argument(
        "--bind", metavar="PATH", action="append", default=[], help="show this, too, read-only"
    )
    command.add_argument(
        "--writable", metavar="PATH", action="append", default=[], help="and let this be written to"
    )
    command.add_argument(
        "program",
        nargs="*",
        metavar="PROGRAM",
        help="the program and its arguments; sh if not given",
    )
    command.set_defaults(run=_shell)


def _shell(wanted: argparse.Namespace) -> int:
    if not sys.stdin.isatty():
        print("python -m seclude shell: the standard input is no terminal", file=sys.stderr)
        return 2
    try:
        sandbox = _sandbox(wanted)
    except OSError as error:
        print(f"python -m seclude shell: read {wanted.policy}: {error.strerror}", file=sys.stderr)
        return 2
    home = json.loads(sandbox.to_json()).get("home", "/tmp")
    # The usual environment of a sandbox, and TERM, which describes the caller's terminal.
    variables = {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "HOME": home,
        "TMPDIR": "/tmp",
        "TERM": os.environ.get("TERM", "dumb"),
    }
    program = wanted.program or ["sh"]
    with sandbox.Popen(
        program, stdin=PTY, stdout=PTY, stderr=PTY, env=variables, window_size=window_size(0)
    ) as process:
        assert process.terminal is not None
        with raw_mode(sys.stdin):
            _converse(process, process.terminal)
        code = process.wait()
    assert process.outcome is not None
    if process.outcome.ended.name not in ("exited", "signaled"):
        print(process.outcome, file=sys.stderr)
    return code if code >= 0 else 128 - code


def _sandbox(wanted: argparse.Namespace) -> Sandbox:
    sandbox = Sandbox()
    if wanted.policy is not None:
        with open(wanted.policy, encoding="utf-8") as file:
            text = file.read()
        sandbox = (
            Sandbox.from_toml(text) if wanted.policy.endswith(".toml") else Sandbox.from_json(text)
        )
    files = json.loads(sandbox.to_json()).get("files", [])
    files += [bind(os.path.abspath(path)) for path in wanted.bind]
    files += [bind(os.path.abspath(path), writable=True) for path in wanted.writable]
    return with_named(sandbox).replace(files=files, terminals=True)


def _converse(process: Popen, terminal: Terminal) -> None:
    """Forward input and output until the program ends or closes its terminal."""
    fd = terminal.fileno()
    os.set_blocking(fd, False)
    typed = b""
    with _resizes() as resized:
        while True:
            poll = Poll()
            poll.register(fd, READ | (WRITE if typed else 0))
            poll.register(process.pidfd, READ)
            poll.register(resized, READ)
            if not typed:
                poll.register(0, READ)
            ready = poll.wait(Deadline(None))
            if resized in ready:
                os.read(resized, _PIECE)
                terminal.resize(*window_size(0))
            if 0 in ready:
                typed = os.read(0, _PIECE)
                if not typed:
                    return
            if typed and ready.get(fd, 0) & WRITE:
                typed = typed[terminal.write(typed) or 0 :]
            if ready.get(fd, 0) & ~WRITE and not _show(terminal):
                return
            if process.pidfd in ready:
                while _show(terminal):
                    pass
                return


def _show(terminal: Terminal) -> bool:
    """Write one piece of the program's output. Return False if there is none."""
    piece = terminal.read(_PIECE)
    while piece:
        piece = piece[os.write(1, piece) :]
        if not piece:
            return True
    return False


@contextlib.contextmanager
def _resizes() -> Iterator[int]:
    """Yield a descriptor that becomes readable when the caller's window changes its size."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    before = signal.signal(signal.SIGWINCH, lambda *_: None)
    try:
        yield reader
    finally:
        signal.signal(signal.SIGWINCH, before)
        signal.set_wakeup_fd(woken)
        os.close(reader)
        os.close(writer)
