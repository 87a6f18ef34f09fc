"""What programs see of the machine: parts of `/sys`, and devices (docs/hardware.md)."""

from __future__ import annotations

import json
import pathlib

import pytest

import seclude
from seclude import PolicyError, Sandbox

PATIENCE = 30


def specification(**edits: object) -> str:
    """Return a CDI specification of one device."""
    device = {"name": "0", "containerEdits": edits}
    kind = "vendor.example/toy"
    return json.dumps({"cdiVersion": "0.6.0", "kind": kind, "devices": [device]})


def test_parts_of_sys_are_shown_read_only() -> None:
    entry = seclude.sys("/sys")
    assert entry.policy() == {"sys": "/sys"}
    box = Sandbox(files=[entry], wall_time=PATIENCE)
    script = "cat /sys/devices/system/cpu/possible; touch /sys/x"
    done = box.run(["sh", "-c", script], capture_output=True, text=True)
    assert done.stdout.startswith("0")
    assert "Read-only file system" in done.stderr
    without = Sandbox(wall_time=PATIENCE).run(["test", "-e", "/sys"])
    assert without.returncode == 1


def test_a_device_of_a_specification_is_there(tmp_path: pathlib.Path) -> None:
    node = {"path": "/dev/toy0", "hostPath": "/dev/null"}
    (tmp_path / "toy.json").write_text(specification(deviceNodes=[node], env=["TOY=0"]))
    box = Sandbox(
        devices=["vendor.example/toy=0"], cdi_spec_dirs=[str(tmp_path)], wall_time=PATIENCE
    )
    assert Sandbox.from_json(box.to_json()) == box
    command = ["sh", "-c", "echo $TOY; test -c /dev/toy0 && echo there"]
    done = box.run(command, capture_output=True, text=True)
    assert done.stdout == "0\nthere\n"
    with box.cell() as cell:
        assert cell.run(command, capture_output=True, text=True).stdout == "0\nthere\n"
        own = cell.run(command, env={"TOY": "mine"}, capture_output=True, text=True)
        assert own.stdout == "mine\nthere\n"


def test_a_wrong_specification_names_the_file_and_the_key(tmp_path: pathlib.Path) -> None:
    mount = {"hostPath": "/", "containerPath": "/opt/host"}
    path = tmp_path / "toy.json"
    path.write_text(specification(mounts=[mount]))
    box = Sandbox(devices=["vendor.example/toy=0"], cdi_spec_dirs=[str(tmp_path)])
    with pytest.raises(PolicyError, match="it is the host's root") as caught:
        box.run(["true"])
    assert caught.value.path == str(path)
    assert f"{path} key devices[0].containerEdits.mounts[0].hostPath" in str(caught.value)


def test_an_unknown_class_is_refused_at_once() -> None:
    with pytest.raises(PolicyError, match="did you mean render"):
        Sandbox(devices=["rendr"])
