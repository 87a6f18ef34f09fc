"""Copying out of and into directories that a program has filled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import seclude

if TYPE_CHECKING:
    from pathlib import Path


def test_a_tree_is_copied_and_no_link_followed(tmp_path: Path) -> None:
    (tmp_path / "base" / "out").mkdir(parents=True)
    (tmp_path / "base" / "out" / "file").write_text("text")
    copied = seclude.copy(tmp_path / "base", "out", tmp_path / "to")
    assert (copied.entries, copied.bytes, copied.skipped) == (2, 4, ())
    assert (tmp_path / "to" / "file").read_text() == "text"
    (tmp_path / "base" / "out" / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "base" / "out" / "pipe")
    with pytest.raises(seclude.PolicyError, match="neither a file nor a directory"):
        seclude.copy(tmp_path / "base", "out", tmp_path / "again")
    assert not (tmp_path / "again").exists()
    copied = seclude.copy(tmp_path / "base", "out", tmp_path / "again", skip_special=True)
    assert sorted(copied.skipped) == ["out/link", "out/pipe"]
    with pytest.raises(seclude.PolicyError, match="more than 3 bytes"):
        seclude.copy(tmp_path / "base", "out/file", tmp_path / "large", max_bytes=3)


def test_files_go_in_and_out_while_it_runs(box: seclude.Sandbox, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("6 7")
    scratch = box.replace(files=[seclude.tmpfs("/tmp")])
    command = [
        "sh",
        "-c",
        "read go; cat /tmp/data > /tmp/result; rm /tmp/data; echo done; read end",
    ]
    with scratch.Popen(command, stdin=seclude.PIPE, stdout=seclude.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.copy_in(tmp_path / "data", "/tmp/data")
        process.stdin.write(b"go\n")
        assert process.stdout.read(5) == b"done\n"
        assert process.copy_out("/tmp/result", tmp_path / "result").bytes == 3
        assert (tmp_path / "result").read_text() == "6 7"
    with pytest.raises(seclude.PolicyError, match="it has ended"):
        process.copy_out("/tmp/result", tmp_path / "late")
