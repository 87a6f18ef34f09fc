"""`namespaces` and its pictures in characters and SVG, with hostile process names."""

from __future__ import annotations

import os
import pickle
import pty
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

import seclude
from seclude.tree import Box, Node, grow, lines, networks, svg

from .conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seclude.tree.grow import Branch

HOSTILE = '<&"\x1b[2J\n\u202e\\'
"""A name of at most 15 bytes: markup, a terminal escape, a newline, and a direction mark."""

RENAME = f"""
import ctypes
ctypes.CDLL(None).prctl(15, {HOSTILE.encode()!r}, 0, 0, 0)
print("ready", flush=True)
input()
"""


@pytest.fixture
def hostile(box: seclude.Sandbox) -> Iterator[seclude.Popen]:
    """Start a process with a hostile name."""
    with box.popen(
        ["python3", "-c", RENAME], stdin=seclude.PIPE, stdout=seclude.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def number(pid: int, kind: str) -> int:
    return int(os.readlink(f"/proc/{pid}/ns/{kind}").split("[")[1].rstrip("]"))


def test_a_sandbox_is_seen(hostile: seclude.Popen) -> None:
    seen = seclude.namespaces()
    mine, inside = seen.of(os.getpid()), seen.of(hostile.pid)
    names = {"mount": "mnt"}
    for kind in ("user", "mount", "pid", "net", "ipc", "uts", "cgroup"):
        assert inside[kind].id == number(hostile.pid, names.get(kind, kind))
        assert inside[kind].id != mine[kind].id
        assert seen[inside[kind].id] == inside[kind]
        assert inside[kind].owner == (mine["user"].id if kind == "user" else inside["user"].id)
    assert inside["user"].owner_uid == os.getuid()
    assert (inside["user"].parent, inside["pid"].parent) == (mine["user"].id, mine["pid"].id)
    warden, payload = inside["pid"].processes
    assert (warden.inside_pid, payload.pid, payload.inside_pid) == (1, hostile.pid, 2)
    assert payload.pids == (payload.pid, payload.inside_pid)
    assert payload in inside["net"].processes
    assert payload.name == HOSTILE
    assert inside["pid"].held_by == ()


def test_it_is_a_plain_value() -> None:
    seen = seclude.namespaces()
    assert len(seen) == len(list(seen)) == len(seen.list)
    assert pickle.loads(pickle.dumps(seen)) == seen
    assert seen.of(os.getpid())["user"].processes
    assert not any(seen.of(process.pid) for process in seen.closed)
    assert seen.of(2**30) == {}
    with pytest.raises(KeyError):
        seen[1]


# ---- the picture


def walk(branch: Branch) -> Iterator[Branch]:
    yield branch
    for below in branch.branches:
        yield from walk(below)


def test_the_picture_has_a_box_in_a_box(hostile: seclude.Popen) -> None:
    seen = seclude.namespaces()
    picture = grow(seen)
    ours, theirs = seen.of(os.getpid())["pid"].id, seen.of(hostile.pid)["pid"].id
    assert f"pid namespace {ours}" in picture.title
    # The box hangs at this process, which started the first process in it.
    [this] = [
        node for node in walk(picture) if isinstance(node, Node) and node.ids[:1] == (os.getpid(),)
    ]
    [box] = [branch for branch in this.branches if isinstance(branch, Box)]
    assert f"pid namespace {theirs} of user namespace" in box.title
    [warden] = box.branches
    [payload] = warden.branches
    assert isinstance(warden, Node)
    assert isinstance(payload, Node)
    assert (warden.ids[1:], payload.ids) == ((1,), (hostile.pid, 2))
    assert "+net" in warden.label
    assert "+net" not in payload.label
    # The whole picture shows each process once, but the kernel threads only as a count.
    ids = [node.ids[0] for node in walk(picture) if isinstance(node, Node) and node.ids]
    assert len(ids) == len(set(ids))
    assert hostile.pid in ids


def test_what_a_process_calls_itself_does_no_harm(hostile: seclude.Popen) -> None:
    picture = grow(seclude.namespaces())
    text = "\n".join(lines(picture))
    line = next(line for line in text.splitlines() if f"{hostile.pid}→2" in line)
    assert '<&"\\x1b[2J\\n\\u202e\\\\' in line
    assert all(letter.isprintable() for letter in text.replace("\n", ""))
    image = ElementTree.fromstring(svg(picture))
    texts = [element.text for element in image.iter() if element.text and element.text.strip()]
    assert '<&"\\x1b[2J\\n\\u202e\\\\' in texts
    assert all(letter.isprintable() for words in texts for letter in words)
    assert {element.tag.rpartition("}")[2] for element in image.iter()} == {
        "svg",
        "title",
        "style",
        "rect",
        "path",
        "g",
        "text",
    }


def test_boxes_are_closed_and_as_wide_as_what_they_hold() -> None:
    inner = Box("inner", (Node((3, 1), "日本 e\u0301", ""),))
    drawn = lines(
        Box(
            "outer",
            (Node((1,), "init", "", (Node((2,), "shell", "", (inner,)), Node((4,), "last", ""))),),
        )
    )
    assert drawn == [
        "╭─ outer ──────────────╮",
        "│ 1 init               │",
        "│ ├─ 2 shell           │",
        "│ │  └─ ╭─ inner ────╮ │",
        "│ │     │ 3→1 日本 e\u0301 │ │",
        "│ │     ╰────────────╯ │",
        "│ └─ 4 last            │",
        "╰──────────────────────╯",
    ]


def known(pids: tuple[int, ...], parent: int) -> seclude.Process:
    return seclude.Process(pids[0], pids[-1], pids, parent, "name", ("name",), 0, "S")


def space(number: int, parent: int | None, *processes: seclude.Process) -> seclude.LiveNamespace:
    return seclude.LiveNamespace("pid", number, None, None, parent, processes, (), ())


def outline(branch: Branch) -> object:
    """Return boxes as lists that begin with their id, and processes as ids with descendants."""
    below = [outline(inner) for inner in branch.branches]
    if isinstance(branch, Box):
        return [branch.title.split()[2].rstrip(","), *below]
    return (branch.ids[0], *below) if branch.ids else branch.label


def test_a_closed_process_stands_where_its_relatives_are() -> None:
    warden, payload = known((20, 1), 10), known((21, 2), 20)
    ours = space(100, None, known((10,), 1))
    # The child gives the namespace: the kernel never puts a child further out than its parent.
    seen = seclude.Namespaces((ours, space(200, 100, payload)), (known((1,), 0), warden))
    assert outline(grow(seen)) == ["100", (1, (10, ["200", (20, (21,))]))]
    # No relative gives the namespace, so the process has a box marked as closed.
    seen = seclude.Namespaces((ours,), (known((1,), 0), warden, payload))
    assert outline(grow(seen)) == ["100", (1, (10, ["closed", (20, (21,))]))]
    assert "(closed)" in "\n".join(lines(grow(seen)))


def test_boxes_without_a_first_process_stand_in_the_one_around_them() -> None:
    empty, entered = space(200, 100), space(300, 200, known((30, 7, 4), 0))
    seen = seclude.Namespaces((space(100, None, known((1,), 0)), empty, entered), ())
    assert outline(grow(seen)) == ["100", (1,), ["200", ["300", (30,)]]]


def test_parents_in_a_circle_are_no_endless_line() -> None:
    owner = seclude.LiveNamespace("user", 1, None, 0, None, (), (), ())
    addresses = ("10.9.0.1",)
    members = [
        seclude.LiveNamespace("net", net, 1, None, None, (process,), (), addresses)
        for net, process in ((2, known((20,), 30)), (3, known((30,), 20)))
    ]
    seen = seclude.Namespaces((owner, *members), ())
    assert networks(seen, 99) == []
    assert len(networks(seen, 20)) == len(networks(seen)) == 3


def test_the_kernels_threads_are_counted() -> None:
    threads = [known((pid,), 2) for pid in range(3, 10)]
    seen = seclude.Namespaces(
        (space(0xEFFFFFFC, None, known((1,), 0), known((2,), 0), *threads),), ()
    )
    assert outline(grow(seen)) == [str(0xEFFFFFFC), (1,), (2, "7 threads of the kernel")]


def test_a_chain_of_any_depth_is_drawn_to_its_limit() -> None:
    chain = [known((pid,), pid - 1) for pid in range(1, 20_000)]
    picture = grow(seclude.Namespaces((space(100, None, *chain),), ()))
    drawn = lines(picture)
    assert len(drawn) < 200
    assert "processes further down" in drawn[-2]
    ElementTree.fromstring(svg(picture))


# ---- the command line


def command(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    options = {"capture_output": True, "text": True, "timeout": PATIENCE, "check": False}
    words = [sys.executable, "-m", "seclude", "tree", *args]
    return subprocess.run(words, env=os.environ | environment, **options)  # type: ignore[call-overload, no-any-return]


def test_the_command_line_draws_plain_text(hostile: seclude.Popen) -> None:
    done = command(str(os.getpid()))
    assert (done.returncode, done.stderr) == (0, "")
    assert f" {hostile.pid}→2 " in done.stdout
    assert "\x1b" not in done.stdout
    told = command(str(hostile.pid), "--arguments")
    assert "python3 -c \\nimport ctypes" in told.stdout
    plain = command(str(os.getpid()), PYTHONIOENCODING="ascii")
    assert (plain.returncode, plain.stderr) == (0, "")
    assert f" {hostile.pid}>2 " in plain.stdout


def test_the_command_line_draws_an_image(hostile: seclude.Popen, tmp_path: Path) -> None:
    done = command("--svg", str(tmp_path / "tree.svg"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    image = ElementTree.parse(tmp_path / "tree.svg").getroot()
    assert image.tag == "{http://www.w3.org/2000/svg}svg"
    assert f"{hostile.pid}→2" in [element.text for element in image.iter()]
    assert len([element for element in image.iter() if element.get("class") == "box"]) >= 2


def test_what_cannot_be_drawn_is_told() -> None:
    done = command(str(2**30))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"python -m seclude tree: there is no process {2**30}\n"
    done = command("--svg", "/no/such/directory/tree.svg")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == "python -m seclude tree: write /no/such/directory/tree.svg: No such file or directory\n"
    )


@pytest.mark.parametrize("rich", [True, False])
def test_a_terminal_gets_colours_where_rich_is(
    hostile: seclude.Popen, tmp_path: Path, rich: bool
) -> None:
    if not rich:
        (tmp_path / "rich.py").write_text("raise ImportError('not here')")
    ours, theirs = pty.openpty()
    kept = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLORTERM")
    }
    kept |= {"TERM": "xterm-256color", "COLUMNS": "120", "PYTHONPATH": str(tmp_path)}
    drawing = subprocess.Popen(
        [sys.executable, "-m", "seclude", "tree", str(os.getpid())], stdout=theirs, env=kept
    )
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 65536):
            text += part
    except OSError:
        pass  # EIO: no process has the other end of the terminal open.
    os.close(ours)
    assert drawing.wait() == 0
    assert f"{hostile.pid}→2" in text.decode()
    assert (b"\x1b[1;36m" in text) is rich
    assert b"\x1b[2J" not in text


@pytest.mark.parametrize("words", [["tree"], ["doctor", "--json"]])
def test_a_reader_that_has_seen_enough_ends_it_quietly(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "seclude", *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=PATIENCE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_a_value_with_holes_is_drawn(hostile: seclude.Popen) -> None:
    seen = seclude.namespaces()
    half = tuple(replace(space, processes=space.processes[:1]) for space in seen)
    assert lines(grow(seclude.Namespaces(half, ())))
