"""Images: imported into a store, used as roots, changed, committed and exported."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

import seclude
from seclude import Image, Sandbox, Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BUSYBOX = shutil.which("busybox")

pytestmark = pytest.mark.skipif(
    BUSYBOX is None or tuple(map(int, os.uname().release.split(".")[:2])) < (6, 6),
    reason="needs busybox for the root of an image, and Linux 6.6 for changes in memory",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def root(tmp_path: Path, files: Mapping[str, str] | None = None) -> Path:
    """Make a directory with a small system."""
    made = tmp_path / "root"
    (made / "bin").mkdir(parents=True)
    (made / "etc").mkdir()
    assert BUSYBOX is not None
    shutil.copy(BUSYBOX, made / "bin/busybox")
    for name in ("sh", "cat", "ls", "id", "rm", "mkdir", "mv", "chmod", "stat"):
        (made / "bin" / name).symlink_to("busybox")
    (made / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nada:x:7:8::/home:/bin/sh\n")
    (made / "etc/release").write_text("one\n")
    for path, text in (files or {}).items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(text)
    return made


def archive(path: Path, entries: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as written:
        for name, data in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            written.addfile(entry, io.BytesIO(data))
    return path


def output(box: Sandbox | seclude.Cell, *words: str) -> str:
    return str(box.run(["sh", "-c", " ".join(words)], capture_output=True, text=True).stdout)


def test_an_image_is_a_root(tmp_path: Path, store: Store) -> None:
    image = store.import_directory(root(tmp_path), name="small")
    assert repr(image) == "<seclude.Image: small>"
    assert image.digest.startswith("sha256:")
    assert (image.layers, image.user, image.arguments, image.directory) == (1, "", [], "/")
    box = Sandbox(root=image, uid=0, gid=0)
    assert output(box, "cat /etc/release; echo two >/etc/release; cat /etc/release") == "one\ntwo\n"
    assert output(box, "cat /etc/release") == "one\n"
    assert Sandbox.from_json(box.to_json()) == box
    assert [listed.name for listed in store.images()] == ["small"]
    assert store.images()[0].digest == image.digest
    assert store.image("small").digest == image.digest
    with pytest.raises(seclude.SetupError, match="did you mean small") as caught:
        store.image("smal")
    assert caught.value.kind == "source-missing"


def test_a_sandbox_of_an_image_has_its_user(tmp_path: Path, store: Store) -> None:
    image = store.import_directory(root(tmp_path))
    assert output(image.sandbox(), "id -u") == "0\n"
    box = image.sandbox(hostname="made", files=[seclude.directory("/work", mode=0o1777)])
    assert output(box, "cat /proc/sys/kernel/hostname; ls -d /work") == "made\n/work\n"
    assert image.command() == {"args": [], "env": {}, "cwd": "/"}
    with pytest.raises(TypeError, match="an image comes from a store"):
        Image()


def test_changes_are_told_committed_and_exported(tmp_path: Path, store: Store) -> None:
    image = store.import_directory(root(tmp_path, {"opt/a": "a", "opt/b": "b"}), name="base")
    box = image.sandbox()
    with box.cell() as cell:
        assert cell.changes() == []
        output(
            cell,
            "rm /opt/a; echo new >/opt/c; echo two >/etc/release; chmod 700 /etc;",
            "rm -r /bin/mv; mkdir /made; cat /opt/b >/dev/null",
        )
        assert {(change.kind, change.path) for change in cell.changes()} == {
            ("deleted", "/opt/a"),
            ("added", "/opt/c"),
            ("changed", "/etc/release"),
            ("changed", "/etc"),
            ("deleted", "/bin/mv"),
            ("added", "/made"),
        }
        second = cell.commit("second")
        cell.reset()
        assert cell.changes() == []
    seen = "ls /opt /made; cat /etc/release; stat -c %a /etc"
    expected = "/made:\n\n/opt:\nb\nc\ntwo\n700\n"
    assert second.layers == 2
    assert output(second.sandbox(), seen) == expected
    assert output(image.sandbox(), "cat /etc/release") == "one\n"

    second.export_oci(tmp_path / "layout", "mine")
    second.export_tar(tmp_path / "root.tar")
    other = Store(tmp_path / "other")
    again = other.import_oci(tmp_path / "layout", "mine")
    assert again.layers == 2
    assert output(again.sandbox(), seen) == expected
    flat = other.import_found(tmp_path / "root.tar", name="flat")
    assert flat.layers == 1
    assert output(flat.sandbox(), seen) == expected
    with pytest.raises(seclude.PolicyError, match="has something in it"):
        second.export_oci(tmp_path / "layout")


def test_a_cell_without_an_image_has_nothing_to_commit(readable: Path) -> None:
    with Sandbox().cell() as cell, pytest.raises(seclude.PolicyError, match="no overlay"):
        cell.changes()
    box = Sandbox(files=[seclude.overlay([readable], "/work")], uid=0, gid=0)
    with box.cell() as cell:
        cell.run(["touch", "/work/f"])
        assert [(change.kind, change.path) for change in cell.changes()] == [("added", "/work/f")]
        with pytest.raises(seclude.PolicyError, match="shows no image"):
            cell.commit()


def test_an_image_in_use_is_not_collected(tmp_path: Path, store: Store) -> None:
    image = store.import_directory(root(tmp_path), name="small")
    box = image.sandbox()
    with box.cell() as cell:
        del image
        store.remove("small")
        assert store.collect() == seclude.Freed(images=0, layers=0)
        assert output(cell, "cat /etc/release") == "one\n"
    del box, cell
    assert store.collect() == seclude.Freed(images=0, layers=1)
    assert store.images() == []


def test_images_that_nothing_uses_are_collected_by_age(tmp_path: Path, store: Store) -> None:
    store.import_directory(root(tmp_path), name="small")
    assert store.collect(unused_for=3600).images == 0
    time.sleep(0.01)
    assert store.collect(unused_for=0.0) == seclude.Freed(images=1, layers=1)


def test_what_leads_out_or_is_too_large_is_refused(tmp_path: Path, store: Store) -> None:
    for name in ("../out", "a/../../out"):
        with pytest.raises(seclude.PolicyError, match="leads out of the image"):
            store.import_tar(archive(tmp_path / "x.tgz", {name: b"x"}))
    assert not (tmp_path / "out").exists()
    large = archive(tmp_path / "y.tgz", {"zeros": bytes(1 << 20)})
    with pytest.raises(seclude.PolicyError, match="more than the 1000 bytes allowed"):
        store.import_tar(large, max_bytes=1000)
    with pytest.raises(seclude.PolicyError, match="more than the 1 entries allowed"):
        store.import_tar(archive(tmp_path / "z.tgz", {"a": b"", "b": b""}), max_entries=1)
    cut = tmp_path / "cut.tgz"
    cut.write_bytes(large.read_bytes()[:200])
    with pytest.raises(seclude.PolicyError):
        store.import_tar(cut)
    assert list((tmp_path / "store/v1/layers").iterdir()) == []
    assert list((tmp_path / "store/v1/work").iterdir()) == []
    assert store.images() == []


def test_the_default_store_is_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECLUDE_STORE", str(tmp_path / "mine"))
    image = Image.from_directory(root(tmp_path))
    assert image.store == Store()
    assert image.store.path == str(tmp_path / "mine")
    assert image.name == image.digest
