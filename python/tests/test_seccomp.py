"""System calls: filters, named ends, a listener that decides, and learned programs."""

from __future__ import annotations

import errno
import pickle
import tempfile
import threading

import pytest

import seclude
from seclude import Seccomp, Test

MKDIR = ["python3", "-c", "import os; os.mkdir('/dev/shm/d')"]


def test_a_profile_and_rules_over_it(box: seclude.Sandbox) -> None:
    killing = box.replace(seccomp=Seccomp().kill("mkdir").kill("mkdirat"))
    done = killing.run(MKDIR)
    match done.outcome.ended:
        case seclude.Ended("syscall", name):
            assert name in ("mkdir", "mkdirat")
        case other:
            pytest.fail(str(other))
    assert done.returncode == -9
    assert "forbidden system call mkdir" in str(done.outcome)
    denying = box.replace(seccomp=Seccomp().deny("mkdir", "EXDEV").deny("mkdirat", errno.EXDEV))
    assert "Invalid cross-device link" in denying.run(MKDIR, capture_output=True, text=True).stderr
    assert box.run(MKDIR).outcome.success
    assert box.replace(seccomp="strict").run(["true"]).outcome.success
    assert "seccomp-filter" in box.run(["true"]).outcome.enforced


def test_a_test_of_an_argument(box: seclude.Sandbox) -> None:
    only = box.replace(seccomp=Seccomp().rule("kill", "deny", Test(1, "==", 10), errno="EACCES"))
    program = (
        "import os\ntry: os.kill(os.getpid(), 10)\nexcept PermissionError: os.kill(os.getpid(), 15)"
    )
    assert only.run(["python3", "-c", program]).outcome.ended == seclude.Ended("signaled", 15)


def test_a_filter_is_a_value(box: seclude.Sandbox) -> None:
    filters = [
        Seccomp("strict").allow("wait4").log("read").otherwise("deny", "ENOSYS"),
        Seccomp()
        .rule("mmap", "kill", Test(1, ">", 1 << 40, mask=~0xFFF & (1 << 64) - 1, wide=True))
        .socket_family(16),
    ]
    for one in filters:
        made = box.replace(seccomp=one, seccomp_bpf=[bytes([6, 0, 0, 0, 0, 0, 0xFF, 0x7F])])
        assert pickle.loads(pickle.dumps(made)) == made
        assert seclude.Sandbox.from_toml(made.to_toml()) == made
        assert seclude.Sandbox.from_json(made.to_json()) == made
    assert (
        len(
            {
                filters[0],
                filters[1],
                Seccomp("strict").allow("wait4").log("read").otherwise("deny", "ENOSYS"),
            }
        )
        == 2
    )
    for wrong in (
        "lax",
        Seccomp().allow("raed"),
        Seccomp().deny("read", 0),
        Seccomp("strict").notify("ptrace"),
    ):
        with pytest.raises(seclude.PolicyError):
            box.replace(seccomp=wrong)  # type: ignore[arg-type]


def test_the_caller_decides(box: seclude.Sandbox) -> None:
    asking = box.replace(seccomp=Seccomp().notify("openat").notify("uname"))
    with tempfile.TemporaryFile() as secret:
        secret.write(b"handed over\n")
        secret.seek(0)
        command = ["sh", "-c", "cat /secret; uname 2>/dev/null || echo no"]
        with asking.Popen(command, stdout=seclude.PIPE) as process:
            listener = process.listener()
            with pytest.raises(seclude.PolicyError):
                process.listener()

            def decide() -> None:
                for call in listener:
                    assert call.pid > 0
                    if call.name == "uname":
                        call.fail(errno.EIO)
                        with pytest.raises(seclude.PolicyError):
                            call.allow()
                    elif call.read_string(call.arguments[1]) == b"/secret":
                        assert call.read(call.arguments[1], 3) == b"/se"
                        call.succeed_with_descriptor(secret.fileno(), close_on_exec=True)
                    else:
                        call.allow()

            deciding = threading.Thread(target=decide)
            deciding.start()
            assert process.communicate()[0] == b"handed over\nno\n"
            deciding.join()
            assert listener.receive(timeout=0) is None


def test_a_command_without_a_listener_has_none(box: seclude.Sandbox) -> None:
    with box.Popen(["true"]) as process, pytest.raises(seclude.PolicyError):
        process.listener()


def test_a_program_is_learned(box: seclude.Sandbox) -> None:
    learned = box.learn(["cat", "/etc/passwd"])
    assert learned.outcome.success
    assert b"user" in learned.stdout
    assert {"execve", "openat", "exit_group"} <= learned.calls.keys()
    assert b"/etc/passwd" in learned.paths
    assert not learned.refused
    pasted = seclude.Sandbox.from_toml(learned.sandbox.to_toml())
    assert pasted.run(["cat", "/etc/passwd"], capture_output=True).stdout == learned.stdout
    assert not pasted.run(MKDIR, capture_output=True).outcome.success
