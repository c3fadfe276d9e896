"""Messages and tools as transformers hands them to a chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from callsmith import JsonValue, Message, RenderError, ToolCall, ToolSpec, tool_to_openai


def as_variables(
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    *,
    add_generation_prompt: bool,
    arguments: Literal["object", "json"],
) -> dict[str, Any]:
    """The variables that every template is given. Raises `RenderError`."""
    return {
        "messages": [
            _message(message, f"messages[{index}]", arguments)
            for index, message in enumerate(messages)
        ],
        "tools": [tool_to_openai(tool) for tool in tools] or None,
        "documents": None,
        "add_generation_prompt": add_generation_prompt,
    }


def _message(
    message: Message, place: str, arguments: Literal["object", "json"]
) -> dict[str, JsonValue]:
    content = message.content
    out: dict[str, JsonValue] = {
        "role": message.role,
        "content": "" if content is None else content,
    }
    if message.reasoning is not None:
        # The two names in use: templates read one of them, or either.
        out["reasoning"] = out["reasoning_content"] = message.reasoning
    if message.tool_calls:
        out["tool_calls"] = [_call(call, place, arguments) for call in message.tool_calls]
    if message.tool_call_id is not None:
        out["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        out["name"] = message.name
    return out


def _call(call: ToolCall, place: str, arguments: Literal["object", "json"]) -> dict[str, JsonValue]:
    value: JsonValue = call.arguments
    if arguments == "json":
        try:
            value = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise RenderError(
                f"{place}: the arguments of {call.name!r:.80} cannot be written as JSON: {error}"
            ) from None
    function: dict[str, JsonValue] = {"name": call.name, "arguments": value}
    out: dict[str, JsonValue] = {"type": "function", "function": function}
    if call.id is not None:
        out["id"] = call.id
    return out
