"""A session of `openai-agents` in a cell: `openai_agents.py` makes it."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from agents.sandbox.errors import (
    ConfigurationError,
    ErrorCode,
    ExecTimeoutError,
    ExecTransportError,
    WorkspaceArchiveReadError,
    WorkspaceArchiveWriteError,
    WorkspaceReadNotFoundError,
)
from agents.sandbox.session.base_sandbox_session import BaseSandboxSession
from agents.sandbox.session.pty_types import PtyExecUpdate
from agents.sandbox.session.runtime_helpers import (
    RESOLVE_WORKSPACE_PATH_HELPER,
    RuntimeHelperScript,
)
from agents.sandbox.session.sandbox_session_state import SandboxSessionState
from agents.sandbox.session.workspace_payloads import coerce_write_payload
from agents.sandbox.types import ExecResult, User
from agents.sandbox.util.tar_utils import (
    UnsafeTarMemberError,
    strip_tar_member_prefix,
    validate_tarfile,
)

import seclude

from ..errors import SecludeError
from . import running
from .openai_terminals import Terminals
from .workspace import READ, WRITE, Ran

_PIECE = 1 << 16
_TAR = ("tar", "-c", "--anchored", "--no-wildcards")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one call may take: seconds, bytes of each stream, bytes of an archive."""

    timeout: float
    output: int
    snapshot: int


class SecludeSandboxSessionState(SandboxSessionState):
    """The state of a session that can be saved: its manifest and its snapshot."""

    type: Literal["seclude"] = "seclude"


