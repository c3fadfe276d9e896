"""What a tool's schema says about a value, for the few readings that a schema decides.

Schemas come from strangers, so nothing here trusts their shape: what is not understood decides
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from callsmith import JsonValue

_MAX_STEPS = 8
"""References that are followed one after the other."""

_MAX_OPTIONS = 32
"""Schemas that are looked at, through `anyOf`, before the outer one counts as not understood."""


def property_schema(schema: object, key: str, root: object) -> object:
    """The schema of the member `key` of an object of `schema`; None if it says nothing."""
    resolved = resolve(schema, root)
    if not isinstance(resolved, Mapping):
        return None
    properties = resolved.get("properties")
    if isinstance(properties, Mapping) and key in properties:
        return properties[key]
    return resolved.get("additionalProperties")


def item_schema(schema: object, root: object) -> object:
    """The schema of the items of an array of `schema`; None if it says nothing."""
    resolved = resolve(schema, root)
    return resolved.get("items") if isinstance(resolved, Mapping) else None


def property_names(schema: object, root: object) -> frozenset[str]:
    """The members that an object of `schema` is declared to have."""
    resolved = resolve(schema, root)
    properties = resolved.get("properties") if isinstance(resolved, Mapping) else None
    return frozenset(properties) if isinstance(properties, Mapping) else frozenset()


def resolve(schema: object, root: object) -> object:
    """`schema` behind its local `$ref`s; None where they lead nowhere."""
    for _ in range(_MAX_STEPS):
        if not isinstance(schema, Mapping):
            return None
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        if not reference.startswith("#"):
            return None
        schema = root
        for part in reference[1:].split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            schema = schema.get(part) if isinstance(schema, Mapping) else None
    return None


def wants_text(schema: object, root: object) -> bool:
    """Whether text is the only value, null aside, that `schema` allows."""
    pending = [schema]
    for _ in range(_MAX_OPTIONS):
        if not pending:
            return True
        resolved = resolve(pending.pop(), root)
        if not isinstance(resolved, Mapping):
            return False
        options = resolved.get("anyOf", resolved.get("oneOf"))
        if isinstance(options, list) and "type" not in resolved:
            rest = [option for option in options if not _only_null(option, root)]
            if not rest:
                return False
            pending.extend(rest)
        elif not _names_text(resolved):
            return False
    return not pending


def _names_text(schema: Mapping[object, object]) -> bool:
    kind = schema.get("type")
    if isinstance(kind, str):
        return kind == "string"
    if isinstance(kind, list):
        return "string" in kind and all(name in ("string", "null") for name in kind)
    if "const" in schema:
        return isinstance(schema["const"], str)
    values = schema.get("enum")
    return isinstance(values, list) and _only_text(values)


def takes_nothing(schema: object, root: object) -> bool:
    """Whether an empty object is an answer to `schema`: no member is required."""
    resolved = resolve(schema, root)
    if resolved is None:
        return schema is None
    return isinstance(resolved, Mapping) and not resolved.get("required")


def _only_null(schema: object, root: object) -> bool:
    resolved = resolve(schema, root)
    return isinstance(resolved, Mapping) and (
        resolved.get("type") == "null" or ("const" in resolved and resolved["const"] is None)
    )


def _only_text(values: list[JsonValue]) -> bool:
    rest = [value for value in values if value is not None]
    return bool(rest) and all(isinstance(value, str) for value in rest)
