"""Functions that test_executor.py calls in sandboxes. They must be importable inside."""

from __future__ import annotations

import os
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
