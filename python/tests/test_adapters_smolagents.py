"""The executor for smolagents: the agent loop, values that cross, and hostile code.

`make test-adapters` installs the framework and runs these. Elsewhere they are skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import seclude

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("smolagents", reason="smolagents is not installed: make test-adapters")

from smolagents import CodeAgent, Model, tool
from smolagents.models import ChatMessage, MessageRole
from smolagents.utils import AgentExecutionError

from seclude.adapters.smolagents import SecludeExecutor

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> None:
    """Take the place of the check after every test, which costs seconds with these packages."""


@pytest.fixture
def executor() -> Iterator[SecludeExecutor]:
    with SecludeExecutor() as made:
        made.send_tools({})
        yield made


class Scripted(Model):
    """A model that says what a test has written for it, and keeps what it was told."""

    def __init__(self, *codes: str) -> None:
        super().__init__()
        self.codes, self.told = list(codes), ""

    def generate(self, messages: Any, **_: Any) -> Any:
        """Return the next piece of code."""
        self.told = str(messages)
        text = f"Thought: next.\n<code>\n{self.codes.pop(0)}\n</code>"
        return ChatMessage(role=MessageRole.ASSISTANT, content=text)


@tool
def double(number: int) -> int:
    """Double a number.

    Args:
        number: The number.
    """
    return 2 * number


@tool
def needy(number: int) -> int:
    """Need a package that is not there.

    Args:
        number: The number.
    """
    import no_such_package

    return int(no_such_package.of(number))


def agent(executor: SecludeExecutor, *codes: str, tools: Any = ()) -> Any:
    return CodeAgent(
        tools=list(tools), model=Scripted(*codes), executor=executor, verbosity_level=0
    )


def test_an_agent_works_inside() -> None:
    with SecludeExecutor() as executor:
        worker = agent(
            executor,
            "import os\nhalf = double(number=given)\nprint(half, os.getcwd(), os.getuid())",
            "final_answer({'answer': (half, b'bytes')})",
            tools=[double],
        )
        assert worker.run("go", additional_args={"given": 21}) == {"answer": (42, b"bytes")}
        assert "42 /workspace 1000" in worker.model.told


def test_an_agent_learns_of_its_errors() -> None:
    with SecludeExecutor(timeout=10) as executor:
        worker = agent(executor, "1 / 0", "import os; os._exit(3)", "final_answer('enough')")
        assert worker.run("go") == "enough"
        assert "ZeroDivisionError" in worker.model.told
        assert "ended with 3; all variables are lost" in worker.model.told


def test_an_agents_cleanup_ends_the_cell() -> None:
    executor = SecludeExecutor()
    with agent(executor, "final_answer(1)") as worker:
        worker.run("go")
    assert not executor.cell.is_alive


def test_state_and_the_last_value(executor: SecludeExecutor) -> None:
    executor("x = 6")
    assert executor("print('seen')\nx * 7").output == 42
    assert executor("print('seen')\nx * 7").logs == "seen\n"
    assert executor("").output is None
    assert executor("lambda: 0").output.startswith("<function <lambda>")


def test_names_of_the_agent_do_not_meet_those_of_the_guest(executor: SecludeExecutor) -> None:
    assert executor("read = written = json = ast = step = MARK = None\n(1, 2)").output == (1, 2)


def test_tools_and_variables_outlast_the_state() -> None:
    with SecludeExecutor(timeout=3) as executor:
        executor.send_variables({"given": [1, 2]})
        executor.send_tools({"double": double})
        executor("own = 1")
        with pytest.raises(AgentExecutionError, match="killed after 3 seconds"):
            executor("while True: pass")
        assert executor("double(number=len(given))").output == 4
        with pytest.raises(AgentExecutionError, match="'own' is not defined"):
            executor("own")


PICKLED = """
class Trap:
    def __reduce__(self):
        return (open, ({path!r}, "w"))
import pickle
"""


@pytest.mark.parametrize(
    "code",
    [
        "Trap()",
        "pickle.dumps(Trap())",
        "final_answer('pickle:' + __import__('base64').b64encode(pickle.dumps(Trap())).decode())",
        "__seclude__.written = lambda value: {'__seclude__': 'pickle', 'data': 'gASVAA=='}\n(1,)",
    ],
)
def test_nothing_is_unpickled(tmp_path: Path, code: str) -> None:
    path = tmp_path / "made"
    with SecludeExecutor() as executor:
        executor.send_tools({"final_answer": agent(executor).tools["final_answer"]})
        executor(PICKLED.format(path=str(path)))
        try:
            executor(code)
        except AgentExecutionError:
            pass
    assert not path.exists()


HOSTILE = """
import os, struct
body = {body}
os.write(4, struct.pack("<I", len(body)) + body)
"""


@pytest.mark.parametrize(
    "body",
    [
        "b'[' * 100_000",
        "b'{\"value\": ' + b'[' * 100_000 + b']' * 100_000 + b'}'",
        'b\'{"value": {"final": true}}\'',
        'b\'{"value": {"final": false, "value": {"__seclude__": "set", "data": [[]]}}}\'',
        "b'\\xff\\xfe'",
    ],
    ids=["deep", "deep value", "no value", "no set", "no text"],
)
def test_messages_of_hostile_code_are_an_error(executor: SecludeExecutor, body: str) -> None:
    with pytest.raises(AgentExecutionError):
        executor(HOSTILE.format(body=body))
    assert executor("6 * 7").output == 42


def test_output_is_bounded() -> None:
    with SecludeExecutor(output=1000) as executor:
        logs = executor("print('a' + 'x' * 100_000 + 'b')").logs
        assert len(logs) < 1200
        assert logs.startswith("a")
        assert "truncated" in logs


def test_there_is_no_network(executor: SecludeExecutor) -> None:
    lines = executor("open('/proc/net/dev').read().splitlines()[2:]").output
    assert [line.split(":")[0].strip() for line in lines] == ["lo"]


def test_what_a_tool_needs_must_be_inside(executor: SecludeExecutor) -> None:
    with pytest.raises(ImportError, match="no_such_package"):
        executor.send_tools({"needy": needy})


def test_an_agent_is_no_tool(executor: SecludeExecutor) -> None:
    with pytest.raises(TypeError, match="an agent cannot run inside"):
        executor.send_tools({"other": agent(executor)})


def test_a_value_that_cannot_enter_is_refused(executor: SecludeExecutor) -> None:
    with pytest.raises(TypeError, match="cannot leave or enter"):
        executor.send_variables({"handle": object()})


def test_a_final_answer_that_cannot_leave_is_an_error(executor: SecludeExecutor) -> None:
    executor.send_tools(agent(executor).tools)
    with pytest.raises(AgentExecutionError, match="cannot leave or enter"):
        executor("final_answer(object())")
    assert executor("final_answer({1: 2})").output == {1: 2}


def test_a_directory_and_a_policy_of_the_callers(readable: Path) -> None:
    policy = seclude.Sandbox(hostname="here", memory="256M")
    with SecludeExecutor(policy, directory=readable, at="/project") as executor:
        assert executor("import os\nopen('made', 'w').write('x')\nos.uname().nodename").output
    assert (readable / "made").read_text() == "x"
