"""`isolated`: each test of a `unittest.TestCase` in a process and a sandbox of its own.

The decorator replaces the method `run` of the class. Outside, `run` starts `seclude.testing.case`,
which runs the one test inside, and repeats in the result out here what that reports. Nothing else
of the class runs outside: neither `setUp` nor `setUpClass`.
"""

from __future__ import annotations

import os
import sys
import unittest
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeAlias, TypeVar, Unpack, cast

from ..errors import SecludeError
from ..policy import Policy
from . import place
from .channel import is_inside

# unittest leaves the frames of such a module out of what it shows.
__unittest = True

Test = TypeVar("Test", bound="type[unittest.TestCase] | Callable[..., Any]")
ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType]
"""An exception in the form that results take."""

_POLICY = "_seclude_policy"
_RUN = "_seclude_run"
_FIXTURES = ("setUpClass", "tearDownClass")


class IsolatedFailure(AssertionError):
    """A failure or an error in a test's own process, as text: what unittest made of it there."""

    # Under this name it stands in every report of a failure.
    __module__ = "seclude.testing"


def isolated(**policy: Unpack[Policy]) -> Callable[[Test], Test]:
    """Run a test of a `unittest.TestCase`, or each test of a class, in a sandbox of its own.

    The keywords are changes to `Sandbox.for_tests()`: `@isolated(wall_time=5, memory="64M")`. Those
    of a function win over those of its class. The module is imported anew inside, so a script needs
    `if __name__ == "__main__":` around `unittest.main()`. `setUpClass` of a decorated class runs
    inside too, once for each test. Subtests, skips and expected failures are reported as usual.

    Where the host does not allow the isolation, the tests are skipped with the reason. With the
    environment variable `SECLUDE_TESTS=require` they fail, and with `off` they run in place.
    """

    def decorate(test: Any) -> Any:
        if isinstance(test, type):
            setattr(test, _POLICY, dict(policy))
            _take_over(test)
            return test
        return _Method(test, policy)

    return decorate


class _Method:
    """A decorated function until its class exists, which `unittest` has to know."""

    def __init__(self, function: Any, policy: Mapping[str, Any]) -> None:
        self._function, self._policy = function, policy

    def __set_name__(self, owner: type[unittest.TestCase], name: str) -> None:
        setattr(self._function, _POLICY, dict(self._policy))
        setattr(owner, name, self._function)
        _take_over(owner)


def _in_place() -> bool:
    return is_inside() or os.environ.get("SECLUDE_TESTS") == "off"


def _take_over(case: type[unittest.TestCase]) -> None:
    """Replace `run` of the class, and the fixtures of a decorated class."""
    if _RUN not in vars(case):
        before = case.run

        def run(
            self: unittest.TestCase, result: unittest.TestResult | None = None
        ) -> unittest.TestResult | None:
            method = getattr(self, self._testMethodName)
            policies = [getattr(one, _POLICY, None) for one in (type(self), method)]
            skipped = any(getattr(one, "__unittest_skip__", False) for one in (type(self), method))
            if _in_place() or skipped or policies == [None, None]:
                return before(self, result)
            policy = {**(policies[0] or {}), **(policies[1] or {})}
            return _run_inside(self, policy, result)

        case.run = run  # type: ignore[method-assign]
        setattr(case, _RUN, True)
    if _POLICY in vars(case):
        for name in _FIXTURES:
            _keep_inside(case, name)
        declared = case.__init_subclass__.__func__  # type: ignore[attr-defined]

        def declare(subclass: type[unittest.TestCase], /, **options: Any) -> None:
            declared(subclass, **options)
            for name in vars(subclass).keys() & set(_FIXTURES):
                _keep_inside(subclass, name)

        case.__init_subclass__ = classmethod(declare)  # type: ignore[assignment]


def _keep_inside(case: type[unittest.TestCase], name: str) -> None:
    """Let a fixture of the class do nothing outside."""
    fixture: Callable[[type], None] = getattr(case, name).__func__

    def run(case: type) -> None:
        if _in_place():
            fixture(case)

    setattr(case, name, classmethod(run))


