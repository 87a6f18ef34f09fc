"""bubblewrap's own test script, with `seclude bwrap` in place of bubblewrap.

    python bubblewrap_suite.py --bwrap PROGRAM [--tests DIRECTORY]

PROGRAM is a link named `bwrap` to the command `seclude`. DIRECTORY holds bubblewrap's
`test-run.sh`, `libtest.sh` and `libtest-core.sh`. Without it, they come from Debian's source
package, and there is nothing to do where that cannot be had.

The script ends at its first failed check. Here every check runs: the shell notes what would have
ended the script, and the next `ok` is then `not ok`. Exits with 1 if a check fails that is not in
bubblewrap_differences.toml, or passes although it is there. If root runs this, the script runs
twice: as root and as an ordinary user.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
USER, GROUP = 65534, 65534
PATIENCE = 600
FILES = ("test-run.sh", "libtest.sh", "libtest-core.sh")

NOTES = """
failed=
trap 'failed=1' ERR
exit () { failed=1; return 1; }
ok () {
    test_count=$((test_count + 1))
    if [ -z "$failed" ]; then echo "ok $test_count $*"; else echo "not ok $test_count $*"; fi
    failed=
}
"""
"""What replaces the end of the script at a failure. The shell calls a function before a builtin."""


def main() -> int:
    """Run the script as each caller, and compare with the list."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bwrap", type=Path, required=True)
    parser.add_argument("--tests", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as fetched:
        tests = wanted.tests or fetch(Path(fetched))
        if tests is None:
            print("skipped: bubblewrap's source is not to be had (Debian: apt-get source)")
            return 0
        sound = check(tests, wanted.bwrap, as_user=False)
        if os.geteuid() == 0:
            sound &= check(tests, wanted.bwrap, as_user=True)
    return 0 if sound else 1


def fetch(directory: Path) -> Path | None:
    """Return the tests in Debian's source package, unpacked in this directory."""
    source = ["apt-get", "source", "--quiet", "bubblewrap"]
    if subprocess.run(source, cwd=directory, capture_output=True, check=False).returncode != 0:
        return None
    return next((path.parent for path in directory.glob("*/tests/test-run.sh")), None)


def check(tests: Path, bwrap: Path, *, as_user: bool) -> bool:
    """Compare one run with the list; return whether they agree."""
    caller = "user" if as_user or os.geteuid() != 0 else "root"
    groups = tomllib.loads((HERE / "bubblewrap_differences.toml").read_text())["group"]
    groups = [group for group in groups if caller in group.get("as", [caller])]
    expected = {name: group["reason"] for group in groups for name in group["checks"]}
    varying = {name for group in groups if group.get("varies") for name in group["checks"]}
    results = run(tests, bwrap, as_user=as_user)
    failed = {name for name, passed in results.items() if not passed}
    unexpected = sorted(failed - expected.keys())
    stale = sorted(name for name in expected.keys() - varying if results.get(name, False))
    for name in unexpected:
        print(f"differs as {caller}: {name}")
    for name in stale:
        print(f"is listed but passes as {caller}: {name}: {expected[name]}")
    print(f"{len(results)} checks as {caller}: {len(results) - len(failed)} pass")
    return bool(results) and not unexpected and not stale


def run(tests: Path, bwrap: Path, *, as_user: bool) -> dict[str, bool]:
    """Run the script, and return its checks by number and name with their results."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        directory = Path(place)
        directory.chmod(0o755)
        for name in FILES:
            shutil.copy(tests / name, directory / name)
        (directory / "notes.sh").write_text(NOTES)
        script = directory / "test-run.sh"
        text = script.read_text().replace("set -xeuo pipefail", "set -Euo pipefail", 1)
        # The notes follow the last of the script's own functions.
        text = text.replace("\n# Test help", f"\n. {directory}/notes.sh\n# Test help", 1)
        script.write_text(text)
        for name in FILES[1:]:
            library = directory / name
            library.write_text(library.read_text().replace("\nset -e\n", "\n"))
        program = directory / "bwrap"
        shutil.copy(bwrap.resolve(), program)
        environment = {**os.environ, "BWRAP": str(program), "BWRAP_MUST_WORK": "1", "HOME": "/"}
        for name in ("G_TEST_SRCDIR", "G_TEST_BUILDDIR"):
            environment.pop(name, None)
        ids = {"user": USER, "group": GROUP, "extra_groups": []} if as_user else {}
        done = subprocess.run(  # type: ignore[call-overload]
            ["bash", str(script)],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            **ids,
        )
    lines = re.findall(r"^(not )?ok \d+ (.*?) *$", done.stdout, re.MULTILINE)
    if not lines:
        print(done.stderr[-2000:], file=sys.stderr)
    results: dict[str, bool] = {}
    for failed, name in lines:
        number = 1 + sum(other == name or other.startswith(f"{name} (") for other in results)
        results[name if number == 1 else f"{name} ({number})"] = not failed
    return results


if __name__ == "__main__":
    sys.exit(main())
