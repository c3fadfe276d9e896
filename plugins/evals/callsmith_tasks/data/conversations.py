"""Conversations to rows: what all conversational formats share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from callsmith import ConfigError, JsonValue, Message, ToolCall, ToolSpec, tool_from_openai
from callsmith_tasks.data.row import Row, RowError, text_of
from callsmith_tasks.data.schema import parameters_schema


def rows_of(
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    *,
    source: str,
    id: str,
    first: int = 1,
) -> list[Row]:
    """One row for every assistant turn from message `first` on, with all before it as its prompt.

    Calls get ids and results are anchored to them. Raises `RowError` for a conversation that no
    assistant turn ends, and for results without a call.
    """
    linked = link_results(messages)
    at = [
        index
        for index, message in enumerate(linked)
        if message.role == "assistant" and index >= first
    ]
    if not at:
        raise RowError("no-answer", "the conversation has no assistant turn after a question")
    rows = []
    for number, index in enumerate(at, 1):
        turn = linked[index]
        if turn.reasoning:
            raise RowError("reasoning", "the turn to learn holds a thought; rows have no place for")
        answer = text_of(turn.content).strip()
        if not turn.tool_calls and not answer:
            raise RowError("no-answer", f"the assistant turn {number} is empty")
        rows.append(
            Row(
                messages=linked[:index],
                tools=tuple(tools),
                calls=turn.tool_calls,
                answer=answer,
                source=source,
                id=id if len(at) == 1 else f"{id}#{number}",
            )
        )
    return rows


def link_results(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The messages with ids on all calls, and every tool result anchored to its call.

    A result that names no call belongs to the first open call of its tool's name, or else to the
    first open call. Raises `RowError` (`stray-result`) for a result without any open call.
    """
    out: list[Message] = []
    open_calls: list[ToolCall] = []
    count = 0
    for message in messages:
        if message.tool_calls:
            calls = []
            for call in message.tool_calls:
                count += 1
                calls.append(call if call.id else replace(call, id=f"call_{count}"))
            message = replace(message, tool_calls=tuple(calls))
            open_calls = list(calls)
        elif message.role == "tool":
            call = _owner(message, open_calls)
            open_calls.remove(call)
            message = replace(message, tool_call_id=call.id, name=call.name)
        out.append(message)
    return tuple(out)


def _owner(message: Message, open_calls: list[ToolCall]) -> ToolCall:
    if message.tool_call_id is not None:
        for call in open_calls:
            if call.id == message.tool_call_id:
                return call
        raise RowError("stray-result", f"a result answers the call {message.tool_call_id!r:.60}")
    if not open_calls:
        raise RowError("stray-result", f"a result without a call: {text_of(message.content)!r:.60}")
    named = [call for call in open_calls if call.name == message.name]
    return (named or open_calls)[0]


def tools_of(data: JsonValue) -> tuple[ToolSpec, ...]:
    """Tools from a list (or the JSON text of one), in the OpenAI shape or bare.

    Names must be distinct: of two equal declarations one is kept, two different ones under one
    name are an error. Raises `RowError` (`invalid-tool`).
    """
    if data is None or data == "":
        return ()
    if isinstance(data, str):
        data = read_json(data, "tools")
    if isinstance(data, Mapping):
        data = [dict(data)]
    if not isinstance(data, list):
        raise RowError("malformed", f"tools are no list but {data!r:.60}")
    found: dict[str, ToolSpec] = {}
    for item in data:
        if isinstance(item, str):
            item = read_json(item, "a tool")
        tool = _tool(item)
        if found.setdefault(tool.name, tool) != tool:
            raise RowError("invalid-tool", f"two different tools are called {tool.name!r:.80}")
    return tuple(found.values())


def _tool(data: Any) -> ToolSpec:
    function = data.get("function", data) if isinstance(data, Mapping) else None
    if not isinstance(function, Mapping):
        raise RowError("invalid-tool", f"a tool is no object but {data!r:.60}")
    name = function.get("name")
    try:
        read = {**function, "parameters": parameters_schema(function.get("parameters"))}
        return tool_from_openai(read)
    except RowError as error:
        raise RowError(error.reason, f"the tool {name!r:.80}: {error.detail}") from None
    except ConfigError as error:
        raise RowError("invalid-tool", str(error)) from None


def call_of(data: Any) -> ToolCall:
    """A call from `{"name": …, "arguments": {…} or JSON text}`. Raises `RowError`."""
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        raise RowError("unreadable-call", f"a call needs a name: {data!r:.80}")
    arguments = data.get("arguments", data.get("parameters"))
    if isinstance(arguments, str):
        arguments = read_json(arguments, f"the arguments of {data['name']!r:.60}")
    return ToolCall(name=data["name"], arguments={} if arguments is None else arguments)


def read_json(text: str, what: str) -> Any:
    """JSON text inside a record. Raises `RowError` (`malformed`)."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RowError("malformed", f"{what}: not JSON: {error}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def text_field(record: Mapping[str, Any], key: str) -> str:
    """A field that must be text. Raises `RowError`."""
    if not isinstance(record.get(key), str):
        raise RowError("malformed", f"{key} must be text, got {record.get(key)!r:.60}")
    return str(record[key])


def turns_of(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(who, text) of a ShareGPT conversation. Raises `RowError`."""
    turns = record.get("conversations")
    if not isinstance(turns, list) or not turns:
        raise RowError("malformed", "conversations must be a list that is not empty")
    found = []
    for turn in turns:
        if not isinstance(turn, Mapping):
            raise RowError("malformed", f"a turn is no object but {turn!r:.60}")
        who = turn.get("from", turn.get("role"))
        text = turn.get("value", turn.get("content"))
        if not isinstance(who, str) or not isinstance(text, str):
            raise RowError("malformed", f"a turn needs `from` and `value`: {turn!r:.80}")
        found.append((who, text))
    return found
