"""Overlays and idmapped binds: directories of the caller's that a command may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import seclude
from seclude import Sandbox, bind, overlay

if TYPE_CHECKING:
    from pathlib import Path


def test_an_overlay_is_changed_in_memory(readable: Path) -> None:
    (readable / "low").mkdir()
    (readable / "high").mkdir()
    (readable / "low/both").write_text("low")
    (readable / "high/both").write_text("high")
    layers: list[Path | str] = [readable / "low", str(readable / "high")]
    box = Sandbox(files=[overlay(layers, "/work", size="1M")], uid=0, gid=0)
    with box.cell() as cell:
        done = cell.run(
            ["sh", "-c", "cat both; echo new >both; touch made"], cwd="/work", capture_output=True
        )
        assert done.stdout == b"high"
        assert cell.run(["cat", "/work/both"], capture_output=True).stdout == b"new\n"
        cell.reset()
        assert cell.run(["ls", "/work"], capture_output=True).stdout == b"both\n"
    assert (readable / "high/both").read_text() == "high"
    assert not (readable / "low/made").exists()


def test_the_changes_are_bounded(readable: Path) -> None:
    box = Sandbox(files=[overlay([readable], "/work", "64K", inodes=50)], uid=0, gid=0)
    done = box.run(["sh", "-c", "head -c 1000000 /dev/zero >/work/f"])
    assert done.outcome.ended.name == "scratch-full"
    assert done.outcome.limit == 65536


def test_changes_are_kept_for_the_next_sandbox(tmp_path: Path) -> None:
    (tmp_path / "low").mkdir()
    (tmp_path / "kept").mkdir(mode=0o700)
    (tmp_path / "low/f").write_text("old")
    layers = overlay([tmp_path / "low"], "/work", kept=tmp_path / "kept")
    box = Sandbox(files=[layers], uid=0, gid=0)
    with box.cell() as cell:
        cell.run(["sh", "-c", "echo new >/work/f"])
        with pytest.raises(seclude.PolicyError, match="another sandbox keeps its changes there"):
            box.run(["true"])
    assert box.run(["cat", "/work/f"], capture_output=True).stdout == b"new\n"
    assert (tmp_path / "low/f").read_text() == "old"
    assert (tmp_path / "kept/upper/f").read_text() == "new\n"


def test_a_mistake_about_layers_is_an_error() -> None:
    with pytest.raises(seclude.PolicyError, match="name a directory or an image"):
        Sandbox(files=[overlay([], "/work")])
    with pytest.raises(seclude.SetupError, match="/none") as caught:
        Sandbox(files=[overlay(["/none"], "/work")]).run(["true"])
    assert caught.value.kind == "source-missing"


def test_an_idmapped_bind_is_written_as_the_caller(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    work = bind(tmp_path, "/work", writable=True, idmapped=True)
    script = "echo x >/work/f; stat -c %u /work/f"
    done = Sandbox(files=[work]).run(["sh", "-c", script], capture_output=True)
    assert done.stdout == b"1000\n"
    made = (tmp_path / "f").stat()
    assert (made.st_uid, made.st_gid) == (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
