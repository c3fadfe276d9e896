"""Augmentations: pure functions of (row, seed, other rows). None means: not for this row.

Each is an option; docs/how-to/training-data.md names the published source of each. The same
seed gives the same row whatever was augmented before it. Apply them to training rows only:
splits are made first, so that no question crosses over.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from callsmith import JsonValue, Message, ToolCall, ToolSpec
from callsmith_tasks.data.row import Row, text_of

Augmentation = Callable[[Row, int, Sequence[Row]], Row | None]
"""`(row, seed, pool)`: `pool` are rows to borrow tools and questions from."""

REFUSALS = (
    "None of the available tools can do this.",
    "I have no tool for that.",
    "I cannot do this with the tools that I have.",
    "That is not something my tools can help with.",
)
DISTRACTORS = 3
"""Tools at most that a row gets beside its own."""
_TRIES = 20


def _random(row: Row, seed: int, name: str) -> random.Random:
    return random.Random(f"{seed}:{name}:{row.id}")


def _marked(row: Row, name: str, **changes: Any) -> Row:
    return replace(row, id=f"{row.id}+{name}", source=f"{row.source}+{name}", **changes)


def irrelevance(row: Row, seed: int, pool: Sequence[Row]) -> Row | None:
    """The tools that are needed are gone: the answer says so, and there is no call.

    What else the row offers stays; a row that offered nothing else gets tools of other rows.
    Only for questions that open a conversation: later ones may be answered from its results.
    """
    if not row.calls or any(m.role in ("assistant", "tool") for m in row.messages):
        return None
    rng = _random(row, seed, "irrelevance")
    needed = {call.name for call in row.calls}
    said = {tool.description for tool in row.tools if tool.name in needed and tool.description}
    left = tuple(t for t in row.tools if t.name not in needed and t.description not in said)
    if not left:
        left = _borrowed(row, rng, pool, needed)
    if not left:
        return None
    return _marked(row, "irrelevance", tools=left, calls=(), answer=rng.choice(REFUSALS))


def _borrowed(
    row: Row, rng: random.Random, pool: Sequence[Row], taken: set[str]
) -> tuple[ToolSpec, ...]:
    """Up to `DISTRACTORS` tools of other rows, under new names and with new descriptions."""
    wanted = rng.randint(1, DISTRACTORS)
    said = {tool.description for tool in row.tools if tool.description}
    found: list[ToolSpec] = []
    names = set(taken) | {tool.name for tool in row.tools}
    for _ in range(_TRIES if pool else 0):
        other = rng.choice(pool)
        tool = rng.choice(other.tools) if other.tools else None
        if tool is None or tool.name in names or tool.description in said:
            continue
        names.add(tool.name)
        said.add(tool.description)
        found.append(tool)
        if len(found) == wanted:
            break
    return tuple(found)


def distractors(row: Row, seed: int, pool: Sequence[Row]) -> Row | None:
    """Tools of other rows stand between the row's own."""
    rng = _random(row, seed, "distractors")
    more = _borrowed(row, rng, pool, set())
    if not row.calls or not more:
        return None
    tools = list(row.tools)
    for tool in more:
        tools.insert(rng.randint(0, len(tools)), tool)
    return _marked(row, "distractors", tools=tuple(tools))


def shuffle_tools(row: Row, seed: int, pool: Sequence[Row]) -> Row | None:
    """The tools in another order."""
    del pool
    rng = _random(row, seed, "shuffle-tools")
    tools = _shuffled(row.tools, rng)
    return _marked(row, "shuffle-tools", tools=tools) if tools != row.tools else None


def shuffle_arguments(row: Row, seed: int, pool: Sequence[Row]) -> Row | None:
    """Parameters in another order in the schemas, and arguments in the calls. Values stay."""
    del pool
    rng = _random(row, seed, "shuffle-arguments")
    tools = tuple(replace(t, parameters=_shuffled_schema(t.parameters, rng)) for t in row.tools)
    calls = tuple(_shuffled_call(call, rng) for call in row.calls)
    same = [list(_properties(t)) for t in tools] == [list(_properties(t)) for t in row.tools]
    if same and all(_order(a) == _order(b) for a, b in zip(calls, row.calls, strict=True)):
        return None
    return _marked(row, "shuffle-arguments", tools=tools, calls=calls)


