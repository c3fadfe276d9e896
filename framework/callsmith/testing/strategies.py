"""Hypothesis strategies for the values of Callsmith.

All of them shrink towards small, plain examples, and everything they produce is a value that the
codec can write and read back (no NaN, no infinities, no lone surrogates).
"""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping, Sequence
from typing import cast, get_args

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from callsmith.types import (
    Completion,
    Fault,
    Halt,
    JsonValue,
    Message,
    Prompt,
    Repair,
    Reply,
    Segment,
    Task,
    ToolCall,
    ToolResult,
    ToolSpec,
    Trace,
    Turn,
    Usage,
)

_LETTERS = string.ascii_letters + string.digits + "_"
_NAME_REST = _LETTERS + ".-"


@functools.cache
def _text(max_size: int = 20) -> SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8"), max_size=max_size)


@functools.cache
def _identifiers() -> SearchStrategy[str]:
    """Tool names and parameter names as people write them, with the dots and dashes of some."""
    return st.builds(
        lambda first, rest: first + rest,
        st.sampled_from(string.ascii_letters),
        st.text(_NAME_REST, max_size=12),
    )


def json_values(
    *, max_leaves: int = 12, text: SearchStrategy[str] | None = None
) -> SearchStrategy[JsonValue]:
    """Any JSON value: integers of any size, finite floats, text (or `text`), nested containers."""
    return _json_values(max_leaves, _text() if text is None else text)


@functools.cache  # building a recursive strategy costs far more than drawing from one
def _json_values(max_leaves: int, words: SearchStrategy[str]) -> SearchStrategy[JsonValue]:
    scalars: SearchStrategy[JsonValue] = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | words
    )

    def nest(inner: SearchStrategy[JsonValue]) -> SearchStrategy[JsonValue]:
        lists = cast("SearchStrategy[JsonValue]", st.lists(inner, max_size=4))
        objects = cast("SearchStrategy[JsonValue]", st.dictionaries(words, inner, max_size=4))
        return lists | objects

    return st.recursive(scalars, nest, max_leaves=max_leaves)


@functools.cache
def _schemas(depth: int = 2) -> SearchStrategy[dict[str, JsonValue]]:
    """Schemas of one parameter: scalars, enums, arrays and nested objects."""
    scalar: SearchStrategy[dict[str, JsonValue]] = st.sampled_from(
        ["string", "integer", "number", "boolean"]
    ).map(lambda kind: {"type": kind})
    words = st.lists(_identifiers(), min_size=1, max_size=3, unique=True)
    choice: SearchStrategy[dict[str, JsonValue]] = words.map(
        lambda items: {"type": "string", "enum": list(items)}
    )
    if depth == 0:
        return scalar | choice
    inner = _schemas(depth - 1)
    array: SearchStrategy[dict[str, JsonValue]] = inner.map(
        lambda item: {"type": "array", "items": item}
    )
    return scalar | choice | array | _object_schemas(inner)


@functools.cache
def _object_schemas(
    inner: SearchStrategy[dict[str, JsonValue]],
) -> SearchStrategy[dict[str, JsonValue]]:
    @st.composite
    def build(draw: st.DrawFn) -> dict[str, JsonValue]:
        properties = draw(st.dictionaries(_identifiers(), inner, max_size=4))
        required = [name for name in properties if draw(st.booleans())]
        schema: dict[str, JsonValue] = {"type": "object", "properties": dict(properties)}
        if required:
            schema["required"] = list(required)
        return schema

    return build()


def tool_specs(*, text: SearchStrategy[str] | None = None) -> SearchStrategy[ToolSpec]:
    """Tools with a name, a description and JSON Schema for up to four parameters (or none)."""
    return st.builds(
        ToolSpec,
        name=_identifiers(),
        description=_text() if text is None else text,
        parameters=st.none() | _object_schemas(_schemas()),
    )


def arguments_for(tool: ToolSpec) -> SearchStrategy[dict[str, JsonValue]]:
    """Arguments that are valid for `tool`, for the schemas that `tool_specs` produces.

    Schema keywords beyond `type`, `enum`, `items`, `properties` and `required` are not looked at.
    """
    schema: Mapping[str, JsonValue] = tool.parameters or {"type": "object"}
    return cast("SearchStrategy[dict[str, JsonValue]]", _valid({**schema, "type": "object"}))


