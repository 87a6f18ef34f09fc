"""`python -m seclude batch`: run the jobs of a file in a pool or a cluster."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, NoReturn

from ..errors import SecludeError
from ..network import with_named
from ..sandbox import Sandbox
from .flow import outcomes
from .progress import progress

if TYPE_CHECKING:
    import argparse

    from ..cluster import Cluster
    from ..pool import Pool

DESCRIPTION = """
Run jobs, each in a sandbox of its own, many at a time. A job is a line of JSON:
{"args": ["cc", "-xc", "-"], "input": "..."}, and "cwd", "env", "arg0", "wall_time", "collect", "id"
if wanted. Each line is answered by a line of JSON, in the same order, with how the job ended, what
it printed, what it used and the files it left; or with the error that kept it from running.
"""
EPILOG = """
Exit code: 0 if every job exited with 0; 1 if every job ran, and some ended otherwise; 2 if a line
was no job, a job could not be run, or the batch itself could not be.
"""
_NAMED = 5
"""How many failed jobs are named on standard error. The output lists all of them."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    command.add_argument(
        "jobs", metavar="FILE", help="the jobs, one on a line; - for standard input"
    )
    command.add_argument(
        "--policy",
        metavar="FILE",
        help="the sandbox's policy, in JSON or TOML; the default one if not given",
    )
    command.add_argument(
        "--output", metavar="FILE", help="where the outcomes go, instead of standard output"
    )
    command.add_argument(
        "--as-completed",
        action="store_true",
        help="tell what has ended first, not what stands first",
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="jobs at one time; as many as there are processors if not given",
    )
    where.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="run them on the workers of this dask scheduler (tcp://host:port)",
    )


def run(wanted: argparse.Namespace) -> int:
    """Run the batch and return the exit code."""
    try:
        return _run(wanted)
    except (SecludeError, OSError, _Refused) as error:
        _say(_reason(error))
        return 2
    except KeyboardInterrupt:
        _die_by(signal.SIGINT)


def _run(wanted: argparse.Namespace) -> int:
    with ExitStack() as stack:
        sandbox = _policy(wanted.policy)
        lines = (
            sys.stdin.buffer if wanted.jobs == "-" else stack.enter_context(open(wanted.jobs, "rb"))
        )
        if (
            wanted.output
            and os.path.isfile(wanted.output)
            and os.path.samefile(lines.fileno(), wanted.output)
        ):
            raise _Refused(
                f"{wanted.output}: the jobs are in the file that the outcomes would go to"
            )
        place = _place(sandbox, wanted)
        stack.enter_context(place)
        output = (
            sys.stdout.buffer
            if wanted.output is None
            else stack.enter_context(open(wanted.output, "wb"))
        )
        try:
            return _run_jobs(lines, place, output, wanted)
        except KeyboardInterrupt:
            # Do not leave the pool's `with` block, which would wait for the jobs. They end with
            # this process.
            _die_by(signal.SIGINT)
        except BrokenPipeError:
            _die_by(signal.SIGPIPE)


def _run_jobs(
    lines: IO[bytes], place: Pool | Cluster, output: IO[bytes], wanted: argparse.Namespace
) -> int:
    """Run all jobs, write their outcomes, and return the exit code."""
    errors, code = 0, 0
    # No progress bar if the outcomes go to the terminal: they would overwrite each other.
    with progress(lines, wanted.output is not None or not sys.stdout.isatty()) as watched:
        for told in outcomes(lines, place, completed_first=wanted.as_completed):
            output.write(told.to_json().encode() + b"\n")
            output.flush()
            watched(told)
            if isinstance(told.result, SecludeError):
                errors, code = errors + 1, 2
                if errors <= _NAMED:
                    _say(f"line {told.line}: {told.result}")
            elif not told.result.outcome.success:
                code = max(code, 1)
    if errors > _NAMED:
        _say(f"{errors} jobs could not be run: the output says why")
    return code


def _policy(name: str | None) -> Sandbox:
    """Return the sandbox of a policy file.

    A JSON policy begins with a brace, which no TOML document does.
    """
    if name is None:
        return Sandbox()
    with open(name, encoding="utf-8") as file:
        try:
            text = file.read()
            return (
                Sandbox.from_json(text)
                if text.lstrip().startswith("{")
                else Sandbox.from_toml(text)
            )
        except (SecludeError, UnicodeDecodeError) as error:
            raise _Refused(f"{name}: {error}") from None


def _place(sandbox: Sandbox, wanted: argparse.Namespace) -> Pool | Cluster:
    """Return the pool or cluster in which the jobs run."""
    if wanted.scheduler is None:
        return with_named(sandbox).pool(wanted.workers)
    from ..cluster import Cluster

    try:
        return Cluster(sandbox, wanted.scheduler)
    except ImportError as error:
        raise _Refused(f"--scheduler: {error}") from None


class _Refused(Exception):
    """The command line asks for something impossible."""


def _reason(error: Exception) -> str:
    if (
        isinstance(error, OSError)
        and not isinstance(error, SecludeError)
        and error.filename is not None
    ):
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def _say(message: str) -> None:
    # The message may contain text from a job, which must not control the terminal.
    print(
        "python -m seclude batch:",
        "".join(sign if sign.isprintable() else " " for sign in message),
        file=sys.stderr,
    )


def _die_by(number: signal.Signals) -> NoReturn:
    """End this process by the signal, so that its parent sees the signal as the cause."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(128 + number)
