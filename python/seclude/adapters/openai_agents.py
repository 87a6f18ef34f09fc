"""A sandbox client for `openai-agents`: each session is a cell.

    from seclude.adapters.openai_agents import SecludeSandboxClient

    client = SecludeSandboxClient()
    result = await Runner.run(
        agent, "...", run_config=RunConfig(sandbox=SandboxRunConfig(client=client))
    )

The policy belongs to the client. A saved session state does not contain it, so whoever can change a
saved state cannot widen what a resumed session may do.
"""

from __future__ import annotations

import uuid
from typing import Literal

import seclude

from ..command import Text, size
from . import missing
from .workspace import OUTPUT, SCRATCH, with_work_directory

VERSION = "0.24.0"
"""The version of openai-agents that this adapter was tested with."""

try:
    from agents.sandbox.errors import ConfigurationError, ErrorCode
    from agents.sandbox.manifest import Manifest
    from agents.sandbox.session.dependencies import Dependencies
    from agents.sandbox.session.manager import Instrumentation
    from agents.sandbox.session.sandbox_client import BaseSandboxClient, BaseSandboxClientOptions
    from agents.sandbox.session.sandbox_session import SandboxSession
    from agents.sandbox.session.sandbox_session_state import SandboxSessionState
    from agents.sandbox.snapshot import SnapshotBase, SnapshotSpec, resolve_snapshot

    from .openai_session import Bounds, SecludeSandboxSession, SecludeSandboxSessionState
except ImportError as error:
    raise missing("openai-agents", VERSION, error) from error

__all__ = [
    "SecludeSandboxClient",
    "SecludeSandboxClientOptions",
    "SecludeSandboxSession",
    "SecludeSandboxSessionState",
]


class SecludeSandboxClientOptions(BaseSandboxClientOptions):
    """The options of a session. There are none: the client has them all."""

    type: Literal["seclude"] = "seclude"


class SecludeSandboxClient(BaseSandboxClient[SecludeSandboxClientOptions | None]):
    """Makes sessions that are cells.

    - `sandbox`: the policy. The default has no network, 1 GiB of memory and 256 processes.
    - `directory`: a directory of the caller's, which all sessions have as their work directory,
      bound writable. Without one, each has its own in memory, of the size `scratch`, which is gone
      when the session is closed unless a snapshot keeps it.
    - `timeout`: seconds for one command, unless the call names others.
    - `output`: the most that one command may write to each stream, and the largest file to read.
    - `snapshot`: the largest archive of a work directory.

    The work directory is at the manifest's `root`, which is `/workspace` by default. Manifests with
    users, groups, mounts or further paths of the host are refused, and no port can be reached.
    """

    backend_id = "seclude"
    supports_default_options = True

    def __init__(
        self,
        sandbox: seclude.Sandbox | None = None,
        *,
        directory: Text | None = None,
        scratch: int | str = SCRATCH,
        timeout: float = 600,
        output: int | str = OUTPUT,
        snapshot: int | str = "256M",
        instrumentation: Instrumentation | None = None,
        dependencies: Dependencies | None = None,
    ) -> None:
        if not timeout > 0:
            raise ValueError(f"timeout {timeout}: must be positive; hint: seconds, such as 600")
        self._sandbox, self._directory, self._scratch = sandbox, directory, scratch
        self._bounds = Bounds(timeout, size("output", output), size("snapshot", snapshot))
        self._instrumentation = instrumentation or Instrumentation()
        self._dependencies = dependencies
        # A wrong policy is an error now, and not only when the first session starts.
        self._policy(Manifest().root)

    def _policy(self, root: str) -> seclude.Sandbox:
        return with_work_directory(self._sandbox, self._directory, root, self._scratch)

    def _validate_manifest_for_create(self, manifest: Manifest) -> Manifest:
        """Refuse what a cell cannot have."""
        refused = {
            "users": bool(manifest.users),
            "groups": bool(manifest.groups),
            "mounts": bool(manifest.mount_targets()),
            "extra_path_grants": any(grant.host_path for grant in manifest.extra_path_grants),
        }
        for key in (key for key, given in refused.items() if given):
            raise ConfigurationError(
                message=f"manifest {key}: a cell has none; "
                "hint: show directories of the host with the policy of the client",
                error_code=ErrorCode.SANDBOX_CONFIG_INVALID,
                op="start",
                context={},
            )
        return super()._validate_manifest_for_create(manifest)

    async def create(
        self,
        *,
        snapshot: SnapshotSpec | SnapshotBase | None = None,
        manifest: Manifest | None = None,
        options: SecludeSandboxClientOptions | None = None,
    ) -> SandboxSession:
        """Return a new session. Its cell starts with `start` or `async with`."""
        session_id = uuid.uuid4()
        state = SecludeSandboxSessionState(
            session_id=session_id,
            manifest=self._validate_manifest_for_create(manifest or Manifest()),
            snapshot=resolve_snapshot(snapshot, str(session_id)),
        )
        return self._wrapped(state)

    def _wrapped(self, state: SecludeSandboxSessionState) -> SandboxSession:
        policy = self._policy(state.manifest.root)
        session = SecludeSandboxSession(state, policy, self._bounds)
        return self._wrap_session(session, instrumentation=self._instrumentation)

    async def delete(self, session: SandboxSession) -> SandboxSession:
        """End everything in the session's cell. A directory of the caller's stays as it is."""
        inner = session._inner
        if not isinstance(inner, SecludeSandboxSession):
            raise TypeError("delete: not a session of seclude")
        await inner.shutdown()
        return session

    async def resume(self, state: SandboxSessionState) -> SandboxSession:
        """Return a session with the saved state, in a new cell.

        Its work directory is that of the snapshot. A client with a `directory` has that one.
        """
        if not isinstance(state, SecludeSandboxSessionState):
            raise TypeError("resume: not a state of seclude")
        state.assert_path_grants_rebound()
        self._validate_manifest_for_create(state.manifest)
        if self._directory is None:
            state.workspace_root_ready = False
        session = self._wrapped(state)
        session._inner._set_start_state_preserved(self._directory is not None)
        return session

    def deserialize_session_state(self, payload: dict[str, object]) -> SandboxSessionState:
        """Return the state that `serialize_session_state` has given."""
        return self._deserialize_session_state_payload(payload, SecludeSandboxSessionState)
