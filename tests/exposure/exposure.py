"""Compares what a program can see and do under plain `unshare`, under bubblewrap with its usual
options, in seclude's default sandbox, and in a sandbox where namespaces are denied.

Usage: exposure.py [--write] [--python PYTHON], where PYTHON has the wheel. It places canaries
outside, runs probe.py in each, and prints a table. With --write the table goes to docs/exposure.md.
As root it does the same again as nobody.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "docs" / "exposure.md"
NOBODY = 65534
PROBE = "/usr/bin/python3"

SECLUDE = """
import json, sys, seclude
done = seclude.Sandbox(wall_time=120).run([sys.argv[1], "-c", sys.argv[2], sys.argv[3]], capture_output=True, text=True)
sys.stderr.write(done.stderr)
sys.stdout.write(done.stdout)
"""


CONFINED = SECLUDE.replace("wall_time=120", "wall_time=120, best_effort=['namespaces']")


def unshare(words: list[str]) -> list[str]:
    return ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "--net", "--ipc", "--uts", "--cgroup", *words]


def bubblewrap(words: list[str]) -> list[str]:
    links = [part for name in ("bin", "sbin", "lib", "lib64") for part in shown(name)]
    options = ["--ro-bind", "/usr", "/usr", *links, "--proc", "/proc", "--dev", "/dev", "--unshare-all", "--new-session", "--die-with-parent"]
    return ["bwrap", *options, *words]


def shown(name: str) -> list[str]:
    path = pathlib.Path("/", name)
    if path.is_symlink():
        return ["--symlink", os.readlink(path), f"/{name}"]
    return ["--ro-bind", str(path), str(path)] if path.exists() else []


class Canaries:
    """The canaries that the probe looks for."""

    def __enter__(self) -> dict[str, object]:
        self.place = tempfile.TemporaryDirectory(prefix="seclude-exposure-")
        os.chmod(self.place.name, 0o755)
        file = pathlib.Path(self.place.name, "secret")
        file.write_text("secret")
        self.fd = os.open(file, os.O_RDONLY)
        os.set_inheritable(self.fd, True)
        name = f"seclude-exposure-{os.getpid()}"
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0" + name)
        self.abstract.listen()
        self.port = socket.socket()
        self.port.bind(("127.0.0.1", 0))
        self.port.listen()
        libc = ctypes.CDLL(None)
        self.shm = libc.shmget(os.getpid(), 64, 0o1666)
        libc.syscall(250, 1, name.encode(), 0, 0, 0)
        libc.syscall(248, b"user", name.encode(), b"secret", 6, -3)
        os.environ["SECLUDE_EXPOSURE"] = "secret"
        self.bystander = subprocess.Popen(["sleep", "1000"], executable="/bin/sleep")
        return {
            "file": str(file),
            "variable": "SECLUDE_EXPOSURE",
            "fd": self.fd,
            "socket": name,
            "port": self.port.getsockname()[1],
            "shm": os.getpid(),
            "key": name,
            "argument": "sleep\0" + "1000",
        }

    def __exit__(self, *_: object) -> None:
        self.bystander.kill()
        self.bystander.wait()
        ctypes.CDLL(None).shmctl(self.shm, 0, None)
        self.abstract.close()
        self.port.close()
        os.close(self.fd)
        self.place.cleanup()


def probe(start: list[str], careful: bool, canary: dict[str, object]) -> dict[str, object] | str:
    argument = json.dumps(canary | {"careful": careful})
    if shutil.which(start[0]) is None:
        return "not here"
    # The canary descriptor is inheritable, so the table shows which of them pass it on.
    done = subprocess.run([word if word != "{canary}" else argument for word in start], capture_output=True, text=True, close_fds=False, timeout=300)
    if done.returncode != 0:
        return "it does not start: " + (done.stderr.strip().splitlines() or ["no word"])[-1]
    return json.loads(done.stdout)


def everything(python: str) -> dict[str, dict[str, object] | str]:
    words = [PROBE, "-c", (HERE / "probe.py").read_text(), "{canary}"]
    with Canaries() as canary:
        return {
            "`unshare`": probe(unshare(words), True, canary),
            "bubblewrap": probe(bubblewrap(words), False, canary),
            "seclude": probe([python, "-c", SECLUDE, *words[:1], words[2], "{canary}"], False, canary),
            "seclude without namespaces": probe([python, str(HERE / "denied.py"), python, "-c", CONFINED, *words[:1], words[2], "{canary}"], False, canary),
        }


def table(found: dict[str, dict[str, object] | str]) -> str:
    def cell(one: dict[str, object] | str, row: str) -> str:
        value = one[row] if isinstance(one, dict) else one
        return {True: "**yes**", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)

    rows = next(one for one in found.values() if isinstance(one, dict))
    lines = ["| | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    lines += ["| " + " | ".join([row, *(cell(one, row) for one in found.values())]) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON, for the run as another user")
    options = parser.parse_args()
    found = everything(options.python)
    if options.json:
        print(json.dumps(found))
        return
    text = f"""# What a program can see and do

This page compares four environments: plain `unshare`, bubblewrap with its usual options, seclude's
default sandbox, and a sandbox where a filter around the caller denies namespaces and the policy
allows to do without ([confined.md](confined.md)). `unshare` makes user, mount, pid, net, ipc, uts
and cgroup namespaces, and a `/proc` of its own. The options of bubblewrap are `--ro-bind /usr`,
`--proc`, `--dev`, `--unshare-all`, `--new-session` and `--die-with-parent`.

`make exposure` makes this page (`tests/exposure`). It places objects outside, and one program looks
for them inside. Linux {os.uname().release.split("-")[0]}, {os.uname().machine}.

- Under `unshare`, PID 1 is the program itself.
- The last row counts the system calls that do not fail with EPERM or ENOSYS when their arguments
  are meaningless. Calls that would end the probe are not tried. Under `unshare`, calls that would
  change the machine are not tried either, because nothing would stop them.
- Without namespaces PID 1 is the host's. The network is denied by the filter, and the files by
  Landlock.
- bubblewrap accepts a filter from its caller. In its usual form it has none.

## As {"root" if os.geteuid() == 0 else "an unprivileged user"}

{table(found)}
"""
    if os.geteuid() == 0:
        with tempfile.TemporaryDirectory(prefix="seclude-exposure-") as place:
            os.chmod(place, 0o755)
            for file in HERE.glob("*.py"):
                shutil.copy(file, place)
            become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            words = [options.python, f"{place}/exposure.py", "--json", "--python", options.python]
            again = subprocess.run([*become, *words], capture_output=True, text=True, check=True, cwd="/")
            text += f"\n## As an unprivileged user\n\n{table(json.loads(again.stdout))}\n"
    text += "\n" + (HERE / "opened.md").read_text()
    print(text)
    if options.write:
        DOCUMENT.write_text(text)


main()
