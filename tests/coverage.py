#!/usr/bin/env python3
"""Measure which lines of the Rust code the tests reach, by room, and print a table.

    tests/coverage.py [--files] [--quick]

A room is a layer of `core/src`, or another folder of sources. Build and run the tests with LLVM's
instrumentation in `target/coverage`. `--files` also prints each file. `--quick` runs the unit tests
alone. tests/README.md has the result.

The warden runs in the tests as a freestanding program without a profile, so its room counts the
lines that its own unit tests reach. Processes that a test kills leave no profile either.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target" / "coverage"
PROFILES = Path("/var/tmp") / f"seclude-coverage-{os.getpid()}"
UNIT = ["--package", "seclude", "--package", "seclude-warden", "--package", "seclude-wire"]
PROOFS = ["--package", "seclude-tests"]
SUITES = sorted(path.parent.name for path in (ROOT / "tests" / "tests").glob("*/main.rs"))
CAPI = ["--package", "seclude-capi"]


def tool(name):
    """Return the path of a tool of rustup's component llvm-tools."""
    libraries = subprocess.check_output(["rustc", "--print", "target-libdir"], text=True).strip()
    path = Path(libraries).parent / "bin" / name
    if not path.exists():
        sys.exit(f"{name} is missing: rustup component add llvm-tools")
    return str(path)


def cargo_test(arguments, of_tests=()):
    """Run tests, and return the paths of their programs. A failure does not end the measurement."""
    environment = {
        **os.environ,
        "RUSTFLAGS": "-C instrument-coverage",
        "CARGO_TARGET_DIR": str(TARGET),
        "LLVM_PROFILE_FILE": f"{PROFILES}/%p-%m.profraw",
        "SECLUDE_TEST_FACES": "rust",
    }
    command = ["cargo", "test", *arguments]
    messages = subprocess.check_output(
        [*command, "--no-run", "--message-format=json"], env=environment, cwd=ROOT, text=True
    )
    run = [*command, "--quiet", "--no-fail-fast", "--", *of_tests]
    if subprocess.run(run, env=environment, cwd=ROOT).returncode:
        print("some tests failed: what they did not reach is missing below", file=sys.stderr)
    programs = (json.loads(line).get("executable") for line in messages.splitlines())
    return [program for program in programs if program]


def room(path):
    """Return the room of a source file, or None for one that is not counted."""
    parts = Path(path).resolve().relative_to(ROOT).parts
    if parts[:2] == ("core", "src"):
        name = Path(parts[2]).stem
        return None if name in ("lib", "schema", "fuzzing") else f"core/src/{name}"
    if parts[0] == "capi" or parts[:2] in (("core", "wire"), ("core", "warden")):
        return "/".join(parts[:2])
    return None


def main():
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    profdata, cov = tool("llvm-profdata"), tool("llvm-cov")
    PROFILES.mkdir(mode=0o777)
    PROFILES.chmod(0o1777)  # Tests run as another user, too.
    try:
        programs = cargo_test([*UNIT, *CAPI, "--lib", "--bins"])
        if not options.quick:
            # A profile cannot be written under a limit on the size of files.
            suites = [suite for suite in SUITES if suite != "table"]
            named = [word for suite in suites for word in ("--test", suite)]
            programs += cargo_test([*PROOFS, "--lib", *named], ["--skip", "file_size::"])
            programs += cargo_test([*PROOFS, "--test", "table"])
        merged = TARGET / "all.profdata"
        profiles = TARGET / "profiles"
        profiles.write_text("".join(f"{path}\n" for path in PROFILES.iterdir()))
        merge = [profdata, "merge", "--sparse", "--failure-mode=warn", "-f", profiles, "-o", merged]
        subprocess.run(merge, check=True)
    finally:
        shutil.rmtree(PROFILES, ignore_errors=True)
    objects = [word for program in programs for word in ("-object", program)]
    export = [cov, "export", "--summary-only", "--instr-profile", merged, *objects]
    summary = json.loads(subprocess.check_output(export, stderr=subprocess.DEVNULL))
    rooms = defaultdict(lambda: [0, 0])
    for file in summary["data"][0]["files"]:
        path, lines = file["filename"], file["summary"]["lines"]
        if not Path(path).resolve().is_relative_to(ROOT) or (name := room(path)) is None:
            continue
        rooms[name][0] += lines["covered"]
        rooms[name][1] += lines["count"]
        if options.files:
            print(f"{lines['percent']:6.1f} %  {lines['count']:6} lines  {path}")
    print("\nroom                 lines  reached")
    for name, (covered, count) in sorted(rooms.items()):
        print(f"{name:20} {count:5}  {100 * covered / max(count, 1):5.1f} %")


if __name__ == "__main__":
    main()
