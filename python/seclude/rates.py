"""Limits on I/O rates of a device: a small frozen value for `Sandbox(io=[...])`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from .policy_part import Part
from .vocabulary import Path


@dataclass(frozen=True, slots=True)
class Io(Part):
    """Rate limits on a block device. This requires a cgroup.

    `path` is a path of the caller: the device's node, or any file on the device. Each rate is per
    second, and None means no limit. Bytes may be text: `io("/", write_bytes="10M")`.
    """

    path: Path
    read_bytes: int | str | None = field(default=None, kw_only=True)
    write_bytes: int | str | None = field(default=None, kw_only=True)
    read_operations: int | None = field(default=None, kw_only=True)
    write_operations: int | None = field(default=None, kw_only=True)

    def policy(self) -> dict[str, Any]:
        """Return this value in the form of a policy's text."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in given.items() if value is not None}


io = Io
