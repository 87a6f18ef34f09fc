"""CPython's own `test_subprocess`, with `seclude.subprocess.Popen` in place of its own.

    python subprocess_suite.py              compares, and exits with 1 if a result differs from
                                            subprocess_differences.toml
    python subprocess_suite.py --run WHICH  runs it once, `plain` or `seclude`, and prints JSON

If root runs it, it continues as an ordinary user, because most callers are one. It needs Debian's
libpython3-testsuite and an installed seclude. Tests that pass with `subprocess` must pass with the
library, except those on the list, each by name and with a reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from typing import Any

import cpython_suite

PATIENCE = 120
"""Seconds after which one test counts as hung."""


def suite(which: str, tests: list[str]) -> unittest.TestSuite:
    """Return the tests, of all or of those that are named."""
    if which == "seclude":
        subprocess.Popen = replacement()  # type: ignore[misc]
    from test import support, test_subprocess  # type: ignore[import-not-found]

    support.use_resources = ["cpu"]
    loader = unittest.defaultTestLoader
    return (
        loader.loadTestsFromNames(tests, test_subprocess)
        if tests
        else loader.loadTestsFromModule(test_subprocess)
    )


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
    sys.exit(
        cpython_suite.main(
            __file__,
            "test.test_subprocess",
            "subprocess",
            "subprocess_differences.toml",
            suite,
            PATIENCE,
        )
    )
