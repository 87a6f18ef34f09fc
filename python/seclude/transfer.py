"""Copy files and trees out of and into directories that a hostile program may control.

The program may also change them meanwhile. A copy follows no symbolic link, takes only regular
files and directories, and counts them while reading. If it exceeds its bounds or finds anything
else, it raises and leaves nothing behind.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import _seclude
from .command import size
from .vocabulary import Path

MAX_BYTES = 256 << 20
MAX_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of a copy."""

    entries: int
    """The number of files and directories copied."""
    bytes: int
    """The number of bytes copied in files."""
    skipped: tuple[str, ...]
    """The paths that `skip_special` left out: neither files nor directories."""

    @staticmethod
    def _from_native(done: _seclude._Done) -> Copied:
        entries, length, skipped = done
        return Copied(entries, length, tuple(map(os.fsdecode, skipped)))


def copy(
    base: Path,
    path: Path,
    to: Path,
    *,
    max_bytes: int | str = MAX_BYTES,
    max_entries: int = MAX_ENTRIES,
    skip_special: bool = False,
) -> Copied:
    """Copy the file or tree at `path`, relative to the directory `base`, to `to`.

    Use this for files that a program left in a directory bound writable. `to` must not exist yet.
    No symbolic link in `path` or below it is followed; `base` is trusted. The caller owns the
    copies. They have the permissions of the originals without the set-user-id, set-group-id and
    sticky bits, and their owner can always read and write them.

    `max_bytes` bounds the total size: bytes, or text such as "64M". `max_entries` bounds the number
    of files and directories. `skip_special` leaves out links, pipes, sockets and devices and lists
    them in the result; otherwise they raise. Entries left out count against `max_entries`, and
    their paths may have at most 4 MiB in total.
    """
    bounds = size("max_bytes", max_bytes), max_entries, skip_special
    return Copied._from_native(
        _seclude.copy(os.fsencode(base), os.fsencode(path), os.fsencode(to), bounds)
    )
