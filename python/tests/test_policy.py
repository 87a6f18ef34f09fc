"""`Sandbox` as a value (text, comparison, errors), and the effects of its keys inside."""

from __future__ import annotations

import copy
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pytest

import seclude
from seclude import Sandbox, bind, directory, file, io, symlink, tmpfs

EVERYTHING: dict[str, Any] = {
    "share": {"net", "ipc"},
    "unshare": ["time"],
    "hostname": "judge",
    "domainname": "example",
    "clock_offsets": {"monotonic": -5, "boottime": 86400},
    "uid": 5,
    "gid": 6,
    "user": "contestant",
    "home": Path("/home/c"),
    "host_ids": 1 << 20,
    "root": b"/srv/other",
    "writable_root": True,
    "terminals": True,
    "as_pid_1": True,
    "files": [
        bind("/opt/tool"),
        bind(b"/opt/\xff", "/opt/x", writable=True, optional=True, noexec=True, devices=True),
        tmpfs("/tmp", size="64M", inodes=100, mode=0o700, noexec=True),
        directory("/empty", mode=0o711),
        symlink(b"\xfe", "/link"),
        file("/text", "grüße\n", mode=0o600),
        file("/bytes", bytes(range(256))),
        {"file": "/plain", "data": "a mapping does too"},
    ],
    "nested": True,
    "rlimits": {"nofile": 64, "fsize": "10M", "stack": (8 << 20, "unlimited")},
    "memory": "256M",
    "swap": 1 << 20,
    "cpu_time": "2s",
    "cpus": 0.5,
    "cpu_weight": 50,
    "cpu_set": {0},
    "pids": 32,
    "io": [io("/", write_bytes="10M", read_operations=100)],
    "output": "16M",
    "wall_time": 1.5,
    "wall_time_grace": (signal.SIGTERM, 0.5),
    "require": ["memory"],
    "best_effort": {"cpus"},
    "cgroup": "/sys/fs/cgroup/mine",
    "warden": "/usr/libexec/seclude/warden",
}


def test_everything_goes_through_both_texts() -> None:
    box = Sandbox(**EVERYTHING)
    assert Sandbox.from_json(box.to_json()) == box
    assert Sandbox.from_toml(box.to_toml()) == box
    assert pickle.loads(pickle.dumps(box)) == box
    assert copy.deepcopy(box) == box
    assert hash(Sandbox(**EVERYTHING)) == hash(box)
    assert Sandbox(**EVERYTHING).to_json() == box.to_json()
    assert box != Sandbox()
    assert box != "a text"


@pytest.mark.parametrize("key", sorted(EVERYTHING))
def test_each_key_counts(key: str) -> None:
    # Some keys are valid only together with another one.
    needed = {
        "require": "memory",
        "swap": "memory",
        "best_effort": "cpus",
        "wall_time_grace": "wall_time",
    }.get(key)
    rest = Sandbox(**{needed: EVERYTHING[needed]}) if needed else Sandbox()
    one = rest.replace(**{key: EVERYTHING[key]})
    assert one != rest
    assert key in one.to_json()
    assert key in repr(one)
    assert one.replace(**{key: None}) == rest
    assert Sandbox(**{key: None}) == Sandbox()


def test_replace_keeps_the_rest() -> None:
    box = Sandbox(**EVERYTHING)
    other = box.replace(uid=0, files=[tmpfs("/tmp")])
    assert other != box
    assert other.replace(uid=5, files=EVERYTHING["files"]) == box
    assert box.replace() == box


def test_a_sandbox_cannot_be_changed() -> None:
    box = Sandbox()
    with pytest.raises(AttributeError, match="replace"):
        box.uid = 5
    with pytest.raises(AttributeError):
        del box._core
    with pytest.raises(AttributeError):
        bind("/x").writable = True  # type: ignore[misc]


