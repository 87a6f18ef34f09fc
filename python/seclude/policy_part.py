"""The base class of the values that make up a policy."""

from __future__ import annotations

from typing import Any

from .keywords import KnownKeywords


class Part(KnownKeywords):
    """A value in a policy that can write itself as policy text."""

    __slots__ = ()

    def policy(self) -> dict[str, Any]:
        """Return this value in the form of a policy's text."""
        raise NotImplementedError
