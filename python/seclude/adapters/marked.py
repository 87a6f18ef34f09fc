"""Values as JSON, with marks for a few kinds that JSON lacks. Needs nothing but the library.

A copy of this file runs inside (`smolagents_guest.py`), and its messages may be hostile. Reading
one makes only values of the kinds below. Nothing is imported by name, unpickled or called.
"""

from __future__ import annotations

import base64
import datetime
import decimal
from collections.abc import Callable
from typing import Any

MARK = "__seclude__"

_WRITE: dict[type, Callable[[Any], Any]] = {
    bytes: lambda value: base64.b64encode(value).decode("ascii"),
    complex: lambda value: [value.real, value.imag],
    datetime.datetime: lambda value: value.isoformat(),
    datetime.date: lambda value: value.isoformat(),
    datetime.time: lambda value: value.isoformat(),
    datetime.timedelta: lambda value: value.total_seconds(),
    decimal.Decimal: str,
    tuple: lambda value: [written(one) for one in value],
    set: lambda value: [written(one) for one in value],
    frozenset: lambda value: [written(one) for one in value],
}
_READ: dict[str, Callable[[Any], Any]] = {
    "bytes": base64.b64decode,
    "complex": lambda data: complex(*data),
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda data: datetime.timedelta(seconds=data),
    "Decimal": decimal.Decimal,
    "tuple": lambda data: tuple(map(read, data)),
    "set": lambda data: set(map(read, data)),
    "frozenset": lambda data: frozenset(map(read, data)),
    "dict": lambda data: {read(key): read(value) for key, value in data},
}


def written(value: Any) -> Any:
    """Return a value in the form that JSON can hold. Raises TypeError if it has none.

    An array of numpy becomes a list, an image of Pillow the bytes of a PNG file, and a path text.
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return [written(one) for one in value]
    if kind is dict:
        if all(type(key) is str for key in value) and MARK not in value:
            return {key: written(one) for key, one in value.items()}
        pairs = [[written(key), written(one)] for key, one in value.items()]
        return {MARK: "dict", "data": pairs}
    if kind in _WRITE:
        return {MARK: kind.__name__, "data": _WRITE[kind](value)}
    if hasattr(value, "__fspath__"):
        return str(value)
    if kind.__module__.startswith("numpy"):
        return written(value.tolist())
    if kind.__module__.startswith("PIL."):
        import io

        buffer = io.BytesIO()
        value.save(buffer, format="PNG")
        return written(buffer.getvalue())
    raise TypeError(
        f"{kind.__name__} cannot leave or enter the sandbox; hint: plain values such as text, "
        "numbers, bytes, lists and dictionaries can"
    )


def read(data: Any) -> Any:
    """Return the value that `written` has given. Raises ValueError for anything else."""
    try:
        if isinstance(data, list):
            return [read(one) for one in data]
        if isinstance(data, dict):
            if MARK in data:
                return _READ[data[MARK]](data["data"])
            return {key: read(one) for key, one in data.items()}
    except (TypeError, LookupError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"no value: {type(error).__name__}") from None
    return data
