"""What this host allows, feature by feature: `seclude.doctor()`, and `python -m seclude doctor` on a terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from . import _seclude


@dataclass(frozen=True, slots=True)
class Check:
    """One feature, and how far this host allows it."""

    name: str
    """Its name, which does not change: `namespace.user`, `limit.memory`."""
    state: Literal["works", "weaker", "missing"]
    """As documented; in a lesser way, which `detail` and `cause` tell; not at all."""
    detail: str
    """What was found: a mechanism, a path. Empty if there is nothing to say."""
    cause: str | None = None
    """Why it does not work, or only in a lesser way."""
    remedy: str | None = None
    """What to do about it, if anything is known."""


@dataclass(frozen=True, slots=True)
class Report:
    """What this host allows: `report["limit.memory"]` is one check.

    `str()` is a table for people, in which a reason that several checks share is told once; `to_json()` is for programs.
    """

    kernel: str
    """The kernel's release, as `uname -r` tells it; empty where `/proc` does not."""
    checks: tuple[Check, ...]
    """One for each feature, in groups."""
    ready: bool
    """Whether sandboxes can be started here at all."""
    _table: str = field(repr=False, compare=False)
    _json: str = field(repr=False, compare=False)

    def to_json(self) -> str:
        """An object with `seclude`, `kernel`, `ready` and `checks`, a list of objects with the fields of `Check`."""
        return self._json

    def __getitem__(self, name: str) -> Check:
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def __str__(self) -> str:
        return self._table


def doctor() -> Report:
    """Finds out what this host allows to this process, by starting sandboxes that try one feature each.

    What does not work is what it tells, and no exception. Some forty sandboxes are started, one after another, whose program
    comes from this package and ends at once; nothing is left behind.
    """
    kernel, checks, ready, table, json = _seclude.doctor()
    return Report(kernel, tuple(Check(*check) for check in checks), ready, table, json)
