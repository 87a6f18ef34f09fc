"""The progress bar of a batch, on standard error if that is a terminal and `rich` is installed."""

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
    """Show a progress bar, and yield the function to call with each result.

    The bar shows how many jobs are done, and what remains if the size of the file is known.
    """
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

        def update(one: Told) -> None:
            nonlocal jobs, errors
            jobs, errors = jobs + 1, errors + isinstance(one.result, Exception)
            bar.update(task, advance=one.size, jobs=jobs, errors=errors)

        yield update


def _size(lines: IO[bytes]) -> int | None:
    """Return the size of a regular file in bytes, or None for other kinds of file."""
    about = os.fstat(lines.fileno())
    return about.st_size if stat.S_ISREG(about.st_mode) else None
