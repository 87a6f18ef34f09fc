"""Functions that test_executor.py calls in sandboxes. They must be importable inside."""

from __future__ import annotations

import os
import pickle
import sys
import time
from typing import Any


def add(one: int, other: int = 0) -> int:
    return one + other


def fail(text: str) -> None:
    raise ValueError(text)


def crash() -> None:
    os.kill(os.getpid(), 11)


def leave(code: int) -> None:
    os._exit(code)


def talk(text: str) -> str:
    print(text)
    print(text, file=sys.stderr)
    return text


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def where() -> list[Any]:
    return [os.getpid(), os.listdir("/tmp"), os.path.exists("/etc/shadow")]


def use_memory(size: int) -> int:
    return len(b"x" * size)


class Evil:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> Any:
        return print, ("unpickled",)


def give_evil() -> Evil:
    return Evil()


def write_garbage() -> None:
    os.write(3, b"garbage")
    os._exit(0)


CALLS = 0


def count_calls(_: int) -> int:
    global CALLS
    CALLS += 1
    return CALLS


class Ends:
    """Ends the process where it is unpickled, if that does not stop it."""

    def __reduce__(self) -> Any:
        return sys.exit, (3,)


def give_end() -> Ends:
    return Ends()


def forge(data: bytes) -> None:
    """Write a result past the program that calls this function."""
    os.write(3, data)
    os._exit(0)


def forge_nested() -> None:
    os.write(3, b"[" * 65536)
    os._exit(0)


def forge_pickles() -> None:
    os.write(3, pickle.dumps({"value": Evil(), "exception": Evil()}))
    os._exit(0)
