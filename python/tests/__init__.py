"""The tests of the Python face: run by check.sh against the installed wheel."""
