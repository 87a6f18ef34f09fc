"""How fast what runs inside may read and write on a device: a small frozen value for `Sandbox(io=[...])`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from .policy_part import Part
from .vocabulary import Path


@dataclass(frozen=True, slots=True)
class Io(Part):
    """Rates on the block device that holds `path`, a path of the caller's, or that is this node itself. Takes a cgroup.

    Each rate is a second's, None for no limit; bytes may be text: `io("/", write_bytes="10M")`.
    """

    path: Path
    read_bytes: int | str | None = field(default=None, kw_only=True)
    write_bytes: int | str | None = field(default=None, kw_only=True)
    read_operations: int | None = field(default=None, kw_only=True)
    write_operations: int | None = field(default=None, kw_only=True)

    def policy(self) -> dict[str, Any]:
        """This value as a policy text has it."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in given.items() if value is not None}


io = Io
