"""The tests of the Python package, which check.sh runs against the installed wheel."""
