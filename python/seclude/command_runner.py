"""The ways to run a command, the same in a sandbox, a cell and a pool."""

from __future__ import annotations

from subprocess import PIPE
from typing import TYPE_CHECKING, Any, Unpack

import seclude

from .command import Args, Core
from .errors import TimeoutExpired
from .keywords import refuse_unknown
from .outcome import CompletedRun
from .popen import Popen as _Popen
from .popen import PopenOptions
from .readiness import Deadline

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from .waiters import Waiters


POPEN_OPTIONS = PopenOptions.__optional_keys__
RUN_OPTIONS = POPEN_OPTIONS | {"input", "capture_output", "timeout", "check"}


class CommandRunner:
    """What runs commands."""

    __slots__ = ()
    _core: Core

    def _limits_output(self) -> bool:
        raise NotImplementedError

    def run(
        self,
        args: Args,
        *,
        input: Any = None,  # noqa: A002
        capture_output: bool = False,
        timeout: float | None = None,
        check: bool = False,
        **options: Unpack[PopenOptions],
    ) -> CompletedRun:
        """Runs a command to its end: `subprocess.run`, inside.

        `args` is the program and its arguments, or the program alone; without a slash the program is looked for in PATH
        inside. `input` is what it reads (bytes, or text in text mode); `capture_output` collects stdout and stderr, at most
        `output` or 64 MiB of each: who writes more is killed, and the end is `output-limit`. After
        `timeout` seconds it is killed and TimeoutExpired raised. `check` raises CalledProcessError unless it exits with
        0. `options` are those of `Popen`.

        In a pool, the seconds of `timeout` count also while it waits for a place. A command that
        has got none until then was not started, and the exception's `outcome` is None.
        """
        if not options.keys() <= POPEN_OPTIONS:
            refuse_unknown("run", options, RUN_OPTIONS)
        deadline = Deadline(timeout)
        if input is not None:
            if options.get("stdin") is not None:
                raise ValueError("input and stdin exclude each other")
            options["stdin"] = PIPE
        if capture_output:
            if options.get("stdout") is not None or options.get("stderr") is not None:
                raise ValueError("capture_output excludes stdout and stderr")
            options["stdout"] = options["stderr"] = PIPE
        with self._begin(args, timeout, options) as process:
            try:
                stdout, stderr = process.communicate(input, deadline.left)
            except BaseException as error:
                process.kill()
                process.wait()
                if isinstance(error, TimeoutExpired):
                    # The time that the caller gave, not what the start left of it.
                    error.timeout, error.outcome = timeout or 0.0, process.outcome
                    error.args = (args, error.timeout)
                raise
        assert process.outcome is not None
        done = CompletedRun(args, process.outcome, stdout, stderr)
        if check:
            done.check_returncode()
        return done

    def _waiters(self) -> dict[AbstractEventLoop, Waiters]:
        """Where the starts of each event loop wait for a place, in a pool; empty elsewhere."""
        return {}

    def _begin(self, args: Args, timeout: float | None, options: PopenOptions) -> _Popen:
        """The command that `run` runs to its end."""
        return _Popen._within(self, args, timeout, options)

    def popen(self, args: Args, **options: Unpack[PopenOptions]) -> _Popen:
        """Starts a command: `subprocess.Popen`, inside.

        `stdin`, `stdout`, `stderr`: None for the caller's own, PIPE, DEVNULL, a descriptor or file, for stderr STDOUT.
        `text`, `encoding`, `errors`, `bufsize` as in `subprocess`. `cwd` is an absolute path inside. `env` is the whole
        environment; if not given, PATH, HOME, LANG and TMPDIR. `pass_fds` and `fds={target: descriptor}` grant descriptors.
        `arg0` is what the program sees as its own name. With `restore_signals=False` it ignores the signals that the caller
        ignores. `wall_time` is this command's own, in seconds, instead of the sandbox's.
        """
        refuse_unknown("popen", options, POPEN_OPTIONS)
        return _Popen(self, args, **options)

    Popen = popen

    def command(self, args: Args, **options: Unpack[PopenOptions]) -> seclude.Command:
        """A command for an `Interaction`, not started yet; `args` and `options` as for `popen`."""
        from .interaction import Command

        refuse_unknown("command", options, POPEN_OPTIONS)
        return Command(self, args, options)

    @property
    def asyncio(self) -> seclude.aio.Runner:
        """`await box.asyncio.create_subprocess_exec(...)`: asyncio's, inside."""
        from .aio import Runner

        return Runner(self)
