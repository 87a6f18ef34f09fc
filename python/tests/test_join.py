"""Commands in existing namespaces, and in cells that another process has published."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import seclude

from .conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEEP = """
import seclude, sys
files = [seclude.tmpfs("/tmp", "1M")]
with seclude.Sandbox(files=files, hostname="kept", wall_time=60).cell() as cell:
    cell.publish(sys.argv[1])
    cell.run(["sh", "-c", "echo first > /tmp/file"])
    print(cell.pid, flush=True)
    input()
"""


@pytest.fixture
def cell() -> Iterator[seclude.Cell]:
    """Start a cell that the tests enter from outside."""
    with seclude.Sandbox(
        hostname="inhabited", files=[seclude.tmpfs("/tmp", "1M")], wall_time=PATIENCE
    ).cell() as cell:
        yield cell


def shown(runs: seclude.Joined, *args: str) -> str:
    done = runs.run(args, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_all_of_a_process(cell: seclude.Cell, box: seclude.Sandbox) -> None:
    cell.run(["sh", "-c", "echo kept > /tmp/file"])
    joined = box.join(cell.pid)
    assert joined.kinds == {"user", "mount", "pid", "net", "ipc", "uts", "cgroup"}
    assert shown(joined, "cat", "/tmp/file") == "kept\n"
    assert shown(joined, "hostname") == "inhabited\n"
    with cell.popen(["sleep", "1000"]) as process:
        assert box.join(pidfd=process.pidfd).kinds == joined.kinds
        process.kill()


def test_some_kinds_by_path_and_descriptor(cell: seclude.Cell, box: seclude.Sandbox) -> None:
    number = os.readlink(f"/proc/{cell.pid}/ns/net")
    joined = box.join(cell.pid, only={"user", "net", "uts"})
    assert joined.kinds == {"user", "net", "uts"}
    assert (
        shown(joined, "sh", "-c", "readlink /proc/self/ns/net; hostname")
        == number + "\ninhabited\n"
    )
    with open(f"/proc/{cell.pid}/ns/net") as net:
        for joined in (
            box.join(paths=[f"/proc/{cell.pid}/ns/net", f"/proc/{cell.pid}/ns/user"]),
            box.join(cell.pid, fds=[net], only=["user"]),
        ):
            assert joined.kinds == {"user", "net"}
            assert shown(joined, "readlink", "/proc/self/ns/net") == number + "\n"


def test_what_cannot_be_joined(box: seclude.Sandbox, cell: seclude.Cell, tmp_path: Path) -> None:
    with pytest.raises(seclude.PolicyError, match="none is named"):
        box.join()
    with pytest.raises(seclude.PolicyError, match="no kind of namespace"):
        box.join(1, only=["nets"])  # type: ignore[list-item]
    with pytest.raises(seclude.PolicyError, match="what stands there is none"):
        box.join(paths=[tmp_path])
    with pytest.raises(seclude.SecludeError, match="no such process"):
        box.join(2**30)
    with pytest.raises(seclude.PolicyError, match="joined"):
        seclude.Sandbox(hostname="other").join(cell.pid)


def test_a_kept_namespace_is_let_go(cell: seclude.Cell, tmp_path: Path) -> None:
    with pytest.raises(seclude.PolicyError, match="none is kept there"):
        seclude.release(tmp_path)
    if os.geteuid() != 0:
        with pytest.raises(seclude.SetupError) as error:
            seclude.persist(tmp_path / "net", "net", pid=cell.pid)
        assert error.value.kind == "namespaces-denied"
        return
    # The code runs in a mount namespace of its own, so that other processes see no mounts of it.
    text = f"""
import os, seclude
seclude.persist("{tmp_path}/net", "net", pid={cell.pid})
box = seclude.Sandbox().join(paths=["{tmp_path}/net"])
print(box.run(["readlink", "/proc/self/ns/net"], capture_output=True, text=True).stdout, end="")
seclude.release("{tmp_path}/net")
print(os.listdir("{tmp_path}"))
"""
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--",
            sys.executable,
            "-P",
            "-W",
            "error",
            "-c",
            text,
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    number = os.readlink(f"/proc/{cell.pid}/ns/net")
    assert (done.stdout, done.stderr) == (f"{number}\n[]\n", "")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """Start another process that publishes a cell."""
    monkeypatch.setenv("SECLUDE_CELLS", str(tmp_path / "cells"))
    with subprocess.Popen(
        [sys.executable, "-P", "-W", "error", "-c", KEEP, "kept"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_a_published_cell_is_found_and_entered(kept: subprocess.Popen[str]) -> None:
    assert kept.stdout is not None
    pid = int(kept.stdout.readline())
    (found,) = seclude.cells()
    assert (found.name, found.pid) == ("kept", pid)
    assert found.sandbox == seclude.Sandbox(
        files=[seclude.tmpfs("/tmp", "1M")], hostname="kept", wall_time=60
    )
    assert pickle.loads(pickle.dumps(found)) == found
    for joined in (found.enter(), seclude.enter("kept")):
        assert shown(joined, "sh", "-c", "cat /tmp/file; hostname") == "first\nkept\n"
    assert "no-nested-users" in joined.run(["true"]).outcome.enforced
    kept.communicate("")
    assert seclude.cells() == []
    with pytest.raises(seclude.PolicyError, match="no cell of this name lives"):
        seclude.enter("kept")


def test_names(cell: seclude.Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECLUDE_CELLS", str(tmp_path / "cells"))
    with pytest.raises(seclude.PolicyError, match="a name has 1 to 64"):
        cell.publish("../a")
    cell.publish("a")
    assert [found.name for found in seclude.cells()] == ["a"]
    cell.reset()
    assert [found.pid for found in seclude.cells()] == [cell.pid]
    cell.publish("b")
    assert [found.name for found in seclude.cells()] == ["b"]
    cell.close()
    assert seclude.cells() == []
