"""Values to JSON and back, and the OpenAI shapes of messages, tools and calls.

`to_json` leaves out fields that have their default, so run folders stay readable and small;
`from_json` restores them. `loads(dumps(x), type(x)) == x` holds for every value.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from callsmith import types as values
from callsmith.errors import ConfigError
from callsmith.types import JsonValue, Message, ToolCall, ToolSpec

T = TypeVar("T")


def to_json(value: object) -> JsonValue:
    """A value (or tuple, list, mapping of values) as JSON; defaults are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out: dict[str, JsonValue] = {}
        for name, default in _fields(type(value)):
            item = getattr(value, name)
            if (
                default is not dataclasses.MISSING
                and item == default
                and type(item) is type(default)
            ):
                continue
            out[name] = to_json(item)
        return out
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} is not a JSON value")


@functools.cache
def _fields(kind: type) -> tuple[tuple[str, object], ...]:
    rows: list[tuple[str, object]] = []
    for item in dataclasses.fields(cast(Any, kind)):
        default: object = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        rows.append((item.name, default))
    return tuple(rows)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, vars(values))


def from_json(data: object, kind: type[T]) -> T:
    """The value of type `kind` that `data` describes. Raises `ConfigError` where it does not."""
    return cast(T, _decode(data, kind, ""))


def _decode(data: object, kind: Any, path: str) -> object:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(data, Mapping):
            raise ConfigError(
                f"expected an object for {kind.__name__}, got {data!r:.80}", path=path
            )
        hints = _hints(kind)
        unknown = [key for key in data if key not in hints]
        if unknown:
            known = ", ".join(hints)
            raise ConfigError(
                f"{kind.__name__} has no field {unknown[0]!r}; it has: {known}", path=path
            )
        items = {
            key: _decode(item, hints[key], f"{path}.{key}" if path else key)
            for key, item in data.items()
        }
        try:
            return kind(**items)
        except TypeError as error:
            raise ConfigError(f"{kind.__name__}: {error}", path=path) from error
    origin = typing.get_origin(kind)
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise ConfigError(f"expected a list, got {data!r:.80}", path=path)
        arguments = typing.get_args(kind)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_decode(x, arguments[0], f"{path}[{i}]") for i, x in enumerate(data))
        if len(data) != len(arguments):
            raise ConfigError(f"expected {len(arguments)} items, got {len(data)}", path=path)
        pairs = zip(data, arguments, strict=True)
        return tuple(_decode(x, kind, f"{path}[{i}]") for i, (x, kind) in enumerate(pairs))
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        if data is None:
            return None
        if len(options) == 1:
            return _decode(data, options[0], path)
        return data  # a JsonValue: whatever it is
    if origin is typing.Literal:
        if data not in typing.get_args(kind):
            allowed = ", ".join(map(str, typing.get_args(kind)))
            raise ConfigError(f"{data!r:.80} is not one of: {allowed}", path=path)
        return data
    if kind is float and type(data) is int:
        return float(data)
    if kind in (str, int, float, bool) and type(data) is not kind:
        raise ConfigError(f"expected {kind.__name__}, got {data!r:.80}", path=path)
    if origin is not None and issubclass(origin, Mapping) and not isinstance(data, Mapping):
        raise ConfigError(f"expected an object, got {data!r:.80}", path=path)
    return data


def dumps(value: object) -> str:
    """A value as one line of JSON (UTF-8 text, no line break inside)."""
    return json.dumps(to_json(value), ensure_ascii=False, separators=(",", ":"))


def loads(text: str, kind: type[T]) -> T:
    """The inverse of `dumps`."""
    return from_json(json.loads(text), kind)


def decode_arguments(raw: object) -> JsonValue:
    """The arguments of a call as servers send them: one function for every arm.

    Nothing or an empty string is no arguments; a JSON string is its value, whatever that is; a
    malformed string stays as it is, untouched; a value that is no string is taken as it is.
    Never raises and never turns garbage into an empty object.
    """
    if raw is None:
        return {}
    if not isinstance(raw, str):
        return cast(JsonValue, raw)
    if not raw.strip():
        return {}
    try:
        return cast(JsonValue, json.loads(raw, parse_constant=_no_constant))
    except (ValueError, RecursionError):
        return raw


def _no_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not JSON")


def tool_from_openai(data: Mapping[str, Any]) -> ToolSpec:
    """A tool from `{"type": "function", "function": {…}}`, or from the inner object alone."""
    function = data.get("function", data) if isinstance(data, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ConfigError(f"a tool needs a name: {data!r:.120}")
    for key, kind in (("parameters", Mapping), ("description", str)):
        if not isinstance(function.get(key), kind | None):
            raise ConfigError(
                f"the {key} of the tool {function['name']!r} must be a {kind.__name__}"
            )
    return ToolSpec(
        name=function["name"],
        description=function.get("description") or "",
        parameters=function.get("parameters"),
        response=function.get("response"),
    )


def tool_to_openai(tool: ToolSpec) -> dict[str, JsonValue]:
    """The inverse of `tool_from_openai`."""
    function: dict[str, JsonValue] = {"name": tool.name, "description": tool.description}
    if tool.parameters is not None:
        function["parameters"] = dict(tool.parameters)
    if tool.response is not None:
        function["response"] = tool.response
    return {"type": "function", "function": function}


def message_from_openai(data: Mapping[str, Any]) -> Message:
    """A message from the OpenAI shape; reasoning under any of its three names.

    Arguments are taken as they are: decoding a server's JSON text is the arm's business.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("role"), str):
        raise ConfigError(f"a message needs a role: {data!r:.120}")
    rows = data.get("tool_calls") or ()
    if not isinstance(rows, list | tuple):
        raise ConfigError(f"tool_calls must be a list: {rows!r:.120}")
    calls = tuple(_call_from_openai(row) for row in rows)
    reasoning = data.get("reasoning")
    for key in ("reasoning", "reasoning_content", "thinking", "tool_call_id", "name", "tool_name"):
        if not isinstance(data.get(key), str | None):
            raise ConfigError(f"the {key} of a message must be text: {data[key]!r:.80}")
    for alias in ("reasoning_content", "thinking"):
        reasoning = reasoning or data.get(alias)
    return Message(
        role=data["role"],
        content=data.get("content"),
        reasoning=reasoning,
        tool_calls=calls,
        tool_call_id=data.get("tool_call_id"),
        name=data.get("name", data.get("tool_name")),
    )


def _call_from_openai(data: object) -> ToolCall:
    function = data.get("function", data) if isinstance(data, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ConfigError(f"a tool call needs a function with a name: {data!r:.120}")
    identity = cast(Mapping[str, Any], data).get("id")
    return ToolCall(name=function["name"], arguments=function.get("arguments"), id=identity)


def messages_from_openai(data: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """A conversation; see `message_from_openai`."""
    return tuple(message_from_openai(item) for item in data)
