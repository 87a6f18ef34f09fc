"""The build backend: maturin, after the command `seclude` has been built for the wheel to carry.

maturin builds the extension only. It puts into the wheel what lies in `seclude.data`, which this
module fills. A source distribution does not hold the command's sources. A wheel that is built from
it has the Python package alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import maturin
from maturin import (  # noqa: F401  # hooks that pip looks up here
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

_PYTHON = Path(__file__).resolve().parents[1]
_DATA = _PYTHON / "seclude.data"
# Somebody waits while pip builds a source distribution. Without optimisation across crates, and
# with more units to compile at one time, it takes less long. What the environment says comes first.
_QUICK = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}


# maturin demands that the directory is there, also to write metadata alone.
_DATA.mkdir(exist_ok=True)


def _prepare() -> None:
    script = _PYTHON.parent / "cli" / "build-program.sh"
    if script.exists():
        subprocess.run([script, "data", _DATA], check=True)
    else:
        # A source distribution.
        for name, value in _QUICK.items():
            os.environ.setdefault(name, value)


def build_sdist(*args: Any, **options: Any) -> Any:
    """Build the source distribution."""
    # A command of an earlier build is no source.
    shutil.rmtree(_DATA, ignore_errors=True)
    _DATA.mkdir()
    return maturin.build_sdist(*args, **options)


def build_wheel(*args: Any, **options: Any) -> Any:
    """Build the wheel."""
    _prepare()
    return maturin.build_wheel(*args, **options)


def build_editable(*args: Any, **options: Any) -> Any:
    """Build an editable install."""
    _prepare()
    return maturin.build_editable(*args, **options)
