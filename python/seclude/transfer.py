"""Copying files and trees out of, and into, places that somebody hostile may have filled, and may change meanwhile.

No symbolic link is followed; only regular files and directories are copied, and counted as they are read. More than the
bounds, or anything else in a tree, is an error that leaves nothing behind.
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
    """What has been copied."""

    entries: int
    """Files and directories."""
    bytes: int
    """Bytes in files."""
    skipped: tuple[str, ...]
    """What is neither a file nor a directory, left out with `skip_special`."""

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
    """Copies the file or tree at `path`, relative to the directory `base`, to `to`, which must not exist yet.

    For what a program left in a directory that was bound writable. No link in `path` or below it is followed; `base` is the
    caller's word. The copies are the caller's, with the permissions of the originals but for set-user-id and sticky bits.
    `skip_special` leaves out links, pipes, sockets and devices, and tells them; else they are an error. They count against
    `max_entries`, and their paths may have 4 MiB together.
    """
    bounds = size("max_bytes", max_bytes), max_entries, skip_special
    return Copied._from_native(
        _seclude.copy(os.fsencode(base), os.fsencode(path), os.fsencode(to), bounds)
    )
