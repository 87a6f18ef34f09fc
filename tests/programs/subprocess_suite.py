"""CPython's own `test_subprocess`, with `seclude.subprocess.Popen` in place of its own.

    python subprocess_suite.py              compares, and exits with 1 if a result differs from
                                            subprocess_differences.toml
    python subprocess_suite.py --run WHICH  runs it once, `plain` or `seclude`, and prints JSON

If root runs it, it continues as an ordinary user, because most callers are one. It needs Debian's
libpython3-testsuite and an installed seclude. Tests that pass with `subprocess` must pass with the
library, except those on the list, each by name and with a reason.
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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
USER, GROUP = 65534, 65534
PATIENCE = 120
"""Seconds after which one test counts as hung."""


def main() -> int:
    """Compare both runs with the list."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", choices=("plain", "seclude"))
    parser.add_argument("tests", nargs="*", help="only these, such as ProcessTestCase.test_cwd")
    wanted = parser.parse_args()
    if wanted.run is not None:
        print(json.dumps(run(wanted.run, wanted.tests)))
        return 0
    if find_spec("test.test_subprocess") is None:
        print("skipped: CPython's tests are not installed (Debian: libpython3-testsuite)")
        return 0
    plain, ours = (apart(which, wanted.tests) for which in ("plain", "seclude"))
    groups = tomllib.loads((HERE / "subprocess_differences.toml").read_text())["group"]
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
        f"{len(plain)} tests: {len(sound)} pass with subprocess, "
        f"{len(sound) - len(differ)} of these with seclude"
    )
    return 1 if unexpected or stale else 0


def apart(which: str, tests: list[str]) -> dict[str, list[str]]:
    """Return the results of one run in a process of an ordinary user, by test name: the state, and
    the last line of the message.
    """
    with tempfile.TemporaryDirectory(prefix="seclude-suite-", dir="/var/tmp") as place:
        # The user may not be able to read the checkout.
        program = shutil.copy(__file__, place)
        command = [sys.executable, "-B", program, "--run", which, *tests]
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


def run(which: str, tests: list[str]) -> dict[str, list[str]]:
    """Run the suite in this process."""
    # The suite and its children write to its standard output.
    kept = os.dup(1)
    os.dup2(2, 1)
    if which == "seclude":
        subprocess.Popen = replacement()  # type: ignore[misc]
    from test import support, test_subprocess  # type: ignore[import-not-found]

    support.use_resources = ["cpu"]
    loader = unittest.defaultTestLoader
    suite = (
        loader.loadTestsFromNames(tests, test_subprocess)
        if tests
        else loader.loadTestsFromModule(test_subprocess)
    )
    result = Result()
    suite.run(result)
    sys.stdout.flush()
    os.dup2(kept, 1)
    return result.told


class Result(unittest.TestResult):
    """The result of each test."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, list[str]] = {}

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        signal.signal(signal.SIGALRM, _hangs)
        signal.alarm(PATIENCE)
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
    raise TimeoutError(f"this test has not ended after {PATIENCE} seconds")


def replacement() -> Any:
    """`seclude.subprocess.Popen`, in a sandbox that has what the suite's programs need of the
    caller's files. The functions of `seclude.subprocess` are the standard ones over it.
    """
    import seclude
    from seclude.subprocess import using

    own = [
        path for path in {sys.prefix, sys.base_prefix, os.getcwd()} if not path.startswith("/usr")
    ]
    files: list[seclude.Entry] = [seclude.bind(path, writable=path == os.getcwd()) for path in own]
    files += [seclude.tmpfs("/tmp", "64M")]
    return using(seclude.Sandbox(files=files)).Popen


if __name__ == "__main__":
    sys.exit(main())
