"""Commands on a terminal of their own, and `python -m seclude shell` on the caller's."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import tty
from typing import TYPE_CHECKING
from weakref import WeakMethod

import pytest

import seclude
from seclude import PTY
from seclude.exchange import Exchange

from .conftest import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def box() -> seclude.Sandbox:
    return seclude.Sandbox(terminals=True, wall_time=PATIENCE)


def test_what_is_typed_is_read(box: seclude.Sandbox) -> None:
    with box.Popen(
        ["sh", "-c", "read line; stty size; echo $line"],
        stdin=PTY,
        stdout=PTY,
        window_size=(10, 20),
    ) as process:
        assert process.terminal is not None
        assert process.terminal.isatty()
        process.terminal.resize(11, 21)
        assert process.terminal.write(b"typed\n") == 6
        shown = b""
        while piece := process.terminal.read(100):
            shown += piece
        assert shown == b"typed\r\n11 21\r\ntyped\r\n"
        assert process.wait() == 0
    assert process.terminal.closed


def test_run_collects_what_is_shown(box: seclude.Sandbox) -> None:
    done = box.run(["sh", "-c", "tty; echo apart >&2"], stdin=PTY, stdout=PTY, stderr=seclude.PIPE)
    assert (done.stdout, done.stderr) == (b"/dev/pts/0\r\n", b"apart\n")
    assert (
        box.run(["tty"], stdin=PTY, stdout=PTY, stderr=seclude.STDOUT).stdout == b"/dev/pts/0\r\n"
    )


def test_what_it_showed_last_is_collected() -> None:
    # Write more than FIONREAD counts. The rest is in transit until a poll delivers it.
    ours, theirs = pty.openpty()
    shown = seclude.Terminal(ours)
    try:
        tty.setraw(theirs)
        assert os.write(theirs, b"x" * 6000) == 6000
        exchange = Exchange(None, shown, None, None, 10000, WeakMethod(shown.close))
        exchange._finish()
        assert exchange.so_far == [b"x" * 6000, None]
        assert shown.closed
    finally:
        os.close(theirs)
        shown.close()


def test_closing_hangs_up(box: seclude.Sandbox) -> None:
    process = box.Popen(["sleep", "1000"], stdin=PTY)
    assert process.terminal is not None
    process.terminal.close()
    assert process.wait() == -signal.SIGHUP


def test_asyncio(box: seclude.Sandbox) -> None:
    async def main() -> tuple[bytes | None, bytes | None]:
        process = await box.asyncio.create_subprocess_exec(
            "sh", "-c", "echo a; sleep 0.1; echo b", stdout=PTY
        )
        assert process.terminal is not None
        return await process.communicate()

    assert asyncio.run(main()) == (b"a\r\nb\r\n", None)


def test_a_sandbox_without_terminals_says_so() -> None:
    with pytest.raises(seclude.PolicyError, match="terminals"):
        seclude.Sandbox(terminals=False).run(["true"], stdin=PTY)


def test_raw_mode_is_undone() -> None:
    ours, theirs = pty.openpty()
    try:
        before = termios.tcgetattr(theirs)
        with seclude.raw_mode(theirs):
            assert not termios.tcgetattr(theirs)[3] & (termios.ISIG | termios.ECHO)
        assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)


class Shell:
    """`python -m seclude shell` on a terminal whose other side this object holds."""

    def __init__(self, *options: str) -> None:
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-W", "error", "-m", "seclude", "shell", *options],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        self.theirs = theirs
        self.shown = b""

    def type(self, text: bytes) -> None:
        """Type the text."""
        os.write(self.ours, text)

    def until(self, text: bytes) -> None:
        """Read output until this text appears."""
        while text not in self.shown:
            assert select.select([self.ours], [], [], PATIENCE)[0], self.shown
            self.shown += os.read(self.ours, 4096)

    def end(self) -> int:
        """Return the exit code, after checking that the terminal has its former settings."""
        code = self.process.wait(PATIENCE)
        assert termios.tcgetattr(self.theirs) == self.before
        os.close(self.ours)
        os.close(self.theirs)
        return code


def test_a_shell(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "policy.toml").write_text('hostname = "inside"\nhome = "/tmp"\n')
    shell = Shell("--policy", str(tmp_path / "policy.toml"), "--bind", str(tmp_path))
    shell.type(b"echo $HOME-$(hostname)-$(tty)\n")
    shell.until(b"/tmp-inside-/dev/pts/0")
    shell.type(b"sh -c 'echo started; exec sleep 1000'\n")
    # Do not match the start of the line: the prompt may appear after the echo of the input.
    shell.until(b"started\r\n")
    shell.type(b"\x03")
    shell.until(b"^C\r\n$ ")
    shell.type(b"echo ended $?\n")
    shell.until(b"ended 130\r\n")
    shell.type(f"ls {tmp_path}\n".encode())
    shell.until(b"policy.toml\r\n")
    shell.type(b"exit 7\n")
    assert shell.end() == 7


def test_a_program_in_place_of_the_shell_and_its_signal() -> None:
    shell = Shell("--", "sh", "-c", "echo ready; kill -TERM $$")
    shell.until(b"ready")
    assert shell.end() == 128 + signal.SIGTERM


def test_a_shell_takes_a_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "seclude", "shell"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "the standard input is no terminal" in done.stderr
