"""The backend for deepagents: the standard tests for sandboxes, the agent loop, hostile code.

`make test-adapters` installs the framework and runs these. Elsewhere they are skipped.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import seclude

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytest.importorskip("deepagents", reason="deepagents is not installed: make test-adapters")
pytest.importorskip(
    "langchain_tests", reason="langchain-tests is not installed: make test-adapters"
)

from deepagents import create_deep_agent
from deepagents.backends.protocol import FileDownloadResponse, FileUploadResponse
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_tests.integration_tests.sandboxes import SandboxIntegrationTests

from seclude.adapters.deepagents import SecludeBackend

# The packages warn about each other, and about themselves.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> None:
    """Take the place of the check after every test, which costs seconds with these packages."""


# ---- the standard tests of LangChain

CHANGED = {
    "test_glob": "the paths of matches are absolute",
    "test_glob_basic_pattern": "the paths of matches are absolute",
    "test_glob_hidden_files_explicitly": "the paths of matches are absolute",
    "test_glob_with_character_class": "the paths of matches are absolute",
    "test_glob_with_question_mark": "the paths of matches are absolute",
    "test_glob_with_directories": "directories do not match",
    "test_write_existing_file_fails": "a file that exists is overwritten",
}
"""The protocol of deepagents 0.7.32, where langchain-tests 1.1.9 tests an earlier one."""


def changed(name: str, reason: str) -> Any:
    """Return a standard test that is expected to fail."""
    standard = getattr(SandboxIntegrationTests, name)

    @pytest.mark.xfail(reason=reason, raises=AssertionError, strict=True)
    def test(self: Any, sandbox_backend: SecludeBackend, sandbox_test_root: str) -> None:
        standard(self, sandbox_backend, sandbox_test_root)

    return test


class TestStandard(SandboxIntegrationTests):
    """The standard tests for sandboxes, those that must hold for every backend."""

    for _name, _reason in CHANGED.items():
        vars()[_name] = changed(_name, _reason)

    @pytest.fixture(scope="class")
    def sandbox(self) -> Iterator[SecludeBackend]:
        """Return a backend. The tests call `python`, which Debian does not have."""
        policy = seclude.Sandbox(files=[seclude.symlink("/usr/bin/python3", "/opt/bin/python")])
        with SecludeBackend(policy, env={"PATH": "/opt/bin:/usr/bin:/bin"}) as backend:
            yield backend


# ---- the agent loop


class Scripted(GenericFakeChatModel):
    """A model that says what a test has written for it."""

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Any:
        """Take the tools, which it knows."""
        return self


def calls(name: str, **arguments: Any) -> AIMessage:
    call = {"name": name, "args": arguments, "id": f"call-{name}", "type": "tool_call"}
    return AIMessage("", tool_calls=[call])  # type: ignore[list-item, unused-ignore]


def test_an_agent_works_inside(backend: SecludeBackend) -> None:
    script = [
        calls("write_file", file_path="/workspace/sum.py", content="print(6 * 7)\n"),
        calls("execute", command="python3 sum.py; id -u; ls /sys/class/net"),
        calls("read_file", file_path="/workspace/sum.py"),
        AIMessage("done"),
    ]
    agent: Any = create_deep_agent(Scripted(messages=iter(script)), backend=backend)
    told = agent.invoke({"messages": [("user", "compute")]})["messages"]
    results = [one.content for one in told if isinstance(one, ToolMessage)]
    assert "42" in results[1]
    assert "1000" in results[1]
    assert "print(6 * 7)" in results[2]
    assert told[-1].content == "done"


# ---- what it adds


@pytest.fixture
def backend() -> Iterator[SecludeBackend]:
    with SecludeBackend(timeout=60, output="1M") as made:
        yield made


def test_there_is_no_network(backend: SecludeBackend) -> None:
    done = backend.execute("cat /proc/net/dev | tail -n +3 | cut -d: -f1")
    assert done.output.split() == ["lo"]


def test_a_command_has_a_time(backend: SecludeBackend) -> None:
    done = backend.execute("echo before; sleep 1000", timeout=2)
    assert done.exit_code == 124
    assert done.output == "before\n\n[seclude: killed after 2 seconds]"
    later = asyncio.run(backend.aexecute("sleep 1000", timeout=1))
    assert later.exit_code == 124
    with pytest.raises(ValueError, match="must be positive"):
        backend.execute("true", timeout=0)


def test_its_output_is_bounded(backend: SecludeBackend) -> None:
    done = backend.execute("yes")
    assert done.truncated
    assert done.exit_code == 137
    assert done.output.startswith("y\ny\n")
    assert done.output.endswith("[seclude: stopped by the output limit of 1048576 bytes]")
    assert len(done.output) < (1 << 20) + 100


def test_a_limit_is_named() -> None:
    with SecludeBackend(seclude.Sandbox(memory="64M")) as backend:
        done = backend.execute("python3 -c 'x = bytearray(1 << 30)'")
    assert "stopped by the memory limit" in done.output


def test_errors_of_files_have_the_names_of_the_framework(backend: SecludeBackend) -> None:
    backend.execute("mkdir d; touch s; chmod 0 s")
    assert backend.download_files(["/workspace/none", "/workspace/d", "/workspace/s", "s"]) == [
        FileDownloadResponse("/workspace/none", error="file_not_found"),
        FileDownloadResponse("/workspace/d", error="is_directory"),
        FileDownloadResponse("/workspace/s", error="permission_denied"),
        FileDownloadResponse("s", error="invalid_path"),
    ]
    assert backend.upload_files([("/workspace/a", b"a"), ("/usr/a", b"a"), ("a\0b", b"")]) == [
        FileUploadResponse("/workspace/a"),
        FileUploadResponse("/usr/a", error="permission_denied"),
        FileUploadResponse("a\0b", error="invalid_path"),
    ]


def test_a_directory_of_the_callers(readable: Path) -> None:
    (readable / "given").write_text("from outside")
    with SecludeBackend(directory=readable, at="/project") as backend:
        assert backend.execute("cat given").output == "from outside"
        assert backend.write("/project/made", "from inside").error is None
    assert (readable / "made").read_text() == "from inside"


def test_the_end_of_the_block_ends_everything(backend: SecludeBackend) -> None:
    backend.execute("sleep 1000 &")
    assert any("sleep" in one.command for one in backend.cell.processes())
    with backend:
        pass
    assert not backend.cell.is_alive
    with pytest.raises(seclude.SecludeError):
        backend.execute("true")


def test_backends_have_names(backend: SecludeBackend) -> None:
    with SecludeBackend() as other:
        assert backend.id != other.id
