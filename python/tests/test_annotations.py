"""What tools read at run time: annotations, signatures, and outcomes as plain data."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import pkgutil
import typing

import pytest

import seclude

# The modules of the package, without those of `python -m seclude`: `batch`, `tree`, `shell` and
# `__main__`.
MODULES = [
    f"seclude.{name}" for _, name, package in pkgutil.iter_modules(seclude.__path__) if not package
]
PUBLIC = [
    "seclude",
    *(
        name
        for name in MODULES
        if name not in {"seclude.__main__", "seclude.shell", "seclude._seclude"}
    ),
]


def annotated(module: str) -> typing.Iterator[tuple[str, object]]:
    """Yield the public classes and functions of a module, and the public methods of classes."""
    found = importlib.import_module(module)
    for name in sorted(set(dir(found)) | set(getattr(found, "__all__", ()))):
        thing = getattr(found, name)
        if name.startswith("_") or not getattr(thing, "__module__", "").startswith("seclude."):
            continue
        if inspect.isfunction(thing):
            yield f"{module}.{name}", thing
        elif isinstance(thing, type) and thing.__module__ != "seclude._seclude":
            yield f"{module}.{name}", thing
            for member, raw in vars(thing).items():
                method = raw.fget if isinstance(raw, property) else getattr(raw, "__func__", raw)
                if inspect.isfunction(method) and (
                    not member.startswith("_") or member == "__init__"
                ):
                    yield f"{module}.{name}.{member}", method


@pytest.mark.parametrize("module", PUBLIC)
def test_annotations_can_be_evaluated(module: str) -> None:
    wrong = []
    for name, thing in annotated(module):
        try:
            typing.get_type_hints(thing)
        except NameError as error:
            wrong.append(f"{name}: {error}")
    assert not wrong


def test_the_modules_are_looked_into() -> None:
    names = {name for module in PUBLIC for name, _ in annotated(module)}
    assert {
        "seclude.command_runner.CommandRunner.run",
        "seclude.Popen.__init__",
        "seclude.aio.Runner.create_subprocess_exec",
    } <= names
    assert typing.get_type_hints(seclude.Outcome)["ended"] is seclude.Ended


def test_a_sandboxes_signature_names_its_keywords() -> None:
    parameters = inspect.signature(seclude.Sandbox).parameters
    assert {"files", "memory", "wall_time", "seccomp"} <= parameters.keys()
    assert parameters.keys() == seclude.Policy.__annotations__.keys()
    assert all(parameter.default is None for parameter in parameters.values())
    with pytest.raises(TypeError):
        inspect.signature(seclude.Sandbox).bind(wall_tiem=5)


def test_an_outcome_is_plain_data(box: seclude.Sandbox) -> None:
    outcome = box.run(["true"]).outcome
    told = json.loads(json.dumps(dataclasses.asdict(outcome)))
    assert told["ended"]["name"] == "exited"
    assert set(told["enforced"]) == set(outcome.enforced)


def test_what_pydantic_makes_of_it(box: seclude.Sandbox) -> None:
    pydantic = pytest.importorskip(
        "pydantic", reason="pydantic is not installed: pip install pydantic"
    )
    outcome = box.run(["true"]).outcome
    for kind in (seclude.Ended, seclude.Usage, seclude.Outcome, seclude.Job):
        assert pydantic.TypeAdapter(kind).json_schema()
    model = pydantic.create_model("Model", outcome=(seclude.Outcome, ...))
    assert json.loads(model(outcome=outcome).model_dump_json())["outcome"]["returncode"] == 0
