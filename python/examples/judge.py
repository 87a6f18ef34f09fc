"""A small contest judge: compile and run each submission in a sandbox, and print the verdicts.

The submissions in `submissions/` are honest or hostile. The first line of each names the verdict it
must get. The judge does not trust a submission's own report: after every run, a `Watch` checks
whether anything escaped. The exit code is 0 only if every verdict is the expected one. `judge.c` in
`examples-c` is the same in C.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import seclude

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SUBMISSIONS = Path(__file__).parent / "submissions"
# Sandboxes of privileged callers use one range of host ids by default. This judge uses its own.
# Unprivileged callers ignore the key.
HOST_IDS = 0x7100_0000
COMPILE = "gcc -std=gnu11 -O2 -w -o /tmp/program /judge/source.c && cat /tmp/program"
COMPILER = seclude.Sandbox(
    files=[seclude.tmpfs("/tmp", "32M")],
    host_ids=HOST_IDS,
    memory="512M",
    cpu_time=10,
    wall_time=30,
    pids=16,
    output="4M",
    rlimits={"nofile": 64},
)
CONTEST = seclude.Sandbox(
    host_ids=HOST_IDS,
    memory="64M",
    cpu_time=1,
    wall_time=3,
    wall_time_grace=(signal.SIGTERM, 0.2),
    pids=24,
    output="64K",
    rlimits={"nofile": 32},
)
# The verdict for each limit. Contestants see wall time and processor time as the same.
LIMITS = {
    "memory-limit": "memory limit",
    "cpu-time": "time limit",
    "wall-time": "time limit",
    "process-limit": "process limit",
    "output-limit": "output limit",
    "scratch-full": "scratch full",
}


@dataclass
class Result:
    """The verdict on a submission, and the reason."""

    name: str
    expected: str
    verdict: str
    run: seclude.CompletedRun
    remark: str

    @property
    def right(self) -> bool:
        """Whether the verdict is the one that the submission expects."""
        return self.verdict == self.expected


class Watch:
    """Targets that an escaped submission would touch.

    They are a process, a file, a secret, a port and a socket. A mark in the command line identifies
    the submission's processes.
    """

    def __init__(self, directory: Path) -> None:
        self.mark, self.secret = f"judge-{secrets.token_hex(8)}", secrets.token_hex(16)
        self.process = subprocess.Popen(["sleep", "300"])
        self.file, self.secret_file = directory / "canary", directory / "secret"
        self.file.write_text("untouched")
        # Writable for everybody: for the judge's own user, and for ids that a wrong map lets in.
        directory.chmod(0o777)
        self.file.chmod(0o666)
        self.secret_file.write_text(self.secret)
        self.port, self.socket = (
            socket.create_server(("127.0.0.1", 0)),
            socket.socket(socket.AF_UNIX),
        )
        self.socket.bind("\0" + self.mark)
        self.socket.listen()
        for listener in (self.port, self.socket):
            listener.setblocking(False)

    def targets(self) -> dict[str, str]:
        """Return the targets, which a contestant who knows the judge's machine would know."""
        return {
            "TARGET_PID": str(self.process.pid),
            "TARGET_FILE": str(self.file),
            "TARGET_SECRET": str(self.secret_file),
            "TARGET_PORT": str(self.port.getsockname()[1]),
            "TARGET_SOCKET": self.mark,
        }

    def survivors(self) -> list[int]:
        """Return the processes of this machine whose command line has the mark."""
        mark, found = self.mark.encode(), []
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (directory / "cmdline").read_bytes():
                    found.append(int(directory.name))
            except OSError:
                continue  # The process ended meanwhile.
        return found

    def alarms(self, said: bytes = b"") -> Iterator[str]:
        """Yield the targets that were touched."""
        if self.process.poll() is not None:
            yield "the target process is dead"
        if self.file.read_text() != "untouched" or len(os.listdir(self.file.parent)) != 2:
            yield "a file was written"
        if self.secret.encode() in said:
            yield "the secret is out"
        for name, listener in (("port", self.port), ("socket", self.socket)):
            try:
                listener.accept()[0].close()
                yield f"a connection came to the {name}"
            except BlockingIOError:
                pass
        if self.survivors():
            yield f"still running: {self.survivors()}"

    def close(self) -> None:
        """End the targets."""
        self.process.kill()
        self.process.wait()
        self.port.close()
        self.socket.close()