def _run_inside(
    test: unittest.TestCase, policy: Mapping[str, Any], result: unittest.TestResult | None
) -> unittest.TestResult:
    """Run the test in its own process: what `TestCase.run` does, with the parts that it calls."""
    given = result is not None
    if result is None:
        result = test.defaultTestResult()
        getattr(result, "startTestRun", lambda: None)()
    result.startTest(test)
    try:
        _report(test, policy, result)
    finally:
        result.stopTest(test)
        if not given:
            getattr(result, "stopTestRun", lambda: None)()
    return result


def _report(
    test: unittest.TestCase, policy: Mapping[str, Any], result: unittest.TestResult
) -> None:
    request = _request(test, result)
    try:
        here = os.getcwd()
        box = place.sandbox(policy, [here, os.path.dirname(request["file"])])
        words = ["-m", "seclude.testing.case"]
        ran = place.run(box, lambda fd: [*words, str(fd)], request, cwd=here, show=True)
    except place.Denied as denied:
        if os.environ.get("SECLUDE_TESTS") == "require":
            result.addError(test, _failure(f"seclude: {denied}"))
        else:
            result.addSkip(test, f"seclude: {denied}")
        return
    # A TypeError is about the value of a keyword.
    except (SecludeError, TypeError) as error:
        result.addError(test, _failure(f"seclude: {error}"))
        return
    finished = False
    for message in ran.messages:
        finished = finished or message["kind"] == "finished"
        _repeat(test, message, result)
    if not finished:
        result.addError(test, _failure(f"seclude: the process of this test: {ran.outcome}"))


def _request(test: unittest.TestCase, result: unittest.TestResult) -> dict[str, Any]:
    case = type(test)
    module = sys.modules[case.__module__]
    return {
        "path": sys.path,
        "module": case.__module__,
        "file": os.path.abspath(module.__file__ or ""),
        "case": case.__qualname__,
        "method": test._testMethodName,
        "buffer": getattr(result, "buffer", False),
    }


def _repeat(test: unittest.TestCase, message: dict[str, Any], result: unittest.TestResult) -> None:
    """Do to the result out here what the test did to the one inside."""
    text = message.get("text")
    match message["kind"]:
        case "success":
            result.addSuccess(test)
        case "skip":
            result.addSkip(_subtest(test, message), str(text))
        case "failure":
            result.addFailure(test, _failure(text))
        case "error":
            result.addError(test, _failure(text))
        case "expected failure":
            result.addExpectedFailure(test, _failure(text))
        case "unexpected success":
            result.addUnexpectedSuccess(test)
        case "subtest":
            failure = None if text is None else _failure(text, is_error=message["is_error"])
            # unittest, too, asks whether a result knows subtests.
            if hasattr(result, "addSubTest"):
                result.addSubTest(test, _subtest(test, message), failure)
            elif failure is not None:
                result.addFailure(test, failure)
        case "duration" if hasattr(result, "addDuration"):
            result.addDuration(test, message["seconds"])


class _Shown:
    """A parameter of a subtest, known by its text only."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _subtest(test: unittest.TestCase, message: dict[str, Any]) -> unittest.TestCase:
    """Return the subtest that a message is about, or the test itself."""
    if "params" not in message:
        return test
    from unittest import case

    # Private names, but the only ones by which a result shows a subtest.
    private: Any = case
    label = message["message"]
    params = {name: _Shown(text) for name, text in message["params"].items()}
    made: unittest.TestCase = private._SubTest(
        test, private._subtest_msg_sentinel if label is None else label, params
    )
    return made


class _IsolatedError(Exception):
    """An error in a subtest, which unittest distinguishes from a failure by its class."""


_IsolatedError.__name__ = _IsolatedError.__qualname__ = IsolatedFailure.__name__
_IsolatedError.__module__ = IsolatedFailure.__module__


def _failure(text: object, *, is_error: bool = False) -> ExcInfo:
    """Return the text as an exception with a traceback, which results require."""
    try:
        raise _IsolatedError(text) if is_error else IsolatedFailure(text)
    except (IsolatedFailure, _IsolatedError) as failure:
        # What is being handled out here is no part of it.
        failure.__context__ = None
        return type(failure), failure, cast("TracebackType", failure.__traceback__)
