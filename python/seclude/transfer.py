"""Copy files and trees out of and into directories that a hostile program may control.

The program may also change them meanwhile. A copy follows no symbolic link, takes only regular
files and directories, and counts them while reading. If it exceeds its bounds or finds anything
else, it raises and leaves nothing behind. So it does if it is interrupted with Ctrl-C.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from . import _seclude
from .command import size
from .vocabulary import Path

MAX_BYTES = 256 << 20
MAX_ENTRIES = 10_000

Progress: TypeAlias = Callable[[int, int], object]
"""A function that is told how many entries and how many bytes have been copied."""


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of a copy."""

    entries: int
    """The number of files and directories copied, and of symbolic links with `archive`."""
    bytes: int
    """The number of bytes copied in files. Further hard links to a file add none."""
    skipped: tuple[str, ...]
    """The paths that `skip_special` left out."""

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
    archive: bool = False,
    progress: Progress | None = None,
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

    `archive` copies as `cp -a` does: symbolic links are made anew with the same target, further
    hard links to a file become hard links to its copy, and files and directories keep the time of
    their last modification. No link is followed for that, but whoever reads the copies may follow
    them, and a program may have made them lead anywhere.

    `progress` is called with the number of entries and of bytes so far: before the first entry,
    then at most ten times a second, and at the end. It runs in the calling thread, and the copy
    waits meanwhile. If it raises, the copy is cancelled and removed, and the exception propagates.
    """
    bounds = size("max_bytes", max_bytes), max_entries, skip_special, archive
    return Copied._from_native(
        _seclude.copy(os.fsencode(base), os.fsencode(path), os.fsencode(to), bounds, progress)
    )
