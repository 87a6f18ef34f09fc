"""Importing the package costs next to nothing, and each name is there when it is asked for."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import seclude


def test_an_import_loads_and_starts_nothing() -> None:
    code = """
import sys
before = set(sys.modules)
import os, seclude
print(*(set(sys.modules) - before), len(os.listdir("/proc/self/task")))
"""
    told = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["seclude", "1"]


def test_every_name_is_there() -> None:
    assert set(seclude._HOME) == set(seclude.__all__)
    assert set(seclude.__all__) <= set(dir(seclude))
    names: dict[str, object] = {}
    exec("from seclude import *", names)
    for name in seclude.__all__:
        assert names[name] is getattr(seclude, name)


def test_no_name_is_a_modules_too() -> None:
    # What is imported by another way first would stand where the name is looked for.
    assert not {module.name for module in pkgutil.iter_modules(seclude.__path__)} & set(seclude.__all__)


def test_no_other_name_is() -> None:
    name = "sandbax"
    with pytest.raises(AttributeError, match=f"'seclude' has no attribute '{name}'"):
        getattr(seclude, name)
