"""The pytest mark: a test in a sandbox of its own is reported as one that runs in place.

Each test here runs pytest on a project of its own.
"""

from __future__ import annotations

import os
import subprocess
from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]

PATIENCE = 60


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run pytest on the project in a process of its own."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options, timeout=PATIENCE)


REPORTS = """
import os, pytest, warnings

pytestmark = pytest.mark.seclude

@pytest.fixture
def thing():
    print("made")
    yield 3
    print("put away")

def test_passes(thing, record_property):
    record_property("pid", os.getpid())
    assert os.getpid() < 10

def test_fails(thing):
    print("some output")
    assert [1, thing] == [1, 2], "a text"

@pytest.mark.skip(reason="not today")
def test_skipped(): ...

def test_skips():
    pytest.skip("not here")

@pytest.mark.xfail(reason="known")
def test_xfails():
    assert 0

@pytest.mark.xfail(reason="known", strict=True)
def test_xpasses(): ...

def test_warns():
    warnings.warn("careful", DeprecationWarning)

class TestTeardown:
    @pytest.fixture(autouse=True)
    def broken(self):
        yield
        raise RuntimeError("in the teardown")

    @pytest.mark.parametrize("text", ["a::b", "[c]", "d/e"])
    def test_it(self, text): ...
"""


def test_reports_are_those_of_a_test_in_place(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_reports=REPORTS)
    written = pytester.path / "reports.xml"
    done = run(pytester, "-rA", "--seclude=require", f"--junitxml={written}")
    done.stdout.fnmatch_lines_random(
        [
            "test_reports.py:17: AssertionError",
            "*Captured stdout setup*",
            "made",
            "*Captured stdout call*",
            "some output",
            "*Captured stdout teardown*",
            "put away",
            "*test_reports.py:33: DeprecationWarning: careful",
            "SKIPPED [[]1] test_reports.py:19: not today",
            "SKIPPED [[]1] test_reports.py:23: not here",
            "XFAIL test_reports.py::test_xfails - known",
            "FAILED test_reports.py::test_fails - AssertionError: a text",
            "PASSED test_reports.py::TestTeardown::test_it[[]a::b]",
        ]
    )
    properties = ElementTree.parse(written).findall(".//property[@name='pid']")
    assert [int(found.attrib["value"]) < 10 for found in properties] == [True]
    inside = done.parseoutcomes()
    in_place = run(pytester, "--seclude=off").parseoutcomes()
    # The one difference: one test looks at where it runs.
    in_place["failed"] -= 1
    in_place["passed"] += 1
    assert in_place == inside
    expected = {"passed": 5, "failed": 2, "skipped": 2, "xfailed": 1, "errors": 3, "warnings": 1}
    assert inside == expected


ENDS = """
import os, pytest, signal, time

@pytest.mark.seclude
def test_crashes():
    print("before", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)

@pytest.mark.seclude(wall_time=2)
def test_hangs():
    time.sleep(1000)

@pytest.mark.seclude(pids=64, wall_time=30)
def test_leaves():
    os._exit(3)

@pytest.mark.seclude
class TestSetup:
    @pytest.fixture
    def dies(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def test_in_setup(self, dies): ...

def test_in_place(): ...
"""


def test_a_process_that_ends_early(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_ends=ENDS)
    done = run(pytester, "--seclude=require")
    done.assert_outcomes(failed=3, errors=1, passed=1)
    done.stdout.fnmatch_lines_random(
        [
            "seclude: the process of this test: killed by SIGSEGV, during its call",
            "Fatal Python error: Segmentation fault",
            "  File *test_ends.py*, line 6 in test_crashes",
            "seclude: the process of this test: stopped by the wall time limit of 2s, during*",
            "  File *test_ends.py*, line 10 in test_hangs",
            "seclude: the process of this test: exited with code 3, during its call",
            "seclude: the process of this test: killed by SIGKILL, during its setup",
        ]
    )


