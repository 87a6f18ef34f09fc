"""`python -m seclude.testing.case FD`: run one test of a `unittest.TestCase`, and report it.

This is the inner half of `isolated`. It imports the module of the test, runs the one test as a
suite, with the fixtures of its module and class, and sends what that does to its result.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.util
import os
import sys
import traceback
import unittest
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from .channel import Inner


class Result(unittest.TestResult):
    """A result that sends what it is told."""

    def __init__(self, channel: Inner) -> None:
        super().__init__()
        self._channel = channel
        self.buffer = channel.request["buffer"]

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        """Send a success."""
        super().addSuccess(test)
        self._channel.send("success")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        """Send a failure, as the text that unittest makes of it."""
        super().addFailure(test, err)
        self._channel.send("failure", text=_text(err, self.failures))

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        """Send an error. It can be one of the fixtures of the class or module."""
        super().addError(test, err)
        self._channel.send("error", text=_text(err, self.errors))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        """Send a skip, of the test or of a subtest."""
        super().addSkip(test, reason)
        self._channel.send("skip", text=reason, **_subtest(test))

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        """Send a failure that was expected."""
        super().addExpectedFailure(test, err)
        self._channel.send("expected failure", text=_text(err, self.expectedFailures))

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        """Send a success where a failure was expected."""
        super().addUnexpectedSuccess(test)
        self._channel.send("unexpected success")

    def addSubTest(  # noqa: N802
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any
    ) -> None:
        """Send how a subtest ended."""
        super().addSubTest(test, subtest, err)
        is_failure = err is not None and issubclass(err[0], test.failureException)
        kept = self.failures if is_failure else self.errors
        text = None if err is None else _text(err, kept)
        is_error = err is not None and not is_failure
        self._channel.send("subtest", text=text, is_error=is_error, **_subtest(subtest))

    def addDuration(self, test: unittest.TestCase, elapsed: float) -> None:  # noqa: N802
        """Send how long the test took, which Python measures from 3.12 on."""
        self._channel.send("duration", seconds=elapsed)


def _text(err: Any, kept: list[tuple[Any, str]]) -> str:
    """Return what unittest shows of an exception, after a first line that sums it up."""
    first = traceback.format_exception_only(err[0], err[1])[-1].split("\n")[0]
    return f"{first}\n\n{kept[-1][1]}"


def _subtest(test: Any) -> dict[str, Any]:
    """Return the label and the parameters of a subtest, or nothing for another test."""
    if not hasattr(test, "params"):
        return {}
    label = test._message if isinstance(test._message, str) else None
    return {"message": label, "params": {name: repr(value) for name, value in test.params.items()}}


def _module(name: str, file: str) -> ModuleType:
    """Import the module of the test by its name, or by its file if the name leads elsewhere."""
    if name != "__main__":
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError:
            pass
        else:
            if os.path.abspath(found.__file__ or "") == file:
                return found
    else:
        # It must not take itself for the program, and run all tests.
        name = "__seclude_main__"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _attribute(start: object, names: Iterable[str]) -> Any:
    for name in names:
        start = getattr(start, name)
    return start


def main(fd: int) -> None:
    """Run the test that the channel names."""
    channel = Inner(fd)
    wanted = channel.request
    # A crash, or the end of the wall time, shows where the test was.
    faulthandler.enable()
    sys.path[:] = wanted["path"]
    module = _module(wanted["module"], wanted["file"])
    case: type[unittest.TestCase] = _attribute(module, wanted["case"].split("."))
    result = Result(channel)
    unittest.TestSuite([case(wanted["method"])]).run(result)
    channel.send("finished")


if __name__ == "__main__":
    main(int(sys.argv[1]))
