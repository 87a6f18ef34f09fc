"""The inner half of the pytest plugin, in the process of one test.

pytest was started with the arguments of the outer run, so that it has the same root directory,
configuration and plugins. This narrows it to the one test, keeps it from writing what belongs to
the outer run, and sends its reports there.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from .channel import Inner

_SETTINGS: dict[str, Any] = {
    # The outer run has selected the test.
    "keyword": "",
    "markexpr": "",
    "deselect": None,
    "pyargs": False,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "stepwise_skip": False,
    "maxfail": 0,
    # It distributes the tests.
    "numprocesses": None,
    "maxprocesses": None,
    "dist": "no",
    "distload": False,
    "looponfail": False,
    "tx": [],
    "px": [],
    # It has the terminal.
    "usepdb": False,
    "trace": False,
    "setupshow": False,
    # It writes the files. A base directory that is given would be emptied.
    "basetemp": None,
    "xmlpath": None,
    "log_file": os.devnull,
    "report_log": None,
    "htmlpath": None,
    "json_report": False,
    "pastebin": None,
    "cacheclear": False,
    "seclude_workers": False,
}
"""The options that mean something else for one test inside. Those of plugins may be absent."""
_WRITERS = ("lfplugin", "nfplugin", "stepwiseplugin")
"""The plugins that remember the run for the next one."""


class Reporter:
    """A plugin that selects the test and sends its reports."""

    def __init__(self, channel: Inner) -> None:
        self._channel = channel
        self._config: pytest.Config | None = None
        self._told = False
        sys.path[:] = channel.request["path"]

    # First, so that pytest-xdist finds the settings made here.
    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        """Change the options before they have effects."""
        for name, value in _SETTINGS.items():
            if hasattr(config.option, name):
                setattr(config.option, name, value)
        config.args[:] = [self._channel.request["target"]]
        worker = self._channel.request["workerinput"]
        if worker is not None:
            config.workerinput = worker  # type: ignore[attr-defined]
            config.workeroutput = {}  # type: ignore[attr-defined]

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Take out the plugins that write, and keep the terminal's from showing anything."""
        self._config = config
        if config.pluginmanager.has_plugin("terminalreporter"):
            # Not taken out, because others need its writer: the comparison of values, for one.
            # They find no attribute for this but the private one.
            writer = config.get_terminal_writer()
            writer._file = io.StringIO()
        for name in _WRITERS:
            if config.pluginmanager.has_plugin(name):
                config.pluginmanager.unregister(name=name)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Iterator[None]:
        """Keep the one test, although other plugins may select again."""
        wanted = [item for item in items if item.nodeid == self._channel.request["nodeid"]]
        yield
        items[:] = wanted[:1]
        if not wanted and not self._told:
            self._trouble("the test was not found inside")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tell why the module of the test cannot be imported inside."""
        if report.failed:
            self._trouble(report.longreprtext)

    def pytest_internalerror(self, excrepr: object) -> None:
        """Tell of an error in pytest or a plugin."""
        self._trouble(f"internal error: {excrepr}")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell that the test ended the whole run, by `pytest.exit`."""
        if isinstance(excinfo.value, pytest.exit.Exception):
            self._channel.send("exit", text=str(excinfo.value))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send a report."""
        config = self._config
        assert config is not None
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
        self._channel.send("report", data=data)

    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        """Send a warning of the test. Those of the configuration came in the outer run already."""
        if when == "runtest":
            self._channel.send(
                "warning",
                text=str(warning_message.message),
                module=warning_message.category.__module__,
                category=warning_message.category.__name__,
                filename=warning_message.filename,
                lineno=warning_message.lineno,
                location=location,
            )

    def _trouble(self, text: str) -> None:
        self._told = True
        self._channel.send("trouble", text=f"seclude: {text}")
