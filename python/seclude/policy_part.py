"""What the values have in common that a policy is made of, each in the module of its kind."""

from __future__ import annotations

from typing import Any

from .keywords import KnownKeywords


class Part(KnownKeywords):
    """A value in a policy that knows its own text."""

    __slots__ = ()

    def policy(self) -> dict[str, Any]:
        """This value as a policy text has it."""
        raise NotImplementedError