class SecludeSandboxSession(BaseSandboxSession):
    """A session in a cell, made by `SecludeSandboxClient`."""

    state: SecludeSandboxSessionState

    def __init__(
        self, state: SecludeSandboxSessionState, policy: seclude.Sandbox, bounds: Bounds
    ) -> None:
        self.state = state
        self._policy, self._bounds = policy, bounds
        self._terminals = Terminals()
        self.cell: seclude.Cell | None = None
        """The cell, while the session runs."""

    # ---- life

    async def _ensure_backend_started(self) -> None:
        if not await self.running():
            self.cell = await asyncio.to_thread(self._policy.cell)

    async def running(self) -> bool:
        """Return whether the cell is up."""
        return self.cell is not None and self.cell.is_alive

    async def _shutdown_backend(self) -> None:
        if self.cell is not None:
            cell, self.cell = self.cell, None
            await asyncio.to_thread(cell.close)

    # ---- commands

    async def exec(
        self,
        *command: str | Path,
        timeout: float | None = None,
        shell: bool | list[str] = True,
        user: str | User | None = None,
    ) -> ExecResult:
        """Run a command in the work directory, as the framework describes.

        A command that writes too much, or that a limit of the policy ends, has the exit code 137
        and a line on stderr that names the limit. A cell has one user, so any `user` is an error.
        """
        self._one_user(user)
        return await super().exec(*command, timeout=timeout, shell=shell)

    async def _exec_internal(
        self, *command: str | Path, timeout: float | None = None
    ) -> ExecResult:
        args = [str(word) for word in command]
        try:
            ran = await self._run(args, timeout=timeout)
        except FileNotFoundError as error:
            return ExecResult(stdout=b"", stderr=str(error).encode(), exit_code=127)
        except PermissionError as error:
            return ExecResult(stdout=b"", stderr=str(error).encode(), exit_code=126)
        if ran.expired:
            raise ExecTimeoutError(command=command, timeout_s=timeout or self._bounds.timeout)
        stderr = ran.stderr
        if ran.remark:
            stderr += f"\n{ran.remark}\n".encode()
        return ExecResult(stdout=ran.stdout, stderr=stderr, exit_code=ran.status)

    async def _run(
        self,
        args: list[str],
        *,
        timeout: float | None = None,
        bound: int | None = None,
        source: Callable[[int], bytes] | None = None,
        into: IO[bytes] | None = None,
    ) -> Ran:
        cell = self._cell(args)
        try:
            return await running.run(
                cell,
                args,
                cwd=self.state.manifest.root,
                env=await self._env(),
                timeout=self._bounds.timeout if timeout is None else timeout,
                bound=self._bounds.output if bound is None else bound,
                source=source,
                into=into,
            )
        except (FileNotFoundError, PermissionError):
            raise
        except SecludeError as error:
            raise ExecTransportError(
                command=args, message=f"run {args[0]}: {error}", cause=error, retryable=False
            ) from error

    def _cell(self, args: list[str]) -> seclude.Cell:
        if self.cell is None:
            raise ExecTransportError(
                command=args,
                message="the session does not run; hint: `await session.start()` first",
                retryable=False,
            )
        return self.cell

    async def _env(self) -> dict[str, str]:
        own = {"PATH": _PATH, "HOME": self.state.manifest.root, "LANG": "C.UTF-8", "TMPDIR": "/tmp"}
        return own | await self.state.manifest.environment.resolve()

    # ---- commands that keep running

    def supports_pty(self) -> bool:
        """Return True."""
        return True

    async def pty_exec_start(
        self,
        *command: str | Path,
        timeout: float | None = None,
        shell: bool | list[str] = True,
        user: str | User | None = None,
        tty: bool = False,
        yield_time_s: float | None = None,
        max_output_tokens: int | None = None,
    ) -> PtyExecUpdate:
        """Start a command that may outlast the call, and return what it has written so far.

        It runs until it ends, the session does, or the policy's `wall_time` is over. As in the
        framework's own sessions, `timeout` has no effect.
        """
        self._one_user(user)
        args = self._prepare_exec_command(*command, shell=shell, user=None)
        try:
            return await self._terminals.start(
                self._cell(args),
                args,
                cwd=self.state.manifest.root,
                env=await self._env(),
                tty=tty,
                bound=self._bounds.output,
                seconds=yield_time_s,
                tokens=max_output_tokens,
            )
        except SecludeError as error:
            raise ExecTransportError(
                command=args, message=f"run {args[0]}: {error}", cause=error, retryable=False
            ) from error

    async def pty_write_stdin(
        self,
        *,
        session_id: int,
        chars: str,
        yield_time_s: float | None = None,
        max_output_tokens: int | None = None,
    ) -> PtyExecUpdate:
        """Type into the terminal of a running command, and return what it has written since."""
        return await self._terminals.write(
            session_id, chars, seconds=yield_time_s, tokens=max_output_tokens
        )

    async def pty_terminate_all(self) -> None:
        """End the commands that keep running."""
        await self._terminals.end_all()

    # ---- files

    def _runtime_helpers(self) -> tuple[RuntimeHelperScript, ...]:
        return (RESOLVE_WORKSPACE_PATH_HELPER,)

    def _current_runtime_helper_cache_key(self) -> object | None:
        return id(self.cell)

    async def _validate_path_access(self, path: Path | str, *, for_write: bool = False) -> Path:
        # As the framework's remote backends do. That a path leads out of the cell needs no check.
        return await self._validate_remote_path_access(path, for_write=for_write)

    async def read(self, path: Path, *, user: str | User | None = None) -> io.IOBase:
        """Return the contents of a file of at most `output` bytes."""
        self._one_user(user)
        return io.BytesIO(await self._head(path, self._bounds.output, whole=True))

    async def _read_bounded(self, path: Path, *, max_bytes: int) -> bytes:
        return await self._head(path, max_bytes, whole=False)

    async def _head(self, path: Path, most: int, *, whole: bool) -> bytes:
        target = await self._validate_path_access(path)
        limit = most + 1 if whole else most
        ran = await self._run([*READ, target.as_posix(), str(limit)], bound=limit)
        if ran.status == errno.ENOENT and not ran.expired:
            raise WorkspaceReadNotFoundError(path=path)
        if not ran.outcome.success or len(ran.stdout) > most:
            number = errno.EFBIG if len(ran.stdout) > most else ran.status
            raise WorkspaceArchiveReadError(path=path, context={"reason": os.strerror(number)})
        return ran.stdout

    async def write(self, path: Path, data: io.IOBase, *, user: str | User | None = None) -> None:
        """Write a file and make its directories."""
        self._one_user(user)
        stream = coerce_write_payload(path=path, data=data).stream
        target = await self._validate_path_access(path, for_write=True)
        ran = await self._run([*WRITE, target.as_posix()], source=_reading(stream))
        if not ran.outcome.success:
            raise WorkspaceArchiveWriteError(
                path=path,
                context={
                    "reason": os.strerror(ran.status),
                    "stderr": ran.stderr.decode(errors="replace"),
                },
            )

    def _one_user(self, user: str | User | None) -> None:
        if user is not None:
            raise ConfigurationError(
                message="a cell has one user; hint: leave `user` and `run_as` out",
                error_code=ErrorCode.SANDBOX_CONFIG_INVALID,
                op="exec",
                context={},
            )

    # ---- the work directory as an archive

    async def persist_workspace(self) -> io.IOBase:
        """Return a tar archive of the work directory, of at most `snapshot` bytes."""
        root = self._workspace_root_path()
        left_out = [
            f"--exclude={root.name}/{path.as_posix()}"
            for path in sorted(self._persist_workspace_skip_relpaths())
        ]
        with tempfile.TemporaryFile() as archive:
            ran = await self._run(
                [*_TAR, *left_out, "-C", root.parent.as_posix(), "--", root.name],
                bound=self._bounds.snapshot,
                into=archive,
            )
            # tar exits with 1 if a file has changed while it was read.
            if ran.expired or ran.truncated or ran.status not in (0, 1):
                reason = ran.remark or ran.stderr.decode(errors="replace")
                raise WorkspaceArchiveReadError(path=root, context={"reason": reason})
            archive.seek(0)
            try:
                return await asyncio.to_thread(
                    strip_tar_member_prefix,
                    cast(io.IOBase, archive),
                    prefix=root.name,
                    relativize_symlinks_under=root,
                )
            except (tarfile.TarError, ValueError, OSError) as error:
                raise WorkspaceArchiveReadError(path=root, cause=error) from error

    async def hydrate_workspace(self, data: io.IOBase) -> None:
        """Unpack a tar archive in the work directory, after a check of its members."""
        root = self._workspace_root_path()
        with tempfile.TemporaryFile() as archive:
            left, read = self._bounds.snapshot, _reading(data)
            while piece := read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise WorkspaceArchiveWriteError(
                        path=root, context={"reason": "the archive is larger than `snapshot`"}
                    )
                archive.write(piece)
            archive.seek(0)
            try:
                with tarfile.open(fileobj=archive, mode="r:*") as members:
                    validate_tarfile(members, allow_external_symlink_targets=False)
            except UnsafeTarMemberError as error:
                raise WorkspaceArchiveWriteError(
                    path=root,
                    context={"reason": error.reason, "member": error.member},
                    cause=error,
                ) from error
            except (tarfile.TarError, OSError) as error:
                raise WorkspaceArchiveWriteError(path=root, cause=error) from error
            archive.seek(0)
            ran = await self._run(
                ["tar", "-x", "--no-overwrite-dir", "-C", root.as_posix()], source=archive.read
            )
        if not ran.outcome.success:
            raise WorkspaceArchiveWriteError(
                path=root,
                context={"reason": ran.remark or ran.stderr.decode(errors="replace")},
            )


def _reading(stream: io.IOBase) -> Callable[[int], bytes]:
    """Return the `read` of a stream of bytes or text."""

    def read(number: int) -> bytes:
        piece = stream.read(number)
        return piece.encode() if isinstance(piece, str) else bytes(piece or b"")

    return read
