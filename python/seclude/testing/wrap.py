"""`python -m seclude.testing.wrap [DIRECTORY...] -- PROGRAM [ARGUMENT...]`: run in a sandbox.

It runs a program in a sandbox for tests, with the caller's streams, environment and working
directory, and exits as the program does. The directories are visible even if they lie in one that
is private inside. The program ends with this process.
"""

from __future__ import annotations

import os
import signal
import sys

from . import place


def main(words: list[str]) -> int:
    """Run the program, and return the exit code."""
    at = words.index("--")
    shown, program = words[:at], words[at + 1 :]
    # On Ctrl-C the caller ends the program in its own way. It has a session of its own.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    box = place.sandbox({}, shown)
    with box.popen(program, cwd=os.getcwd(), env=place.environment()) as process:
        code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
