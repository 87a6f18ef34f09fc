"""CPython's own tests of process pools, with `seclude.Executor` in place of ProcessPoolExecutor.

    python executor_suite.py              compares, and exits with 1 if a result differs from
                                          executor_differences.toml
    python executor_suite.py --run WHICH  runs it once, `plain` or `seclude`, and prints JSON

If root runs it, it continues as an ordinary user, because most callers are one. It needs Debian's
libpython3-testsuite and an installed seclude. Tests that pass with a ProcessPoolExecutor, whose
workers are spawned, must pass with the library, except those on the list, each by name and with a
reason.

Three names differ, and are replaced: `max_workers` is `workers`; a call whose process dies raises
`JobDied`, not BrokenProcessPool; and the class of a remote traceback is this library's. Results are
trusted, since the tests return values that JSON does not have.
"""

from __future__ import annotations

import sys
import unittest
from concurrent import futures
from pathlib import Path
from typing import Any

import cpython_suite

PATIENCE = 300
"""Seconds after which one test counts as hung."""
CLASSES = "ProcessPoolSpawn"
"""How the names of the classes begin. CPython has them for each way to start a process."""


def suite(which: str, tests: list[str]) -> unittest.TestSuite:
    """Return the tests, of all or of those that are named."""
    from test import support  # type: ignore[import-not-found]
    from test import test_concurrent_futures as theirs

    support.use_resources = ["cpu"]
    if which == "seclude":
        theirs.ProcessPoolSpawnMixin.executor_type = replace(theirs)
    names = tests or [name for name in vars(theirs) if name.startswith(CLASSES)]
    names = [name for name in names if name != f"{CLASSES}Mixin"]
    return unittest.defaultTestLoader.loadTestsFromNames(names, theirs)


def replace(theirs: Any) -> type:
    """Put `seclude.Executor` in the place of the standard pool, and return that class."""
    import seclude
    from seclude import executor

    theirs.BrokenProcessPool = seclude.JobDied
    futures.process._RemoteTraceback = executor._Remote  # type: ignore[assignment, misc]
    pool = adapted()
    futures.ProcessPoolExecutor = pool  # type: ignore[misc, assignment]
    in_a_process = theirs.assert_python_ok

    def assert_python_ok(*args: str) -> Any:
        """Let the programs that the tests run use the same class."""
        here = str(Path(__file__).parent)
        own = f"import sys; sys.path.insert(0, {here!r}); from executor_suite import adapted; "
        changed = [
            word.replace("from concurrent.futures import Pool\n", f"{own}Pool = adapted()\n")
            for word in args
        ]
        assert changed != list(args), "the program imports another executor"
        return in_a_process(*changed)

    theirs.assert_python_ok = assert_python_ok
    return pool


def adapted() -> type:
    """`seclude.Executor` by the parameters of ProcessPoolExecutor, in a sandbox that has what the
    suite needs of the caller's files.
    """
    import seclude

    class Pool(seclude.Executor):
        def __init__(self, max_workers: int | None = None, mp_context: Any = None) -> None:
            own = {sys.prefix, sys.base_prefix}
            files = [seclude.bind(path) for path in own if not path.startswith("/usr")]
            box = seclude.Sandbox(files=files, wall_time=PATIENCE)
            super().__init__(box, max_workers, python=sys.executable, trusted=True)

    return Pool


if __name__ == "__main__":
    sys.exit(
        cpython_suite.main(
            __file__,
            "test.test_concurrent_futures",
            "a ProcessPoolExecutor",
            "executor_differences.toml",
            suite,
            PATIENCE,
        )
    )
