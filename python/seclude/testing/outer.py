"""The outer half of the pytest plugin: start a marked test's own process, and repeat its reports.

The process runs pytest again with the same arguments, on the one test. Its reports of the setup
phase, the call and the teardown go to the plugins out here as if the test had run in place. A
process that ends before its last report is a failed report, which says how it ended.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ..errors import PolicyError, SecludeError
from . import place
from .plugin import DENIED, MODE, needed

_PHASES: tuple[Any, ...] = ("setup", "call", "teardown")
_SHOWN = 1 << 16
"""How many characters of a process's own output a report holds: the last ones."""


def run(item: pytest.Item, nextitem: pytest.Item | None, path: list[str]) -> None:
    """Run the test inside, and report it: pytest's protocol of one test."""
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item, path):
        hook.pytest_runtest_logreport(report=report)
    _leave(item, nextitem)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _reports(item: pytest.Item, path: list[str]) -> Iterator[pytest.TestReport]:
    config = item.config
    if DENIED in config.stash:
        yield _denied(item, config.stash[DENIED])
        return
    try:
        policy = _policy(item)
        box = place.sandbox(policy, [*path, *needed(config, item.path.parent)])
        # Without capture by descriptor, the output of programs goes to the caller's terminal.
        show = config.getoption("capture") != "fd"
        ran = place.run(
            box,
            lambda fd: _words(config, fd),
            _request(item, path),
            # The arguments may be relative paths, and a test may have gone elsewhere.
            cwd=config.invocation_params.dir,
            show=show,
        )
    except place.Denied as denied:
        if denied.for_all:
            config.stash[DENIED] = str(denied)
        yield _denied(item, str(denied))
    # A TypeError is about the value of a keyword.
    except (SecludeError, TypeError) as error:
        yield _failed(item, "setup", f"seclude: {error}")
    else:
        yield from _relayed(item, ran)


def _policy(item: pytest.Item) -> dict[str, Any]:
    """Return the keywords of the test's marks. Those of a function win over those of its class."""
    policy: dict[str, Any] = {}
    for mark in item.iter_markers("seclude"):
        if mark.args:
            raise PolicyError(
                f"mark: {mark.args[0]!r} has no name; hint: keywords, as in "
                "@pytest.mark.seclude(wall_time=5)",
                step="mark",
            )
        policy = {**mark.kwargs, **policy}
    return policy


def _words(config: pytest.Config, fd: int) -> list[str]:
    words = ["-m", "pytest", f"--seclude-inside={fd}"]
    # coverage.py measures the process by its own support of subprocesses. Here pytest-cov would
    # erase what was measured outside.
    if hasattr(config.option, "no_cov"):
        words.append("--no-cov")
    return [*words, *map(str, config.invocation_params.args)]


def _request(item: pytest.Item, path: list[str]) -> dict[str, Any]:
    _, separator, rest = item.nodeid.partition("::")
    return {
        "target": f"{item.path}{separator}{rest}",
        "nodeid": item.nodeid,
        "path": path,
        # A worker of pytest-xdist stays one for the plugins inside.
        "workerinput": getattr(item.config, "workerinput", None),
    }


# ---- reports


def _relayed(item: pytest.Item, ran: place.Ran) -> Iterator[pytest.TestReport]:
    """Yield the reports of the process, then one of its end if that came too early."""
    at = 0  # the phase that is not finished
    failed = False
    troubles: list[str] = []
    for message in ran.messages:
        match message["kind"]:
            case "report":
                report = _report(item.config, message["data"])
                # A subtest has a report of its own kind, which finishes nothing.
                if message["data"].get("$report_type") == pytest.TestReport.__name__:
                    at = _PHASES.index(report.when) + 1
                    if report.when == "setup" and not report.passed:
                        at = _PHASES.index("teardown")
                failed = failed or report.failed
                if report.failed and ran.output:
                    report.sections.append(_output(ran))
                yield report
            case "trouble":
                troubles.append(message["text"])
            case "warning":
                _warn(item, message)
            case "exit":
                pytest.exit(message["text"])
    if at == len(_PHASES) and (failed or ran.outcome.ended.name == "exited"):
        return
    phase = _PHASES[min(at, 2)]
    if troubles:
        text = "\n".join(troubles)
    else:
        text = f"seclude: the process of this test: {ran.outcome}, during its {phase}"
    report = _failed(item, phase, text)
    if ran.output:
        report.sections.append(_output(ran))
    yield report


def _output(ran: place.Ran) -> tuple[str, str]:
    return "Output of the test's process", ran.output[-_SHOWN:]


def _report(config: pytest.Config, data: dict[str, Any]) -> pytest.TestReport:
    # JSON has lists only, and pytest takes the place of a skip for a tuple.
    for key in ("location", "longrepr"):
        if isinstance(data.get(key), list):
            data[key] = tuple(data[key])
    for key in ("sections", "user_properties"):
        data[key] = [tuple(pair) for pair in data.get(key, ())]
    report: pytest.TestReport = config.hook.pytest_report_from_serializable(
        config=config, data=data
    )
    return report


def _warn(item: pytest.Item, message: dict[str, Any]) -> None:
    """Pass a warning on to the summary."""
    module = sys.modules.get(message["module"])
    category = getattr(module, message["category"], None)
    text = message["text"]
    if not (isinstance(category, type) and issubclass(category, Warning)):
        # Only the module of the test knows it, and that was imported inside.
        category, text = Warning, f"{message['category']}: {text}"
    warning = warnings.WarningMessage(
        category(text), category, message["filename"], message["lineno"]
    )
    item.ihook.pytest_warning_recorded.call_historic(
        kwargs={
            "warning_message": warning,
            "when": "runtest",
            "nodeid": item.nodeid,
            "location": message["location"],
        }
    )


def _failed(item: pytest.Item, phase: str, text: str) -> pytest.TestReport:
    return _made(item, phase, "failed", text)


def _denied(item: pytest.Item, why: str) -> pytest.TestReport:
    """Return the report of a test that this host cannot isolate: skipped, or failed."""
    reason = f"seclude: {why}"
    if item.config.stash[MODE] == "require":
        return _failed(item, "setup", reason)
    path, line, _ = item.location
    return _made(item, "setup", "skipped", (path, (line or 0) + 1, f"Skipped: {reason}"))


def _made(item: pytest.Item, phase: Any, outcome: Any, longrepr: Any) -> pytest.TestReport:
    # The values of keywords are of no use in a report, and pytest-xdist cannot send them.
    keywords: Any = dict.fromkeys(item.keywords, 1)
    return pytest.TestReport(item.nodeid, item.location, keywords, outcome, longrepr, phase)


@contextmanager
def allowed(config: pytest.Config) -> Iterator[None]:
    """Skip or fail the test, as the mode says, if the host does not allow what is done within."""
    try:
        yield
    except SecludeError as error:
        if error.kind in place.DENIED and config.stash[MODE] != "require":
            pytest.skip(f"seclude: {error}")
        raise


def _leave(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Tear down out here what the next test does not need.

    The test before this one kept what it shares with this one, such as a fixture of the module.
    pytest has no public name for this step, and its hook needs a test that was set up.
    """
    state = item.session._setupstate
    call = pytest.CallInfo.from_call(lambda: state.teardown_exact(nextitem), "teardown")
    if call.excinfo is not None:
        report = pytest.TestReport.from_item_and_call(item, call)
        item.ihook.pytest_runtest_logreport(report=report)
