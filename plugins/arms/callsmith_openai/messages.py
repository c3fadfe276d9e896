"""A conversation in the API's shape. Pure; what cannot be sent is a `RenderError`.

The API anchors every result to its call by an id, so calls without one get one here, and results
without one are anchored to the first call that is still open and has their name (or, without a
name, to the first that is open).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from callsmith import (
    ConfigError,
    JsonValue,
    Message,
    RenderError,
    ToolCall,
    ToolSpec,
    message_to_openai,
    tool_to_openai,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Messages as the API takes them, and what a reader should know about the conversion."""

    messages: list[JsonValue]
    notes: tuple[str, ...] = ()


def convert(messages: Sequence[Message], *, reasoning: str | None) -> Conversation:
    """The conversation; `reasoning` names the field that thoughts go into, None leaves them out."""
    if not messages:
        raise RenderError("the conversation is empty; it needs at least one message")
    out: list[JsonValue] = []
    notes: list[str] = []
    open_calls: list[ToolCall] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.role == "tool":
            message = _anchored(message, open_calls, where, notes)
        else:
            calls = tuple(
                call if call.id else replace(call, id=f"call_{index}_{number}")
                for number, call in enumerate(message.tool_calls)
            )
            open_calls = list(calls)
            message = replace(message, tool_calls=calls)
        try:
            entry = message_to_openai(message, reasoning=reasoning)
        except ConfigError as error:
            raise RenderError(f"{where}: {error}") from None
        if not isinstance(entry["content"], str | list | None):
            raise RenderError(
                f"{where}.content: expected text or a list of parts, got {message.content!r:.80}"
            )
        if entry["content"] is None and not message.tool_calls:
            entry["content"] = ""
        out.append(entry)
    return Conversation(messages=out, notes=tuple(notes))


def _anchored(
    message: Message, open_calls: list[ToolCall], where: str, notes: list[str]
) -> Message:
    found = next(
        (
            call
            for call in open_calls
            if (call.id == message.tool_call_id if message.tool_call_id else True)
            and (message.tool_call_id or message.name in (None, call.name))
        ),
        None,
    )
    if found is None:
        notes.append(f"{where}: a result that answers no open call")
        return replace(message, tool_call_id=message.tool_call_id or "call_unknown")
    open_calls.remove(found)
    return replace(message, tool_call_id=found.id)


def convert_tools(tools: Sequence[ToolSpec]) -> list[JsonValue]:
    """The tools, schemas untouched; `response` is no field of this API and stays out."""
    return [tool_to_openai(replace(tool, response=None)) for tool in tools]
