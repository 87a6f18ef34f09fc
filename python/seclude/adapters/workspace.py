"""A cell with a work directory, in which the tools of an agent run: what two adapters share.

The agent's paths are paths inside. Programs inside open them, as the sandbox's user, so a path or a
symbolic link leads nowhere else. Everything that comes out is bytes of a bounded number.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from subprocess import DEVNULL, PIPE, STDOUT
from types import TracebackType
from typing import Self

import seclude

from ..command import Text, size
from ..errors import TimeoutExpired
from ..outcome import Outcome

ROOT = "/workspace"
"""The work directory inside, if the caller names no other."""
SCRATCH = "256M"
"""The size of a work directory in memory."""
OUTPUT = "16M"
"""The most that one command may write to each stream."""
_FILE_TIME = 60.0
"""Seconds for reading or writing one file."""

# The exit code of these is an error number. A program inside could return any number.
READ = (
    "sh",
    "-c",
    f'[ -d "$1" ] && exit {errno.EISDIR}\n'
    f'[ -e "$1" ] || exit {errno.ENOENT}\n'
    f'[ -f "$1" ] || exit {errno.EINVAL}\n'
    f'[ -r "$1" ] || exit {errno.EACCES}\n'
    'exec head -c "$2" -- "$1"',
    "sh",
)
WRITE = (
    "sh",
    "-c",
    f'[ -d "$1" ] && exit {errno.EISDIR}\n'
    f'[ ! -e "$1" ] || [ -f "$1" ] || exit {errno.EINVAL}\n'
    f'mkdir -p -- "$(dirname -- "$1")" || exit {errno.EACCES}\n'
    f'[ ! -e "$1" ] || [ -w "$1" ] || exit {errno.EACCES}\n'
    # Not `exec`, whose failed redirection ends the shell with another code.
    f'true 2>/dev/null > "$1" || exit {errno.EACCES}\n'
    'exec cat > "$1"',
    "sh",
)


def default_policy() -> seclude.Sandbox:
    """Return the policy of an adapter without one: the default sandbox, with two limits.

    It has no network but loopback, 1 GiB of memory, and 256 processes and threads.
    """
    return seclude.Sandbox(memory="1G", pids=256)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command has written, and how it ended."""

    stdout: bytes
    stderr: bytes
    outcome: Outcome
    expired: bool = False
    """Whether it was killed because its time was over."""

    @property
    def status(self) -> int:
        """The exit code; 128 and the signal's number if a signal or a limit ended it."""
        code = self.outcome.returncode
        return code if code >= 0 else 128 - code

    @property
    def truncated(self) -> bool:
        """Whether it was killed because it wrote too much."""
        return self.outcome.ended.name == "output-limit"

    @property
    def remark(self) -> str:
        """What the exit code does not tell: the limit that ended it, else nothing."""
        told = self.expired or self.outcome.ended.name in ("exited", "signaled")
        return "" if told else f"[seclude: {self.outcome}]"


def with_work_directory(
    sandbox: seclude.Sandbox | None, directory: Text | None, at: str, scratch: int | str
) -> seclude.Sandbox:
    """Return the policy with a work directory: one of the caller's, or one in memory."""
    policy = default_policy() if sandbox is None else sandbox
    entries = json.loads(policy.to_json()).get("files", [])
    work = (
        seclude.tmpfs(at, scratch)
        if directory is None
        else seclude.bind(os.path.abspath(os.fsdecode(directory)), at, writable=True)
    )
    return policy.replace(files=[*entries, work])


class Workspace:
    """A cell that is kept, with a work directory, in which commands run one after another.

    `directory` is a directory of the caller's, which is bound writable at `at`. Without one the
    work directory is in memory, has the size `scratch`, and is gone at the end.

    Leaving the `with` block, or `close`, ends everything inside.
    """

    def __init__(
        self,
        sandbox: seclude.Sandbox | None = None,
        *,
        directory: Text | None = None,
        at: str = ROOT,
        scratch: int | str = SCRATCH,
        env: Mapping[str, str] | None = None,
        output: int | str = OUTPUT,
    ) -> None:
        policy = with_work_directory(sandbox, directory, at, scratch)
        if not policy._limits_output():
            policy = policy.replace(output=output)
        self.at, self.env = at, env
        self._bound = size("output", json.loads(policy.to_json())["output"])
        self.cell = policy.cell()

    def run(
        self,
        args: Sequence[str],
        *,
        input: bytes | None = None,  # noqa: A002
        timeout: float | None = None,
        merged: bool = False,
    ) -> Ran:
        """Run a command in the work directory and collect what it writes.

        After `timeout` seconds it is killed with all that it has started. With `merged`, both
        streams are one. Background processes of earlier commands keep running.
        """
        with self.cell.popen(
            args,
            stdin=DEVNULL if input is None else PIPE,
            stdout=PIPE,
            stderr=STDOUT if merged else PIPE,
            cwd=self.at,
            env=self.env,
        ) as process:
            expired = False
            try:
                stdout, stderr = process.communicate(input, timeout)
            except TimeoutExpired as error:
                process.kill()
                process.wait()
                expired, stdout, stderr = True, error.stdout, error.stderr
            except BaseException:
                process.kill()
                raise
        assert process.outcome is not None
        return Ran(stdout or b"", stderr or b"", process.outcome, expired)

    def read(self, path: str) -> bytes:
        """Return the contents of a regular file. Raises the OSError that names what is wrong."""
        done = self.run([*READ, path, str(self._bound + 1)], timeout=_FILE_TIME)
        if done.truncated or len(done.stdout) > self._bound:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        check(done, path)
        return done.stdout

    def write(self, path: str, data: bytes) -> None:
        """Write a regular file and make its directories. Raises OSError like `read`."""
        check(self.run([*WRITE, path], input=data, timeout=_FILE_TIME), path)

    def close(self) -> None:
        """End everything inside, and wait until it is gone."""
        self.cell.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check(done: Ran, path: str) -> None:
    """Raise the OSError that the exit code of `READ` or `WRITE` stands for."""
    if done.expired:
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), path)
    if not done.outcome.success:
        if done.outcome.ended.name == "scratch-full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        known = (errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.EACCES)
        number = done.status if done.status in known else errno.EIO
        raise OSError(number, os.strerror(number), path)
