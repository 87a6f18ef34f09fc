"""Run tests in sandboxes of their own, each in a process of its own.

The pytest plugin `seclude.testing.plugin` loads by itself where this package is installed. It adds
the mark `seclude`, which runs a test in a sandbox for tests, and the fixtures `sandbox`, `cell` and
`make_cell`, by which a test outside runs programs inside.

The isolation is that of `Sandbox.for_tests()`: trusted tests that must not disturb each other or
the machine. A test cannot see the processes, ports and temporary files of another, and nothing that
it leaves behind stays.
"""
