"""Messages and tools as the worker takes them: text, and calls with objects of arguments. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from callsmith import (
    ControlCheck,
    JsonValue,
    Message,
    RenderError,
    ToolCall,
    ToolSpec,
    decode_arguments,
)


def convert(messages: Sequence[Message], check: ControlCheck) -> list[dict[str, Any]]:
    """The conversation. Raises `RenderError` for what the library's format cannot hold."""
    if not messages:
        raise RenderError("the conversation is empty")
    names: dict[str, str] = {}
    out: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = {"developer": "system", "model": "assistant"}.get(message.role, message.role)
        if role not in ("system", "user", "assistant", "tool"):
            raise RenderError(f"{where}: the library has no role {message.role!r}")
        entry: dict[str, Any] = {
            "role": role,
            "content": check.text(content_text(message, where), f"{where}.content"),
        }
        if role == "assistant":
            if message.reasoning:
                entry["reasoning"] = check.text(message.reasoning, f"{where}.reasoning")
            entry["calls"] = [
                _call(call, f"{where}.tool_calls[{at}]", check)
                for at, call in enumerate(message.tool_calls)
            ]
            names |= {call.id: call.name for call in message.tool_calls if call.id}
        if role == "tool":
            name = message.name or names.get(message.tool_call_id or "")
            if not name:
                raise RenderError(f"{where}: a result needs its tool's name or its call's id")
            entry["name"] = check.text(name, f"{where}.name")
        out.append(entry)
    return out


def content_text(message: Message, where: str) -> str:
    """A message's content as text; what a tool returned as JSON text unless it is text."""
    content = message.content
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content and all(map(_is_text_part, content)):
        return "".join(str(part["text"]) for part in content if isinstance(part, dict))
    if message.role == "tool":
        return json.dumps(content, ensure_ascii=False)
    raise RenderError(
        f"{where}.content: expected text or a list of text parts, got {content!r:.80}"
    )


def _is_text_part(part: JsonValue) -> bool:
    return (
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def _call(call: ToolCall, where: str, check: ControlCheck) -> dict[str, JsonValue]:
    arguments = decode_arguments(call.arguments)
    if not isinstance(arguments, Mapping):
        raise RenderError(
            f"{where}: the library takes arguments only as an object, and these are "
            f"{json.dumps(arguments, ensure_ascii=False)[:80]}"
        )
    return {
        "name": check.text(call.name, f"{where}.name"),
        "arguments": check.value(dict(arguments), f"{where}.arguments"),
    }


def convert_tools(tools: Sequence[ToolSpec], check: ControlCheck) -> list[dict[str, JsonValue]]:
    """The tools, schemas untouched."""
    out: list[dict[str, JsonValue]] = []
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        parameters = None if tool.parameters is None else dict(tool.parameters)
        response = tool.response if isinstance(tool.response, dict) else None
        out.append(
            {
                "name": check.text(tool.name, f"{where}.name"),
                "description": check.text(tool.description, f"{where}.description"),
                "parameters": check.value(parameters, f"{where}.parameters"),
                "response": check.value(response, f"{where}.response"),
            }
        )
    return out
