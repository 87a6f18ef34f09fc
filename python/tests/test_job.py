"""Jobs and their results are plain data: they compare, hash, pickle, and convert to JSON."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path

import pytest

import seclude
from seclude import Job

JOBS = [
    Job("true"),
    Job(["cat", "-"], input=b"\xff\0\n"),
    Job(["sh", "-c", "cat"], input="ä\r\n"),
    Job(
        [b"echo", b"\xff", Path("/usr")],
        cwd="/usr",
        env={b"A": b"1", b"B": b"\xfe"},
        arg0="other",
        wall_time=2,
    ),
    Job("env", env={}),
    Job("true", memory=64 << 20, cpu_time=2, pids=8),
]


@pytest.mark.parametrize("job", JOBS)
def test_it_is_a_value(job: Job) -> None:
    for again in (
        pickle.loads(pickle.dumps(job)),
        Job.from_json(job.to_json()),
        dataclasses.replace(job),
    ):
        assert again == job
        assert hash(again) == hash(job)
    assert "\n" not in job.to_json()
    assert dataclasses.replace(job, wall_time=9) != job
    with pytest.raises(AttributeError):
        job.cwd = "/"  # type: ignore[misc]


def test_equal_jobs_are_equal_however_they_are_written() -> None:
    assert Job("cat", input="ä", env={"A": "1"}) == Job(
        [b"cat"], input="ä".encode(), env={b"A": b"1"}
    )
    assert Job(["echo", b"\xff"]).args == ("echo", os.fsdecode(b"\xff"))


def test_it_runs_wherever_commands_run(box: seclude.Sandbox) -> None:
    job = Job(
        ["sh", "-c", 'cat; echo "$0 $A $(pwd)" >&2; exit 3'],
        input=b"\xff",
        cwd="/usr",
        env={"A": "1"},
        arg0="other",
    )
    with box.cell() as cell, box.pool(1) as pool:
        for place in (box, cell, pool):
            done = job.run(place)
            assert (done.returncode, done.stdout, done.args) == (3, b"\xff", job.args)
            assert done.stderr.endswith(b" 1 /usr\n")
    assert Job("cat").run(box).stdout == b""
    assert Job(["sleep", "60"], wall_time=0.1).run(box).outcome.ended == seclude.Ended("wall-time")
    with box.replace(memory="1G", cpu_time=60).pool(1) as pool:
        spin = Job(["sh", "-c", "while :; do :; done"], cpu_time=0.2)
        assert spin.run(pool).outcome.ended.name == "cpu-time"
        greedy = Job(
            ["python3", "-c", "import time; x = bytearray(100 << 20); time.sleep(1000)"],
            memory=32 << 20,
        )
        assert pool.submit(greedy).result().outcome.limit == 32 << 20
        assert Job("true", memory=32 << 20, cpu_time=1).run(pool).outcome.success
    with pytest.raises(FileNotFoundError):
        Job("no-such-program").run(box)


def test_what_comes_of_it_is_a_value(box: seclude.Sandbox) -> None:
    done = Job("echo").run(box)
    again = pickle.loads(pickle.dumps(done))
    assert again == done
    assert hash(again) == hash(done)
    assert again.returncode == 0
    assert done != seclude.CompletedRun(done.args, done.outcome, b"other", done.stderr)
    assert done != "echo"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        (b"\xff", "no JSON"),
        ("[]", "a JSON object was expected, not a list"),
        ("{}", "no key 'args'"),
        ('{"args": null}', "args: .* not null"),
        ('{"args": ["a", 1]}', "args: .* not a number"),
        ('{"args": ["a", {"base64": "?"}]}', "args: no base64"),
        ('{"args": ["a", {"base64": "YQ==", "more": 1}]}', "args: .* not an object"),
        ('{"args": ["\\ud800"]}', "surrogates"),
        ('{"args": "a", "input": "\\ud800"}', "surrogates"),
        ('{"args": "a", "input": true}', "input: .* not true or false"),
        ('{"args": "a", "env": ["A=1"]}', "env: .* not a list"),
        ('{"args": "a", "env": {"A": 1}}', "env A: .* not a number"),
        ('{"args": "a", "wall_time": "2 q"}', 'wall_time: "2 q" is not a time'),
        (
            '{"args": "a", "wall_time": []}',
            "wall_time: a number of seconds was expected, not a list",
        ),
        ('{"args": "a", "memory": "64Q"}', 'memory: "64Q" is not a size'),
        ('{"args": "a", "memory": 2.5}', "memory: a whole number was expected, not 2.5"),
        ('{"args": "a", "pids": 2.5}', "pids: a whole number was expected, not 2.5"),
        ('{"args": "a", "wall_time": 1' + "0" * 400 + "}", "wall_time: more seconds"),
        ('{"args": "a", "inptu": ""}', "unknown key 'inptu'; hint: did you mean 'input'"),
        ('{"args": "a", "hostname": "x"}', "unknown key 'hostname'; the keys are args, input"),
    ],
)
def test_what_is_no_job_is_refused(text: str | bytes, wrong: str) -> None:
    with pytest.raises(seclude.PolicyError, match=wrong) as caught:
        Job.from_json(text)
    assert (caught.value.kind, caught.value.step) == ("invalid", "read a job")


def test_sizes_and_times_may_be_text() -> None:
    job = Job("a", memory="64M", wall_time="200ms", cpu_time="2m")
    assert (job.memory, job.wall_time, job.cpu_time) == (64 << 20, 0.2, 120)
    assert (
        Job.from_json('{"args": "a", "memory": "64M", "wall_time": "200ms", "cpu_time": "2m"}')
        == job
    )
    assert Job.from_json(job.to_json()) == job


def test_null_is_the_default() -> None:
    text = '{"args": "a", "input": null, "cwd": null, "env": null, "arg0": null, "wall_time": null}'
    assert Job.from_json(text) == Job("a")


@pytest.mark.parametrize(
    "text",
    [
        '{"args": []}',
        '{"args": ["a\\u0000b"]}',
        '{"args": "a", "env": {"A=B": ""}}',
        '{"args": "a", "cwd": "relative"}',
        '{"args": "a", "wall_time": -1}',
        '{"args": "a", "wall_time": NaN}',
        '{"args": "a", "wall_time": 1e300}',
    ],
)
def test_what_makes_no_sense_is_refused_when_it_runs(box: seclude.Sandbox, text: str) -> None:
    with pytest.raises(seclude.PolicyError):
        Job.from_json(text).run(box)
