"""The build backend: maturin, after the command `seclude` has been built for the wheel to carry.

maturin builds the extension only. It puts into the wheel what lies in `seclude.data`, which this
module fills. A source distribution does not hold the command's sources. A wheel that is built from
it has the Python package alone.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import maturin
from maturin import (  # noqa: F401  # hooks that pip looks up here
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

_PYTHON = Path(__file__).resolve().parents[1]


def _build_command() -> None:
    data = _PYTHON / "seclude.data"
    data.mkdir(exist_ok=True)
    script = _PYTHON.parent / "cli" / "build-program.sh"
    if script.exists():
        subprocess.run([script, "data", data], check=True)


def build_wheel(*args: Any, **options: Any) -> Any:
    """Build the wheel."""
    _build_command()
    return maturin.build_wheel(*args, **options)


def build_editable(*args: Any, **options: Any) -> Any:
    """Build an editable install."""
    _build_command()
    return maturin.build_editable(*args, **options)
