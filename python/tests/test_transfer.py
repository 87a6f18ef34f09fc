"""Copying out of and into directories that a program has filled."""

from __future__ import annotations

import os
import signal
import threading
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


def test_archive_keeps_links_and_times(box: seclude.Sandbox, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("text")
    (tree / "other").hardlink_to(tree / "file")
    (tree / "link").symlink_to("nowhere")
    os.utime(tree / "file", ns=(0, 123_456_789))
    copied = seclude.copy(tmp_path, "tree", tmp_path / "to", archive=True)
    assert (copied.entries, copied.bytes) == (4, 4)
    with box.replace(files=[seclude.tmpfs("/work")]).cell() as cell:
        cell.copy_in(tree, "/work/tree", archive=True)
        cell.copy_out("/work/tree", tmp_path / "back", archive=True)
    for copy in (tmp_path / "to", tmp_path / "back"):
        assert (copy / "link").readlink().name == "nowhere"
        status = (copy / "file").stat()
        assert (status.st_mtime_ns, status.st_nlink) == (123_456_789, 2)
        assert (copy / "other").samefile(copy / "file")


def test_the_progress_is_told_and_an_exception_cancels(
    box: seclude.Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("6 7")
    seen: list[tuple[int, int, int]] = []

    def tell(entries: int, size: int) -> None:
        seen.append((entries, size, threading.get_ident()))

    def cancel(entries: int, _: int) -> None:
        if entries:
            raise KeyError("enough")

    here = threading.get_ident()
    seclude.copy(tmp_path, "data", tmp_path / "to", progress=tell)
    assert seen == [(0, 0, here), (1, 3, here)]
    with pytest.raises(KeyError, match="enough"):
        seclude.copy(tmp_path, "data", tmp_path / "none", progress=cancel)
    command = ["sh", "-c", "read end"]
    files = [seclude.tmpfs("/tmp")]
    with box.replace(files=files).Popen(command, stdin=seclude.PIPE) as process:
        seen.clear()
        process.copy_in(tmp_path / "data", "/tmp/data", progress=tell)
        process.copy_out("/tmp/data", tmp_path / "back", progress=tell)
        assert seen == [(0, 0, here), (1, 3, here)] * 2
        with pytest.raises(KeyError, match="enough"):
            process.copy_in(tmp_path / "data", "/tmp/none", progress=cancel)
        with pytest.raises(KeyError, match="enough"):
            process.copy_out("/tmp/data", tmp_path / "none", progress=cancel)
        with pytest.raises(seclude.PolicyError, match="may not use its command"):
            process.copy_out(
                "/tmp/data", tmp_path / "none", progress=lambda *_: process.set_pids(9)
            )
        with pytest.raises(seclude.SetupError, match="no such file"):
            process.copy_out("/tmp/none", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_interrupt_cancels_a_copy(tmp_path: Path) -> None:
    def interrupt(entries: int, _: int) -> None:
        if not entries:
            os.kill(os.getpid(), signal.SIGINT)

    (tmp_path / "data").write_text("6 7")
    # A shell starts its jobs in the background with this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            seclude.copy(tmp_path, "data", tmp_path / "none", progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not (tmp_path / "none").exists()
