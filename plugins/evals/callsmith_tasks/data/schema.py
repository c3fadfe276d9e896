"""Loosely written parameters as JSON Schema, and what is wrong with a tool's schema.

Data sets write types in Python's words: xLAM `"str, optional"` and `"List[int]"`, ToolACE
`"dict"`. What is JSON Schema already passes through untouched. An unknown type word stays as it
is, so that the check names it instead of a guess being trained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jsonschema
from jsonschema.validators import validator_for

from callsmith import JsonValue, ToolSpec
from callsmith_tasks.data.row import RowError

JSON_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
WORDS: dict[str, str] = {
    **{name: name for name in JSON_TYPES},
    **dict.fromkeys(("str", "text", "date", "datetime", "char"), "string"),
    **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    "bool": "boolean",
    **dict.fromkeys(("list", "tuple", "set", "sequence", "iterable"), "array"),
    **dict.fromkeys(("dict", "mapping", "hashmap"), "object"),
    **dict.fromkeys(("none", "nonetype"), "null"),
}
FREE = ("any", "")
MAX_DEPTH = 64
_NESTED = re.compile(r"^(?P<head>\w+)\s*\[(?P<inner>.*)\]$", re.DOTALL)
OPEN = ("additionalProperties", "patternProperties", "$ref", "allOf", "anyOf", "oneOf")
"""Keywords that may give a meaning to arguments that `properties` does not list."""
_SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


def parameters_schema(data: JsonValue) -> dict[str, JsonValue] | None:
    """The JSON Schema of a tool's parameters.

    `data` is a schema, or a flat object from parameter name to `{"type": …, "description": …}`
    (xLAM). Raises `RowError` (`invalid-tool`) for what is neither.
    """
    if data is None:
        return None
    if not isinstance(data, Mapping):
        raise RowError("invalid-tool", f"parameters are no object but {data!r:.60}")
    if not data:
        return {"type": "object", "properties": {}}
    if _is_schema(data):
        found: dict[str, JsonValue] = _schema(data, 0)
        return found
    return _object({"type": "object", "properties": dict(data)}, 0, flat=True)


def _is_schema(data: Mapping[str, JsonValue]) -> bool:
    if isinstance(data.get("type"), str | list) or any(
        key in data for key in ("$ref", *_SCHEMA_LISTS)
    ):
        return True
    # `properties` alone could be a parameter's name; then it has a type of its own.
    inner = data.get("properties")
    return isinstance(inner, Mapping) and not isinstance(inner.get("type"), str)


def _schema(data: JsonValue, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise RowError("invalid-tool", f"the schema is nested more than {MAX_DEPTH} deep")
    if not isinstance(data, Mapping):
        return data
    out: dict[str, JsonValue] = dict(data)
    if isinstance(out.get("type"), str):
        read, _ = python_type(str(out.pop("type")))
        out = {**read, **out} if "items" in out or "properties" in out else {**out, **read}
    if out.get("required") is None:
        out.pop("required", None)
    if "items" in out:
        out["items"] = _schema(out["items"], depth + 1)
    for key in _SCHEMA_LISTS:
        if isinstance(options := out.get(key), list):
            out[key] = [_schema(option, depth + 1) for option in options]
    for key in ("additionalProperties", "not"):
        if isinstance(out.get(key), Mapping):
            out[key] = _schema(out[key], depth + 1)
    if isinstance(out.get("properties"), Mapping):
        out = _object(out, depth)
    return _type_first(out, data)


def _type_first(out: dict[str, JsonValue], data: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The keys in the order in which they were written; new ones at the end."""
    return {key: out[key] for key in (*(k for k in data if k in out), *out)}


def _object(data: Mapping[str, JsonValue], depth: int, *, flat: bool = False) -> dict[str, Any]:
    """An object schema: each property read; `required: true` and `optional` of a property count.

    A flat description lists no required names: those without `optional` and without a default
    are required.
    """
    properties = data["properties"]
    assert isinstance(properties, Mapping)
    listed = data.get("required")
    required = list(listed) if isinstance(listed, list) else []
    out: dict[str, JsonValue] = {}
    for name, item in properties.items():
        if not isinstance(item, Mapping):
            if flat:
                raise RowError("invalid-tool", f"the parameter {name!r} is {item!r:.60}")
            out[name] = item
            continue
        own = dict(item)
        optional = False
        if isinstance(own.get("type"), str):
            _, optional = python_type(str(own["type"]))
        wanted = own.get("required")
        if isinstance(wanted, bool):
            own.pop("required")
        read = _schema(own, depth + 1)
        if flat and "default" in read and not _fits(read["default"], read):
            read.pop("default")  # the default of a string "10" for an integer teaches errors
        out[name] = read
        due = wanted is True or (flat and wanted is None and not optional and "default" not in own)
        if due and name not in required:
            required.append(name)
        if optional and name in required:
            required.remove(name)
    found: dict[str, Any] = {**data, "properties": out}
    if required:
        found["required"] = required
    elif "required" in found and listed != []:
        del found["required"]
    return found


def _fits(value: JsonValue, schema: Mapping[str, JsonValue]) -> bool:
    try:
        kind = validator_for(dict(schema), default=jsonschema.Draft202012Validator)
        return bool(kind(dict(schema)).is_valid(value))
    except Exception:  # an invalid schema is found by `tool_problem`, which says where
        return True


