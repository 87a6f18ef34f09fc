"""The native half: only this package calls it."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, final

__all__ = ["Child", "Sandbox", "__version__"]

__version__: str

_Ended: TypeAlias = tuple[Literal["exited", "signaled", "wall-time", "killed"], int | None, str]
_Usage: TypeAlias = tuple[float, float, float, int, int, int, int, int, int, int]
_Ending: TypeAlias = tuple[_Ended, int, _Usage, list[str]]
_Seen: TypeAlias = tuple[int, int, list[int], int, str, list[str], int, str]

@final
class Sandbox:
    """A sandbox: a policy that has been read and found sound."""

    @staticmethod
    def from_json(text: str) -> Sandbox:
        """Reads a policy in JSON."""
    @staticmethod
    def from_toml(text: str) -> Sandbox:
        """Reads a policy in TOML."""
    def to_json(self) -> str:
        """The policy in JSON."""
    def to_toml(self) -> str:
        """The policy in TOML."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def spawn(
        self,
        args: Sequence[bytes],
        *,
        arg0: bytes | None,
        env: Sequence[tuple[bytes, bytes]] | None,
        cwd: bytes | None,
        stdin: int | None,
        stdout: int | None,
        stderr: int | None,
        fds: Sequence[tuple[int, int]],
    ) -> Child:
        """Starts a command. Streams are descriptor numbers; `None` is the caller's own. All descriptors are copied."""

@final
class Child:
    """A running command. Dropping it kills everything inside."""

    @property
    def pid(self) -> int:
        """The process id, as the caller sees it."""
    @property
    def inside_pid(self) -> int:
        """The process id, as the command sees itself."""
    @property
    def pidfd(self) -> int:
        """The number of the descriptor that becomes readable when the command ends. It stays this object's."""
    def try_wait(self) -> _Ending | None:
        """How it ended, if it has."""
    def kill(self) -> None:
        """Kills everything inside."""
    def signal(self, number: int) -> None:
        """Sends a signal to the command's first process."""
    def processes(self) -> list[_Seen]:
        """Every process inside."""
