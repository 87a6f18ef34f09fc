"""The driver of the Python face: does one job (tests/src/job.rs) with the wheel's public API and
writes the result.

Usage: `driver.py JOB RESULT`. tests/src/bin/driver.rs and driver.c do the same.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, fields
from typing import IO, Any, get_args
from urllib.parse import quote_from_bytes, unquote_to_bytes

import seclude
from seclude import vocabulary

Told = dict[str, bytes]
Runs = seclude.Sandbox | seclude.Cell | seclude.Pool | seclude.Joined


class Job:
    """The lines of a job: the values of each key, in order."""

    def __init__(self, text: str) -> None:
        self.lines: list[tuple[str, list[bytes]]] = []
        for line in text.splitlines():
            key, *values = line.split(" ")
            self.lines.append((key, [unquote_to_bytes(value) for value in values]))
        self.action = self.one("action")[0].decode()

    def all(self, key: str) -> list[list[bytes]]:
        return [values for name, values in self.lines if name == key]

    def one(self, key: str) -> list[bytes]:
        return next(iter(self.all(key)), [])


def perform(job: Job, told: Told) -> None:
    in_toml = job.all("policy-toml")
    read = seclude.Sandbox.from_toml if in_toml else seclude.Sandbox.from_json
    sandbox = read((in_toml or job.all("policy-json"))[0][0].decode())
    if not job.all("network"):
        return act(job, sandbox, told)
    members = Members(job, sandbox)
    try:
        members.start_all(job)
        act(job, sandbox.replace(network=members.network), told)
    finally:
        members.end()


def act(job: Job, sandbox: seclude.Sandbox, told: Told) -> None:
    """Do what the job asks for with the sandbox."""
    if job.action == "check":
        return  # A Python sandbox is checked when it is made.
    if job.action == "json":
        told["stdout"] = sandbox.to_json().encode()
    elif job.action == "toml":
        told["stdout"] = seclude.Sandbox.from_toml(sandbox.to_toml()).to_json().encode()
    else:
        if job.action in ("enter", "join"):
            with sandbox.cell() as cell:
                cell.publish("driver")
                ground = seclude.enter("driver") if job.action == "enter" else seclude.Sandbox().join(cell.pid)
                finish(job, start(job, ground), told)
            return
        ground = ground_of(job, sandbox)
        if job.action in ("twice", "reset"):
            finish(job, start(job, ground), {})
        if isinstance(ground, seclude.Cell) and job.action == "reset":
            ground.reset()
        finish(job, start(job, ground), told)


class Members:
    """A network and its further members, which are there as long as this object."""

    def __init__(self, job: Job, sandbox: seclude.Sandbox) -> None:
        name = json.loads(sandbox.to_json())["network"]
        subnets = [text.decode() for (text,) in job.all("subnet")]
        self.network = seclude.Network(name, subnets or None)
        self.cells: list[seclude.Cell] = []
        self.running: list[seclude.Popen] = []

    def start_all(self, job: Job) -> None:
        wanted: list[tuple[str, list[bytes]]] = []
        for key, values in job.lines:
            if key == "member":
                wanted.append((values[0].decode(), []))
            elif key == "member-arg":
                wanted[-1][1].append(values[0])
        for policy, words in wanted:
            self.start(policy, words)

    def start(self, policy: str, words: list[bytes]) -> None:
        """Start a member, and its command if it has one. Wait for the command's first line."""
        cell = seclude.Sandbox(**json.loads(policy), network=self.network).cell()
        self.cells.append(cell)
        if words:
            process = cell.popen(words, stdout=subprocess.PIPE)
            assert process.stdout is not None
            process.stdout.readline()
            self.running.append(process)

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.communicate()
        for cell in self.cells:
            cell.close()


def ground_of(job: Job, sandbox: seclude.Sandbox) -> Runs:
    """Where the command runs, from SECLUDE_TEST_GROUND."""
    match os.environ.get("SECLUDE_TEST_GROUND", "") if job.action != "reset" else "cell":
        case "cell":
            return sandbox.cell()
        case "pool":
            return sandbox.pool(1)
        case "prepared":
            return sandbox.prepare()
        case _:
            return sandbox


