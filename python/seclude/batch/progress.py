"""How far a batch is, for a person who watches: by rich on standard error, if that is a terminal and rich is there."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lines import Told


@contextmanager
def progress(lines: IO[bytes], shown: bool) -> Iterator[Callable[[Told], None]]:
    """Shows how many jobs are done and, where the file's size says it, how many are left; takes each as it is told."""
    if not shown or not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
    except ImportError:
        yield lambda _: None
        return
    columns = (
        BarColumn(),
        TextColumn("{task.fields[jobs]} jobs, {task.fields[errors]} not run"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("batch", total=_size(lines), jobs=0, errors=0)
        jobs = errors = 0

        def told(one: Told) -> None:
            nonlocal jobs, errors
            jobs, errors = jobs + 1, errors + isinstance(one.result, Exception)
            bar.update(task, advance=one.size, jobs=jobs, errors=errors)

        yield told


def _size(lines: IO[bytes]) -> int | None:
    """The bytes of a regular file; of anything else nobody knows how much there will be."""
    about = os.fstat(lines.fileno())
    return about.st_size if stat.S_ISREG(about.st_mode) else None
