"""An executor for `smolagents`: the code that an agent writes runs in a warm interpreter in a cell.

    from seclude.adapters.smolagents import SecludeExecutor

    with SecludeExecutor() as executor:
        agent = CodeAgent(tools=[], model=model, executor=executor)

Tools run inside too. Their results and the agent's are read as JSON, and never unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from types import TracebackType
from typing import Any, Self

import seclude

from ..command import Text
from ..errors import TimeoutExpired
from ..interpreter import InterpreterError, InterpreterLost
from . import missing
from .marked import read, written
from .workspace import ROOT, SCRATCH, with_work_directory

VERSION = "1.26.0"
"""The version of smolagents that this adapter was tested with."""

try:
    from smolagents.local_python_executor import CodeOutput, PythonExecutor
    from smolagents.monitoring import AgentLogger, LogLevel
    from smolagents.tools import Tool, get_tools_definition_code
    from smolagents.utils import AgentExecutionError, truncate_content
except ImportError as error:
    raise missing("smolagents", VERSION, error) from error

_FINAL = "final_answer"
_GUEST = """
__seclude__ = __import__("types").ModuleType("__seclude__")
for __seclude__.source in {sources!r}:
    exec(__seclude__.source, __seclude__.__dict__)
__import__("os").chdir({at!r})
"""


class SecludeExecutor(PythonExecutor):
    """A `PythonExecutor` that runs code in a sandbox.

    - `sandbox`: the policy. The default has no network, 1 GiB of memory and 256 processes.
    - `directory`: a directory of the caller's to work in, bound writable. Without one, the work
      directory is in memory, has the size `scratch`, and is gone at the end.
    - `at`: where the work directory is inside. It is the code's working directory.
    - `preload`, `path`, `python`: as of `Sandbox.interpreter`.
    - `timeout`: seconds for each piece of code.
    - `output`: the most characters of the output that the agent gets to see; the middle of more is
      left out. Code that writes more than 64 MiB is ended.

    The results of code are text, numbers, bytes, lists, dictionaries, sets, tuples, dates and
    decimals. An array of numpy arrives as a list, and an image as the bytes of a PNG file.

    Code whose time is over, and code that ends its interpreter, loses all variables. The agent
    learns this from the error. Tools and the variables of the caller are there again.
    """

    def __init__(
        self,
        sandbox: seclude.Sandbox | None = None,
        *,
        directory: Text | None = None,
        at: str = ROOT,
        scratch: int | str = SCRATCH,
        preload: Iterable[str] = (),
        path: Iterable[Text] = (),
        python: Text = "python3",
        timeout: float = 60,
        output: int = 20_000,
        logger: AgentLogger | None = None,
    ) -> None:
        if not timeout > 0:
            raise ValueError(f"timeout {timeout}: must be positive; hint: seconds, such as 60")
        self._timeout, self._longest = timeout, output
        self._logger = AgentLogger(level=LogLevel.OFF) if logger is None else logger
        # A module of its own, so that names of the agent's code do not meet those of the guest.
        sources = [
            files(__package__).joinpath(name).read_text(encoding="utf-8")
            for name in ("marked.py", "smolagents_guest.py")
        ]
        self._guest = _GUEST.format(sources=sources, at=at)
        self._variables: dict[str, Any] = {}
        self._tools = ""
        self._ready = False
        policy = with_work_directory(sandbox, directory, at, scratch)
        self._interpreter = policy.interpreter(preload=preload, path=path, python=python)
        self.cell = self._interpreter._cell
        """The cell, for all that the framework has no words for."""

    # ---- what an agent calls

    def send_variables(self, variables: Mapping[str, Any]) -> None:
        """Set variables inside. Raises TypeError for a value that cannot enter the sandbox."""
        if variables:
            self._variables.update({name: written(value) for name, value in variables.items()})
            self._ready = False

    def send_tools(self, tools: Mapping[str, Tool]) -> None:
        """Define tools inside, from their source.

        Raises TypeError for an agent in place of a tool, and ImportError if a tool imports what
        the sandbox does not have.
        """
        for name, tool in tools.items():
            if not isinstance(tool, Tool):
                raise TypeError(
                    f"{name}: an agent cannot run inside; hint: use managed agents without executor"
                )
        wanted = {name for tool in tools.values() for name in tool.to_dict()["requirements"]}
        self._tools = get_tools_definition_code(tools) if tools else ""
        if _FINAL in tools:
            self._tools += f"\n{_FINAL} = __seclude__.final_answer_of({_FINAL})\n"
        self._ready = False
        self._run(self._guest)
        lacking = self._eval(f"__seclude__.lacking({sorted(wanted - {'smolagents'})!r})", [])
        if lacking:
            raise ImportError(
                f"tools import {lacking}, which the sandbox does not have; hint: show a directory "
                "that has them with `path`"
            )
        self._prepare()

    def __call__(self, code_action: str) -> CodeOutput:
        """Run code, and return its output and the value of its last expression.

        Raises AgentExecutionError with what the agent should know if the code fails.
        """
        self._prepare()
        shown: list[str] = []
        told = self._eval(f"__seclude__.step({code_action!r}, globals())", shown)
        try:
            output, final = read(told["value"]), told["final"] is True
        except (TypeError, LookupError, ValueError):
            # What else it has sent must not be taken for the answer to the next call.
            self._ready = False
            self._interpreter.reset()
            told = "the interpreter has sent no value; all variables are lost"
            raise self._failed(told, shown) from None
        return CodeOutput(output=output, logs=self._text(shown), is_final_answer=final)

    def cleanup(self) -> None:
        """End everything inside, and wait until it is gone."""
        self._interpreter.close()

    close = cleanup

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cleanup()

    # ---- the state inside

    def _prepare(self) -> None:
        """Make sure that the state has what the caller has sent."""
        if not self._ready:
            variables = json.dumps(self._variables)
            self._run(self._guest, f"__seclude__.assign({variables!r}, globals())", self._tools)
            self._ready = True

    def _run(self, *pieces: str) -> None:
        for piece in pieces:
            self._guarded(lambda code, **how: self._interpreter.run(code, **how), piece, [])

    def _eval(self, code: str, shown: list[str]) -> Any:
        return self._guarded(self._interpreter.eval, code, shown)

    def _guarded(self, do: Any, code: str, shown: list[str]) -> Any:
        """Run code inside, and turn what can go wrong into the framework's error."""
        add = shown.append
        try:
            return do(code, timeout=self._timeout, on_stdout=add, on_stderr=add)
        except InterpreterError as error:
            raise self._failed(error.traceback or str(error), shown) from None
        except TimeoutExpired:
            self._ready = False
            told = f"killed after {self._timeout} seconds; all variables are lost"
            raise self._failed(told, shown) from None
        except InterpreterLost as error:
            self._ready = False
            raise self._failed(f"{error}; all variables are lost", shown) from None
        except BaseException:
            self._ready = False
            raise

    def _failed(self, why: str, shown: list[str]) -> AgentExecutionError:
        return AgentExecutionError(self._text([*shown, "\n", why]), self._logger)

    def _text(self, pieces: list[str]) -> str:
        text: str = truncate_content("".join(pieces), self._longest)
        return text
