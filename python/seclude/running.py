"""What every running command has on an event loop, whichever library runs the loop."""

from __future__ import annotations

import seclude

from .egress import EgressReport, PublishedPort
from .outcome import Outcome, Process, Usage
from .popen import Popen
from .vocabulary import Freezer


class Running:
    """The methods of `Popen` that do not wait."""

    def __init__(self, process: Popen) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The process id as the caller sees it."""
        return self._process.pid

    @property
    def inside_pid(self) -> int:
        """The process id as the command sees it."""
        return self._process.inside_pid

    @property
    def addresses(self) -> list[str]:
        """The addresses in the private network of the command, IPv4 first."""
        return self._process.addresses

    @property
    def ports(self) -> list[PublishedPort]:
        """The ports that are published on the host, in the order of the policy."""
        return self._process.ports

    def egress(self) -> EgressReport:
        """Return what the command has reached outside, as `Popen.egress` does."""
        return self._process.egress()

    @property
    def terminal(self) -> seclude.Terminal | None:
        """The caller's side of the command's terminal if a stream was `PTY`, else None.

        Its methods block unless its descriptor is set to non-blocking.
        """
        return self._process.terminal

    @property
    def returncode(self) -> int | None:
        """The return code, or None until the end was noticed."""
        return self._process.returncode

    @property
    def outcome(self) -> Outcome | None:
        """How the command ended, or None until the end was noticed."""
        return self._process.outcome

    def usage(self) -> Usage:
        """Return what the command has used so far, as `Popen.usage` does."""
        return self._process.usage()

    def set_memory(self, bytes: int | str) -> None:  # noqa: A002
        """Change the limit `memory` while the command runs, as `Popen.set_memory` does."""
        self._process.set_memory(bytes)

    def set_cpus(self, number: float) -> None:
        """Change the limit `cpus` while the command runs: 0.01 to 8192 processors."""
        self._process.set_cpus(number)

    def set_cpu_time(self, seconds: float) -> None:
        """Change the limit `cpu_time`: seconds counted from the start of the command."""
        self._process.set_cpu_time(seconds)

    def set_pids(self, number: int) -> None:
        """Change the limit `pids` while the command runs."""
        self._process.set_pids(number)

    def freeze(self) -> Freezer:
        """Stop everything inside and return the mechanism used, as `Popen.freeze` does."""
        return self._process.freeze()

    def thaw(self) -> None:
        """Resume everything inside."""
        self._process.thaw()

    def processes(self) -> list[Process]:
        """Return every process inside, as `Popen.processes` does."""
        return self._process.processes()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__}: {self._process!r}>"
