"""The sandbox client for openai-agents: the agent loop, the protocol of sessions, hostile code.

`make test-adapters` installs the framework and runs these. Elsewhere they are skipped.
"""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import seclude

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

pytest.importorskip("agents", reason="openai-agents is not installed: make test-adapters")

from agents import ModelResponse, RunConfig, Runner, Usage
from agents.models.interface import Model
from agents.sandbox import (
    ExecTimeoutError,
    ExposedPortUnavailableError,
    LocalSnapshotSpec,
    Manifest,
    SandboxAgent,
    SandboxError,
    SandboxRunConfig,
    User,
    WorkspaceArchiveReadError,
    WorkspaceArchiveWriteError,
    WorkspaceReadNotFoundError,
)
from agents.sandbox.entries import Dir, File
from agents.sandbox.errors import ConfigurationError, InvalidManifestPathError
from agents.sandbox.manifest import Environment
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from seclude.adapters.openai_agents import (
    SecludeSandboxClient,
    SecludeSandboxClientOptions,
    SecludeSandboxSessionState,
)

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> None:
    """Take the place of the check after every test, which costs seconds with these packages."""


@asynccontextmanager
async def session(client: SecludeSandboxClient, **options: Any) -> AsyncIterator[Any]:
    made = await client.create(**options)
    async with made:
        yield made
    await client.delete(made)


def inside(do: Callable[[Any], Awaitable[None]], **options: Any) -> None:
    """Run a test in a session of its own."""

    async def run() -> None:
        async with session(SecludeSandboxClient(output="1M", **options)) as made:
            await do(made)

    asyncio.run(run())


# ---- the agent loop


class Scripted(Model):
    """A model that says what a test has written for it, and keeps what it was told."""

    def __init__(self, *items: Any) -> None:
        self.items, self.told = list(items), ""

    async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> Any:  # noqa: A002
        """Return the next item."""
        self.told = str(input)
        return ModelResponse(output=[self.items.pop(0)], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> Any:
        """Not needed here."""
        raise NotImplementedError


def calls(name: str, **arguments: Any) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        type="function_call", name=name, call_id=f"call-{name}", arguments=json.dumps(arguments)
    )


def says(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(type="output_text", text=text, annotations=[])
    return ResponseOutputMessage(
        id="message", type="message", role="assistant", status="completed", content=[part]
    )


def test_an_agent_works_inside() -> None:
    model = Scripted(
        calls("exec_command", cmd="cat given.txt; id -u; tail -n +3 /proc/net/dev | cut -d: -f1"),
        says("done"),
    )
    agent = SandboxAgent(
        name="worker",
        model=model,
        default_manifest=Manifest(entries={"given.txt": File(content=b"from the manifest\n")}),
    )
    config = RunConfig(
        sandbox=SandboxRunConfig(client=SecludeSandboxClient()), tracing_disabled=True
    )
    result = asyncio.run(Runner.run(agent, "go", run_config=config))
    assert result.final_output == "done"
    assert "from the manifest\\n1000\\n" in model.told
    assert "lo" in model.told


# ---- the protocol of a session


def test_a_manifest_becomes_files() -> None:
    manifest = Manifest(
        entries={"a": File(content=b"one"), "d": Dir(children={"b": File(content=b"two")})},
        environment=Environment(value={"GIVEN": "three"}),
    )

    async def run() -> None:
        async with session(SecludeSandboxClient(), manifest=manifest) as made:
            done = await made.exec("cat a d/b; echo $GIVEN; pwd")
            assert (done.stdout, done.exit_code) == (b"onetwothree\n/workspace\n", 0)
            names = {Path(entry.path).name for entry in await made.ls(".")}
            assert names == {"a", "d"}

    asyncio.run(run())


def test_commands() -> None:
    async def do(made: Any) -> None:
        done = await made.exec("echo out; echo err >&2; exit 3")
        assert (done.stdout, done.stderr, done.exit_code) == (b"out\n", b"err\n", 3)
        assert (await made.exec("no-such", shell=False)).exit_code == 127
        assert (await made.exec("kill -9 $$")).exit_code == 137
        with pytest.raises(ExecTimeoutError):
            await made.exec("sleep 1000", timeout=1)
        done = await made.exec("yes")
        assert (len(done.stdout), done.exit_code) == (1 << 20, 137)
        assert b"stopped by the output limit of 1048576 bytes" in done.stderr
        with pytest.raises(ConfigurationError, match="one user"):
            await made.exec("id", user="root")
        with pytest.raises(ExposedPortUnavailableError):
            await made.resolve_exposed_port(80)

    inside(do)


def test_a_cancelled_command_is_killed() -> None:
    async def do(made: Any) -> None:
        task = asyncio.create_task(made.exec("sleep 1234"))
        cell = made._inner.cell
        while not any("1234" in one.command for one in cell.processes()):
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not any("1234" in one.command for one in cell.processes())

    inside(do)


def test_files() -> None:
    async def do(made: Any) -> None:
        data = bytes(range(256)) * 4000
        await made.write(Path("deep/er/file"), io.BytesIO(data))
        assert (await made.read(Path("deep/er/file"))).read() == data
        assert await made.read_bounded(Path("deep/er/file"), max_bytes=3) == b"\x00\x01\x02"
        await made.mv("deep/er/file", "moved")
        assert await made.same_file("moved", "/workspace/moved")
        await made.rm("deep", recursive=True)
        with pytest.raises(WorkspaceReadNotFoundError):
            await made.read(Path("deep/er/file"))
        await made.exec("head -c 1048577 /dev/zero > big; mkfifo pipe; mkdir dir")
        for name in ("big", "pipe", "dir"):
            with pytest.raises(WorkspaceArchiveReadError):
                await made.read(Path(name))
        with pytest.raises(WorkspaceArchiveWriteError):
            await made.write(Path("dir"), io.BytesIO(b""))

    inside(do)


def test_no_path_leads_out() -> None:
    async def do(made: Any) -> None:
        await made.exec("ln -s /etc/passwd link; ln -s / root")
        for name in ("../etc/passwd", "/etc/passwd", "link", "root/etc/passwd"):
            with pytest.raises(InvalidManifestPathError):
                await made.read(Path(name))
        with pytest.raises(InvalidManifestPathError):
            await made.write(Path("root/tmp/x"), io.BytesIO(b""))

    inside(do)


def test_a_patch() -> None:
    async def do(made: Any) -> None:
        create = {"type": "create_file", "path": "new", "diff": "+one\n+two"}
        change = {"type": "update_file", "path": "new", "diff": "@@\n-one\n+three\n two"}
        await made.apply_patch([create])
        await made.apply_patch([change])
        assert (await made.exec("cat new")).stdout.split() == [b"three", b"two"]

    inside(do)


@pytest.mark.parametrize(
    "manifest",
    [Manifest(users=[User(name="other")])],
    ids=["users"],
)
def test_what_a_cell_cannot_have_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ConfigurationError, match="a cell has none"):
        asyncio.run(SecludeSandboxClient().create(manifest=manifest))


