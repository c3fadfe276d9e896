"""A conversation in Ollama's shapes. Pure; anything that cannot be sent is a `RenderError`.

Ollama takes content as a string only, arguments as objects only, and anchors a tool's result by
`tool_call_id` and `tool_name`. What is converted, and how:

- content that is a list of text parts is joined; an image part (a data URL) goes to `images`;
- a tool's result that is not text is sent as JSON text, written as Python's `json.dumps` does
  without ASCII escapes; a list of nothing but text parts counts as text;
- arguments that are JSON text are decoded; None is no arguments;
- a thought goes to `thinking` and nowhere else, and a stray thought at the beginning of an
  assistant's content is moved there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from callsmith import (
    JsonValue,
    Message,
    RenderError,
    ToolCall,
    ToolSpec,
    decode_arguments,
    tool_to_openai,
)
from callsmith_ollama.thoughts import split_thought


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Messages as Ollama takes them, and what a reader should know about the conversion."""

    messages: list[JsonValue]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Names:
    """The calls that a tool message may answer: id to name, of the last assistant message."""

    calls: dict[str, str] = field(default_factory=dict)
    open: bool = False


def convert(messages: Sequence[Message], *, drop_beside_calls: bool) -> Conversation:
    """The conversation as Ollama takes it.

    With `drop_beside_calls`, visible text of an assistant message with calls is left out once
    results follow it: Gemma 4's template writes that text after the results and closes the turn,
    so that the model would be asked to go on outside of any turn.
    """
    if not messages:
        raise RenderError("the conversation is empty; it needs at least one message")
    out: list[JsonValue] = []
    notes: list[str] = []
    names = _Names()
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.role == "tool":
            out.append(_tool_message(message, names, where, notes))
            continue
        names = _Names(
            calls={call.id: call.name for call in message.tool_calls if call.id},
            open=bool(message.tool_calls),
        )
        text, images = _content(message.content, f"{where}.content")
        entry: dict[str, JsonValue] = {"role": message.role, "content": text}
        if images:
            entry["images"] = images
        if message.role == "assistant":
            answered = index + 1 < len(messages) and messages[index + 1].role == "tool"
            drop = drop_beside_calls and bool(message.tool_calls) and answered
            _assistant(entry, message, drop, where, notes)
        out.append(entry)
    return Conversation(messages=out, notes=tuple(notes))


def _assistant(
    entry: dict[str, JsonValue], message: Message, drop: bool, where: str, notes: list[str]
) -> None:
    stray, visible = split_thought(str(entry["content"]))
    if stray:
        notes.append(f"{where}: a stray thought in the content was sent as thinking")
    if drop and visible.strip():
        notes.append(
            f"{where}: visible text beside calls was left out, because the template would put it "
            "after the results and close the turn (option content_beside_calls)"
        )
        visible = ""
    entry["content"] = visible
    thinking = "\n".join(part for part in (message.reasoning, stray) if part)
    if thinking:
        entry["thinking"] = thinking
    if message.tool_calls:
        entry["tool_calls"] = [
            _call(call, index, f"{where}.tool_calls[{index}]")
            for index, call in enumerate(message.tool_calls)
        ]


def _call(call: ToolCall, index: int, where: str) -> JsonValue:
    arguments = decode_arguments(call.arguments)
    if not isinstance(arguments, Mapping):
        raise RenderError(
            f"{where}: Ollama takes arguments only as an object, and these are "
            f"{json.dumps(arguments, ensure_ascii=False)[:80]}; use ollama-raw with a template "
            "that can write them"
        )
    out: dict[str, JsonValue] = {} if call.id is None else {"id": call.id}
    out["function"] = {"index": index, "name": call.name, "arguments": dict(arguments)}
    return out


def _tool_message(message: Message, names: _Names, where: str, notes: list[str]) -> JsonValue:
    if not names.open:
        notes.append(
            f"{where}: a result that follows no call; Ollama's Gemma 4 renderer leaves it out"
        )
    if isinstance(message.content, str):
        text = message.content
    elif isinstance(message.content, list) and message.content and _only_text(message.content):
        text, _ = _content(message.content, where)
    else:
        text = json.dumps(message.content, ensure_ascii=False)
    entry: dict[str, JsonValue] = {"role": "tool", "content": text}
    name = message.name or names.calls.get(message.tool_call_id or "")
    if name:
        entry["tool_name"] = name
    if message.tool_call_id:
        entry["tool_call_id"] = message.tool_call_id
    return entry


def _only_text(parts: list[JsonValue]) -> bool:
    return all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        for part in parts
    )


def _content(content: JsonValue, where: str) -> tuple[str, list[JsonValue]]:
    """(text, images in base64) of a message's content."""
    if content is None:
        return "", []
    if isinstance(content, str):
        return content, []
    if not isinstance(content, list):
        raise RenderError(f"{where}: expected text or a list of parts, got {content!r:.80}")
    texts: list[str] = []
    images: list[JsonValue] = []
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get("text") if isinstance(part, dict) else None
        if kind == "text" and isinstance(text, str):
            texts.append(text)
            continue
        data = _image(part) if isinstance(part, dict) else None
        if data is None:
            raise RenderError(
                f"{where}[{index}]: Ollama takes text parts and images as base64 data URLs, got "
                f"{part!r:.80}"
            )
        images.append(data)
    return "".join(texts), images


def _image(part: Mapping[str, JsonValue]) -> str | None:
    found = part.get("image_url", part.get("image"))
    url = found.get("url") if isinstance(found, dict) else found
    if not isinstance(url, str) or not url.startswith("data:"):
        return None
    head, comma, data = url.partition(",")
    return data if comma and head.endswith(";base64") else None


def convert_tools(tools: Sequence[ToolSpec]) -> list[JsonValue]:
    """The tools as Ollama takes them, schemas untouched.

    The server decodes them into its own types and shows the model only what those have: `type`,
    `description`, `enum`, `items`, `properties`, `required` and `anyOf` of each property.
    """
    out: list[JsonValue] = []
    for tool in tools:
        spec = tool_to_openai(tool)
        function = spec["function"]
        assert isinstance(function, dict)
        function.pop("response", None)  # a field that Ollama does not have
        out.append(spec)
    return out
