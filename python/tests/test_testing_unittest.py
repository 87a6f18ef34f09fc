"""`isolated`: unittest reports a test in a sandbox of its own as one that runs in place."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import seclude
from seclude.testing import isolated, place

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

PATIENCE = 60

CASES = """
import os, signal, socket, time, unittest
from seclude.testing import isolated

@isolated(wall_time=30)
class Whole(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(socket.create_server(("127.0.0.1", 8080)))

    def setUp(self):
        assert os.getppid() == 1

    def test_passes(self):
        self.assertEqual(self.server.getsockname()[1], 8080)

    def test_passes_too(self):
        open("/tmp/one-file", "x").close()

    def test_fails(self):
        print("some output")
        self.assertEqual(1, 2, "numbers")

    def test_errs(self):
        raise ValueError("a value")

    def test_subtests(self):
        for number in range(4):
            with self.subTest("of", number=number):
                if number == 2:
                    raise ValueError("two")
                if number == 3:
                    self.skipTest("three")
                self.assertNotEqual(number, 1)

    def test_skips(self):
        self.skipTest("not here")

    @unittest.skip("not today")
    def test_skipped(self): ...

    @unittest.expectedFailure
    def test_expected(self):
        self.fail()

    @unittest.expectedFailure
    def test_unexpected(self): ...

class Part(unittest.IsolatedAsyncioTestCase):
    @isolated()
    async def test_inside(self):
        self.assertEqual(os.getppid(), 1)

    async def test_outside(self):
        self.assertNotEqual(os.getppid(), 1)

if __name__ == "__main__":
    unittest.main()
"""

SHOWN = [
    "test_passes (*.Whole.test_passes) ... ok",
    "test_passes_too (*.Whole.test_passes_too) ... ok",
    "test_inside (*.Part.test_inside) ... ok",
    "test_skips (*.Whole.test_skips) ... skipped 'not here'",
    "*(number=3) ... skipped 'three'",
    "FAIL: test_fails (*.Whole.test_fails)",
    '  File "*cases.py", line 21, in test_fails',
    "AssertionError: 1 != 2 : numbers",
    "ERROR: test_errs (*.Whole.test_errs)",
    "ValueError: a value",
    "FAIL: test_subtests (*.Whole.test_subtests) [[]of] (number=1)",
    "ERROR: test_subtests (*.Whole.test_subtests) [[]of] (number=2)",
    "UNEXPECTED SUCCESS: test_unexpected (*.Whole.test_unexpected)",
    "Ran 11 tests in *",
    "FAILED (failures=2, errors=2, skipped=3, expected failures=1, unexpected successes=1)",
]


@pytest.mark.parametrize("how", [["-m", "unittest", "-v", "cases"], ["cases.py", "-v"]])
def test_results_are_those_of_a_test_in_place(pytester: pytest.Pytester, how: list[str]) -> None:
    pytester.makepyfile(cases=CASES)
    done = pytester.run(sys.executable, *how, timeout=PATIENCE)
    done.stderr.fnmatch_lines_random(SHOWN)
    assert done.stdout.lines == ["some output"]


def test_output_is_buffered(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(cases=CASES)
    done = pytester.run(
        sys.executable, "-m", "unittest", "-b", "cases.Whole.test_fails", timeout=PATIENCE
    )
    done.stderr.fnmatch_lines(["AssertionError: 1 != 2 : numbers", "", "Stdout:", "some output"])


def test_with_pytest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_cases=CASES)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=PATIENCE)
    done.stdout.fnmatch_lines_random(
        [
            "E*seclude.testing.IsolatedFailure: AssertionError: 1 != 2 : numbers",
            'E*File "*test_cases.py", line 21, in test_fails',
            "*Captured stdout call*",
            "some output",
        ]
    )
    outcomes = done.parseoutcomes()
    assert outcomes["passed"] >= 4
    assert outcomes["xfailed"] == 1


ENDS = """
import os, signal, time, unittest
from seclude.testing import isolated

class Ends(unittest.TestCase):
    @isolated()
    def test_crashes(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    @isolated(wall_time=2)
    def test_hangs(self):
        time.sleep(1000)

    @isolated(wal_time=2)
    def test_keyword(self): ...

    @isolated()
    def test_leaves(self):
        os._exit(0)
"""


def test_a_process_that_ends_early(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ends=ENDS)
    done = pytester.run(sys.executable, "-m", "unittest", "ends", timeout=PATIENCE)
    said = "seclude.testing.IsolatedFailure: seclude: "
    done.stderr.fnmatch_lines_random(
        [
            f"{said}the process of this test: killed by SIGSEGV",
            '  File "*ends.py", line 7 in test_crashes',
            f"{said}the process of this test: stopped by the wall time limit of 2s",
            '  File "*ends.py", line 11 in test_hangs',
            f"{said}keyword wal_time: is unknown; hint: did you mean wall_time?",
            f"{said}the process of this test: exited with code 0",
            "FAILED (errors=4)",
        ]
    )


DENIED = """
import os, unittest
from seclude.testing import isolated

@isolated()
class Case(unittest.TestCase):
    def test_it(self): ...
"""


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (None, "... skipped 'seclude: make namespaces"),
        ("require", "... ERROR"),
        ("off", "... ok"),
    ],
)
def test_a_host_that_denies_it(pytester: pytest.Pytester, mode: str | None, expected: str) -> None:
    pytester.makepyfile(denied=DENIED)
    host = place.sandbox({"nested": False, "seccomp": "default"}, [Path(__file__).parent])
    env = place.environment() | ({} if mode is None else {"SECLUDE_TESTS": mode})
    done = host.run(
        [sys.executable, "-m", "unittest", "-v", "denied"],
        capture_output=True,
        text=True,
        cwd=pytester.path,
        env=env,
    )
    assert expected in done.stderr.splitlines()[0]


class HasSubclass(unittest.TestCase):
    """The base of a decorated class, which stays as it is."""

    ran_in = 0

    def test_it(self) -> None:
        """Tell in which process it ran."""
        HasSubclass.ran_in = os.getpid()


@isolated()
class Decorated(HasSubclass):
    """A decorated class: its tests run in processes of their own."""


class Derived(Decorated):
    """A subclass is like the class that it derives from."""

    set_up_in = 0

    @classmethod
    def setUpClass(cls) -> None:
        """Tell in which process it ran."""
        super().setUpClass()
        cls.set_up_in = os.getpid()

    def test_it(self) -> None:
        """Find the fixture of the class in the same process."""
        super().test_it()
        assert self.set_up_in == os.getpid()


def test_bases_and_subclasses() -> None:
    for case, here in ((HasSubclass, True), (Decorated, False), (Derived, False)):
        HasSubclass.ran_in = 0
        result = unittest.TestResult()
        unittest.TestSuite([case("test_it")]).run(result)
        assert (result.testsRun, result.errors, result.failures) == (1, [], [])
        assert (HasSubclass.ran_in == os.getpid()) is here
    assert Derived.set_up_in == 0


def test_the_decorator_is_cheap(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    # It does not start anything before a test runs.
    told = python("import seclude.testing, sys; print('unittest' in sys.modules)").stdout
    assert told == "False\n"
    assert seclude.testing.__all__ == ["IsolatedFailure", "isolated"]