def test_a_wrong_policy_is_an_error_at_once() -> None:
    with pytest.raises(seclude.PolicyError):
        SecludeSandboxClient(scratch="many")
    with pytest.raises(ValueError, match="must be positive"):
        SecludeSandboxClient(timeout=0)


# ---- commands that keep running


def test_a_command_in_a_terminal() -> None:
    async def do(made: Any) -> None:
        shell = await made.pty_exec_start("cat", tty=True, yield_time_s=0.3)
        assert shell.process_id is not None
        told = await made.pty_write_stdin(
            session_id=shell.process_id, chars="hello\n", yield_time_s=1
        )
        assert told.output == b"hello\r\nhello\r\n"
        told = await made.pty_write_stdin(
            session_id=shell.process_id, chars="\x04", yield_time_s=30
        )
        assert (told.process_id, told.exit_code) == (None, 0)
        with pytest.raises(SandboxError):
            await made.pty_write_stdin(session_id=shell.process_id, chars="x")

    inside(do)


def test_a_flood_waits_for_the_agent() -> None:
    async def do(made: Any) -> None:
        flood = await made.pty_exec_start("yes", yield_time_s=1)
        assert flood.exit_code is None
        assert len(flood.output) <= (1 << 20) + (1 << 16)
        await made.pty_terminate_all()
        assert not any("yes" in one.command for one in made._inner.cell.processes())

    inside(do)


# ---- the life of a session


def test_a_snapshot_is_resumed(tmp_path: Path) -> None:
    async def run() -> None:
        client = SecludeSandboxClient(seclude.Sandbox(memory="256M"))
        snapshot = LocalSnapshotSpec(base_path=tmp_path)
        made: Any = await client.create(snapshot=snapshot, options=SecludeSandboxClientOptions())
        async with made:
            await made.exec("echo kept > f; ln -s f link; mkfifo pipe")
            cell = made._inner.cell
        assert not cell.is_alive
        saved = json.loads(json.dumps(client.serialize_session_state(made.state)))
        assert "memory" not in json.dumps(saved)
        state = client.deserialize_session_state(saved)
        assert isinstance(state, SecludeSandboxSessionState)
        again = await client.resume(state)
        async with again:
            assert (await again.exec("cat link")).stdout == b"kept\n"

    asyncio.run(run())


def test_a_directory_of_the_callers_is_resumed(readable: Path) -> None:
    async def run() -> None:
        client = SecludeSandboxClient(directory=readable)
        async with session(client) as made:
            await made.write(Path("made"), io.BytesIO(b"inside"))
        again = await client.resume(made.state)
        async with again:
            assert (await again.exec("cat made")).stdout == b"inside"

    asyncio.run(run())
    assert (readable / "made").read_bytes() == b"inside"


def archive(name: str, link: str | None = None) -> io.BytesIO:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as members:
        member = tarfile.TarInfo(name)
        if link is not None:
            member.type, member.linkname = tarfile.SYMTYPE, link
        members.addfile(member)
    data.seek(0)
    return data


@pytest.mark.parametrize(
    "data",
    [
        archive("../out"),
        archive("/etc/out"),
        archive("link", "/etc"),
        archive("link", "../.."),
        io.BytesIO(b"no archive"),
    ],
    ids=["parent", "absolute", "absolute link", "link out", "no archive"],
)
def test_a_hostile_archive_is_refused(data: io.BytesIO) -> None:
    async def do(made: Any) -> None:
        with pytest.raises(WorkspaceArchiveWriteError):
            await made.hydrate_workspace(data)

    inside(do)


def test_a_large_archive_is_refused(tmp_path: Path) -> None:
    async def do(made: Any) -> None:
        with pytest.raises(WorkspaceArchiveWriteError, match="archive"):
            await made.hydrate_workspace(io.BytesIO(bytes(2 << 20)))
        await made.exec("head -c 2097152 /dev/zero > big")
        with pytest.raises(WorkspaceArchiveReadError):
            await made.persist_workspace()

    inside(do, snapshot="1M")
