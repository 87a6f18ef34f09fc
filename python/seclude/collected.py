"""The files that a command has left, as `collect` asked for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from .errors import SecludeError

if TYPE_CHECKING:
    from . import _seclude


Contents: TypeAlias = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Collected:
    """The files that a command has left.

    After an error there are no files, so that no part is taken for the whole. The outcome of the
    command is not affected.
    """

    contents: Contents = field(default_factory=dict, hash=False)
    """What each file contains, by its path, in byte order of the paths, name by name.

    Paths are absolute if the pattern is, else relative to the working directory. Empty if the files
    have been written to a directory.
    """
    permissions: Mapping[str, int] = field(default_factory=dict, hash=False)
    """The nine permission bits of each file in `contents`."""
    entries: int = 0
    """The number of files and directories that match, with all that is in these directories."""
    bytes: int = 0
    """The number of bytes in the files."""
    skipped: tuple[str, ...] = ()
    """The paths of what matches and is neither a file nor a directory.

    Also the path of each symbolic link that a pattern would lead through.
    """
    unmatched: tuple[str, ...] = ()
    """The patterns that matched nothing."""
    error: SecludeError | None = field(default=None, hash=False)
    """Why the files could not be collected, or None.

    A bound is exceeded (`kind` is `invalid`), or a file cannot be read or written (`io`).
    """

    @property
    def files(self) -> Contents:
        """The same as `contents`, but raises `error` if the files could not be collected."""
        if self.error is not None:
            raise self.error
        return self.contents

    @staticmethod
    def _from_native(native: _seclude._Collected) -> Collected:
        files = [(os.fsdecode(path), data, bits) for path, data, bits in native["files"]]
        return Collected(
            {path: data for path, data, _ in files},
            {path: bits for path, _, bits in files},
            native["entries"],
            native["bytes"],
            tuple(map(os.fsdecode, native["skipped"])),
            tuple(map(os.fsdecode, native["unmatched"])),
            native["error"],
        )
