"""The records of the logger `seclude`: commands that started, ended, or were refused.

| message | level | attributes of the record |
|---|---|---|
| `started` | DEBUG | `args_`, `pid`, `inside_pid` |
| `ended` | INFO | `args_`, `pid`, `outcome` |
| `refused` | INFO | `args_` (None for a cell or pool), `error` |

The attributes are the values themselves: an `Outcome`, a `SecludeError`. `args_` is a tuple of at
most 32 words of at most 200 characters. A refusal is no warning, because its error is raised to the
caller, who decides.

Nothing is logged, and nothing is imported, before the program itself imports `logging`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import seclude

if TYPE_CHECKING:
    from logging import Logger

# The numbers of `logging`, which is not imported here.
_DEBUG, _INFO = 10, 20
_WORDS, _CHARACTERS = 32, 200
_logger: Logger | None = None


def started(process: seclude.Popen) -> None:
    """Log that a command runs."""
    if (logger := _enabled(_DEBUG)) is not None:
        words = _bounded(process.args)
        more = {"args_": words, "pid": process.pid, "inside_pid": process.inside_pid}
        logger.debug("started %s", words[0], extra=more)


def ended(process: seclude.Popen) -> None:
    """Log how a command ended."""
    if (logger := _enabled(_INFO)) is not None:
        words, outcome = _bounded(process.args), process.outcome
        more = {"args_": words, "pid": process.pid, "outcome": outcome}
        logger.info("ended %s: %s", words[0], outcome, extra=more)


def refused(args: Any, error: seclude.SecludeError) -> None:
    """Log that a command, or a cell or pool if `args` is None, was not started."""
    if (logger := _enabled(_INFO)) is not None:
        words = None if args is None else _bounded(args)
        more = {"args_": words, "error": error}
        logger.info("refused %s: %s", words[0] if words else "a sandbox", error, extra=more)


def _enabled(level: int) -> Logger | None:
    """Return the logger if somebody listens to this level."""
    global _logger
    if _logger is None:
        logging = sys.modules.get("logging")
        if logging is None:
            return None
        _logger = logging.getLogger("seclude")
        # Without a handler, the last resort of `logging` would print warnings.
        _logger.addHandler(logging.NullHandler())
    return _logger if _logger.isEnabledFor(level) else None


def _bounded(args: Any) -> tuple[str, ...]:
    """Return the first words of a command as text, each cut to a length."""
    try:
        every = [args] if isinstance(args, (str, bytes, os.PathLike)) else args[:_WORDS]
        words = tuple(os.fsdecode(word)[:_CHARACTERS] for word in every)
    except TypeError:
        # Not a command at all, which is why it was refused.
        words = ()
    return words or (repr(args)[:_CHARACTERS],)
