"""Writes the table of system calls (core/src/policy/seccomp/table.rs) from the kernel's headers.

Usage: syscalls.py [--check] UAPI

UAPI is a directory with the headers of all architectures, as Debian's linux-libc-dev (7.0 or later)
has it: usr/lib/linux/uapi. The numbers of `asm/unistd_64.h` in there are what the kernel's own
scripts generate from its tables. With --check nothing is written, and a difference is an error.

A call that the table has and the headers lack stays only by hand: the kernel never gives a number
to another call, so remove nothing.
"""

import argparse
import re
import sys
from pathlib import Path

TABLE = Path(__file__).parents[1] / "core/src/policy/seccomp/table.rs"
# The kernel's names of the architectures, in the order of the columns.
ARCHITECTURES = ["x86", "arm64", "riscv"]
BEGIN, END = "calls! {\n", "}\n"


def numbers(header: Path) -> dict[str, int]:
    found = re.findall(r"^#define __NR_(\w+)\s+(\d+)$", header.read_text(), re.MULTILINE)
    return {name: int(number) for name, number in found}


def rows(uapi: Path) -> str:
    columns = [numbers(uapi / name / "asm/unistd_64.h") for name in ARCHITECTURES]
    names = sorted(set().union(*columns))
    lines = ["    //                       x86_64 aarch64 riscv64"]
    for name in names:
        row = [str(column.get(name, "-")) for column in columns]
        lines.append(f"    {name:<24} {row[0]:<6} {row[1]:<7} {row[2]}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("uapi", type=Path)
    arguments = parser.parse_args()
    text = TABLE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition("\n" + END)
    new = before + BEGIN + rows(arguments.uapi) + END + after
    if new == text:
        return
    if arguments.check:
        sys.exit(f"{TABLE} differs from the kernel's headers")
    TABLE.write_text(new)


if __name__ == "__main__":
    main()
