"""What the executor for smolagents runs inside, in a module `__seclude__` of its own.

The names of `marked.py` are in the same module. The agent's code runs in another namespace, but may
change whatever is here: what `step` returns is not trusted.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # They are there at run time, too: see above.
    from seclude.adapters.marked import read, written  # noqa: TC004

LONGEST = 20_000


class FinalAnswer(BaseException):
    """Carries the final answer out of the agent's code."""


def final_answer_of(tool: Callable[..., Any]) -> Callable[..., Any]:
    """Return a tool that ends the agent's code with its result."""

    def final_answer(*args: Any, **named: Any) -> Any:
        raise FinalAnswer(written(tool(*args, **named)))

    return final_answer


def assign(text: str, world: dict[str, Any]) -> None:
    """Set variables."""
    world.update(read(json.loads(text)))


def lacking(names: Iterable[str]) -> list[str]:
    """Return the modules that cannot be imported here."""
    from importlib.util import find_spec

    return [name for name in names if find_spec(name) is None]


def step(code: str, world: dict[str, Any]) -> dict[str, Any]:
    """Run the agent's code, and return its final answer or the value of its last expression."""
    tree = ast.parse(code, "<agent>")
    last = tree.body[-1] if tree.body else None
    value = None
    try:
        if isinstance(last, ast.Expr):
            del tree.body[-1]
            exec(compile(tree, "<agent>", "exec"), world)
            value = eval(compile(ast.Expression(last.value), "<agent>", "eval"), world)
        else:
            exec(compile(tree, "<agent>", "exec"), world)
    except FinalAnswer as final:
        return {"final": True, "value": final.args[0]}
    try:
        return {"final": False, "value": written(value)}
    except TypeError:
        return {"final": False, "value": repr(value)[:LONGEST]}
