"""The stand-in has the signatures of the installed library, and so has what the arm relies on."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from enum import Enum
from typing import Any, is_typeddict

import pytest

from callsmith_vllm.adapters import RANKS
from callsmith_vllm.config import ENGINE_ARGUMENTS
from fixtures.vllm_engine import MODULES

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]

CLASSES = [(module, item) for module, contents in MODULES.items() for item in contents]
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def real(module: str, item: type) -> Any:
    return getattr(importlib.import_module(module), item.__name__)


def check(standin: Any, library: Any, what: str) -> None:
    """Every call that the stand-in takes, the library takes."""
    ours = inspect.signature(standin).parameters
    theirs = inspect.signature(library).parameters
    order = [name for name, parameter in theirs.items() if parameter.kind in POSITIONAL]
    for name, parameter in ours.items():
        if parameter.kind in VARIABLE:
            continue
        assert name in theirs, f"{what} has no parameter {name!r}"
        there = theirs[name]
        assert there.kind is not inspect.Parameter.POSITIONAL_ONLY, f"{what}: {name}"
        if parameter.default is inspect.Parameter.empty and parameter.kind in POSITIONAL:
            assert order.index(name) == list(ours).index(name), f"{what}: {name} moved"
    for name, parameter in theirs.items():
        if parameter.default is inspect.Parameter.empty and parameter.kind not in VARIABLE:
            assert name in ours, f"{what} wants {name!r} as well"


@pytest.mark.parametrize(
    ("module", "item"), CLASSES, ids=[f"{module}.{item.__name__}" for module, item in CLASSES]
)
def test_constructors_and_names(module: str, item: type) -> None:
    there = real(module, item)
    if issubclass(item, Enum):
        assert {member.name for member in item} <= {member.name for member in there}
    elif is_typeddict(item):
        assert set(item.__annotations__) <= set(there.__annotations__)
        assert item.__required_keys__ == there.__required_keys__  # type: ignore[attr-defined]
    elif issubclass(item, Exception) and "__init__" not in vars(item):
        assert issubclass(there, Exception)
    elif item.__name__ != "AsyncLLM":  # built by from_engine_args alone
        check(item, there, item.__name__)


@pytest.mark.parametrize(
    "name", ["from_engine_args", "generate", "abort", "add_lora", "get_tokenizer", "shutdown"]
)
def test_methods_of_the_engine(name: str) -> None:
    (standin,) = [item for _, item in CLASSES if item.__name__ == "AsyncLLM"]
    library = real("vllm.v1.engine.async_llm", standin)
    ours, theirs = getattr(standin, name), getattr(library, name)
    check(ours, theirs, name)
    for kind in (inspect.iscoroutinefunction, inspect.isasyncgenfunction):
        assert kind(ours) == kind(theirs), f"{name} is another kind of function"


def test_the_engine_arguments_that_options_decide() -> None:
    from vllm import AsyncEngineArgs

    names = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    assert set(ENGINE_ARGUMENTS.values()) | {"max_loras", "disable_log_stats"} <= names


def test_the_ranks_of_adapters() -> None:
    from typing import get_args

    from vllm.config.lora import MaxLoRARanks

    assert get_args(MaxLoRARanks) == RANKS