def _order(call: ToolCall) -> list[str]:
    return list(call.arguments) if isinstance(call.arguments, dict) else []


def _shuffled(items: Sequence[Any], rng: random.Random) -> tuple[Any, ...]:
    out = list(items)
    rng.shuffle(out)
    return tuple(out)


def _shuffled_schema(
    schema: Mapping[str, JsonValue] | None, rng: random.Random
) -> Mapping[str, JsonValue] | None:
    if schema is None or not isinstance(found := schema.get("properties"), dict):
        return schema
    return {**schema, "properties": dict(_shuffled(list(found.items()), rng))}


def _shuffled_call(call: ToolCall, rng: random.Random) -> ToolCall:
    if not isinstance(call.arguments, dict):
        return call
    return replace(call, arguments=dict(_shuffled(list(call.arguments.items()), rng)))


def _properties(tool: ToolSpec) -> Mapping[str, JsonValue]:
    found = tool.parameters.get("properties") if tool.parameters else None
    return found if isinstance(found, dict) else {}


def several_calls(row: Row, seed: int, pool: Sequence[Row]) -> Row | None:
    """Two questions in one message, answered by the calls of both.

    Only for single questions of which each opens its conversation, with no system text that
    differs, and whose tools do not contradict each other.
    """
    rng = _random(row, seed, "several-calls")
    for _ in range(_TRIES if _joinable(row) and pool else 0):
        other = rng.choice(pool)
        tools = _together(row, other) if _joinable(other) else None
        if tools is None or row.messages[:-1] != other.messages[:-1]:
            continue
        text = f"{text_of(row.messages[-1].content)}\n{text_of(other.messages[-1].content)}"
        return _marked(
            row,
            "several-calls",
            messages=(*row.messages[:-1], Message(role="user", content=text)),
            tools=_shuffled(tools, rng),
            calls=_numbered((*row.calls, *other.calls)),
            answer="",
        )
    return None


def follow_up(row: Row, seed: int, pool: Sequence[Row]) -> Row | None:
    """A second question after the first one's calls, their results and a short answer.

    The results say only that the call was done: they are made up, and no gold value comes from
    them. What is learnt are the second question's calls, with a result in sight.
    """
    rng = _random(row, seed, "follow-up")
    for _ in range(_TRIES if _joinable(row) and pool else 0):
        other = rng.choice(pool)
        tools = _together(row, other) if _joinable(other) else None
        if tools is None or row.messages[:-1] != other.messages[:-1]:
            continue
        calls = _numbered((*row.calls, *other.calls))
        first, second = calls[: len(row.calls)], calls[len(row.calls) :]
        results = tuple(
            Message(role="tool", content='{"status": "done"}', tool_call_id=c.id, name=c.name)
            for c in first
        )
        return _marked(
            row,
            "follow-up",
            messages=(
                *row.messages,
                Message(role="assistant", tool_calls=first),
                *results,
                Message(role="assistant", content="Done."),
                other.messages[-1],
            ),
            tools=_shuffled(tools, rng),
            calls=second,
            answer="",
        )
    return None


def _joinable(row: Row) -> bool:
    return bool(row.calls) and sum(m.role != "system" for m in row.messages) == 1


def _together(row: Row, other: Row) -> list[ToolSpec] | None:
    """The tools of both; None for one and the same question, for two tools under one name, or for
    one description under two names: either tool would be right, and gold names one."""
    if row.id == other.id or row.asked == other.asked:
        return None
    tools = {tool.name: tool for tool in row.tools}
    for tool in other.tools:
        if tools.setdefault(tool.name, tool) != tool:
            return None
    said = [
        {tool.description: tool.name for tool in r.tools if tool.description} for r in (row, other)
    ]
    if any(said[1].get(text, name) != name for text, name in said[0].items()):
        return None
    return list(tools.values())


def _numbered(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    return tuple(replace(call, id=f"call_{at}") for at, call in enumerate(calls, 1))
