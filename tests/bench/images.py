"""What images cost over the same without them, in turns.

Usage: images.py [--rounds N] [--place DIRECTORY] [--archive FILE], with a Python that has the
wheel. FILE is a root as a tar archive, compressed with gzip. Without one, 200 MB of this machine's
programs and libraries are packed. DIRECTORY (default: /var/tmp) is on a file system that overlays
can write to. Each round takes some 600 MB there until the end: after the removal of many files,
ext4 makes new ones slowly. Prints ratios of medians, with the targets, and the times on standard
error.
"""

import argparse
import gzip
import hashlib
import json
import os
import pathlib
import platform
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import turns
from machine import described

import seclude

SIZE = 200_000_000
# Rounds of the short ways for each one of the long ways.
SHORT = 30


@dataclass
class Way:
    """Something that takes its turns. `prepare` is not measured."""

    act: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    times: list[int] = field(default_factory=list)

    def turn(self) -> None:
        self.prepare()
        start = time.perf_counter_ns()
        self.act()
        self.times.append(time.perf_counter_ns() - start)


KNOWN = "import of known layers"
ROWS = (
    ("run on an image", "run on a directory", "1.1"),
    ("new cell on an image", "new cell", ""),
    ("new cell on an image", "new cell on a directory", ""),
    ("reset on an image", "reset", ""),
    ("reset on an image", "reset on a directory", ""),
    ("reset on an image", "new cell on an image", ""),
    ("reset", "new cell", ""),
    ("import", "tar xz", "1.3"),
    ("import", "tar xz and sync", ""),
    (KNOWN, "import", "5 ms"),
    ("commit of ten files", "new cell on an image", ""),
    ("copy_out of 10,000 files", "cp -a", "1.2"),
)


