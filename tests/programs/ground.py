"""Where a command runs: outside, as an ordinary user, or in the default sandbox of a caller.

What a caller chooses is the same outside and inside: an environment of a few variables, a writable
working directory, no input, and a new session. Only the sandbox differs.
"""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSIDE = pathlib.Path(__file__).with_name("inside.py")
# The time limit of a request ends before this guard does.
GUARD = 60


@dataclass(frozen=True)
class Work:
    """A command, and what its sandbox has besides the defaults."""

    words: list[str]
    seconds: float
    policy: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """The result. `code` is None if the command did not exit by itself."""

    code: int | None
    ended: str
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class User:
    """The user of a process. `words` start a program as that user."""

    name: str
    words: tuple[str, ...] = ()
    uid: int | None = None

    @contextlib.contextmanager
    def scratch(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield a directory of the user's own, and an environment that names it."""
        place = tempfile.mkdtemp(prefix="seclude-programs-", dir="/var/tmp")
        if self.uid is not None:
            os.chown(place, self.uid, -1)
        try:
            yield place, {"PATH": PATH, "HOME": place, "TMPDIR": place, "LANG": "C.UTF-8"}
        finally:
            # Tests leave directories without any permissions. Whatever root cannot remove stays.
            shutil.rmtree(place, ignore_errors=True)


def users() -> list[User]:
    """Return the callers to test, the ordinary one last."""
    if os.geteuid() != 0:
        return [User("this user")]
    ordinary = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    return [User("root"), User("nobody", ordinary, 65534)]


def outside(user: User, work: Work) -> Done:
    """Run the command as a process of the user. Whatever its session leaves running is killed."""
    with user.scratch() as (place, env):
        start = [*user.words, *work.words]
        process = subprocess.Popen(
            start,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=place,
            env=env | {name: value.replace("/tmp", place) for name, value in work.env.items()},
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(timeout=work.seconds)
            ended = f"exited with code {process.returncode}"
        except subprocess.TimeoutExpired:
            stdout, stderr, ended = b"", b"", "wall time is over"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    code = process.returncode if process.returncode >= 0 else None
    return Done(code, ended, stdout, stderr)


def inside(python: str, user: User, work: Work) -> Done:
    """Run the command in a sandbox that the user makes."""
    request = {"words": work.words, "policy": work.policy, "env": None, "seconds": work.seconds}
    with user.scratch() as (place, env):
        if work.env:
            request["env"] = {
                "PATH": PATH,
                "HOME": "/tmp",
                "TMPDIR": "/tmp",
                "LANG": "C.UTF-8",
            } | work.env
        try:
            told = subprocess.run(
                [*user.words, python, "-c", INSIDE.read_text()],
                input=json.dumps(request).encode(),
                capture_output=True,
                cwd=place,
                env=env,
                timeout=work.seconds + GUARD,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Done(None, "the sandbox's caller does not return", b"", b"")
    if told.returncode != 0:
        return Done(None, f"the sandbox's caller ends with {told.returncode}", b"", told.stderr)
    answer = json.loads(told.stdout)
    stdout, stderr = (base64.b64decode(answer[name]) for name in ("stdout", "stderr"))
    return Done(answer["code"], answer["ended"], stdout, stderr)
