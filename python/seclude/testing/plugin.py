"""The pytest plugin: the mark `seclude`, the fixtures, and the options.

A marked test runs in a process of its own, in a sandbox for tests: its fixtures, the test and its
teardown. `outer` starts that process and repeats its reports; `inner` is the plugin's other half,
in that process. A run of pytest without marked tests imports neither.

    @pytest.mark.seclude(wall_time=5, memory="64M")
    def test_the_server(): ...
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import seclude

# Modules are looked for inside where they were looked for outside, before any test changed that.
_PATH = list(sys.path)
_MODES = ("off", "auto", "require")
_INSIDE = "seclude-inside"
MODE = pytest.StashKey[str]()
DENIED = pytest.StashKey[str]()
"""Why this host does not allow the isolation, once that is known."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and the key of the configuration file."""
    group = parser.getgroup("seclude", "tests in sandboxes")
    group.addoption(
        "--seclude",
        choices=_MODES,
        help="tests with the mark seclude: run them in place (off), skip them where the host does"
        " not allow the isolation (auto, the default), or fail there (require)",
    )
    group.addoption(
        "--seclude-workers",
        action="store_true",
        help="start each worker of pytest-xdist in a sandbox for tests",
    )
    # Only `outer` gives it, with the number of a descriptor that the process inherits.
    group.addoption("--seclude-inside", type=int, help=argparse.SUPPRESS)
    parser.addini("seclude", "the default of --seclude: off, auto or require", default="auto")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Become the inner half, in a test's own process, before anything of the project loads."""
    fd = getattr(early_config.known_args_namespace, "seclude_inside", None)
    if fd is not None:
        from .channel import Inner
        from .inner import Reporter

        early_config.pluginmanager.register(Reporter(Inner(fd)), _INSIDE)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark and check the mode."""
    config.addinivalue_line(
        "markers",
        "seclude(**policy): run the test in a process and a sandbox of its own;"
        " keywords change the sandbox for tests",
    )
    # The variable is for `isolated`, which has no options, and should say the same here.
    of_all = os.environ.get("SECLUDE_TESTS")
    mode = config.getoption("--seclude") or of_all or config.getini("seclude")
    if mode not in _MODES:
        raise pytest.UsageError(
            f"seclude = {mode}: is no mode; hint: known are {', '.join(_MODES)}"
        )
    config.stash[MODE] = mode
    if config.getoption("--seclude-workers"):
        from .workers import Wrapper

        # Its hook exists only with pytest-xdist, of which an option tells.
        if not hasattr(config.option, "numprocesses"):
            raise pytest.UsageError("--seclude-workers: pytest-xdist is not installed")
        config.pluginmanager.register(Wrapper(), "seclude-workers")
        if hasattr(config, "workerinput") and config.option.basetemp:
            # The controller made its parent, but perhaps in a directory that is private here.
            Path(config.option.basetemp).parent.mkdir(mode=0o700, parents=True, exist_ok=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a marked test inside, and leave every other to pytest."""
    config = item.config
    if (
        item.get_closest_marker("seclude") is None
        or config.stash[MODE] == "off"
        or config.pluginmanager.has_plugin(_INSIDE)
        or config.getoption("setuponly", default=False)
    ):
        return None
    from . import outer

    outer.run(item, nextitem, _PATH)
    return True


# ---- the fixtures, for tests outside that run programs inside


@pytest.fixture
def sandbox() -> seclude.Sandbox:
    """The default sandbox. A project that defines a fixture of this name changes it."""
    import seclude

    return seclude.Sandbox()


@pytest.fixture
def make_cell(request: pytest.FixtureRequest) -> Iterator[Callable[..., seclude.Cell]]:
    """A function that starts cells: of a sandbox, or of the fixture `sandbox` with changes."""
    from contextlib import ExitStack

    from .outer import allowed

    with ExitStack() as stack:

        def make(box: seclude.Sandbox | None = None, **changes: Any) -> seclude.Cell:
            chosen: seclude.Sandbox = box or request.getfixturevalue("sandbox")
            if changes:
                chosen = chosen.replace(**changes)
            with allowed(request.config):
                started = chosen.cell()
            return stack.enter_context(started)

        yield make


@pytest.fixture
def cell(make_cell: Callable[..., seclude.Cell]) -> seclude.Cell:
    """A cell of the fixture `sandbox`, closed at the end of the test."""
    return make_cell()


def needed(config: pytest.Config, *more: Path) -> Sequence[Path]:
    """Return the directories of the project that must be visible inside."""
    places = [config.rootpath, config.invocation_params.dir, *more]
    if config.inipath is not None:
        places.append(config.inipath.parent)
    return places