def pack(archive: pathlib.Path) -> None:
    """Pack programs and libraries of this machine, in the order of their names."""
    left = SIZE
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for directory, directories, names in os.walk("/usr/lib"):
            directories.sort()
            for name in sorted(names):
                path = pathlib.Path(directory, name)
                if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
                    continue
                if path.stat().st_size > min(left, SIZE // 20):
                    continue
                left -= path.stat().st_size
                tar.add(path, recursive=False)
            if left < SIZE // 200:
                return


def layout(archive: pathlib.Path, directory: pathlib.Path) -> None:
    """Write the OCI image layout of an image whose one layer is the archive."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(kind: str, data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        kind = f"application/vnd.oci.image.{kind}"
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    packed = archive.read_bytes()
    unpacked = hashlib.sha256(gzip.decompress(packed)).hexdigest()
    processor = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config = {
        "architecture": processor,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{unpacked}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "config": blob("config.v1+json", json.dumps(config).encode()),
        "layers": [blob("layer.v1.tar+gzip", packed)],
    }
    index = {
        "schemaVersion": 2,
        "manifests": [blob("manifest.v1+json", json.dumps(manifest).encode())],
    }
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def small_root(root: pathlib.Path) -> None:
    """Make a root of one program."""
    busybox = shutil.which("busybox")
    if busybox is None:
        sys.exit("images.py: busybox is not installed (Debian: busybox-static)")
    # The mount points are there, as in other images.
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        (root / name).mkdir(parents=True)
    for name in ("hosts", "resolv.conf"):
        (root / "etc" / name).touch()
    shutil.copy(busybox, root / "bin/busybox")
    for name in ("sh", "seq"):
        (root / "bin" / name).symlink_to("busybox")


def many(tree: pathlib.Path) -> None:
    """Make 10,000 files of 4 KiB in 100 directories."""
    for directory in range(100):
        (tree / str(directory)).mkdir(parents=True)
        for file in range(100):
            (tree / str(directory) / str(file)).write_bytes(os.urandom(4096))


class Fresh:
    """Directories and stores that only one turn uses."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self.number = 0
        self.target = place
        self.store: seclude.Store

    def next(self) -> None:
        self.number += 1
        self.target = self.place / f"target-{self.number}"
        self.target.mkdir()
        self.store = seclude.Store(self.place / f"store-{self.number}")
        # What the turn before has written must not be written back in this one.
        os.sync()


def start(box: seclude.Sandbox) -> None:
    box.cell().close()


def runs(store: seclude.Store, root: pathlib.Path) -> Iterator[tuple[str, Way]]:
    """Yield the ways of sandboxes, each with the image and without."""
    image = store.import_directory(root, name="small")
    roots: dict[str, str | seclude.Image | None] = {
        "": None,
        " on a directory": str(root),
        " on an image": image,
    }
    for name, each in roots.items():

        def box(each: str | seclude.Image | None = each) -> seclude.Sandbox:
            return seclude.Sandbox(root=each, uid=0, gid=0)

        if each is not None:
            run = ["/bin/busybox", "true"]
            yield f"run{name}", Way(partial(box().run, run, check=True))
        yield f"new cell{name}", Way(partial(start, box()))
        # The reset of a cell makes a template, of which new cells of the same sandbox are copies.
        cell = box().cell()
        cell.reset()
        yield f"reset{name}", Way(cell.reset)
    cell = box().cell()
    change = ["sh", "-c", "for i in $(seq 10); do echo >>/file-$i; done"]
    yield (
        "commit of ten files",
        Way(partial(cell.commit, "changed"), partial(cell.run, change, check=True)),
    )


def imports(store: seclude.Store, archive: pathlib.Path, fresh: Fresh) -> Iterator[tuple[str, Way]]:
    """Yield the ways to unpack an archive."""
    directory = fresh.place / "layout"
    layout(archive, directory)
    store.import_oci(directory)
    # Not with owners: those of the host's files would be root's alone to give.
    unpack = f"tar --no-same-owner -xzf '{archive}' -C"

    def shell(script: str) -> Callable[[], object]:
        return lambda: subprocess.run(["sh", "-ec", script, fresh.target], check=True)

    yield "tar xz", Way(shell(f'{unpack} "$0"'), fresh.next)
    yield "tar xz and sync", Way(shell(f'{unpack} "$0"; sync -f "$0"'), fresh.next)
    yield "import", Way(lambda: fresh.store.import_tar(archive), fresh.next)
    yield KNOWN, Way(lambda: store.import_oci(directory))


def copies(image: seclude.Image, memory: pathlib.Path) -> Iterator[tuple[str, Way]]:
    """Yield the ways to copy 10,000 files within memory, where also the changes of cells are."""
    tree, copy = memory / "tree", memory / "copy"
    many(tree)
    cell = seclude.Sandbox(root=image, uid=0, gid=0).cell()
    bounds: dict[str, Any] = {"max_bytes": 1 << 30, "max_entries": 20_000, "archive": True}
    cell.copy_in(tree, "/tree", **bounds)

    def remove() -> None:
        shutil.rmtree(copy, ignore_errors=True)

    yield "cp -a", Way(partial(subprocess.run, ["cp", "-a", tree, copy], check=True), remove)
    yield "copy_out of 10,000 files", Way(partial(cell.copy_out, "/tree", copy, **bounds), remove)


def measure(ways: dict[str, Way], rounds: int) -> turns.Times:
    """Let the ways take their turns, in a new order every round. The first round warms up."""
    order = random.Random(1)
    names = list(ways)
    for number in range(rounds + 1):
        order.shuffle(names)
        for name in names:
            # The kernel takes namespaces apart in the background.
            time.sleep(0.02)
            ways[name].turn()
        turns.progress(f"{names[0]} and others: {number} of {rounds} rounds")
    turns.progress("")
    return {name: way.times[1:] for name, way in ways.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--place", type=pathlib.Path, default=pathlib.Path("/var/tmp"))
    parser.add_argument("--archive", type=pathlib.Path)
    options = parser.parse_args()
    temporary = tempfile.TemporaryDirectory
    with (
        temporary(dir=options.place, prefix="seclude-bench-") as place,
        temporary(dir="/dev/shm", prefix="seclude-bench-") as memory,
    ):
        at = pathlib.Path(place)
        archive = options.archive or at / "root.tar.gz"
        if not options.archive:
            pack(archive)
        small_root(at / "root")
        store, fresh = seclude.Store(at / "store"), Fresh(at)
        short = dict(runs(store, at / "root"))
        long = dict(imports(store, archive, fresh))
        # It takes a millisecond.
        short[KNOWN] = long.pop(KNOWN)
        long |= copies(store.image("small"), pathlib.Path(memory))
        before = os.getloadavg()
        # The long ones write much, which would be in the way of the short ones.
        times = measure(short, options.rounds * SHORT) | measure(long, options.rounds)
        after = os.getloadavg()
    print(f"{described()}\nload {before[0]:.1f} before, {after[0]:.1f} after\n")
    print("| | over | ratio | target | time |\n|---|---|---:|---:|---:|")
    for name, base, target in ROWS:
        ratio = turns.ratio(times, name, base)
        time_of = turns.median(times, name) / 1e6
        print(f"| {name} | {base} | {ratio:.2g} | {target} | {time_of:.3g} ms |")
    print(turns.microseconds(times), file=sys.stderr)


if __name__ == "__main__":
    main()
