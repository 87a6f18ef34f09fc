"""Runs a file of CPython's own tests and prints a JSON line for each case: name, verdict, message.

Usage: cases.py SECONDS FILE. It is passed to the interpreter as text, outside and inside, and uses
nothing but the standard library. A file without recognizable cases counts as one case.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as Tree

# No network, no window, no files of gigabytes.
RESOURCES = "curses,subprocess"
WORST = ("pass", "skip", "fail")


def verdict(case: Tree.Element) -> tuple[str, str]:
    """Return the verdict, and the last line of the message."""
    found, words = "pass", ""
    for part in case:
        kind = {"error": "fail", "failure": "fail", "skipped": "skip"}.get(part.tag, "pass")
        if WORST.index(kind) > WORST.index(found):
            lines = (part.text or part.get("message") or "").strip().splitlines()
            found, words = kind, lines[-1] if lines else ""
    return found, words


def run(name: str, seconds: float) -> dict[str, tuple[str, str]]:
    """Yield the cases of one file."""
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile() as log:
        report = os.path.join(place, "report.xml")
        words = [sys.executable, "-m", "test", "-u", RESOURCES, "--junit-xml", report, name]
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=place, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return {name: ("fail", f"not done in {seconds} seconds")}
        found: dict[str, tuple[str, str]] = {}
        try:
            for case in Tree.parse(report).iter("testcase"):
                one = verdict(case)
                full = case.get("name", name)
                found[full] = max(found.get(full, one), one, key=lambda pair: WORST.index(pair[0]))
        except (OSError, Tree.ParseError):
            pass
        if not found:
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
            found[name] = ("pass" if done.returncode == 0 else "fail", " / ".join(lines[-3:]))
        return found


for case, (kind, words) in run(sys.argv[2], float(sys.argv[1])).items():
    print(json.dumps([case, kind, words[:300]]))
