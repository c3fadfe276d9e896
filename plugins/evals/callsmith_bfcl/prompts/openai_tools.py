"""Function documents as the tools of an OpenAI-style chat completions request."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from callsmith_bfcl.data import FunctionDoc
from callsmith_bfcl.prompts.templates import Templates


def to_openai_tools(functions: Sequence[FunctionDoc], templates: Templates) -> list[dict[str, Any]]:
    """The tools: names with `_` for `.`, and schemas with the types of OpenAPI.

    Whatever else a document has (`response` in the simulated APIs) stays. Schemas are converted
    as deep as the official conversion goes: properties in properties, items, items of items, and
    properties of items.
    """
    tools = []
    for document in functions:
        function = copy.deepcopy(document)
        function["name"] = function["name"].replace(".", "_")
        parameters = function["parameters"]
        parameters["type"] = "object"
        _convert_properties(parameters["properties"], templates)
        tools.append({"type": "function", "function": function})
    return tools


def _convert_properties(properties: dict[str, Any], templates: Templates) -> None:
    for schema in properties.values():
        kind = schema.get("type")
        if kind == "float":
            schema["format"] = "float"
            schema["description"] += templates.float_note
        schema["type"] = _json_type(kind, templates)
        if schema["type"] not in ("array", "object"):
            continue
        if "properties" in schema:
            _convert_properties(schema["properties"], templates)
        elif "items" in schema:
            _convert_items(schema["items"], templates)


def _convert_items(items: dict[str, Any], templates: Templates) -> None:
    items["type"] = _json_type(items.get("type"), templates)
    if items["type"] == "array" and "items" in items:
        inner = items["items"]
        inner["type"] = _json_type(inner.get("type"), templates)
    elif items["type"] == "object" and "properties" in items:
        _convert_properties(items["properties"], templates)


def _json_type(kind: object, templates: Templates) -> str:
    return templates.json_types.get(kind, "string") if isinstance(kind, str) else "string"
