"""Commands that talk to each other: started together, joined by pipes, each with its own sandbox, limits and outcome."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeAlias

from . import _seclude, command
from .command_runner import CommandRunner
from .errors import PolicyError, TimeoutExpired
from .exchange import exchange
from .outcome import CompletedRun
from .popen import Popen, PopenOptions
from .readiness import Deadline
from .text import Mode

End: TypeAlias = tuple[int, int]
"""One end of a pipe: a command's place in the list, and its descriptor."""
_TURN = 0.1
_STREAMS = ("stdin", "stdout", "stderr")


@dataclass(frozen=True, slots=True)
class Command:
    """A command, not started yet: `command` of a sandbox, a cell or a pool makes one."""

    sandbox: CommandRunner
    args: command.Args
    options: PopenOptions


class Interaction:
    """Two or more commands joined by pipes, such as a solution and its judge.

    `pipes` are pairs of `(command, descriptor)`, the end that writes before the end that reads: `((0, 1), (1, 0))` joins the
    first command's stdout to the second's stdin. If not given, there are two commands, and each one's stdout is the other's
    stdin. Streams that are not joined are what each command's options say.

        >>> import seclude
        >>> box = seclude.Sandbox(wall_time=5)
        >>> left, right = box.command(["echo", "question"]), box.command(["cat"], stderr=seclude.PIPE)
        >>> [done.returncode for done in seclude.Interaction([left, right], [((0, 1), (1, 0))]).run()]
        question
        [0, 0]

    A pipe between descriptors that cannot be, or given twice, is a PolicyError when they are started.
    """

    def __init__(
        self, commands: Sequence[Command], pipes: Sequence[tuple[End, End]] | None = None
    ) -> None:
        self.commands = list(commands)
        if pipes is None:
            if len(self.commands) != 2:
                raise ValueError(
                    f"pipes must be given for {len(self.commands)} commands: only two have a usual way to be joined"
                )
            pipes = [((0, 1), (1, 0)), ((1, 1), (0, 0))]
        self.pipes = list(pipes)
        for number, fd in (end for pipe in self.pipes for end in pipe):
            if not 0 <= number < len(self.commands):
                raise PolicyError(
                    f"pipe of command {number}: there are {len(self.commands)}",
                    kind="invalid",
                    step="pipe",
                )
            # STDERR into a joined stdout, and a stream of its own: one of both would be lost without a word.
            if 0 <= fd < 3 and self.commands[number].options.get(_STREAMS[fd]) is not None:
                raise PolicyError(
                    f"{_STREAMS[fd]} of command {number}: both joined by a pipe and given",
                    kind="invalid",
                    step="pipe",
                )

    def spawn(self, timeout: float | None = None) -> list[Popen]:
        """Starts them all: set up first, then let go at one time.

        They are returned in the order of `commands`; on an error none runs. Commands of one pool
        take their places in it together, and wait for them for at most `timeout` seconds:
        TimeoutExpired after that. A pool that has fewer is a PolicyError.
        """
        deadline = Deadline(timeout)
        with ExitStack() as stack:
            prepared, streams, modes = [], [], []
            for one in self.commands:
                mode, options = Mode.taken(one.options)
                modes.append(mode)
                streams.append(stack.enter_context(command.Streams()))
                prepared.append(
                    command.prepare(one.sandbox._core, one.args, streams[-1], **options)
                )
            # In turns: nothing else hears Ctrl-C. What a turn has taken of a pool it gives back.
            while (
                children := _seclude.spawn_together(prepared, self.pipes, _turn(deadline))
            ) is None:
                if deadline.passed:
                    raise command.no_place([one.args for one in self.commands], timeout or 0.0)
            parts = zip(self.commands, modes, children, streams, strict=True)
            return [
                Popen._started(one.sandbox, one.args, mode, child, ours.keep())
                for one, mode, child, ours in parts
            ]

    def run(self, timeout: float | None = None) -> list[CompletedRun]:
        """Runs them all to their ends, and collects what they write to a PIPE that joins none of them.

        After `timeout` seconds all are killed and TimeoutExpired is raised. The seconds count also
        while they wait for places in a pool.
        """
        deadline = Deadline(timeout)
        with ExitStack() as stack:
            processes = [stack.enter_context(process) for process in self.spawn(timeout)]
            try:
                whole = exchange([process._exchanged() for process in processes], deadline)
                for process in processes:
                    process.wait(deadline.left if whole else 0.0)
            except BaseException as error:
                for process in processes:
                    process.kill()
                for process in processes:
                    process.wait()
                if isinstance(error, TimeoutExpired):
                    raise TimeoutExpired(
                        [one.args for one in self.commands], timeout or 0.0
                    ) from None
                raise
        results = []
        for process in processes:
            assert process.outcome is not None
            results.append(CompletedRun(process.args, process.outcome, *process._read()))
        return results


def _turn(deadline: Deadline) -> float:
    """How long one turn waits for places, in seconds."""
    return min(_TURN, deadline.left if deadline.left is not None else _TURN)


def interact(
    commands: Sequence[Command],
    pipes: Sequence[tuple[End, End]] | None = None,
    *,
    timeout: float | None = None,
) -> list[CompletedRun]:
    """Runs commands that are joined by pipes to their ends: `Interaction(commands, pipes).run(timeout)`."""
    return Interaction(commands, pipes).run(timeout)
