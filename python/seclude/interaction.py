"""Commands joined by pipes and started together, each with its own sandbox and outcome."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeAlias

from . import _seclude, command, log
from .command_runner import CommandRunner
from .errors import PolicyError, SecludeError, TimeoutExpired
from .exchange import exchange
from .outcome import CompletedRun
from .popen import Popen, PopenOptions
from .readiness import Deadline
from .text import Mode

End: TypeAlias = tuple[int, int]
"""One end of a pipe: the command's index in the list, and its descriptor."""
_TURN = 0.1
_STREAMS = ("stdin", "stdout", "stderr")


@dataclass(frozen=True, slots=True)
class Command:
    """An unstarted command, made by the method `command` of a sandbox, cell or pool."""

    sandbox: CommandRunner
    args: command.Args
    options: PopenOptions


class Interaction:
    """Two or more commands joined by pipes, such as a solution and its judge.

    `pipes` holds pairs of `(command, descriptor)`, the writing end before the reading end. For
    example, `((0, 1), (1, 0))` joins the first command's stdout to the second's stdin. By default
    there are two commands, and the stdout of each is joined to the stdin of the other. The options
    of each command set up the other streams.

        >>> import seclude
        >>> box = seclude.Sandbox(wall_time=5)
        >>> left = box.command(["echo", "question"])
        >>> right = box.command(["cat"], stderr=seclude.PIPE)
        >>> pipes = [((0, 1), (1, 0))]
        >>> [done.returncode for done in seclude.Interaction([left, right], pipes).run()]
        question
        [0, 0]

    Raises PolicyError if a pipe names a command that does not exist, or joins a stream that the
    command's options redirect. Starting the commands raises PolicyError for other invalid
    descriptors, or if a descriptor is joined twice.
    """

    def __init__(
        self, commands: Sequence[Command], pipes: Sequence[tuple[End, End]] | None = None
    ) -> None:
        self.commands = list(commands)
        if pipes is None:
            if len(self.commands) != 2:
                raise ValueError(
                    f"pipes must be given for {len(self.commands)} commands: "
                    "only two have a usual way to be joined"
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
            # Also for stderr=STDOUT with a joined stdout. With both a pipe and an option, one of
            # them would be lost silently.
            if 0 <= fd < 3 and self.commands[number].options.get(_STREAMS[fd]) is not None:
                raise PolicyError(
                    f"{_STREAMS[fd]} of command {number}: both joined by a pipe and given",
                    kind="invalid",
                    step="pipe",
                )

    def spawn(self, timeout: float | None = None) -> list[Popen]:
        """Set up all commands, start them together, and return them in the order of `commands`.

        Commands of one pool take their places together and wait up to `timeout` seconds for them.
        If an error occurs, no command runs.

        Raises TimeoutExpired if the places were not free in time, and PolicyError if the pool is
        smaller than the number of its commands.
        """
        try:
            return self._spawn(Deadline(timeout), timeout)
        except SecludeError as error:
            log.refused(self.commands[0].args, error)
            raise

    def _spawn(self, deadline: Deadline, timeout: float | None) -> list[Popen]:
        with ExitStack() as stack:
            prepared, streams, modes = [], [], []
            for one in self.commands:
                mode, options = Mode.taken(one.options)
                modes.append(mode)
                streams.append(stack.enter_context(command.Streams()))
                prepared.append(
                    command.prepare(one.sandbox._core, one.args, streams[-1], **options)
                )
            # The extension's wait does not see Ctrl-C, so it is limited to short turns. Each turn
            # gives back the places that it took.
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
        """Run all commands to their ends and return their results, in the order of `commands`.

        Output to a PIPE that joins no commands is collected. After `timeout` seconds all commands
        are killed and TimeoutExpired is raised. The timeout includes the wait for places in a pool.
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
                    process._child.discard_files()
                if isinstance(error, TimeoutExpired):
                    raise TimeoutExpired(
                        [one.args for one in self.commands], timeout or 0.0
                    ) from None
                raise
        results = []
        for process in processes:
            assert process.outcome is not None
            results.append(
                CompletedRun(process.args, process.outcome, *process._read(), process._collected())
            )
        return results


def _turn(deadline: Deadline) -> float:
    """Return how long one wait for places may last, in seconds."""
    return min(_TURN, deadline.left if deadline.left is not None else _TURN)


def interact(
    commands: Sequence[Command],
    pipes: Sequence[tuple[End, End]] | None = None,
    *,
    timeout: float | None = None,
) -> list[CompletedRun]:
    """Run commands joined by pipes, like `Interaction(commands, pipes).run(timeout)`."""
    return Interaction(commands, pipes).run(timeout)
