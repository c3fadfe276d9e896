"""Loosely written types as JSON Schema, and tools whose own schema is invalid."""

from __future__ import annotations

from typing import Any

import pytest

from callsmith import ToolSpec
from callsmith_tasks.data.schema import parameters_schema, python_type, tool_problem
from fixtures.data_rows import WEATHER


@pytest.mark.parametrize(
    ("text", "schema", "optional"),
    [
        ("str", {"type": "string"}, False),
        ("str, optional", {"type": "string"}, True),
        ("int, optional (default is 5)", {"type": "integer"}, True),
        ("List[int]", {"type": "array", "items": {"type": "integer"}}, False),
        (
            "List[List[float]], optional",
            {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
            True,
        ),
        ("Dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}, False),
        ("Tuple[int, int]", {"type": "array", "items": {"type": "integer"}}, False),
        ("Optional[bool]", {"type": "boolean"}, True),
        ("Union[int, str]", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, False),
        ("int | str", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, False),
        ("Dict[str, Any]", {"type": "object"}, False),
        ("Any", {}, False),
        ("dict", {"type": "object"}, False),
        ("string", {"type": "string"}, False),
        ("Callable[[float], float]", {"type": "Callable[[float], float]"}, False),
    ],
)
def test_types_in_python_words(text: str, schema: dict[str, Any], optional: bool) -> None:
    assert python_type(text) == (schema, optional)


def test_json_schema_passes_through_untouched() -> None:
    schema: Any = {
        "type": "object",
        "properties": {
            "a": {"type": ["string", "null"], "enum": ["x", None]},
            "b": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/n"}]},
        },
        "required": ["a"],
        "$defs": {"n": {"type": "number"}},
        "additionalProperties": False,
    }
    assert parameters_schema(schema) == schema
    assert list(parameters_schema(schema) or ()) == list(schema)


def test_a_parameter_may_be_called_type_or_properties() -> None:
    found = parameters_schema(
        {
            "type": {"type": "str", "description": "The kind."},
            "properties": {"type": "List[str], optional", "description": "Names."},
        }
    )
    assert found == {
        "type": "object",
        "properties": {
            "type": {"type": "string", "description": "The kind."},
            "properties": {
                "type": "array",
                "description": "Names.",
                "items": {"type": "string"},
            },
        },
        "required": ["type"],
    }


def test_required_at_a_property_moves_to_the_object() -> None:
    found = parameters_schema(
        {
            "type": "dict",
            "properties": {"a": {"type": "str", "required": True}, "b": {"type": "str"}},
        }
    )
    assert found is not None
    assert found["required"] == ["a"]
    assert found["properties"] == {"a": {"type": "string"}, "b": {"type": "string"}}


@pytest.mark.parametrize(
    ("parameters", "reason", "said"),
    [
        ({"type": "object", "properties": {"a": {"type": "strnig"}}}, "invalid-tool", "strnig"),
        ({"type": "array"}, "invalid-tool", "array"),
        ({"type": "object", "required": "a"}, "invalid-tool", "required"),
        ({"type": "object", "properties": {"a": {}, "b": None}}, "unified-schema", "'b'"),
        (
            {"type": "object", "properties": {"a": {"type": "object", "properties": {"c": None}}}},
            "unified-schema",
            "'a.c'",
        ),
    ],
)
def test_invalid_tools_are_named(parameters: Any, reason: str, said: str) -> None:
    found = tool_problem(ToolSpec(name="lamp", parameters=parameters))
    assert found is not None
    assert found[0] == reason
    assert "'lamp'" in found[1]
    assert said in found[1]


def test_valid_tools_have_no_problem() -> None:
    assert tool_problem(ToolSpec(name="f", parameters=WEATHER["parameters"])) is None  # type: ignore[arg-type]
    assert tool_problem(ToolSpec(name="f")) is None
