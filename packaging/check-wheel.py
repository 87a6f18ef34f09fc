"""Checks finished wheels: what each holds, for which machine it is, and which C library it needs.

maturin checks the extension against the wheel's tag. The command beside it is only data to maturin,
so both are read here: `check-wheel.py WHEEL...` fails if a program is for another machine than the
tag says, or asks for a newer glibc, for glibc in a musl wheel, or for a library besides libc's own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MACHINES = {"x86_64": "Advanced Micro Devices X86-64", "aarch64": "AArch64"}
# The libraries of which PEP 599 and PEP 656 allow a wheel to ask.
GLIBC = {
    "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1",
    "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
}  # fmt: skip
MUSL = {"libc.so", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"}
NEEDED = (
    "seclude/_seclude.abi3.so", "seclude/py.typed", "seclude/_seclude.pyi",
    ".data/scripts/seclude", ".dist-info/licenses/LICENSE-MIT",
    ".data/data/share/man/man1/seclude.1", ".data/data/share/man/man7/seclude.7",
    ".dist-info/sboms/seclude.cdx.json",
)  # fmt: skip


def readelf(program: Path, *options: str) -> str:
    """Return what readelf says about a program, in English."""
    command = ["readelf", "--wide", *options, str(program)]
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout


def faults_of(program: Path, machine: str, glibc: tuple[int, int] | None) -> list[str]:
    """Return why the program does not fit a wheel of this machine and this glibc (None: musl)."""
    faults = []
    if MACHINES[machine] not in readelf(program, "--file-header"):
        faults.append(f"it is not for {machine}")
    libraries = set(re.findall(r"\(NEEDED\).*\[(.*)\]", readelf(program, "--dynamic")))
    if others := libraries - (MUSL if glibc is None else GLIBC):
        faults.append(f"it needs {', '.join(sorted(others))}")
    wanted = re.findall(r"GLIBC_(\d+)\.(\d+)", readelf(program, "--version-info"))
    newest = max(((int(major), int(minor)) for major, minor in wanted), default=(0, 0))
    if newest > (glibc or (0, 0)):
        faults.append(f"it needs glibc {newest[0]}.{newest[1]}")
    return faults


def check(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel."""
    found = re.search(r"-cp311-abi3-(?:manylinux.*|musllinux.*)_(x86_64|aarch64)\.whl$", wheel.name)
    if not found:
        return ["its name is not that of an abi3 wheel for Linux"]
    machine = found[1]
    glibc = (2, 17) if "manylinux" in wheel.name else None
    faults = []
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as place:
        names = archive.namelist()
        faults += [f"it has no {part}" for part in NEEDED if not ending(names, part)]
        for name in names:
            if name.endswith((".so", "scripts/seclude")):
                program = Path(archive.extract(name, place))
                faults += [f"{name}: {fault}" for fault in faults_of(program, machine, glibc)]
    return faults


def ending(names: list[str], part: str) -> list[str]:
    """Return the names that end in `part`."""
    return [name for name in names if name.endswith(part)]


def main() -> int:
    """Check each wheel that the command line names."""
    failed = False
    for wheel in map(Path, sys.argv[1:]):
        faults = check(wheel)
        failed |= bool(faults)
        for fault in faults:
            print(f"{wheel.name}: {fault}", file=sys.stderr)
        if not faults:
            print(f"{wheel.name}: {wheel.stat().st_size >> 10} KiB")
    return 1 if failed or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
