"""Tool declarations: `declaration:NAME{description:…,parameters:{…}}`.

The canonical template shows a model only a part of JSON Schema: descriptions, types, `enum` of
strings, `items`, `nullable`, `properties` and `required`. Everything else is left out, and some
schemas give unbalanced or odd text (a missing `type`, type lists, `response` of another type than
object). The models were trained on exactly these bytes, so they are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from callsmith import PromptBuilder, RenderError, ToolSpec
from callsmith_gemma4.arguments import MAX_DEPTH, number_text, sorted_items, write_value
from callsmith_gemma4.control_tokens import QUOTE, TOOL_CLOSE, TOOL_OPEN

_SCHEMA_KEYS = frozenset(("description", "type", "properties", "required", "nullable"))


def write_declaration(prompt: PromptBuilder, tool: ToolSpec) -> None:
    """Adds one tool with its opening and closing tokens. Raises `RenderError`."""
    control, content = prompt.control, prompt.content
    control(TOOL_OPEN + "declaration:")
    content(tool.name)
    control("{description:" + QUOTE)
    content(tool.description)
    control(QUOTE)
    parameters = tool.parameters
    if parameters:
        _need_mapping(parameters, "parameters")
        control(",parameters:{")
        properties = parameters.get("properties")
        if properties:
            control("properties:{")
            _write_properties(prompt, _need_mapping(properties, "properties"), depth=0)
            control("},")
        required = parameters.get("required")
        if required:
            _write_required(prompt, required)
            control(",")
        if parameters.get("type"):
            _write_type(prompt, parameters["type"])
            control("}")  # missing without a type, as in the canonical template
    if tool.response is not None:
        response: Mapping[str, Any] = tool.response if isinstance(tool.response, Mapping) else {}
        control(",response:{")
        if response.get("description"):
            control("description:" + QUOTE)
            content(_text(response["description"]))
            control(QUOTE + ",")
        if _upper(response.get("type", "")) == "OBJECT":
            _write_type(prompt, response["type"])
            control("}")
    control("}" + TOOL_CLOSE)


def _write_properties(
    prompt: PromptBuilder,
    properties: Mapping[str, Any],
    *,
    depth: int,
    skip: frozenset[str] = frozenset(),
) -> None:
    """`name:{…}` of every property but those in `skip`."""
    if depth > MAX_DEPTH:
        raise RenderError(f"a tool's schema is nested more than {MAX_DEPTH} deep; flatten it")
    separator = ""
    for name, schema in sorted_items(properties):
        if name in skip:
            continue
        prompt.control(separator)
        prompt.content(name)
        prompt.control(":{")
        # `true`, `false` and other schemas that are no objects are shown without any member.
        _write_schema(prompt, schema if isinstance(schema, Mapping) else {}, depth=depth)
        separator = ","


def _write_schema(prompt: PromptBuilder, schema: Mapping[str, Any], *, depth: int) -> None:
    control = prompt.control
    get = schema.get
    comma = ""
    if get("description"):
        control("description:" + QUOTE)
        prompt.content(_text(schema["description"]))
        control(QUOTE)
        comma = ","
    kind = _upper(get("type", ""))
    if kind == "STRING":
        if get("enum"):
            control(comma + "enum:")
            write_value(prompt, schema["enum"], quoted_keys=True, depth=depth)
            comma = ","
    elif kind == "ARRAY":
        items = get("items")
        if isinstance(items, Mapping) and items:
            control(comma + "items:{")
            _write_items(prompt, items, depth=depth + 1)
            control("}")
            comma = ","
    if get("nullable"):
        control(comma + "nullable:true")
        comma = ","
    if kind == "OBJECT":
        control(comma + "properties:{")
        comma = ","
        properties = get("properties")
        if isinstance(properties, Mapping):
            _write_properties(prompt, properties, depth=depth + 1)
        else:  # an object without properties: its other keywords are shown as properties
            _write_properties(prompt, schema, depth=depth + 1, skip=_SCHEMA_KEYS)
        control("}")
        if get("required"):
            control(",")
            _write_required(prompt, schema["required"])
    control(comma)
    _write_upper_type(prompt, kind)
    control("}")


def _write_items(prompt: PromptBuilder, items: Mapping[str, Any], *, depth: int) -> None:
    """The schema of an array's items: here every keyword is shown, and type lists are lists."""
    separator = ""
    for key, value in sorted_items(items):
        if value is None:
            continue
        prompt.control(separator)
        separator = ","
        if key == "properties":
            prompt.control("properties:{")
            if isinstance(value, Mapping):
                _write_properties(prompt, value, depth=depth)
            prompt.control("}")
        elif key == "required":
            _write_required(prompt, value)
        elif key == "type":
            if isinstance(value, str):
                _write_type(prompt, value)
            else:
                prompt.control("type:")
                kinds = [_upper(kind) for kind in _each(value, "type")]
                write_value(prompt, list(kinds), quoted_keys=True, depth=depth)
        else:
            prompt.content(key)
            prompt.control(":")
            write_value(prompt, value, quoted_keys=True, depth=depth)


def _write_required(prompt: PromptBuilder, required: object) -> None:
    prompt.control("required:[")
    opening = QUOTE
    for name in _each(required, "required"):
        prompt.control(opening)
        prompt.content(_text(name))
        prompt.control(QUOTE)
        opening = "," + QUOTE
    prompt.control("]")


def _write_type(prompt: PromptBuilder, kind: object) -> None:
    _write_upper_type(prompt, _upper(kind))


def _write_upper_type(prompt: PromptBuilder, kind: str) -> None:
    prompt.control("type:" + QUOTE)
    prompt.content(kind)
    prompt.control(QUOTE)


def _upper(kind: object) -> str:
    return kind.upper() if isinstance(kind, str) else _text(kind).upper()


def _text(value: object) -> str:
    """Text of a member that should be text; others as Python prints them, as the template does."""
    if isinstance(value, str):
        return value
    return number_text(value) if isinstance(value, int) else str(value)


def _each(value: object, keyword: str) -> Iterable[object]:
    if isinstance(value, Iterable):
        return value
    raise RenderError(f"{keyword!r} in a tool's schema must be a list, not {value!r:.80}")


def _need_mapping(value: object, keyword: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise RenderError(f"{keyword!r} of a tool must be an object, not {value!r:.80}")