def drill() -> tuple[int, int]:
    """Touch every target once from outside any sandbox, to prove that the watch raises alarms."""
    with tempfile.TemporaryDirectory(prefix="judge-") as name:
        watch = Watch(Path(name))
        quiet = not list(watch.alarms())
        marked = subprocess.Popen([watch.mark, "60"], executable="sleep")
        connections = (
            socket.create_connection(watch.port.getsockname()),
            socket.socket(socket.AF_UNIX),
        )
        connections[1].connect("\0" + watch.mark)
        watch.file.write_text("vandal")
        watch.process.kill()
        watch.process.wait()
        alarms = list(watch.alarms(said=watch.secret_file.read_bytes()))
        for connection in connections:
            connection.close()
        marked.kill()
        marked.wait()
        watch.close()
        return len(alarms) if quiet else 0, 6


def judge(source: Path, watch: Watch, answer: str) -> Result:
    """Compile and run a submission, compare its output, and check the watch."""
    expected = source.read_text().splitlines()[0].lstrip("/# ").partition(":")[0]
    if source.suffix == ".c":
        box = COMPILER.replace(
            files=[
                seclude.tmpfs("/tmp", "32M"),
                seclude.file("/judge/source.c", source.read_bytes()),
            ]
        )
        run = box.run(["sh", "-c", COMPILE], stdin=subprocess.DEVNULL, capture_output=True)
        program, command = run.stdout, ["/judge/program"]
        if not run.outcome.success:
            error = next(
                (
                    line
                    for line in run.stderr.decode(errors="replace").splitlines()
                    if "error" in line
                ),
                "",
            )
            return concluded(source.name, expected, "compile error", run, error, watch)
    else:
        program, command = source.read_bytes(), ["python3", "-I", "/judge/program"]
    box = CONTEST.replace(
        files=[seclude.file("/judge/program", program, mode=0o755), seclude.tmpfs("/scratch", "1M")]
    )
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | watch.targets()
    with (SUBMISSIONS / "input.txt").open() as numbers:
        run = box.run([*command, watch.mark], stdin=numbers, capture_output=True, env=environment)
    return concluded(source.name, expected, *verdict(run, answer), watch)


def verdict(run: seclude.CompletedRun, answer: str) -> tuple[str, seclude.CompletedRun, str]:
    """Return the verdict that the end and the output mean, with a remark."""
    said = run.stderr.decode(errors="replace").splitlines()
    attacks = [line.removeprefix("attack: ") for line in said if line.startswith("attack: ")]
    if any(attack.endswith(": SUCCEEDED") for attack in attacks):
        return (
            "breach",
            run,
            "; ".join(attack for attack in attacks if attack.endswith(": SUCCEEDED")),
        )
    if limit := LIMITS.get(run.outcome.ended.name):
        return limit, run, "; ".join(attacks)
    if attacks:
        return "contained", run, "; ".join(attacks)
    match run.outcome.ended:
        case seclude.Ended("exited", 0):
            return (
                (
                    "accepted"
                    if run.stdout.decode(errors="replace").split() == answer.split()
                    else "wrong answer"
                ),
                run,
                "",
            )
        case _:
            return "runtime error", run, said[-1] if said else ""


def concluded(
    name: str, expected: str, verdict: str, run: seclude.CompletedRun, remark: str, watch: Watch
) -> Result:
    """Return the verdict, or `breach` if the watch raised an alarm."""
    alarms = list(watch.alarms(run.stdout + run.stderr))
    return Result(name, expected, "breach" if alarms else verdict, run, "; ".join(alarms) or remark)


# ---- output for people


COLUMNS = ("submission", "verdict", "end", "wall", "cpu", "peak memory", "remark")


def row(result: Result) -> tuple[str, ...]:
    usage = result.run.outcome.usage
    return (
        result.name,
        result.verdict if result.right else f"{result.verdict} (expected: {result.expected})",
        str(result.run.outcome),
        f"{usage.wall * 1e3:.0f} ms",
        f"{usage.cpu * 1e3:.0f} ms",
        f"{usage.memory_peak / (1 << 20):.1f} MiB",
        # The remark is text of the submission, which must not control the terminal.
        "".join(letter if letter.isprintable() else " " for letter in result.remark),
    )


