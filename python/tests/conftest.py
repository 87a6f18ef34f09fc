"""Fixtures that the tests share.

They give the default sandbox, a directory that its user may read, and separate Python processes for
tests that fork or get signals. Everything runs on the real kernel. No test asserts a duration; each
has a limit of its own that ends it if it hangs.
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
"""Seconds after which a hanging test fails."""


@pytest.fixture
def box() -> seclude.Sandbox:
    """Return the default sandbox, with a wall time that only a broken test reaches."""
    return seclude.Sandbox(wall_time=PATIENCE)


@pytest.fixture
def readable(tmp_path: Path) -> Path:
    """Return a directory that the sandbox's user outside may read and write."""
    tmp_path.chmod(0o777)
    return tmp_path


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs code in a new Python process, with warnings as errors."""

    def run(text: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-W", "error", *options, "-c", text]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    return run


@pytest.fixture(autouse=True)
def no_descriptor_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check that each test leaves no descriptor open, and so that the library leaves none."""
    before = _descriptors()
    yield
    # Pytest keeps a test's arguments until the last fixture is torn down. A sandbox with a template
    # would keep its descriptors as long.
    request.node.funcargs.clear()
    gc.collect()
    left = {fd: _target(fd) for fd in _descriptors() - before}
    # A sandbox that the fixture above still refers to keeps the image of its warden (a memfd).
    assert not {fd: target for fd, target in left.items() if target and "memfd" not in target}


def _descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def _target(fd: str) -> str | None:
    """Return what a descriptor refers to, or None for the one that the listing itself used."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return None
