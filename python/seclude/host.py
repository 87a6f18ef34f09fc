"""Check which features this host allows: `seclude.doctor()`, or `python -m seclude doctor`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from . import _seclude


@dataclass(frozen=True, slots=True)
class Check:
    """The result of checking one feature of the host."""

    name: str
    """A stable name, such as `namespace.user` or `limit.memory`."""
    state: Literal["works", "weaker", "missing"]
    """`works` as documented, `weaker` (see `detail` and `cause`), or `missing`."""
    detail: str
    """What the check found, such as a mechanism or a path. Empty if there is nothing to add."""
    cause: str | None = None
    """Why the feature is missing or weaker, else None."""
    remedy: str | None = None
    """How to make the feature work, if known."""


@dataclass(frozen=True, slots=True)
class Report:
    """The features that this host allows. `report["limit.memory"]` is one check.

    `str()` gives a table for people, which states a cause that several checks share once.
    `to_json()` is for programs.
    """

    kernel: str
    """The kernel's release, as printed by `uname -r`. Empty if `/proc` does not show it."""
    checks: tuple[Check, ...]
    """One check for each feature, in groups."""
    ready: bool
    """Whether this host can start sandboxes at all."""
    _table: str = field(repr=False, compare=False)
    _json: str = field(repr=False, compare=False)

    def to_json(self) -> str:
        """Return a JSON object with the keys `seclude`, `kernel`, `ready` and `checks`.

        `checks` is a list of objects with the fields of `Check`.
        """
        return self._json

    def __getitem__(self, name: str) -> Check:
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def __str__(self) -> str:
        return self._table


def doctor() -> Report:
    """Check which features this host allows to this process.

    The check starts some forty sandboxes, one after another, which try one feature each. Their
    program comes from this package and exits at once. Nothing is left behind. A feature that does
    not work is part of the report and raises nothing.
    """
    kernel, checks, ready, table, json = _seclude.doctor()
    return Report(kernel, tuple(Check(*check) for check in checks), ready, table, json)
