"""What a policy puts into the sandbox's file system: small frozen values for `Sandbox(files=[...])`.

Paths are text, bytes or path objects; `at` is absolute and inside. Nothing is looked at until a command starts. Each
class has a lower-case name too, which reads better in a list: `files=[bind("/opt/tool"), tmpfs("/tmp", "64M")]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .policy_part import Part
from .vocabulary import Path


@dataclass(frozen=True, slots=True)
class Bind(Part):
    """A file or directory of the caller's, `src`, shown at `at` (`src` itself if not given); read-only unless `writable`.

    A writable one in which the command can write nothing is a SetupError of kind
    `source-unreadable`. It names the user that the command is outside: if the caller is root,
    another one. One file or directory that it may write is enough.

    `optional` passes over a source that does not exist; with `noexec` nothing in it can be executed; with `devices` its
    device nodes work; with `nofollow` no symbolic link in `src` is followed: for a path through a directory that a program
    inside could write to in an earlier run. What is mounted below a directory is shown with it.
    """

    src: Path
    at: Path | None = None
    writable: bool = field(default=False, kw_only=True)
    optional: bool = field(default=False, kw_only=True)
    noexec: bool = field(default=False, kw_only=True)
    devices: bool = field(default=False, kw_only=True)
    nofollow: bool = field(default=False, kw_only=True)

    def policy(self) -> dict[str, Any]:
        """This value as a policy text has it."""
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
    """An empty, writable file system in memory, of at most `size` bytes (or a text: "64M") and `inodes` files.

    Without a size the kernel's limit holds: half of the memory. `mode` is its root directory's, 0o1777 if not given.
    With `noexec` nothing in it can be executed.
    """

    at: Path
    size: int | str | None = None
    inodes: int | None = None
    mode: int | None = None
    noexec: bool = False

    def policy(self) -> dict[str, Any]:
        """This value as a policy text has it."""
        return _given(
            tmpfs=self.at,
            size=self.size,
            inodes=self.inodes,
            mode=self.mode,
            noexec=self.noexec or None,
        )


@dataclass(frozen=True, slots=True)
class Directory(Part):
    """An empty directory, of mode 0o755 if not given."""

    at: Path
    mode: int | None = None

    def policy(self) -> dict[str, Any]:
        """This value as a policy text has it."""
        return _given(dir=self.at, mode=self.mode)


@dataclass(frozen=True, slots=True)
class Symlink(Part):
    """A symbolic link at `at` with the text `target`."""

    at: Path
    target: Path

    def policy(self) -> dict[str, Any]:
        """This value as a policy text has it."""
        return _given(symlink=self.at, target=self.target)


@dataclass(frozen=True, slots=True)
class File(Part):
    """A file made from `data`, text (as UTF-8) or bytes; of mode 0o644 if not given."""

    at: Path
    data: str | bytes
    mode: int | None = None

    def policy(self) -> dict[str, Any]:
        """This value as a policy text has it."""
        return _given(file=self.at, data=self.data, mode=self.mode)


Entry: TypeAlias = Bind | Tmpfs | Directory | Symlink | File
"""Anything that can stand in the file system."""

bind = Bind
tmpfs = Tmpfs
directory = Directory
symlink = Symlink
file = File


def _given(**keys: Any) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value is not None}
