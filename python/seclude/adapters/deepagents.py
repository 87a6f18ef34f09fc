"""A backend for `deepagents`: the agent's files and shell are in a cell.

    from seclude.adapters.deepagents import SecludeBackend

    with SecludeBackend() as backend:
        agent = create_deep_agent(model, backend=backend)

The framework's own base class derives its file tools from `execute`, so that they run inside too.
"""

from __future__ import annotations

import errno
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import seclude

from ..command import Text
from . import missing
from .workspace import OUTPUT, ROOT, SCRATCH, Workspace

VERSION = "0.7.32"
"""The version of deepagents that this adapter was tested with."""

try:
    from deepagents.backends.protocol import (
        ExecuteResponse,
        FileDownloadResponse,
        FileUploadResponse,
    )
    from deepagents.backends.sandbox import BaseSandbox
except ImportError as error:
    raise missing("deepagents", VERSION, error) from error

_NAMES = {
    errno.ENOENT: "file_not_found",
    errno.EACCES: "permission_denied",
    errno.EISDIR: "is_directory",
    errno.EINVAL: "invalid_path",
}
"""The framework's names of errors that a model can correct."""
_EXPIRED = 124
"""The exit code of a command whose time was over, as of `timeout(1)`."""


class SecludeBackend(BaseSandbox):
    """A `SandboxBackendProtocol` whose commands and files are in one cell.

    - `sandbox`: the policy. The default has no network, 1 GiB of memory and 256 processes.
    - `directory`: a directory of the caller's to work in, bound writable. Without one, the work
      directory is in memory, has the size `scratch`, and is gone at the end.
    - `at`: where the work directory is inside, and where commands start.
    - `env`: the whole environment of commands. Default: PATH, HOME, LANG and TMPDIR.
    - `timeout`: seconds for one command, unless the call names others.
    - `output`: the most that one command may write. One that writes more is killed, and its
      response is `truncated`. A policy with `output` keeps its own.

    The file tools of the framework require `python3`, `sh` and `grep` inside.
    """

    def __init__(
        self,
        sandbox: seclude.Sandbox | None = None,
        *,
        directory: Text | None = None,
        at: str = ROOT,
        scratch: int | str = SCRATCH,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
        output: int | str = OUTPUT,
    ) -> None:
        _positive(timeout)
        self._timeout = timeout
        self._id = f"seclude-{uuid.uuid4().hex}"
        self._workspace = Workspace(
            sandbox, directory=directory, at=at, scratch=scratch, env=env, output=output
        )

    @property
    def id(self) -> str:
        """A name of this backend that no other has."""
        return self._id

    @property
    def cell(self) -> seclude.Cell:
        """The cell, for all that the framework's protocol has no words for."""
        return self._workspace.cell

    def execute(self, command: str, *, timeout: int | None = None) -> ExecuteResponse:
        """Run a command of `sh` in the work directory, and return both streams as one text.

        `timeout` is in seconds. A command whose time is over is killed with all that it has
        started, and has the exit code 124. Raises ValueError for a timeout that is not positive.
        """
        seconds = self._timeout if timeout is None else _positive(timeout)
        done = self._workspace.run(["sh", "-c", command], timeout=seconds, merged=True)
        text = done.stdout.decode(errors="replace")
        if done.expired:
            text += f"\n[seclude: killed after {seconds} seconds]"
        elif done.remark:
            text += f"\n{done.remark}"
        return ExecuteResponse(text, _EXPIRED if done.expired else done.status, done.truncated)

    def upload_files(self, files: list[tuple[str, bytes]]) -> list[FileUploadResponse]:
        """Write files inside, one after another, and return what became of each."""
        return [FileUploadResponse(path, self._write(path, data)) for path, data in files]

    def _write(self, path: str, data: bytes) -> str | None:
        try:
            self._workspace.write(_absolute(path), data)
        except OSError as error:
            return _name(error)
        return None

    def download_files(self, paths: list[str]) -> list[FileDownloadResponse]:
        """Read files inside, each up to `output`, and return their contents or what is wrong."""
        return [self._read(path) for path in paths]

    def _read(self, path: str) -> FileDownloadResponse:
        try:
            return FileDownloadResponse(path, self._workspace.read(_absolute(path)))
        except OSError as error:
            return FileDownloadResponse(path, error=_name(error))

    def close(self) -> None:
        """End everything inside, and wait until it is gone."""
        self._workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _positive(timeout: float) -> float:
    if not timeout > 0:
        raise ValueError(f"timeout {timeout}: must be positive; hint: seconds, such as 120")
    return timeout


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise OSError(errno.EINVAL, "no absolute path", path)
    return path


def _name(error: OSError) -> str:
    return _NAMES.get(error.errno or 0, str(error))
