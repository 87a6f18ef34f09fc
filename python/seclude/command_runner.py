"""The methods that run commands, shared by sandboxes, cells and pools."""

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
    from .waiters import Waiters


POPEN_OPTIONS = PopenOptions.__optional_keys__
RUN_OPTIONS = POPEN_OPTIONS | {"input", "capture_output", "timeout", "check"}


def add_pipes(options: PopenOptions, data: Any, capture_output: bool) -> None:
    """Add the pipes that the input and the captured output of `run` need to its options."""
    if data is not None:
        if options.get("stdin") is not None:
            raise ValueError("input and stdin exclude each other")
        options["stdin"] = PIPE
    if capture_output:
        if options.get("stdout") is not None or options.get("stderr") is not None:
            raise ValueError("capture_output excludes stdout and stderr")
        options["stdout"] = options["stderr"] = PIPE


class CommandRunner:
    """The base of everything that can run commands."""

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
        """Run a command, wait for it to end, and return a `CompletedRun`: like `subprocess.run`.

        `args` is the program and its arguments, or the program alone. A program without a slash is
        searched for in PATH inside. `options` are those of `Popen`.

        `input` is written to the command's stdin: bytes, or text in text mode. `capture_output`
        collects stdout and stderr, each up to `output`, or 64 MiB by default. A command that writes
        more is killed and ends as `output-limit`.

        After `timeout` seconds the command is killed and TimeoutExpired is raised. In a pool the
        timeout includes the wait for a free place. If no place was free in time, nothing was
        started and the `outcome` of the exception is None.

        With `collect`, the result's `files` are those that the command has left, by path; with
        `collect_into` they are written below that directory. The command's outcome stands even if
        they cannot be collected: see `CompletedRun.files`.

        With `check`, raises CalledProcessError unless the command exits with 0.
        """
        if not options.keys() <= POPEN_OPTIONS:
            refuse_unknown("run", options, RUN_OPTIONS)
        deadline = Deadline(timeout)
        add_pipes(options, input, capture_output)
        with self._begin(args, timeout, options) as process:
            try:
                stdout, stderr = process.communicate(input, deadline.left)
            except BaseException as error:
                process.kill()
                process.wait()
                # The exception's traceback would keep them, with the process.
                process._child.discard_files()
                if isinstance(error, TimeoutExpired):
                    # Report the caller's timeout, not the part that was left after the start.
                    error.timeout, error.outcome = timeout or 0.0, process.outcome
                    error.args = (args, error.timeout)
                raise
            collected = process._collected()
        assert process.outcome is not None
        done = CompletedRun(args, process.outcome, stdout, stderr, collected)
        if check:
            done.check_returncode()
        return done

    def _waiters(self) -> Waiters | None:
        """The starts on event loops that wait for a place. Only a pool can lack one."""
        return None

    def _begin(self, args: Args, timeout: float | None, options: PopenOptions) -> _Popen:
        """Start the command for `run`."""
        return _Popen._within(self, args, timeout, options)

    def popen(self, args: Args, **options: Unpack[PopenOptions]) -> _Popen:
        """Start a command and return a `Popen`: like `subprocess.Popen`.

        `stdin`, `stdout` and `stderr` are None for the caller's own stream, PIPE, DEVNULL, PTY, a
        descriptor or an open file; stderr may also be STDOUT. `text`, `encoding`, `errors` and
        `bufsize` work as in `subprocess`.

        `cwd` is an absolute path inside. `env` is the whole environment; the default has PATH,
        HOME, LANG and TMPDIR. `pass_fds` and `fds={target: descriptor}` pass descriptors. `arg0` is
        the program's `argv[0]`. With `restore_signals=False` the command ignores the signals that
        the caller ignores, with `ignore_signals` these. `umask` is 0o022 by default. `user`,
        `group` and `extra_groups` are ids inside, for this command alone. `wall_time` replaces the
        sandbox's limit, in seconds, for this command. `collect` names files for
        `Popen.collect`, which the sandbox keeps until then, or until the object is dropped.
        """
        refuse_unknown("popen", options, POPEN_OPTIONS)
        return _Popen(self, args, **options)

    Popen = popen

    def command(self, args: Args, **options: Unpack[PopenOptions]) -> seclude.Command:
        """Return an unstarted command for an `Interaction`. The arguments are those of `popen`."""
        from .interaction import Command

        refuse_unknown("command", options, POPEN_OPTIONS)
        return Command(self, args, options)

    @property
    def asyncio(self) -> seclude.aio.Runner:
        """The asyncio interface: `await box.asyncio.create_subprocess_exec(...)`."""
        from .aio import Runner

        return Runner(self)

    @property
    def aio(self) -> seclude.loops.Runner:
        """The interface for trio, anyio and asyncio: `await box.aio.run(...)`."""
        from .loops import Runner

        return Runner(self)
