"""Run tests in sandboxes of their own, each in a process of its own.

The pytest plugin `seclude.testing.plugin` loads by itself where this package is installed. It adds
the mark `seclude`, which runs a test in a sandbox for tests, and the fixtures `sandbox`, `cell` and
`make_cell`, by which a test outside runs programs inside. `isolated` does for `unittest` what the
mark does for pytest.

The isolation is that of `Sandbox.for_tests()`: trusted tests that must not disturb each other or
the machine. A test cannot see the processes, ports and temporary files of another, and nothing that
it leaves behind stays.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cases import IsolatedFailure, isolated

__all__ = ["IsolatedFailure", "isolated"]


def __getattr__(name: str) -> object:
    # The pytest plugin imports this package in every run of pytest, and most need nothing of it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import cases

    value: object = getattr(cases, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