def _valid(schema: Mapping[str, JsonValue]) -> SearchStrategy[JsonValue]:
    options = schema.get("enum")
    if isinstance(options, list) and options:
        return st.sampled_from(options)
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items")
        inner = _valid(items) if isinstance(items, dict) else json_values(max_leaves=3)
        return cast("SearchStrategy[JsonValue]", st.lists(inner, max_size=3))
    if kind == "object":
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return st.just({})
        required = schema.get("required")
        needed = set(cast(list[str], required)) if isinstance(required, list) else set()
        each = {
            name: _valid(item) if isinstance(item, dict) else json_values(max_leaves=3)
            for name, item in properties.items()
        }
        return cast(
            "SearchStrategy[JsonValue]",
            st.fixed_dictionaries(
                {name: each[name] for name in each if name in needed},
                optional={name: each[name] for name in each if name not in needed},
            ),
        )
    scalars: dict[JsonValue, SearchStrategy[JsonValue]] = {
        "string": _text(),
        "integer": st.integers(),
        "number": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return scalars.get(kind if isinstance(kind, str) else None, json_values(max_leaves=3))


def tool_calls(
    tools: Sequence[ToolSpec] | None = None,
    *,
    arguments: SearchStrategy[JsonValue] | None = None,
) -> SearchStrategy[ToolCall]:
    """Calls with an object of arguments.

    With `tools`: of one of these tools, with arguments valid for it. Without: any name, and any
    keys and values. `arguments` replaces the arguments of both.
    """
    if tools:
        return st.one_of(
            [
                st.builds(
                    ToolCall,
                    name=st.just(tool.name),
                    arguments=arguments_for(tool) if arguments is None else arguments,
                )
                for tool in tools
            ]
        )
    return _any_calls() if arguments is None else _calls_with(arguments)


@functools.cache
def _any_calls() -> SearchStrategy[ToolCall]:
    anything = st.dictionaries(_identifiers(), json_values(max_leaves=6), max_size=4)
    return _calls_with(cast("SearchStrategy[JsonValue]", anything))


def _calls_with(arguments: SearchStrategy[JsonValue]) -> SearchStrategy[ToolCall]:
    return st.builds(ToolCall, name=_identifiers(), arguments=arguments)


def messages(
    *, text: SearchStrategy[str] | None = None, tools: Sequence[ToolSpec] | None = None
) -> SearchStrategy[Message]:
    """One message of any role, by itself; for sequences that make sense see `conversations`."""
    words = _text() if text is None else text
    calls = st.lists(tool_calls(tools), min_size=1, max_size=2).map(tuple)
    return st.one_of(
        st.builds(Message, role=st.just("user"), content=words),
        st.builds(Message, role=st.sampled_from(["system", "developer"]), content=words),
        st.builds(
            Message,
            role=st.just("assistant"),
            content=words,
            reasoning=st.none() | words,
        ),
        st.builds(Message, role=st.just("assistant"), content=st.none() | words, tool_calls=calls),
        st.builds(
            Message,
            role=st.just("tool"),
            content=words | json_values(max_leaves=4, text=words),
            tool_call_id=st.just("call_0"),
            name=_identifiers(),
        ),
    )


def conversations(
    *,
    text: SearchStrategy[str] | None = None,
    tools: Sequence[ToolSpec] | None = None,
    max_rounds: int = 3,
) -> SearchStrategy[tuple[Message, ...]]:
    """Conversations in the order in which they happen, ready for the model to speak next.

    An optional system message; then rounds of a user's message, calls with one result for each
    (same id, same name), and an answer; the last round ends with the user or with results.
    """
    words = _text() if text is None else text
    thoughts = st.none() | words
    steps = st.lists(st.lists(tool_calls(tools), min_size=1, max_size=2), max_size=2)
    results = words | json_values(max_leaves=4, text=words)
    rounds = st.integers(min_value=1, max_value=max_rounds)

    @st.composite
    def build(draw: st.DrawFn) -> tuple[Message, ...]:
        out: list[Message] = []
        if draw(st.booleans()):
            out.append(Message(role="system", content=draw(words)))
        last = draw(rounds)
        number = 0
        for index in range(1, last + 1):
            out.append(Message(role="user", content=draw(words)))
            for step in draw(steps):
                calls = [
                    ToolCall(name=call.name, arguments=call.arguments, id=f"call_{number + at}")
                    for at, call in enumerate(step)
                ]
                number += len(calls)
                said = draw(thoughts)
                out.append(Message(role="assistant", content=said, tool_calls=tuple(calls)))
                for call in calls:
                    out.append(
                        Message(
                            role="tool", content=draw(results), tool_call_id=call.id, name=call.name
                        )
                    )
            if index < last:
                out.append(Message(role="assistant", content=draw(words), reasoning=draw(thoughts)))
        return tuple(out)

    return build()


def prompts(*, text: SearchStrategy[str] | None = None) -> SearchStrategy[Prompt]:
    """Prompts of up to six segments of either origin."""
    words = _text() if text is None else text
    segments = st.builds(Segment, text=words, origin=st.sampled_from(["control", "content"]))
    return st.builds(Prompt, segments=st.lists(segments, max_size=6).map(tuple))


def control_rich_text(tokens: Sequence[str], *, max_size: int = 12) -> SearchStrategy[str]:
    """Text of a format that has `tokens`: whole tokens, broken ones, syntax, and anything else.

    `max_size` counts pieces. This is what a parser must survive, and what a user may send.
    """
    parts = [
        part for token in tokens for at in range(1, len(token)) for part in (token[:at], token[at:])
    ]
    syntax = [*"{}[]():,'\"\\= \n\t", "true", "null", "1", "-2.5", "name", "arguments"]
    pieces: list[SearchStrategy[str]] = [_text(6), st.sampled_from(syntax), _identifiers()]
    if tokens:
        pieces += [st.sampled_from(list(tokens)), st.sampled_from(list(tokens))]
    if parts:
        pieces.append(st.sampled_from(parts))
    return st.lists(st.one_of(pieces), max_size=max_size).map("".join)


@functools.cache
def _spans() -> SearchStrategy[tuple[int, int] | None]:
    span = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda p: (min(p), max(p)))
    return st.none() | span


