"""`--seclude-workers`: start each worker of pytest-xdist in a sandbox for tests.

The tests of one worker share its sandbox, and are apart from those of the others. pytest-xdist
starts a worker as `python -c ...`, in place of `python` any command line, and talks to it over its
standard streams. The command line given here is that of `seclude.testing.wrap`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from ..errors import SecludeError
from . import place
from .plugin import MODE, needed


class Wrapper:
    """A plugin for the process that starts the workers."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: Sequence[Any]) -> None:
        """Change the command lines, before any worker is started."""
        if config.stash[MODE] == "off":
            return
        shown = [str(path) for path in needed(config)]
        try:
            # A worker that cannot start would be an internal error of pytest-xdist.
            place.sandbox({}, shown).run(["true"], check=True)
        except SecludeError as error:
            raise pytest.UsageError(f"--seclude-workers: {error}") from error
        for spec in specs:
            if spec.popen:
                program = shlex.split(spec.python) if spec.python else [sys.executable]
                wrap = ["-m", "seclude.testing.wrap", *shown, "--", *program]
                spec.python = shlex.join(place.interpreter(*wrap))
