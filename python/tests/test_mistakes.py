"""Common mistakes, and whether the error helps.

Each error gets one point for naming the object, one for the cause and one for the remedy. Each row
holds what a user wrote, and what the message must contain for each point. The mean must be at least
2.8. The test prints the table. `tests/tests/callers/mistakes.rs` covers mistakes made from Rust.

The file is longer than 400 lines because it is one table.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import seclude
from seclude import Sandbox, Seccomp, bind, directory, file, symlink, tmpfs

ROOT = os.geteuid() == 0
MEAN = 2.8


@dataclass(frozen=True)
class Mistake:
    """A mistake, and the words that earn each point. A tuple means that all must occur."""

    name: str
    make: Callable[[], object]
    thing: tuple[str, ...]
    cause: tuple[str, ...]
    remedy: tuple[str, ...]
    raised: type[Exception]


def points(mistake: Mistake, told: str) -> tuple[int, ...]:
    return tuple(
        int(all(word in told for word in words))
        for words in (mistake.thing, mistake.cause, mistake.remedy)
    )


def run(args: Any, options: dict[str, Any] | None = None, **policy: Any) -> object:
    return Sandbox(wall_time=60, **policy).run(args, **(options or {}))


def program(data: str | bytes, mode: int = 0o755) -> object:
    return run(["/p"], files=[file("/p", data, mode)])


def foreign() -> bytes:
    """Return the first bytes of a program for another machine (elf(5)): AArch64 or x86-64."""
    machine = 183 if platform.machine() == "x86_64" else 62
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0" + machine.to_bytes(2, "little") + bytes(44)


def closed_pool() -> object:
    pool = Sandbox().pool(1)
    pool.close()
    return pool.run(["true"])


def closed_cell() -> object:
    cell = Sandbox().cell()
    cell.close()
    return cell.run(["true"])


def changed_memory() -> None:
    with Sandbox().popen(["sleep", "60"]) as process:
        try:
            process.set_memory("64M")
        finally:
            process.kill()


def mistakes(place: Path) -> list[Mistake]:
    """Return all mistakes. `place` is a directory of the caller that everybody may read."""
    missing, dangling, out = place / "missing", place / "dangling", place / "out"
    dangling.symlink_to("/no/where")
    out.mkdir(mode=0o755)
    (place / "inner").mkdir(mode=0o755)
    (place / "file").write_text("x")
    unknown = "is unknown"
    refused, setup, absent = seclude.PolicyError, seclude.SetupError, seclude.ProgramNotFound
    made = [
        Mistake(
            "a misspelt key of a policy",
            lambda: Sandbox(wall_tme=5),  # type: ignore[call-arg]
            ("Sandbox() keyword wall_tme",),
            (unknown,),
            ("did you mean wall_time?",),
            refused,
        ),
        Mistake(
            "a misspelt keyword of run",
            lambda: run(["true"], {"wall_tme": 5}),
            ("run() keyword wall_tme",),
            (unknown,),
            ("did you mean wall_time?",),
            TypeError,
        ),
        Mistake(
            "shell=True",
            lambda: run("true", {"shell": True}),
            ("run() keyword shell",),
            (unknown,),
            ('run ["sh", "-c", text]',),
            TypeError,
        ),
        Mistake(
            "a limit of the sandbox given to a run",
            lambda: run(["true"], {"cpus": 1}),
            ("run() keyword cpus",),
            (unknown,),
            ("Sandbox(cpus=...)",),
            TypeError,
        ),
        Mistake(
            "a misspelt keyword of bind",
            lambda: bind("/opt", writeable=True),  # type: ignore[call-arg]
            ("bind() keyword writeable",),
            (unknown,),
            ("did you mean writable?",),
            TypeError,
        ),
        Mistake(
            "a negative size",
            lambda: Sandbox(memory=-1),
            ("memory",),
            ("-1 is not a size",),
            ('such as 65536, "64K", "64M"',),
            refused,
        ),
        Mistake(
            "NaN in JSON",
            lambda: Sandbox.from_json('{"files": [], "wall_time": NaN}'),
            ("policy key wall_time",),
            ("NaN is not a number that a policy can hold",),
            ("left out",),
            refused,
        ),
        Mistake(
            "a missing program",
            lambda: run(["no-such-program"]),
            ("execute no-such-program",),
            ("no such program inside",),
            ("looked for in /usr/local/sbin:", "bind the directory"),
            absent,
        ),
        Mistake(
            "a string instead of a list",
            lambda: run("ls -l /tmp"),
            ("execute ls -l /tmp",),
            ("blanks are part of this name",),
            ('pass "-l /tmp" as arguments',),
            absent,
        ),
        Mistake(
            "a program without its execute bit",
            lambda: program("#!/bin/sh\n", 0o644),
            ("execute /p",),
            ("permission denied",),
            ("set its execute bit",),
            seclude.ProgramNotExecutable,
        ),
        Mistake(
            "a script without a first line",
            lambda: program("echo hello\n"),
            ("execute /p",),
            ("neither ELF nor a script with #!",),
            ("a script needs #!",),
            setup,
        ),
        Mistake(
            "a script without its interpreter",
            lambda: program("#!/opt/tool/bin/python\n"),
            ("execute /p",),
            ("/opt/tool/bin/python does not exist inside",),
            ("bind what the program needs",),
            absent,
        ),
        Mistake(
            "a script with the line ends of another system",
            lambda: program("#!/bin/sh\r\necho hello\r\n"),
            ("execute /p",),
            ("carriage return", '"/bin/sh\\r"'),
            ("dos2unix /p",),
            absent,
        ),
        Mistake(
            "a program for another machine",
            lambda: program(foreign()),
            ("execute /p",),
            ("another architecture",),
            (f"build it for {platform.machine()}",),
            setup,
        ),
        Mistake(
            "a link to nothing inside",
            lambda: run(["/p"], files=[symlink("/opt/tool/1.0", "/p")]),
            ("execute /p",),
            ("symbolic link to /opt/tool/1.0", "leads to nothing inside"),
            ("bind what /opt/tool/1.0 is",),
            absent,
        ),
        Mistake(
            "a missing source",
            lambda: run(["true"], files=[bind(missing, "/data")]),
            (f"bind {missing} on /data",),
            ("no such file or directory",),
            ("make it, or bind it as optional",),
            setup,
        ),
        Mistake(
            "a source that is a link to nothing",
            lambda: run(["true"], files=[bind(dangling, "/data")]),
            (f"bind {dangling} on /data",),
            ("symbolic link to /no/where, which does not exist",),
            ("make what the link names",),
            setup,
        ),
        Mistake(
            "a place that is relative",
            lambda: Sandbox(files=[bind("data")]),
            ("destination data",),
            ("must be absolute",),
            ("inside the sandbox, such as /data",),
            refused,
        ),
        Mistake(
            "a file bound where a directory is",
            lambda: run(
                ["true"], files=[bind(place, "/data"), bind(place / "file", "/data/inner")]
            ),
            (f"bind {place / 'file'} on /data/inner",),
            (f"{place / 'file'} is a file, and a directory may stand at /data/inner",),
            ("bind a directory there, or the file elsewhere",),
            setup,
        ),
        Mistake(
            "paths instead of binds",
            lambda: Sandbox(files=["/opt"]),  # type: ignore[list-item]
            ("policy key files[0]",),
            ('"/opt" is not a table of keys',),
            ('such as {"bind": "/opt"}',),
            refused,
        ),
        Mistake(
            "a working directory that is missing inside",
            lambda: run(["true"], {"cwd": "/work"}),
            ("working directory /work",),
            ("no such file or directory",),
            ("inside the sandbox", "bind one there"),
            setup,
        ),
        Mistake(
            "a profile that does not exist",
            lambda: Sandbox(seccomp="strikt"),  # type: ignore[arg-type]
            ("policy key seccomp",),
            ('"strikt" is none of default, strict',),
            ("did you mean strict?",),
            refused,
        ),
        Mistake(
            "a system call that does not exist",
            lambda: Sandbox(seccomp=Seccomp().kill("ptrase")),
            ("ptrase",),
            ("no such system call",),
            ("did you mean ptrace?",),
            refused,
        ),
        Mistake(
            "a signal by its name",
            lambda: Sandbox(wall_time=1, wall_time_grace=("SIGTERM", 1)),  # type: ignore[arg-type]
            ("wall_time_grace.signal",),
            ('"SIGTERM" is not a signal\'s number',),
            ("SIGTERM is 15",),
            refused,
        ),
        Mistake(
            "an unknown resource limit",
            lambda: Sandbox(rlimits={"nofiles": 64}),
            ("rlimits.nofiles",),
            (unknown,),
            ("did you mean nofile?",),
            refused,
        ),
        Mistake(
            "a resource limit above the caller's own",
            lambda: run(["true"], rlimits={"nofile": 1 << 40}),
            ("rlimit nofile",),
            ("operation not permitted",),
            ("cannot be raised above the caller's own hard limit",),
            setup,
        ),
        Mistake(
            "a host name that is too long",
            lambda: Sandbox(hostname="x" * 70),
            ("host name",),
            ("it has 70 bytes",),
            ("must have 1 to 64",),
            refused,
        ),
        Mistake(
            "a user id that is none",
            lambda: Sandbox(uid=-1),
            ("policy key uid",),
            ("-1 is not",),
            ("a whole number from 0 to 4294967295",),
            refused,
        ),
        Mistake(
            "a name instead of a list of names",
            lambda: Sandbox(share="net"),  # type: ignore[arg-type]
            ("policy key share",),
            ('"net" is not a list',),
            ('["net"]',),
            refused,
        ),
        Mistake(
            "a number among the arguments",
            lambda: run(["head", "-n", 5]),
            ("args[2]",),
            ("5 is not text",),
            ("str(5)",),
            TypeError,
        ),
        Mistake(
            "a number in the environment",
            lambda: run(["true"], {"env": {"JOBS": 4}}),
            ("env['JOBS']",),
            ("4 is not text",),
            ("str(4)",),
            TypeError,
        ),
        Mistake(
            "text for a pipe of bytes",
            lambda: run(["cat"], {"input": "text"}),
            ("input",),
            ("takes bytes",),
            ("text=True", "input.encode()"),
            TypeError,
        ),
        Mistake(
            "a path as a stream",
            lambda: run(["cat"], {"stdin": "input.txt"}),
            ("stdin",),
            ("'input.txt' is neither a descriptor nor an open file",),
            ("open('input.txt', 'rb')",),
            TypeError,
        ),
        Mistake(
            "a descriptor that is closed",
            lambda: run(["cat"], {"pass_fds": [(1 << 20) - 1]}),
            ("descriptor 1048575",),
            ("bad file descriptor",),
            ("not open in this process",),
            refused,
        ),
        Mistake(
            "memory of a run, and none of the sandbox",
            lambda: run(["true"], {"memory": "64M"}),
            ("limit memory of one command",),
            ("its sandbox sets none",),
            ("set the sandbox's",),
            refused,
        ),
        Mistake(
            "a pool after its end",
            closed_pool,
            ("pool",),
            ("it has been closed",),
            ("start another pool",),
            refused,
        ),
        Mistake(
            "a cell after its end",
            closed_cell,
            ("cell",),
            ("it has been closed",),
            ("start another cell",),
            refused,
        ),
        Mistake(
            "a change of a limit that was not set",
            changed_memory,
            ("limit memory",),
            ("the policy sets none",),
            ("set memory",),
            refused,
        ),
        Mistake(
            "a directory that is mounted twice",
            lambda: Sandbox(files=[tmpfs("/data"), directory("/data")]),
            ("destination /data",),
            ("given twice",),
            ("leave out one",),
            refused,
        ),
    ]
    if ROOT:
        made += [
            Mistake(
                "root's directory, bound to be written",
                lambda: run(["touch", "/out/x"], files=[bind(out, "/out", writable=True)]),
                (f"bind {out} on /out",),
                ("uid 1879049192 outside", "owner 0, mode 0755"),
                (f"chown 1879049192 {out}", f"chmod o+rwX {out}", "start as a user who may"),
                setup,
            ),
            Mistake(
                "a user id above those that are mapped",
                lambda: run(["true"], uid=70000),
                ("uid 70000",),
                ("0 to 65535",),
                ("choose a lower one",),
                refused,
            ),
        ]
    else:
        made += [
            Mistake(
                "a limit that this host cannot hold",
                lambda: run(["true"], cpus=0.5),
                ("limit cpus",),
                ("cgroup",),
                ("delegate a cgroup", "best_effort"),
                setup,
            ),
        ]
    return made


def test_an_error_names_the_thing_the_cause_and_the_remedy(
    readable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graded = []
    for mistake in mistakes(readable):
        with pytest.raises(mistake.raised) as caught:
            mistake.make()
        told = str(caught.value)
        graded.append((points(mistake, told), mistake.name, told))
    mean = sum(sum(earned) for earned, _, _ in graded) / len(graded)
    with capsys.disabled():
        print(f"\n{len(graded)} mistakes: thing, cause, remedy; mean {mean:.2f}")
        for earned, name, told in graded:
            print(" ".join(map(str, earned)), "|", name, "|", told)
    assert len(graded) >= 25
    assert mean >= MEAN, mean


def test_a_message_that_says_nothing_gets_no_point() -> None:
    row = Mistake("", lambda: None, ("memory",), ("too little",), ("raise",), ValueError)
    assert points(row, "something went wrong") == (0, 0, 0)
    assert points(row, "memory: too little") == (1, 1, 0)
