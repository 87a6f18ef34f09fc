"""What the runners of CPython's own tests share: a run without the library and one with it, each in
a process of an ordinary user, and the comparison with a list of the tests that may differ.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import unittest
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
USER, GROUP = 65534, 65534

Run = Callable[[str, list[str]], unittest.TestSuite]
"""Returns the tests of a run, `plain` or `seclude`: all, or those that are named."""


def main(
    program: str, module: str, standard: str, differences: str, run: Run, patience: int
) -> int:
    """Compare both runs of a module of CPython's tests, which are for `standard`, with the list.

    A test that takes more than `patience` seconds counts as hung.
    """
    parser = argparse.ArgumentParser(
        description=sys.modules["__main__"].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", choices=("plain", "seclude"))
    parser.add_argument("tests", nargs="*", help="only these, such as ProcessTestCase.test_cwd")
    wanted = parser.parse_args()
    if wanted.run is not None:
        print(json.dumps(results(run, wanted.run, wanted.tests, patience)))
        return 0
    spec = find_spec("test") and find_spec(module)
    if spec is None or spec.submodule_search_locations is not None:
        print(f"skipped: no {module} as in CPython 3.11 (Debian: libpython3-testsuite)")
        return 0
    plain, ours = (apart(program, which, wanted.tests) for which in ("plain", "seclude"))
    groups = tomllib.loads((HERE / differences).read_text()).get("group", [])
    expected = {name: group["reason"] for group in groups for name in group["tests"]}
    sound = {name for name, state in plain.items() if state[0] == "passed"}
    differ = {name for name in sound if ours.get(name, ["missing"])[0] != "passed"}
    unexpected = sorted(differ - expected.keys())
    for name in unexpected:
        print(f"differs: {name}: {' '.join(ours.get(name, ['missing']))}")
    stale = (
        sorted(name for name in expected if name in plain and name not in differ)
        if not wanted.tests
        else []
    )
    for name in stale:
        print(f"is listed but does not differ: {name}: {expected[name]}")
    print(
        f"{len(plain)} tests: {len(sound)} pass with {standard}, "
        f"{len(sound) - len(differ)} of these with seclude"
    )
    return 1 if unexpected or stale else 0


def apart(program: str, which: str, tests: list[str]) -> dict[str, list[str]]:
    """Return the results of one run in a process of an ordinary user, by test name: the state, and
    the last line of the message.
    """
    with tempfile.TemporaryDirectory(prefix="seclude-suite-", dir="/var/tmp") as place:
        # The user may not be able to read the checkout.
        shutil.copy(__file__, place)
        copied = shutil.copy(program, place)
        command = [sys.executable, "-B", copied, "--run", which, *tests]
        variables = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": place,
            "TMPDIR": place,
            "LANG": "C.UTF-8",
        }
        options: dict[str, Any] = {}
        if os.geteuid() == 0:
            os.chown(place, USER, GROUP)
            options = {"user": USER, "group": GROUP, "extra_groups": []}
        done = subprocess.run(
            command,
            env=variables,
            cwd=place,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            **options,
        )
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def results(run: Run, which: str, tests: list[str], patience: int) -> dict[str, list[str]]:
    """Run the suite in this process."""
    # The suite and its children write to its standard output.
    kept = os.dup(1)
    os.dup2(2, 1)
    result = Result(patience)
    run(which, tests).run(result)
    sys.stdout.flush()
    os.dup2(kept, 1)
    return result.told


class Result(unittest.TestResult):
    """The result of each test."""

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.patience = patience
        self.told: dict[str, list[str]] = {}

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        signal.signal(signal.SIGALRM, _hangs)
        signal.alarm(self.patience)
        self._tell(test, "passed")

    def stopTest(self, test: unittest.TestCase) -> None:
        signal.alarm(0)
        super().stopTest(test)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self._wrong(test, err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self._wrong(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._wrong(test, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._tell(test, "skipped", reason)

    def _wrong(self, test: unittest.TestCase, err: Any) -> None:
        if os.environ.get("VERBOSE"):
            import traceback

            traceback.print_exception(*err)
        self._tell(test, "failed", f"{err[0].__name__}: {err[1]}"[:300])

    def _tell(self, test: unittest.TestCase, *words: str) -> None:
        self.told[test.id().split(".", 2)[-1]] = [" ".join(word.split()) for word in words]


def _hangs(*_: Any) -> None:
    raise TimeoutError("this test hangs")
