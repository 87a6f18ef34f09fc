"""The records of the logger `seclude`: commands that started, ended, or were refused, and denials.

| message | level | attributes of the record |
|---|---|---|
| `started` | DEBUG | `args_`, `pid`, `inside_pid` |
| `ended` | INFO | `args_`, `pid`, `outcome` |
| `refused` | INFO | `args_` (None for a cell or pool), `error` |
| `denied` | INFO | `args_`, `pid` (None from `learn`), `denial` |

The attributes are the values themselves: an `Outcome`, a `SecludeError`, a `Denial`. `args_` is a
tuple of at most 32 words of at most 200 characters. A refusal is no warning, because its error is
raised to the caller, who decides.

`denied` follows `ended` if a limit decided the end, or a rule of the filter that kills: at most one
for a command. `Sandbox.learn` gives one for each system call that the filter refused, the most
frequent first, at most 32. A last one, whose `denial` is None, counts those that are left out.

Nothing is logged, and nothing is imported, before the program itself imports `logging`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

import seclude

if TYPE_CHECKING:
    from logging import Logger

    from .denial import Denial


# The numbers of `logging`, which is not imported here.
_DEBUG, _INFO = 10, 20
_WORDS, _CHARACTERS, _DENIALS = 32, 200, 32
_logger: Logger | None = None


class Command(Protocol):
    """A command that was started: a `Popen` of this package, or of `seclude.subprocess`."""

    args: Any
    pid: int
    outcome: seclude.Outcome | None


def started(process: Command, inside_pid: int) -> None:
    """Log that a command runs."""
    if (logger := _enabled(_DEBUG)) is not None:
        words = _bounded(process.args)
        more = {"args_": words, "pid": process.pid, "inside_pid": inside_pid}
        logger.debug("started %s", words[0], extra=more)


def ended(process: Command) -> None:
    """Log how a command ended, and what decided that."""
    if (logger := _enabled(_INFO)) is not None:
        words, outcome = _bounded(process.args), process.outcome
        more = {"args_": words, "pid": process.pid, "outcome": outcome}
        logger.info("ended %s: %s", words[0], outcome, extra=more)
        denied(process)


def denied(process: Command) -> None:
    """Log the limit or the rule that decided the end of a command, if one did."""
    if (logger := _enabled(_INFO)) is not None and process.outcome is not None:
        denial = process.outcome.denial
        if denial is not None:
            _denied(logger, _bounded(process.args), process.pid, denial)


def learned(args: Any, known: seclude.Learned) -> None:
    """Log the system calls that a filter refused while a program was learned, and its end."""
    if (logger := _enabled(_INFO)) is None:
        return
    from .denial import of_call

    words = _bounded(args)
    counted = sorted(known.refused, key=lambda call: (-known.calls.get(call, 0), call))
    for call in counted[:_DENIALS]:
        count = known.calls.get(call, 0)
        times = "once" if count == 1 else f"{count} times"
        denial = of_call(call, f"the system call {call}, refused {times}", count)
        _denied(logger, words, None, denial)
    if (left := len(counted) - _DENIALS) > 0:
        more = {"args_": words, "pid": None, "denial": None}
        logger.info("denied %s: %d more system calls", words[0], left, extra=more)
    reached = known.outcome.denial
    # A call that killed is among those above.
    if reached is not None and reached.kind == "limit":
        _denied(logger, words, None, reached)


def _denied(logger: Logger, words: tuple[str, ...], pid: int | None, denial: Denial) -> None:
    more = {"args_": words, "pid": pid, "denial": denial}
    logger.info("denied %s: %s", words[0], denial, extra=more)


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
