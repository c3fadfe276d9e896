"""The OpenAI shapes of messages, tools and calls, which most servers and data sets speak."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from callsmith.errors import ConfigError
from callsmith.types import JsonValue, Message, ToolCall, ToolSpec


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


def message_to_openai(message: Message, *, reasoning: str | None = None) -> dict[str, JsonValue]:
    """The message as servers take it; arguments are JSON text, a tool's result is text.

    `reasoning` names the field that a thought goes into; None leaves thoughts out. Arguments are
    always *valid* JSON text, also where a model wrote garbage (then they are a JSON string that
    holds it): servers decode the history's arguments before they render it, and many answer what
    they cannot decode with an error. `decode_arguments` gives back the same value either way.
    Raises `ConfigError` for arguments or a result that JSON cannot say.
    """
    out: dict[str, JsonValue] = {"role": message.role, "content": message.content}
    if message.role == "tool":
        out["content"] = _result_text(message.content)
    if message.name is not None:
        out["name"] = message.name
    if message.tool_call_id is not None:
        out["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        out["tool_calls"] = [_call_to_openai(call) for call in message.tool_calls]
        out["content"] = message.content or None
    if reasoning is not None and message.reasoning:
        out[reasoning] = message.reasoning
    return out


def _call_to_openai(call: ToolCall) -> dict[str, JsonValue]:
    arguments = _json_text(decode_arguments(call.arguments), f"the arguments of {call.name!r}")
    function: JsonValue = {"name": call.name, "arguments": arguments}
    out: dict[str, JsonValue] = {} if call.id is None else {"id": call.id}
    return {**out, "type": "function", "function": function}


def _result_text(content: JsonValue) -> str:
    """Text as it is; text parts joined; any other value as JSON text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content:
        texts = [_part_text(part) for part in content]
        if None not in texts:
            return "".join(text for text in texts if text is not None)
    return _json_text(content, "a tool's result")


def _part_text(part: JsonValue) -> str | None:
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
    return text if isinstance(text, str) else None


def _json_text(value: JsonValue, what: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"{what} cannot be written as JSON: {error}") from None


def messages_from_openai(data: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """A conversation; see `message_from_openai`."""
    return tuple(message_from_openai(item) for item in data)
