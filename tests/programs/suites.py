"""Third-party suites as work for either side, and parsers of their output."""

import json
import pathlib
import re
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ground import Done, Work

CASES = pathlib.Path(__file__).with_name("cases.py")
PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class Verdict:
    """The result of one case: `kind` is pass, skip or fail."""

    kind: str
    words: str = ""


Verdicts = dict[str, Verdict]


@dataclass(frozen=True)
class Part:
    """A part of a suite, small enough to be run again."""

    suite: str
    name: str
    work: Work
    read: Callable[[Done], Verdicts]
    # Makes another part that runs only what is needed to judge these cases.
    narrowed: Callable[[set[str]], "Part"] | None = None

    def again(self, cases: set[str]) -> "Part":
        return self.narrowed(cases) if self.narrowed else self


def last(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


# CPython's own tests, from Debian's libpython3.N-testsuite.

# The slice: tests of what a sandbox affects most that run fast.
CPYTHON_SLICE = "os posix pathlib shutil mmap pty httplib fcntl tempfile socket threading"
CPYTHON = f"""{CPYTHON_SLICE}
asyncio signal ssl multiprocessing_fork multiprocessing_forkserver
multiprocessing_main_handling multiprocessing_spawn cmd_line concurrent_futures crypt ctypes dbm
eintr epoll faulthandler file fileinput fork1 ftplib getpass glob grp httpservers io ioctl
largefile locale logging mailbox openpty platform poll popen posixpath pwd queue readline regrtest
resource sched select selectors site smtplib socketserver sqlite3 stat subprocess support sys
sysconfig syslog tarfile threadsignals time tty unix_events urllib2_localnet uuid venv wait3 wait4
xmlrpc zipfile"""


def cpython(names: str) -> list[Part]:
    home = pathlib.Path(sysconfig.get_path("stdlib", vars={"installed_base": "/usr"})) / "test"
    files = [f"test_{name}" for name in names.split()]
    return [
        cpython_file(file)
        for file in files
        if (home / f"{file}.py").exists() or (home / file).is_dir()
    ]


def cpython_file(file: str) -> Part:
    seconds = 400
    work = Work([PYTHON, "-c", CASES.read_text(), str(seconds), file], seconds + 30)

    def read(done: Done) -> Verdicts:
        found = {
            case: Verdict(kind, words)
            for case, kind, words in map(json.loads, done.stdout.splitlines())
        }
        return found or {file: Verdict("fail", f"{done.ended}: {last(done.stderr)}")}

    return Part("cpython", file, work, read)


# busybox's testsuite, run with the installed busybox.

BUSYBOX = """
cp -r "$1" b && cd b/testsuite && cp /bin/busybox .. || exit 9
bindir=$(cd .. && pwd) tsdir=$(pwd) exec sh ./runtest -v
"""


def busybox(place: pathlib.Path) -> list[Part]:
    source = place / "busybox"
    if not (source / "testsuite").is_dir():
        return []
    work = Work(["sh", "-c", BUSYBOX, "sh", str(source)], 400, {"files": [{"bind": str(source)}]})

    def read(done: Done) -> Verdicts:
        kinds = {"PASS": "pass", "FAIL": "fail", "SKIPPED": "skip", "UNTESTED": "skip"}
        found: Verdicts = {}
        said = done.stdout.decode(errors="replace")
        for kind, name in re.findall(rf"^({'|'.join(kinds)}): (.*)$", said, re.MULTILINE):
            # Some names stand for several cases; they pass together.
            if name not in found or kind == "FAIL":
                found[name] = Verdict(kinds[kind])
        return found or {"busybox": Verdict("fail", f"{done.ended}: {last(done.stderr)}")}

    return [Part("busybox", "testsuite", work, read)]


# ---- LTP's tests of system calls

# Each line of a list is a name and a command. LTP's bits of an exit code: 1 fail, 2 broken,
# 4 warning, 32 not for this system.
LTP = r"""
export LTPROOT=$1 PATH="$1/testcases/bin:$PATH" TMPDIR=$PWD
export KCONFIG_SKIP_CHECK=1 LTP_COLORIZE_OUTPUT=n
printf '%s\n' "$2" | while read -r name command; do
    mkdir work
    (cd work && exec timeout -k 2 "$3" sh -c "$command" </dev/null >../said 2>&1)
    code=$?
    words=$(grep -aE 'TFAIL|TBROK|TCONF' said | tail -n 1 | tr -d '\r')
    printf '@ %s %s %s\n' "$code" "$name" "$words"
    chmod -R u+rwx work
    rm -rf work said
done
"""
LTP_AT_A_TIME = 60
LTP_SECONDS = 30


def ltp(place: pathlib.Path, lists: Iterable[str], left_out: Iterable[str]) -> list[Part]:
    root = place / "ltp"
    out = set(left_out)
    lines: dict[str, str] = {}
    for name in lists:
        file = root / "runtest" / name
        for line in file.read_text().splitlines() if file.exists() else []:
            tag, _, command = line.strip().partition(" ")
            if not command or tag.startswith("#") or tag in out:
                continue
            if (root / "testcases/bin" / command.split()[0]).exists():
                lines[tag] = command.strip()
    tags = list(lines)
    batches = [tags[first : first + LTP_AT_A_TIME] for first in range(0, len(tags), LTP_AT_A_TIME)]
    return [ltp_part(root, {tag: lines[tag] for tag in batch}) for batch in batches]


def ltp_part(root: pathlib.Path, lines: dict[str, str]) -> Part:
    text = "\n".join(f"{tag} {command}" for tag, command in lines.items())
    policy: dict[str, Any] = {"files": [{"bind": str(root)}]}
    work = Work(
        ["sh", "-c", LTP, "sh", str(root), text, str(LTP_SECONDS)],
        len(lines) * (LTP_SECONDS + 3),
        policy,
    )

    def read(done: Done) -> Verdicts:
        found: Verdicts = {}
        said = done.stdout.decode(errors="replace")
        for code, tag, words in re.findall(r"^@ (\d+) (\S+) ?(.*)$", said, re.MULTILINE):
            # 4 alone is a warning, which is no failure.
            kind = "pass" if int(code) in (0, 4) else "skip" if int(code) == 32 else "fail"
            found[tag] = Verdict(kind, words or f"exit code {code}")
        return {tag: found.get(tag, Verdict("fail", f"not run: {done.ended}")) for tag in lines}

    def narrowed(cases: set[str]) -> Part:
        return ltp_part(root, {tag: command for tag, command in lines.items() if tag in cases})

    return Part("ltp", next(iter(lines), "none"), work, read, narrowed)
