"""How the pytest plugin fits into a run: pytest-xdist, modes, arguments, and fixtures.

Each test here runs pytest on a project of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import seclude
from seclude.testing import place

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

PATIENCE = 60


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run pytest on the project in a process of its own."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options, timeout=PATIENCE)


PORTS = """
import os, pytest, socket, time

@pytest.mark.seclude
@pytest.mark.parametrize("number", range(12))
def test_the_port_is_free(number):
    with socket.create_server(("127.0.0.1", 8080)):
        with open("/tmp/one-file", "x"):
            time.sleep(0.3)

def test_workers_have_threads():
    assert len(os.listdir("/proc/self/task")) > 1
"""


def test_twelve_tests_bind_the_same_port(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PORTS)
    run(pytester, "-n", "2", "--seclude=require").assert_outcomes(passed=13)


def test_workers_in_sandboxes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pytest, socket

        @pytest.fixture(scope="session")
        def server():
            with socket.create_server(("127.0.0.1", 8080)) as server:
                yield server

        @pytest.mark.parametrize("number", range(4))
        def test_it(server, number, tmp_path, worker_id):
            assert worker_id in ("gw0", "gw1")
            assert os.getppid() == 1
        """
    )
    run(pytester, "-n", "2", "--seclude-workers", "--dist=each", "--tx=2*popen").assert_outcomes(
        passed=8
    )


def denying(pytester: pytest.Pytester, *options: str) -> seclude.CompletedRun:
    """Run pytest on a host that allows no sandboxes: in one without `nested`."""
    host = place.sandbox({"nested": False, "seccomp": "default"}, [Path(__file__).parent])
    words = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", *options]
    return host.run(
        words, capture_output=True, text=True, cwd=pytester.path, env=place.environment()
    )


DENIED = """
import os, pytest

@pytest.mark.seclude
@pytest.mark.parametrize("number", range(2))
def test_marked(number): ...

def test_cell(cell): ...

def test_other(): ...
"""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"passed": 1, "skipped": 3}),
        (["--seclude=auto"], {"passed": 1, "skipped": 3}),
        (["--seclude=require"], {"passed": 1, "errors": 3}),
        (["--seclude=off"], {"passed": 3, "skipped": 1}),
        (["-o", "seclude=require"], {"passed": 1, "errors": 3}),
        (["-o", "seclude=require", "--seclude=off"], {"passed": 3, "skipped": 1}),
    ],
)
def test_a_host_that_denies_it(
    pytester: pytest.Pytester, options: list[str], expected: dict[str, int]
) -> None:
    pytester.makepyfile(DENIED)
    lines = denying(pytester, *options).stdout.splitlines()
    assert pytest.RunResult.parse_summary_nouns(lines) == expected
    reasons = [line for line in lines if line.startswith("SKIPPED [2] test_a_host")]
    if expected.get("skipped") == 3:
        assert "py:3: seclude: make namespaces" in reasons[0]
    else:
        assert not reasons


def test_workers_on_a_host_that_denies_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): ...")
    for options, expected in ((["-n1"], "ERROR: --seclude-workers: make namespaces"), ([], "")):
        done = denying(pytester, "--seclude-workers", *options)
        assert expected in done.stderr
        assert done.returncode == (4 if expected else 0)


def test_a_mode_that_is_none(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): ...")
    done = run(pytester, "-o", "seclude=always")
    done.stderr.fnmatch_lines(["ERROR: seclude = always: is no mode; hint: known are off, auto*"])


def test_a_run_keeps_its_arguments(pytester: pytest.Pytester) -> None:
    project = pytester.mkdir("project")
    (project / "pytest.ini").write_text("[pytest]\nmarkers = slow\nxfail_strict = true\n")
    (pytester.path / "plugin_of_it.py").write_text(
        "import pytest\n@pytest.fixture\ndef given(): return 3\n"
    )
    (project / "conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--colour')\n"
    )
    (project / "test_it.py").write_text(
        """
import pytest

@pytest.fixture(scope="module")
def shared():
    shared.made = getattr(shared, "made", 0) + 1
    return 1

@pytest.mark.seclude
@pytest.mark.slow
def test_inside(request, given, tmp_path):
    assert given == 3
    assert request.config.getoption("--colour") == "red"
    assert request.config.getini("xfail_strict")
    assert request.config.rootpath.name == "project"
    # Not that of the outer run, which would be emptied.
    assert "runpytest-" not in str(tmp_path)

@pytest.mark.slow
def test_outside(request): ...

def test_not_selected(): assert 0
"""
    )
    done = run(
        pytester,
        *("--seclude=require", "-p", "plugin_of_it", "--colour=red", "-m", "slow", "-k", "test_"),
        *("--rootdir=project", "project/test_it.py"),
    )
    done.assert_outcomes(passed=2, deselected=1)


def test_shared_fixtures_outside(pytester: pytest.Pytester) -> None:
    # A marked test between two others must not leave or lose what they set up out here.
    for folder in ("first", "second"):
        pytester.mkpydir(folder).joinpath("conftest.py").write_text(
            f"""
import pytest
@pytest.fixture(scope="package", autouse=True)
def package():
    yield
    print("{folder} package is left")
"""
        )
    first, second = (pytester.path / folder for folder in ("first", "second"))
    (first / "test_a.py").write_text("def test_a(): ...\n")
    (first / "test_b.py").write_text("import pytest\n@pytest.mark.seclude\ndef test_b(): ...\n")
    (second / "test_c.py").write_text("def test_c(): ...\n")
    done = run(pytester, "--seclude=require", "-s")
    done.assert_outcomes(passed=3)
    assert done.stdout.str().count("first package is left") == 2


def test_fixtures_for_programs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_a_cell(cell, sandbox):
            assert cell.run(["sh", "-c", "echo $$ > /tmp/pid"]).returncode == 0
            assert sandbox.run(["cat", "/tmp/pid"], capture_output=True).returncode == 1

        def test_two_cells(make_cell, cell):
            other = make_cell(hostname="other")
            name = other.run(["hostname"], capture_output=True, text=True).stdout
            assert name == "other\\n"
            assert cell.is_alive
            global left
            left = [cell, other]

        def test_closed():
            assert not any(cell.is_alive for cell in left)
        """
    )
    run(pytester, "--seclude=require").assert_outcomes(passed=3)


def test_the_plugin_costs_little(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = """
import sys, pytest
before = set(sys.modules)
import seclude.testing.plugin
print(*sorted(name for name in set(sys.modules) - before if "seclude" in name))
"""
    told = python(code).stdout.split()
    assert told == ["seclude", "seclude._seclude", "seclude.testing", "seclude.testing.plugin"]
    assert sys.executable


def test_a_limit_that_is_not_available(pytester: pytest.Pytester) -> None:
    # It concerns the one test, and not those after it.
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.seclude(memory="64M", require=["memory"], cgroup="/")
        def test_limited(): ...

        @pytest.mark.seclude(memory=object())
        def test_wrong(): ...

        @pytest.mark.seclude
        def test_other(): ...
        """
    )
    done = run(pytester, "-rs")
    print(done.stdout.str())
    done.assert_outcomes(passed=1, skipped=1, errors=1)