@functools.cache
def _faults() -> SearchStrategy[Fault]:
    return st.builds(Fault, kind=_identifiers(), raw=_text(), detail=_text(), span=_spans())


@functools.cache
def _repairs() -> SearchStrategy[Repair]:
    return st.builds(Repair, kind=_identifiers(), detail=_text(), span=_spans())


@functools.cache
def _completions() -> SearchStrategy[Completion]:
    counts = st.none() | st.integers(0, 1000)
    return st.builds(
        Completion,
        text=_text(),
        stop_reason=st.sampled_from([None, "stop", "length"]),
        usage=st.builds(Usage, prompt_tokens=counts, completion_tokens=counts),
    )


def replies(tools: Sequence[ToolSpec] | None = None) -> SearchStrategy[Reply]:
    """Replies with content, thoughts, calls (known and unknown, odd arguments too) and faults."""
    odd = tool_calls(tools, arguments=json_values(max_leaves=4))
    calls = tool_calls(tools) | tool_calls() | odd
    return st.builds(
        Reply,
        content=_text(),
        reasoning=_text(),
        calls=st.lists(calls, max_size=3).map(tuple),
        faults=st.lists(_faults(), max_size=2).map(tuple),
        repairs=st.lists(_repairs(), max_size=2).map(tuple),
        completion=st.none() | _completions(),
    )


@functools.cache
def _questions() -> SearchStrategy[tuple[Message, ...]]:
    return conversations(max_rounds=1)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """Tasks with up to three tools and a target of the conventional keys, in any combination."""
    tools = tuple(draw(st.lists(tool_specs(), max_size=3, unique_by=lambda tool: tool.name)))
    target: dict[str, JsonValue] = {}
    if draw(st.booleans()):
        gold = draw(st.lists(tool_calls(tools or None), max_size=3))
        target["calls"] = [{"name": call.name, "arguments": call.arguments} for call in gold]
    if draw(st.booleans()):
        target["answer_contains"] = list(draw(st.lists(_text(), max_size=2)))
    if draw(st.booleans()):
        target["answer_only"] = draw(st.booleans())
    return Task(
        id=draw(_identifiers()),
        messages=draw(_questions()),
        tools=tools,
        target=target,
        toolbox=None,
        tags=tuple(draw(st.lists(_identifiers(), max_size=2))),
    )


@functools.cache
def _any_replies() -> SearchStrategy[Reply]:
    return replies()


@st.composite
def traces(draw: st.DrawFn, tasks: Sequence[Task] | None = None) -> Trace:
    """Traces of one of `tasks` (or of no task in particular), good and bad.

    No turns, turns without a reply, errors, faults, calls of unknown tools, arguments that are no
    object, missing results, every reason to halt: whatever may lie in a run folder.
    """
    task = draw(st.sampled_from(list(tasks))) if tasks else None
    tools = task.tools if task else ()
    answers = st.none() | (replies(tools) if tools else _any_replies())
    turns: list[Turn] = []
    for index in range(draw(st.integers(0, 3))):
        reply = draw(answers)
        results: list[ToolResult] = []
        for at, call in enumerate(reply.calls if reply else ()):
            if draw(st.booleans()):
                results.append(
                    ToolResult(
                        call_id=f"call_{index}_{at}",
                        name=call.name,
                        content=draw(json_values(max_leaves=3)),
                        error=draw(st.booleans()),
                    )
                )
        sent = task.messages if task and index == 0 else ()
        error = draw(st.none() | _text()) if reply is None else None
        turns.append(Turn(sent=sent, reply=reply, results=tuple(results), error=error))
    halt: Halt = draw(st.sampled_from(get_args(Halt)))
    return Trace(
        arm="arm",
        task=task.id if task else draw(_identifiers()),
        sample=draw(st.integers(0, 3)),
        turns=tuple(turns),
        halt=halt,
        error=draw(_text()) if halt == "error" else None,
    )