def test_a_subclass_stays_one() -> None:
    class Box(Sandbox):
        """A subclass of the caller."""

    assert type(Box(uid=5).replace(uid=6)) is Box
    assert type(Box.from_json("{}")) is Box


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ({"hostnam": "x"}, "hostname"),
        ({"share": ["pit"]}, "pid"),
        ({"share": "net"}, "share"),
        ({"uid": -1}, "uid"),
        ({"uid": "root"}, "uid"),
        ({"uid": 1 << 32}, "uid"),
        ({"hostname": ""}, "host name"),
        ({"hostname": "x" * 65}, "host name"),
        ({"hostname": "a\0b"}, "host name"),
        ({"wall_time": 0}, "wall"),
        ({"wall_time": -1}, "wall"),
        ({"wall_time": float("nan")}, "wall_time: nan is not a number that a policy can hold"),
        (
            {"wall_tme": 5},
            r"Sandbox\(\) keyword wall_tme: is unknown; hint: did you mean wall_time",
        ),
        ({"rlimits": {"nofil": 5}}, "nofile"),
        ({"rlimits": {"nofile": (6, 5)}}, "nofile"),
        ({"files": [bind("/usr", "relative")]}, "absolute"),
        ({"files": [bind("/usr", "/a/../b")]}, r"\.\."),
        ({"files": [bind("/usr", "/")]}, "destination /"),
        ({"files": [tmpfs("/a"), tmpfs("/a")]}, "twice"),
        ({"files": [file("/a", ""), tmpfs("/a/b")]}, "not a directory"),
        ({"files": [tmpfs("/a", size=0)]}, "zero"),
        ({"files": [tmpfs("/a", size="lots")]}, "size"),
        ({"files": [directory("/a", mode=0o10000)]}, "mode"),
        ({"files": [bind("")]}, "empty|absolute"),
        ({"files": [{"bind": "/usr", "writeable": True}]}, "writable"),
        ({"root": "/a", "empty_root": True}, "root"),
        ({"share": ["time"], "clock_offsets": {"boottime": 1}}, "clock|time"),
    ],
)
def test_a_mistake_is_named_before_anything_starts(policy: Any, named: str) -> None:
    with pytest.raises(seclude.PolicyError, match=named) as caught:
        Sandbox(**policy)
    assert isinstance(caught.value, ValueError)
    assert caught.value.kind in {"invalid", "policy"}
    assert caught.value.step


@pytest.mark.parametrize("text", ["", "[]", "{", '{"uid": 1} x', "null"])
def test_texts_that_are_no_policy(text: str) -> None:
    with pytest.raises(seclude.PolicyError):
        Sandbox.from_json(text)
    with pytest.raises(seclude.PolicyError):
        Sandbox.from_toml(text or "=")


def test_values_that_no_policy_has() -> None:
    with pytest.raises(TypeError, match="object"):
        Sandbox(files=[object()])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        Sandbox("/")  # type: ignore[call-arg]


def test_names_and_ids() -> None:
    box = Sandbox(uid=5, gid=6, user="me", home="/h", hostname="host", files=[directory("/h")])
    text = "id -u; id -g; id -un; echo $HOME; hostname"
    assert box.run(["sh", "-c", text], capture_output=True, text=True).stdout.split() == [
        "5",
        "6",
        "me",
        "/h",
        "host",
    ]


def test_files_stand_inside(readable: Path) -> None:
    (readable / "seen").write_text("mine")
    box = Sandbox(
        files=[
            bind(readable, "/in"),
            bind(readable, "/out", writable=True),
            bind("/missing", optional=True),
            tmpfs("/tmp", size="1M"),
            directory("/dir"),
            symlink("/in/seen", "/link"),
            file("/f", b"\0\xff", mode=0o755),
        ]
    )
    shell = (
        "cat /in/seen /link; ls -d /dir; touch /tmp/x; touch /out/made;"
        " touch /in/no 2>/dev/null || echo refused"
    )
    done = box.run(["sh", "-c", shell], capture_output=True, text=True)
    assert done.stdout == "minemine/dir\nrefused\n", done.stderr
    assert (readable / "made").exists()
    assert not (readable / "no").exists()
    assert box.run(["cat", "/f"], capture_output=True).stdout == b"\0\xff"


def test_a_path_that_is_not_utf8(readable: Path) -> None:
    odd = os.path.join(os.fsencode(readable), b"\xff\xfe")
    with open(odd, "wb") as target:
        target.write(b"odd")
    os.chmod(odd, 0o644)
    box = Sandbox(files=[bind(odd, b"/\xfd")])
    assert box.run([b"cat", b"/\xfd"], capture_output=True).stdout == b"odd"
    assert Sandbox(files=[bind(os.fsdecode(odd), "/\udcfd")]) == box


def test_rlimits() -> None:
    box = Sandbox(rlimits={"nofile": 64, "fsize": ("1M", "2M")})
    shell = "ulimit -Sn; ulimit -Hn; ulimit -Sf; ulimit -Hf"
    assert box.run(["sh", "-c", shell], capture_output=True, text=True).stdout.split() == [
        "64",
        "64",
        "2048",
        "4096",
    ]


def test_a_missing_source_is_told_by_name() -> None:
    with pytest.raises(seclude.SetupError, match="/missing/thing") as caught:
        Sandbox(files=[bind("/missing/thing")]).run(["true"])
    assert caught.value.kind == "source-missing"
    assert caught.value.path == "/missing/thing"
    assert isinstance(caught.value, OSError)
    assert caught.value.filename == "/missing/thing"
