"""The public surface: every name is there, declared once for the type checker and once for use."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys

import pytest

import callsmith


def declared() -> dict[str, str]:
    """Name to module of the imports that only a type checker runs."""
    (branch,) = [
        node for node in ast.parse(inspect.getsource(callsmith)).body if isinstance(node, ast.If)
    ]
    return {
        alias.name: node.module or ""
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_declarations_agree() -> None:
    found = declared()
    assert set(callsmith.__all__) == {*found, "__version__"}
    assert found == callsmith._PLACES


def test_every_name_is_the_object_of_its_module() -> None:
    for name, module in declared().items():
        assert getattr(callsmith, name) is getattr(importlib.import_module(module), name)
    assert set(callsmith.__all__) <= set(dir(callsmith))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Compltion'"):
        callsmith.Compltion  # type: ignore[attr-defined]  # noqa: B018


def test_importing_it_is_light() -> None:
    code = "import sys, callsmith; print(*sorted({'pydantic', 'asyncio', 'yaml', 'jsonschema', "
    code += "'numpy', 'aiohttp', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
