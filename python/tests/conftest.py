"""What the tests share: the default sandbox, a directory that its user may read, and Pythons of their own for what forks
or is interrupted. Everything runs on the real kernel; nothing is timed, and what hangs is ended by the test's own limit.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import seclude

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 60
"""Seconds after which a test that should have ended long ago has failed."""


@pytest.fixture
def box() -> seclude.Sandbox:
    """The default sandbox, with a limit that only a broken test reaches."""
    return seclude.Sandbox(wall_time=PATIENCE)


@pytest.fixture
def readable(tmp_path: Path) -> Path:
    """A directory that the user behind the sandbox may read and write, whoever the caller is."""
    tmp_path.chmod(0o777)
    return tmp_path


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a text in a Python of its own, with warnings as errors."""

    def run(text: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-W", "error", *options, "-c", text]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    return run


@pytest.fixture(autouse=True)
def no_descriptor_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test closes what it opens: so the library closes what it opens."""
    before = _descriptors()
    yield
    # What a fixture made is a test's argument until the last of them is undone: a sandbox with a template keeps that.
    request.node.funcargs.clear()
    gc.collect()
    left = {fd: _target(fd) for fd in _descriptors() - before}
    # A sandbox that is still referenced, by the fixture above, keeps its warden's image.
    assert not {fd: target for fd, target in left.items() if target and "memfd" not in target}


def _descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def _target(fd: str) -> str | None:
    """What a descriptor is; None for the one that listed them, which is gone."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return None
