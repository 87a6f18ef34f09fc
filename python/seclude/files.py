"""The entries of the sandbox's file system: small frozen values for `Sandbox(files=[...])`.

Paths are text, bytes or path objects. `at` is an absolute path inside. No path is checked before a
command starts. Each class also has a lower-case name, which reads better in a list:
`files=[bind("/opt/tool"), tmpfs("/tmp", "64M")]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .policy_part import Part
from .vocabulary import Path


@dataclass(frozen=True, slots=True)
class Bind(Part):
    """A file or directory of the caller, `src`, shown inside at `at` (default: at `src`).

    It is read-only unless `writable` is true. If the command can write nothing in a writable bind,
    starting it raises SetupError of kind `source-unreadable`. One file or directory that it may
    write is enough. The error names the user that the command has outside, which differs from the
    caller if the caller is root.

    `optional` skips a source that does not exist. `noexec` forbids executing anything in it.
    `devices` makes its device nodes work. `nofollow` follows no symbolic link in `src`; use it for
    a path through a directory that a program inside could write to in an earlier run. Mounts below
    a directory are shown with it.
    """

    src: Path
    at: Path | None = None
    writable: bool = field(default=False, kw_only=True)
    optional: bool = field(default=False, kw_only=True)
    noexec: bool = field(default=False, kw_only=True)
    devices: bool = field(default=False, kw_only=True)
    nofollow: bool = field(default=False, kw_only=True)

    def policy(self) -> dict[str, Any]:
        """Return this value in the form of a policy's text."""
        return _given(
            bind=self.src,
            at=self.at,
            writable=self.writable or None,
            optional=self.optional or None,
            noexec=self.noexec or None,
            devices=self.devices or None,
            nofollow=self.nofollow or None,
        )


@dataclass(frozen=True, slots=True)
class Tmpfs(Part):
    """An empty, writable file system in memory.

    It holds at most `size` bytes (or text such as "64M") and `inodes` files. Without a size, the
    kernel limits it to half of the memory. `mode` is the mode of its root directory, 0o1777 by
    default. `noexec` forbids executing anything in it.
    """

    at: Path
    size: int | str | None = None
    inodes: int | None = None
    mode: int | None = None
    noexec: bool = False

    def policy(self) -> dict[str, Any]:
        """Return this value in the form of a policy's text."""
        return _given(
            tmpfs=self.at,
            size=self.size,
            inodes=self.inodes,
            mode=self.mode,
            noexec=self.noexec or None,
        )


@dataclass(frozen=True, slots=True)
class Directory(Part):
    """An empty directory, of mode 0o755 by default."""

    at: Path
    mode: int | None = None

    def policy(self) -> dict[str, Any]:
        """Return this value in the form of a policy's text."""
        return _given(dir=self.at, mode=self.mode)


@dataclass(frozen=True, slots=True)
class Symlink(Part):
    """A symbolic link at `at` that points to `target`."""

    at: Path
    target: Path

    def policy(self) -> dict[str, Any]:
        """Return this value in the form of a policy's text."""
        return _given(symlink=self.at, target=self.target)


@dataclass(frozen=True, slots=True)
class File(Part):
    """A file that contains `data`, bytes or text (stored as UTF-8), of mode 0o644 by default."""

    at: Path
    data: str | bytes
    mode: int | None = None

    def policy(self) -> dict[str, Any]:
        """Return this value in the form of a policy's text."""
        return _given(file=self.at, data=self.data, mode=self.mode)


Entry: TypeAlias = Bind | Tmpfs | Directory | Symlink | File
"""An entry of the file system."""

bind = Bind
tmpfs = Tmpfs
directory = Directory
symlink = Symlink
file = File


def _given(**keys: Any) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value is not None}
