"""Importing the package costs little, and each name exists on first access."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import seclude

if TYPE_CHECKING:
    from collections.abc import Callable


def test_an_import_loads_and_starts_nothing() -> None:
    code = """
import sys
before = set(sys.modules)
import os, seclude
print(*sorted(set(sys.modules) - before), len(os.listdir("/proc/self/task")))
"""
    told = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert told.split() == ["seclude", "seclude._seclude", "1"]


SUB_INTERPRETER = """
import sys
try:
    import _interpreters
    number = _interpreters.create()
    run = lambda text: _interpreters.run_string(number, text)
except ImportError:
    import _xxsubinterpreters
    number = _xxsubinterpreters.create()
    run = lambda text: _xxsubinterpreters.run_string(number, text)
FIRST
run('''
try:
    import seclude
except ImportError as error:
    print(error, flush=True)
else:
    print("imported:", seclude.Sandbox(), flush=True)
''')
import seclude
print(isinstance(seclude.Sandbox()._core, seclude._seclude.Sandbox))
"""


@pytest.mark.parametrize("first", ["", "import seclude"])
def test_a_sub_interpreter_is_refused(
    python: Callable[..., subprocess.CompletedProcess[str]], first: str
) -> None:
    done = python(SUB_INTERPRETER.replace("FIRST", first))
    refusal, main = done.stdout.splitlines()
    # From 3.12 on, the interpreter itself refuses if the subinterpreter has its own GIL.
    assert "sub-interpreter" in refusal or "subinterpreters" in refusal, done
    assert (main, done.stderr) == ("True", "")


def test_every_name_is_there() -> None:
    assert set(seclude._HOME) == set(seclude.__all__)
    assert set(seclude.__all__) <= set(dir(seclude))
    names: dict[str, object] = {}
    exec("from seclude import *", names)
    for name in seclude.__all__:
        assert names[name] is getattr(seclude, name)


def test_no_name_is_a_modules_too() -> None:
    # Importing a submodule sets its name in the package, which would hide a public name.
    assert not {module.name for module in pkgutil.iter_modules(seclude.__path__)} & set(
        seclude.__all__
    )


def test_no_other_name_is() -> None:
    name = "sandbax"
    with pytest.raises(AttributeError, match=f"'seclude' has no attribute '{name}'"):
        getattr(seclude, name)