def python_type(text: str) -> tuple[dict[str, JsonValue], bool]:
    """A type as it is written in data sets: (schema, whether it says `optional`).

    `"List[int], optional"` gives `({"type": "array", "items": {"type": "integer"}}, True)`.
    """
    parts = split_top(text, ",")
    optional = any(part.strip().casefold().startswith("optional") for part in parts[1:])
    head = parts[0].strip() if len(parts) > 1 and optional else text.strip()
    head = head.split("(default")[0].strip()
    found = _NESTED.match(head)
    if found and found["head"].casefold() == "optional":
        return _read_type(found["inner"], 0), True
    return _read_type(head, 0), optional


def _read_type(text: str, depth: int) -> dict[str, JsonValue]:
    text = text.strip()
    word = text.casefold().removeprefix("typing.")
    if word in FREE:
        return {}
    if word in WORDS:
        return {"type": WORDS[word]}
    union = split_top(text, "|")
    found = _NESTED.match(text.removeprefix("typing."))
    if depth > 8 or (not found and len(union) == 1):
        return {"type": text}
    head = found["head"].casefold() if found and len(union) == 1 else "union"
    inner = split_top(found["inner"], ",") if found and len(union) == 1 else union
    match WORDS.get(head, head):
        case "array" if head == "tuple" and len(inner) > 1 and inner[-1].strip() != "...":
            items = [_read_type(part, depth + 1) for part in inner]
            if all(item == items[0] for item in items):
                return {"type": "array", "items": items[0]}
            return {"type": "array", "items": {"anyOf": list(_distinct(items))}}
        case "array":
            return {"type": "array", "items": _read_type(inner[0], depth + 1)}
        case "object":
            value = _read_type(inner[-1], depth + 1)
            more: dict[str, JsonValue] = {"additionalProperties": value} if value else {}
            return {"type": "object", **more}
        case "union" | "optional":
            options = [_read_type(part, depth + 1) for part in inner]
            if head == "optional":
                options.append({"type": "null"})
            plain = _distinct(options)
            return plain[0] if len(plain) == 1 else {"anyOf": list(plain)}
    return {"type": text}


def _distinct(items: list[dict[str, JsonValue]]) -> list[Any]:
    return [item for at, item in enumerate(items) if item not in items[:at]]


def split_top(text: str, separator: str) -> list[str]:
    """Splits at separators that stand outside of brackets."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        if char in "[(":
            depth += 1
        elif char in "])":
            depth -= 1
        elif char == separator and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def tool_problem(tool: ToolSpec) -> tuple[str, str] | None:
    """(reason, detail) for a tool whose own declaration is invalid; None if it is fine.

    `unified-schema`: a property is null, which JSON Schema has no meaning for and which is the
    mark that Arrow leaves when it gives every tool the properties of all others.
    """
    if not tool.name:
        return "invalid-tool", "a tool has no name"
    if tool.parameters is None:
        return None
    schema = dict(tool.parameters)
    place = _null_property(schema, 0)
    if place:
        return "unified-schema", (
            f"the tool {tool.name!r}: the property {place!r} is null; the file was written by a "
            "library that gives every tool the properties of all others: write tools as JSON text"
        )
    if schema.get("type", "object") != "object":
        return "invalid-tool", (
            f"the tool {tool.name!r}: its parameters have the type {schema['type']!r:.40}, "
            "not 'object'"
        )
    try:
        validator_for(schema, default=jsonschema.Draft202012Validator).check_schema(schema)
    except jsonschema.SchemaError as error:
        place = ".".join(map(str, error.absolute_path))
        where = f"{place}: " if place else ""
        return "invalid-tool", f"the tool {tool.name!r}: {where}{error.message[:160]}"
    except RecursionError:
        return "invalid-tool", f"the tool {tool.name!r}: its schema is nested too deeply"
    return None


def unified_argument(arguments: JsonValue, schema: Mapping[str, JsonValue] | None) -> str:
    """The place of an argument that is null and that `schema` does not declare; "" without one.

    The mark that Arrow leaves in calls: every call gets the arguments of all others, as null. A
    schema that says what further properties mean is taken at its word.
    """
    return _undeclared_null(arguments, dict(schema or {}), 0)


def _undeclared_null(value: JsonValue, schema: JsonValue, depth: int) -> str:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return ""
    if isinstance(value, list):
        inside = (_undeclared_null(item, schema.get("items"), depth + 1) for item in value)
        return next(filter(None, inside), "")
    declared = schema.get("properties", {} if depth == 0 else None)
    if not isinstance(value, Mapping) or not isinstance(declared, Mapping):
        return ""
    is_open = any(key in schema for key in OPEN)
    for name, item in value.items():
        if name not in declared:
            if item is None and not is_open:
                return name
        elif inner := _undeclared_null(item, declared[name], depth + 1):
            return f"{name}.{inner}"
    return ""


def _null_property(schema: JsonValue, depth: int) -> str:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return ""
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        for name, item in properties.items():
            if item is None:
                return name
            if inner := _null_property(item, depth + 1):
                return f"{name}.{inner}"
    return _null_property(schema.get("items"), depth + 1)