def start(job: Job, sandbox: Runs) -> seclude.Popen:
    """Start the command of the job."""
    options: dict[str, Any] = {}
    if limit := job.one("wall-ms"):
        options["wall_time"] = int(limit[0]) / 1000
    for limit, value in job.all("share"):
        options[limit.decode()] = int(value) / 1000 if limit == b"cpu_time" else int(value)
    for name, values in job.all("process"):
        options |= process_option(name, [int(value) for value in values.split(b",") if value])
    if window := job.one("window"):
        options["window_size"] = int(window[0]), int(window[1])
    if job.all("collect"):
        options["collect"] = [pattern for (pattern,) in job.all("collect")]
    if bounds := job.one("collect-bounds"):
        options["collect_bytes"], options["collect_entries"] = map(int, bounds)
    program, arguments = job.one("program")[0], [values[0] for values in job.all("arg")]
    if name := job.one("arg0"):
        options["arg0"] = name[0]
    changed = [key for key in ("env-clear", "env-remove", "env") if job.all(key)]
    if changed:
        options["env"] = environment(job, sandbox)
    if directory := job.one("directory"):
        options["cwd"] = directory[0]
    opened: list[IO[bytes]] = []

    def file(path: bytes, mode: str) -> IO[bytes]:
        opened.append(open(path, mode))
        return opened[-1]

    try:
        for number, stream in enumerate(("stdin", "stdout", "stderr")):
            kind, *value = job.one(stream)
            options[stream] = {
                b"inherit": lambda: None,
                b"null": lambda: subprocess.DEVNULL,
                b"piped": lambda: subprocess.PIPE,
                b"pty": lambda: seclude.PTY,
                b"file": lambda value=value, number=number: file(value[0], "wb" if number else "rb"),
            }[kind]()
        given = [(int(number), file(path, "wb" if way == b"write" else "rb")) for number, way, path in job.all("fd")]
        if given:
            options["fds"] = {number: handle.fileno() for number, handle in given}
        return sandbox.Popen([program, *arguments], **options)
    finally:
        for handle in opened:
            handle.close()


def process_option(name: bytes, values: list[int]) -> dict[str, Any]:
    """Return the keyword for an attribute of the process."""
    match name:
        case b"umask" | b"process_group":
            return {name.decode(): values[0]}
        case b"uid":
            return {"user": values[0]}
        case b"gid":
            return {"group": values[0]}
        case b"groups":
            return {"extra_groups": values}
        case b"ignore_signals":
            return {"ignore_signals": values}
        case b"inherit_ignored_signals":
            # The interpreter ignores SIGPIPE.
            return {"restore_signals": False}
        case _:
            raise AssertionError(f"no attribute {name!r}")


def environment(job: Job, sandbox: Runs) -> dict[bytes, bytes]:
    """Return the whole environment, as Python's `env` requires: the default one of a sandbox with
    the job's changes.
    """
    variables: dict[bytes, bytes] = {}
    if not job.all("env-clear"):
        inside = sandbox.run(["env", "-0"], stdout=subprocess.PIPE).stdout
        variables = dict(pair.split(b"=", 1) for pair in inside.split(b"\0") if pair)
    for (name,) in job.all("env-remove"):
        variables.pop(name, None)
    variables.update((name, value) for name, value in job.all("env"))
    return variables


def finish(job: Job, child: seclude.Popen, told: Told) -> None:
    """Do what the job asks of the running command, and report its end."""
    first, data = b"", None
    if child.stdin is not None:
        data = job.one("stdin")[1]
    kind, *typed = job.one("stdin")
    if kind == b"pty":
        assert child.terminal is not None
        assert child.terminal.write(typed[0]) == len(typed[0])
    if job.action in ("kill", "terminate", "processes", "usage", "change", "freeze", "kill-frozen", "wait-frozen"):
        assert child.stdout is not None
        first = child.stdout.readline()
    if job.action == "terminate":
        child.send_signal(signal.SIGTERM)
    elif job.action in ("kill", "processes"):
        if job.action == "processes":
            lines = (f"{one.inside_pid} {one.name} {' '.join(one.command)}\n" for one in child.processes())
            told["processes"] = "".join(lines).encode()
        child.kill()
    elif job.action == "usage":
        told["usage"] = tell_usage(child.usage())
        child.kill()
    elif job.action == "change":
        for limit, value in job.all("set"):
            change(child, limit, float(value))
    elif job.action in ("freeze", "kill-frozen"):
        told["freezer"] = child.freeze().encode()
        still_runs(child)
        if job.action == "freeze":
            child.thaw()
        else:
            child.kill()
    elif job.action == "wait-frozen":
        told["freezer"] = child.freeze().encode()
    elif job.action == "try-wait":
        assert child.poll() is None, "it waits for its input"
    elif job.action == "wait-timeout":
        still_runs(child)
    stdout, stderr = child.communicate(data)
    assert child.outcome is not None
    if job.action == "try-wait":
        assert child.poll() == child.wait() == child.returncode, "the answer stays"
    tell_outcome(child.outcome, told)
    if job.all("collect"):
        told["collected"] = tell_collected(child.collect())
    told["stdout"], told["stderr"] = first + (stdout or b""), stderr or b""