def shown(judged: Callable[[Path], Result], sources: list[Path]) -> list[Result]:
    """Judge the submissions with a progress display, and print a table, with rich if installed."""
    results = []
    try:
        from rich.console import Console
        from rich.progress import track
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        for number, source in enumerate(sources, 1):
            print(f"[{number}/{len(sources)}] {source.name}", file=sys.stderr)
            results.append(judged(source))
        for line in (COLUMNS, *map(row, results)):
            print(
                f"{line[0]:18} {line[1]:14} {line[2]:48}"
                f" {line[3]:>8} {line[4]:>8} {line[5]:>11}  {line[6]}"
            )
        return results
    console = Console(width=None if sys.stdout.isatty() else 150)
    watched = Console(stderr=True)
    for source in track(
        sources, "judging", console=watched, transient=True, disable=not watched.is_terminal
    ):
        results.append(judged(source))
    table = Table(row_styles=("", "dim"))
    for number, column in enumerate(COLUMNS):
        table.add_column(
            column,
            justify="right" if 3 <= number <= 5 else "left",
            overflow="fold",
            no_wrap=number < 2,
        )
    colours = {"accepted": "green", "contained": "cyan", "breach": "bold red"}
    for result in results:
        name, verdict, *rest = row(result)
        colour = colours.get(result.verdict, "yellow") if result.right else "bold red"
        table.add_row(name, Text(verdict, colour), *map(Text, rest))
    console.print(table)
    return results


NESTED = """
import sys, time, seclude
level = int(sys.argv[1])
if level == 3:
    print("up", flush=True)
    time.sleep(60)
else:
    source, package = "/judge/nested.py", "/judge/seclude"
    box = seclude.Sandbox(nested=True, files=[seclude.bind(source), seclude.bind(package)])
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "/judge"}
    box.run(["python3", source, str(level + 1)], env=environment)
"""


def nested() -> bool:
    """Run a program that uses seclude itself, three sandboxes deep.

    All its processes are visible from here, with their ids here and inside.
    """
    files: list[seclude.Entry] = [
        seclude.file("/judge/nested.py", NESTED),
        seclude.bind(Path(seclude.__file__).parent, "/judge/seclude"),
    ]
    box = seclude.Sandbox(nested=True, files=files, wall_time=20)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "/judge"}
    with box.Popen(
        ["python3", "/judge/nested.py", "1"], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        up = process.stdout.readline() == "up\n"
        processes = process.processes()
        process.kill()
    print("\na sandbox in a sandbox in a sandbox (process ids: here > inside > ...)")
    print("\n".join(tree(processes)))
    return up and max(len(process.pids) for process in processes) == 4


def tree(processes: Iterable[seclude.Process]) -> Iterator[str]:
    """Yield the processes, each after its parent, drawn as a tree."""
    processes = list(processes)
    children = {
        parent.pid: [child for child in processes if child.parent == parent.pid]
        for parent in processes
    }

    def drawn(process: seclude.Process, indent: str, branch: str, below: str) -> Iterator[str]:
        ids = " > ".join(map(str, process.pids))
        yield f"{indent + branch + ' '.join(process.command):52} {ids}"
        for child in children[process.pid]:
            last = child is children[process.pid][-1]
            yield from drawn(
                child, indent + below, "└─ " if last else "├─ ", "   " if last else "│  "
            )

    return drawn(processes[0], "", "", "")


def main() -> int:
    began = time.monotonic()
    noticed, touched = drill()
    print(
        f"the watch noticed {noticed} of {touched} things that the judge did to it;"
        f" {os.cpu_count()} cpus, uid {os.getuid()}"
    )
    answer = (SUBMISSIONS / "answer.txt").read_text()
    sources = sorted(path for path in SUBMISSIONS.iterdir() if path.suffix in (".c", ".py"))
    with tempfile.TemporaryDirectory(prefix="judge-") as name:
        watch = Watch(Path(name))
        try:
            results = shown(lambda source: judge(source, watch, answer), sources)
        finally:
            watch.close()
    whole = nested()
    right = sum(result.right for result in results)
    print(f"\n{right} of {len(results)} verdicts as expected, in {time.monotonic() - began:.1f} s")
    return 0 if results and right == len(results) and noticed == touched and whole else 1


if __name__ == "__main__":
    sys.exit(main())