def test_a_module_that_does_not_import_inside(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_import="""
        import os, pytest

        if os.getppid() == 1:
            raise RuntimeError("not in here")

        @pytest.mark.seclude
        def test_marked(): ...

        if os.getppid() != 1:
            test_other = test_marked
        """
    )
    done = run(pytester, "--seclude=require")
    done.assert_outcomes(errors=2)
    done.stdout.fnmatch_lines(["*test_import.py:4: in <module>", "E*RuntimeError: not in here"])
    assert "not found" not in done.stdout.str()


def test_a_test_that_is_not_inside(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pytest

        @pytest.mark.seclude
        @pytest.mark.parametrize("number", [os.getpid()])
        def test_it(number): ...
        """
    )
    done = run(pytester, "--seclude=require")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*exited with code 4, during its setup", "ERROR: not found: *"])


def test_a_test_ends_the_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.seclude
        def test_exits():
            pytest.exit("enough")

        def test_never_runs(): ...
        """
    )
    done = run(pytester, "--seclude=require")
    done.stdout.fnmatch_lines(["*_pytest.outcomes.Exit: enough*"])
    done.assert_outcomes()


def test_nothing_is_left(pytester: pytest.Pytester) -> None:
    name = f"left-{os.getpid()}"
    pytester.makepyfile(
        f"""
        import os, pytest, subprocess, sys

        @pytest.mark.seclude
        @pytest.mark.parametrize("number", range(2))
        def test_leaves_a_daemon(number):
            assert not running()
            program = "import time; print(flush=True); time.sleep(1000)"
            daemon = subprocess.Popen(
                ["setsid", "-f", sys.executable, "-c", program, "{name}"], stdout=subprocess.PIPE
            )
            daemon.stdout.readline()
            assert running()

        def running():
            return any(
                "{name}" in open(f"/proc/{{pid}}/cmdline").read()
                for pid in os.listdir("/proc")
                if pid.isdecimal()
            )
        """
    )
    run(pytester, "--seclude=require").assert_outcomes(passed=2)
    seen = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True)
    assert name not in seen.stdout


def test_the_marks_keywords(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest, socket, os

        @pytest.mark.seclude(wal_time=5)
        def test_unknown(): ...

        @pytest.mark.seclude(memory="much")
        def test_wrong(): ...

        @pytest.mark.seclude(5)
        def test_without_name(): ...

        @pytest.mark.seclude(hostname="of-the-class", share=["net"])
        class TestIt:
            @pytest.mark.seclude(hostname="of-the-function")
            def test_both(self):
                assert socket.gethostname() == "of-the-function"
                assert os.readlink("/proc/self/ns/net") == os.environ["NET"]
        """
    )
    os.environ["NET"] = os.readlink("/proc/self/ns/net")
    try:
        done = run(pytester, "--seclude=require")
    finally:
        del os.environ["NET"]
    done.assert_outcomes(errors=3, passed=1)
    done.stdout.fnmatch_lines_random(
        [
            "seclude: keyword wal_time: is unknown; hint: did you mean wall_time?",
            "seclude: policy key memory: *",
            "seclude: mark: 5 has no name; hint: keywords*",
        ]
    )


def test_subtests(pytester: pytest.Pytester) -> None:
    pytest.importorskip("_pytest.subtests", reason="pytest has subtests from 9.0 on")
    pytester.makepyfile(
        """
        import os, pytest

        @pytest.mark.seclude
        def test_some(subtests):
            for number in range(3):
                with subtests.test("of", number=number):
                    assert number != 1
            os.kill(os.getpid(), 9)
        """
    )
    done = run(pytester, "--seclude=require")
    done.stdout.fnmatch_lines(
        [
            # The text of a parameter, as under pytest-xdist.
            "*_ test_some [[]of] (number='1') _*",
            "E*assert 1 != 1",
            "seclude: the process of this test: killed by SIGKILL, during its call",
        ]
    )


def test_a_test_that_goes_elsewhere(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import os, pytest

        def test_goes():
            os.chdir("/")

        @pytest.mark.seclude
        def test_after(): ...
        """
    )
    run(pytester, "--seclude=require", "test_it.py").assert_outcomes(passed=2)