def tell_collected(collected: seclude.Collected) -> bytes:
    lines = [
        os.fsencode(path) + f" {collected.permissions[path]:o}: ".encode() + data
        for path, data in collected.contents.items()
    ]
    lines += [b"skipped: " + os.fsencode(path) for path in collected.skipped]
    lines += [b"unmatched: " + os.fsencode(pattern) for pattern in collected.unmatched]
    if collected.error is not None:
        lines.append(f"error: {collected.error.kind}: {collected.error}".encode())
    return b"".join(line + b"\n" for line in lines)


def still_runs(child: seclude.Popen) -> None:
    try:
        child.wait(0.05)
    except seclude.TimeoutExpired:
        return
    raise AssertionError("it is frozen, or waits for its input")


def change(child: seclude.Popen, limit: bytes, value: float) -> None:
    match limit:
        case b"memory":
            child.set_memory(int(value))
        case b"cpus":
            child.set_cpus(value)
        case b"cpu_time":
            child.set_cpu_time(value)
        case b"pids":
            child.set_pids(int(value))
        case _:
            raise AssertionError(f"no limit {limit!r} can be changed")


PROTECTIONS = get_args(vocabulary.Protection)
LIMITS = get_args(vocabulary.LimitName)


def tell_outcome(outcome: seclude.Outcome, told: Told) -> None:
    if outcome.egress is not None and outcome.egress.attempts:
        told["egress"] = "".join(f"{attempt}\n" for attempt in outcome.egress.attempts).encode()
    ended = outcome.ended
    unknown = set(outcome.enforced) - set(PROTECTIONS)
    assert not unknown, unknown
    told["ended"] = (ended.name if ended.value is None else f"{ended.name} {ended.value}").encode()
    told["returncode"] = str(outcome.returncode).encode()
    told["enforced"] = " ".join(name for name in PROTECTIONS if name in outcome.enforced).encode()
    told["message"] = str(outcome).encode()
    told["limits"] = " ".join(f"{name}={held}" for name, held in sorted(outcome.limits.items(), key=by_place)).encode()
    if outcome.status is not None:
        told["status"] = str(outcome.status).encode()
    if outcome.limit is not None:
        told["limit"] = str(outcome.limit).encode()
    # Some actions have already reported the usage of the running command instead.
    told.setdefault("usage", tell_usage(outcome.usage))


def by_place(limit: tuple[str, str]) -> int:
    return LIMITS.index(limit[0])


def tell_usage(usage: seclude.Usage) -> bytes:
    """Return all figures that were measured, in the order of `seclude.Usage`, with times in
    microseconds.
    """
    words = [f"memory_source={usage.memory_source}"]
    for field in fields(seclude.Usage):
        match getattr(usage, field.name):
            case float() as seconds:
                words.append(f"{field.name}_us={int(seconds * 1e6)}")
            case int() as number:
                words.append(f"{field.name}={number}")
    if usage.pressure is not None:
        words += [f"pressure_{name}_us={int(seconds * 1e6)}" for name, seconds in asdict(usage.pressure).items()]
    return " ".join(words).encode()


def tell_error(error: seclude.SecludeError, told: Told) -> None:
    told["error"] = error.kind.encode()
    told["message"] = str(error).encode()
    for key in ("step", "step_kind", "errno", "path", "hint"):
        value = getattr(error, key)
        if value is not None:
            told[key] = value if isinstance(value, bytes) else os.fsencode(str(value))


def main() -> int:
    job_file, result_file = sys.argv[1:]
    with open(job_file, encoding="ascii") as lines:
        job = Job(lines.read())
    told: Told = {}
    try:
        perform(job, told)
    except seclude.SecludeError as error:
        told.clear()
        tell_error(error, told)
    with open(result_file, "w", encoding="ascii") as result:
        for key, value in told.items():
            result.write(f"{key} {quote_from_bytes(value)}\n")
    return 0


sys.exit(main())
