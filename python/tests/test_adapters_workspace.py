"""What the adapters for agent frameworks share, and what they say where a framework is missing.

None of this takes a framework.
"""

from __future__ import annotations

import datetime
import decimal
import errno
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

import seclude
from seclude.adapters import marked
from seclude.adapters.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess


@pytest.fixture
def work() -> Iterator[Workspace]:
    with Workspace(output="1M") as made:
        yield made


@pytest.mark.parametrize(
    ("module", "imported", "package"),
    [
        ("openai_agents", "agents", "openai-agents"),
        ("deepagents", "deepagents", "deepagents"),
        ("smolagents", "smolagents", "smolagents"),
    ],
)
def test_a_missing_framework_is_named_with_the_version_tested(
    python: Callable[..., CompletedProcess[str]], module: str, imported: str, package: str
) -> None:
    done = python(
        f"import sys; sys.modules[{imported!r}] = None\n"
        f"try:\n    import seclude.adapters.{module}\n"
        "except ImportError as error:\n    print(error)"
    )
    assert f"hint: pip install '{package}==" in done.stdout, done


def test_a_file_comes_back_as_it_was_written(work: Workspace) -> None:
    data = bytes(range(256)) * 1000
    work.write("/workspace/deep/er/it's $HOME", data)
    assert work.read("/workspace/deep/er/it's $HOME") == data
    work.write("/workspace/deep/er/it's $HOME", b"")
    assert work.read("/workspace/deep/er/it's $HOME") == b""


@pytest.mark.parametrize(
    ("prepare", "path", "number"),
    [
        ("true", "/workspace/nothing", errno.ENOENT),
        ("mkdir d", "/workspace/d", errno.EISDIR),
        ("mkfifo f", "/workspace/f", errno.EINVAL),
        ("touch s; chmod 0 s", "/workspace/s", errno.EACCES),
        ("ln -s loop loop", "/workspace/loop", errno.ENOENT),
        ("head -c 1048577 /dev/zero > big", "/workspace/big", errno.EFBIG),
    ],
)
def test_what_cannot_be_read_is_named(
    work: Workspace, prepare: str, path: str, number: int
) -> None:
    assert work.run(["sh", "-c", prepare]).status == 0
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        work.read(path)
    assert caught.value.errno == number


def test_the_largest_file_that_can_be_read(work: Workspace) -> None:
    work.run(["sh", "-c", "head -c 1048576 /dev/zero > most"])
    assert len(work.read("/workspace/most")) == 1 << 20


def test_a_full_work_directory_is_named() -> None:
    with Workspace(scratch="1M") as work, pytest.raises(OSError, match="No space left"):
        work.write("/workspace/big", bytes(2 << 20))


@pytest.mark.parametrize(
    ("path", "number"),
    [("/usr/new", errno.EACCES), ("/workspace", errno.EISDIR), ("/dev/null", errno.EINVAL)],
)
def test_what_cannot_be_written_is_named(work: Workspace, path: str, number: int) -> None:
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        work.write(path, b"data")
    assert caught.value.errno == number


def test_no_path_and_no_link_leads_out(work: Workspace, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    secret.chmod(0o644)
    work.run(["ln", "-s", str(secret), "link"])
    for path in (str(secret), "/workspace/link", f"/proc/1/root{secret}"):
        with pytest.raises(OSError, match=path):
            work.read(path)
    with pytest.raises(OSError, match="/workspace/link"):
        work.write("/workspace/link/x", b"changed")
    assert secret.read_text() == "of the host"


def test_a_directory_of_the_callers_stays(readable: Path) -> None:
    with Workspace(directory=readable) as work:
        work.write("/workspace/made", b"inside")
    assert (readable / "made").read_bytes() == b"inside"


def test_a_link_in_the_callers_directory_does_not_lead_out(
    readable: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("other") / "secret"
    secret.write_text("of the host")
    with Workspace(directory=readable) as work:
        assert work.run(["ln", "-s", str(secret), "link"]).status == 0
        with pytest.raises(FileNotFoundError):
            work.read("/workspace/link")
    assert (readable / "link").read_text() == "of the host"


def test_what_a_command_leaves_ends_with_the_workspace(work: Workspace) -> None:
    work.run(["sh", "-c", "sleep 1000 & echo started"])
    deadline = time.monotonic() + 30
    while not any("sleep" in one.command for one in work.cell.processes()):
        assert time.monotonic() < deadline
    work.close()
    assert not work.cell.is_alive


def test_a_command_whose_time_is_over_says_so(work: Workspace) -> None:
    done = work.run(["sh", "-c", "echo before; sleep 1000"], timeout=2)
    assert (done.expired, done.stdout, done.status) == (True, b"before\n", 137)
    assert work.run(["true"]).status == 0


def test_the_policy_of_the_caller_holds() -> None:
    with Workspace(seclude.Sandbox(pids=20, output="1M", uid=77)) as work:
        assert work.run(["id", "-u"]).stdout == b"77\n"
        assert work.run(["sh", "-c", "yes"]).truncated


# ---- values as JSON


VALUES = [
    None,
    [1, -2.5, "text", True, {"a": [None]}],
    (1, {2, 3}, frozenset({"x"}), b"\x00\xff"),
    {1: "one", (2, 3): {"nested": (4,)}},
    {marked.MARK: "not a mark", "data": 1},
    1 + 2j,
    datetime.datetime(2026, 11, 30, 1, 2, 3, 4),
    datetime.date(2026, 11, 30),
    datetime.time(1, 2),
    datetime.timedelta(days=1, microseconds=5),
    decimal.Decimal("1.10"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back(value: Any) -> None:
    back = marked.read(json.loads(json.dumps(marked.written(value))))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("value", [object(), [1, {"a": len}], type("Own", (dict,), {})()], ids=repr)
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot leave or enter the sandbox"):
        marked.written(value)


def deep(number: int) -> Any:
    value: Any = []
    for _ in range(number):
        value = [value]
    return value


@pytest.mark.parametrize(
    "data",
    [
        {marked.MARK: "os.system", "data": "true"},
        {marked.MARK: ["unhashable"], "data": 1},
        {marked.MARK: "tuple"},
        {marked.MARK: "tuple", "data": 1},
        {marked.MARK: "set", "data": [[1]]},
        {marked.MARK: "complex", "data": [1, 2, 3]},
        {marked.MARK: "bytes", "data": "é"},
        {marked.MARK: "datetime", "data": "yesterday"},
        {marked.MARK: "timedelta", "data": 1e300},
        {marked.MARK: "Decimal", "data": "many"},
        {marked.MARK: "dict", "data": [1]},
        deep(100_000),
    ],
    ids=lambda data: str(data)[:60] if isinstance(data, dict) else "deep",
)
def test_hostile_values_are_an_error(data: Any) -> None:
    with pytest.raises(ValueError, match=r"no value|base64|isoformat|argument"):
        marked.read(data)
