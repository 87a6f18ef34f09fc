"""Systems as images: their software at work, for callers with many ids and with one.

    python run.py [--caller root|range|single]... [SYSTEM]...

Runs as root, with a Python that has the wheel and its command `seclude`. roots.sh makes an archive
of each system: Debian 12 and 13, and a layout like Alpine's. Then caller.py imports them and runs
the rows of checks.py, as each caller:

- root, whose sandboxes have a range of ids,
- an ordinary user to whom /etc/subuid and /etc/subgid give a range, in a mount namespace with lists
  of the test's own. Those of this machine are not changed,
- the same user with one id.

Prints a line for each check, and `N passed, N failed, N skipped`. Exits with 1 if any has failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from checks import SYSTEMS

HERE = Path(__file__).resolve().parent
NOBODY = 65534
LISTS = {"root": None, "range": "nobody:300000:65536\n", "single": ""}
"""The subordinate ids that each caller has. Root's are the machine's own."""
PATIENCE = 1800

# $0 is the list, and the rest is the command.
WITH_LISTS = """
mount --make-rprivate / || exit
for list in subuid subgid; do mount --bind "$0" "/etc/$list" || exit; done
exec setpriv --reuid nobody --regid nogroup --clear-groups "$@"
"""


def main() -> int:
    """Run the checks as each caller, and print the sums."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--caller", action="append", choices=list(LISTS), default=[])
    parser.add_argument("system", nargs="*")
    wanted = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("run.py: only root can make the systems and be each of the callers")
    sums: Counter[str] = Counter()
    archives = {}
    for name in wanted.system or [system.name for system in SYSTEMS]:
        made = subprocess.run([HERE / "roots.sh", name], stdout=subprocess.PIPE, text=True)
        if made.returncode == 0:
            archives[name] = made.stdout.strip()
        else:
            tell(sums, f"skipped {name}: its root cannot be made here")
    place = Path(tempfile.mkdtemp(prefix="seclude-systems-", dir="/var/tmp"))
    try:
        place.chmod(0o755)
        packages(place)
        for caller in wanted.caller or LISTS:
            check(caller, archives, place, sums)
    finally:
        remove(place)
    print(", ".join(f"{sums[word]} {word}" for word in ("passed", "failed", "skipped")))
    return 1 if sums["failed"] or not sums["passed"] else 0


def tell(sums: Counter[str], line: str) -> None:
    """Print the line of a check, and count it."""
    print(line, flush=True)
    sums[line.partition(" ")[0]] += 1


def packages(place: Path) -> None:
    """Make the packages that are installed: three alike, and one that makes a user."""
    users = "useradd --system seclude-users\nchown seclude-users:mail /var/lib/seclude-users\n"
    for name, script in {"plain": "", "second": "", "third": "", "users": users}.items():
        tree = place / "trees" / name
        for directory in ("DEBIAN", "usr/bin", f"var/lib/seclude-{name}"):
            (tree / directory).mkdir(parents=True)
        fields = {
            "Package": name,
            "Version": "1",
            "Architecture": "all",
            "Maintainer": "nobody <nobody@example.org>",
            "Description": "a package of a test",
        }
        control = "".join(f"{field}: {value}\n" for field, value in fields.items())
        (tree / "DEBIAN/control").write_text(control)
        programs = {"DEBIAN/postinst": f"set -e\n{script}"}
        programs[f"usr/bin/seclude-{name}"] = f"echo this is {name}\n"
        for path, text in programs.items():
            (tree / path).write_text(f"#!/bin/sh\n{text}")
            (tree / path).chmod(0o755)
        package = place / f"packages/{name}.deb"
        package.parent.mkdir(exist_ok=True)
        # The unpacker in busybox knows gzip.
        build = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(package)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)


def check(caller: str, archives: dict[str, str], place: Path, sums: Counter[str]) -> None:
    """Run the checks of all systems as one caller."""
    lists = LISTS[caller]
    if lists and (reason := missing()):
        return tell(sums, f"skipped {caller}: {reason}")
    own = place / caller
    own.mkdir()
    command = [sys.executable, str(HERE / "caller.py"), caller, str(place)]
    command += [f"{name}={archive}" for name, archive in archives.items()]
    if lists is not None:
        os.chown(own, NOBODY, NOBODY)
        (place / f"{caller}.ids").write_text(lists)
        outer = ["unshare", "--mount", "sh", "-c", WITH_LISTS, str(place / f"{caller}.ids")]
        command = outer + command
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(own),
        "SECLUDE_STORE": str(own / "store"),
        "LANG": "C.UTF-8",
    }
    process = subprocess.Popen(
        command, env=environment, cwd=own, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    with process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith(("passed ", "failed ", "skipped ")):
                tell(sums, line.rstrip("\n"))
            else:
                print(line, end="", flush=True)
    if process.returncode != 0:
        tell(sums, f"failed {caller}: the checks ended with {process.returncode}")
    return None


def missing() -> str | None:
    """Return what a range of subordinate ids takes and this machine has not."""
    if not shutil.which("newuidmap"):
        return "newuidmap (uidmap) is not installed"
    if not all(Path("/etc", name).exists() for name in ("subuid", "subgid")):
        return "this system has no lists of subordinate ids to mount over"
    return None


def remove(place: Path) -> None:
    """Remove what the test has made, and nothing that is mounted there."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    if any(Path(point).is_relative_to(place) for point in points):
        print(f"{place} stays: something is mounted there", file=sys.stderr)
        return
    subprocess.run(["rm", "-rf", "--one-file-system", place], check=True)


if __name__ == "__main__":
    sys.exit(main())
