"""Messages as the `dialog` library's conversation, which the library's own tool loop takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dialog
import mcp

from .failures import RequestError, one_line


def conversation(messages: Sequence[Mapping[str, Any]], thinking: bool) -> Any:
    """A `dialog.Conversation` of the whole history.

    Messages are `{"role", "content", "reasoning", "calls": [{"name", "arguments"}], "name"}` with
    text as content. A tool's result is written as the library itself writes results: in the
    model's turn, wrapped as `{result: …}`. Thoughts of earlier turns are left out.
    """
    turns: list[Any] = []
    rest = list(messages)
    system = rest.pop(0)["content"] if rest and rest[0]["role"] == "system" else ""
    if system or thinking:
        turns.append(dialog.System([dialog.Think()] if thinking else [], dialog.Text(system)))
    last_user = max((i for i, m in enumerate(rest) if m["role"] == "user"), default=-1)
    try:
        for index, message in enumerate(rest):
            turns.append(_turn(message, keep_thought=index > last_user))
        return dialog.Conversation(turns)
    except RequestError:
        raise
    except Exception as error:  # the library checks with pydantic, asserts and lark
        raise refused(error) from error


def refused(error: BaseException) -> RequestError:
    """What the library cannot render."""
    return RequestError("conversation", f"the library cannot render it: {one_line(error)}")


def _turn(message: Mapping[str, Any], keep_thought: bool) -> Any:
    role, content = message["role"], message["content"]
    if role == "user":
        return dialog.User(dialog.Text(content))
    if role == "system":
        return dialog.System(dialog.Text(content))
    if role == "tool":
        return dialog.Model(dialog.ToolResponse(as_response(message["name"], content)))
    chunks: list[Any] = []
    if message.get("reasoning") and keep_thought:
        chunks.append(dialog.Thought(dialog.Text(message["reasoning"])))
    for call in message["calls"]:
        chunks.append(dialog.ToolCall({"name": call["name"], "arguments": call["arguments"]}))
    if content:
        chunks.append(dialog.Text(content))
    return dialog.Model(chunks)


def as_response(name: str, text: str) -> dict[str, Any]:
    """A result as the library wraps what its handlers return."""
    return {"name": name, "structuredContent": {"result": text}}


def declared(tools: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The tools as the library's handlers list them, schemas untouched."""
    out = []
    for tool in tools:
        try:
            out.append(
                mcp.types.Tool(
                    name=tool["name"],
                    description=tool["description"] or None,
                    inputSchema=tool["parameters"] or {"type": "object", "properties": {}},
                    outputSchema=tool["response"],
                )
            )
            dialog.Tool(out[-1]).as_text()
        except Exception as error:  # a schema that the library cannot normalise
            raise RequestError(
                "conversation", f"tool {tool['name']!r}: the library refuses it: {one_line(error)}"
            ) from error
    return out


def read_turn(text: str) -> dict[str, Any]:
    """What the library reads in a model's turn: `content`, `reasoning`, `calls`.

    Raises the library's own errors where it cannot read it.
    """
    (turn,) = dialog.ConversationStr(f"<|turn>model\n{text}<turn|>").as_conversation()
    content: list[str] = []
    reasoning: list[str] = []
    calls: list[dict[str, Any]] = []
    for chunk in turn:
        if isinstance(chunk, dialog.Thought):
            reasoning.append("".join(part.as_text() for part in chunk))
        elif isinstance(chunk, dialog.ToolCall):
            calls.append({"name": chunk.data.name, "arguments": dict(chunk.data.arguments)})
        else:
            content.append(chunk.as_text())
    return {"content": "".join(content), "reasoning": "\n".join(reasoning), "calls": calls}
