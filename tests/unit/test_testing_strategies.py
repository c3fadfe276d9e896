"""The strategies produce what they promise: values that the codec keeps, in a sensible order."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from callsmith import JsonValue, Message, Prompt, Reply, Task, ToolCall, ToolSpec, Trace
from callsmith import dumps as dump
from callsmith import loads as load
from callsmith.testing import (
    arguments_for,
    control_rich_text,
    conversations,
    json_values,
    messages,
    prompts,
    replies,
    tasks,
    tool_calls,
    tool_specs,
    traces,
)

QUICK = settings(max_examples=3000, database=None, phases=[Phase.generate])

KINDS: list[tuple[SearchStrategy[object], type]] = [
    (tool_specs(), ToolSpec),
    (tool_calls(), ToolCall),
    (messages(), Message),
    (prompts(), Prompt),
    (replies(), Reply),
    (tasks(), Task),
    (traces(), Trace),
]


@pytest.mark.parametrize(
    ("strategy", "kind"), KINDS, ids=lambda item: getattr(item, "__name__", "")
)
def test_every_value_survives_the_codec(strategy: SearchStrategy[object], kind: type) -> None:
    @given(value=strategy)
    @settings(max_examples=50)
    def check(value: object) -> None:
        line = dump(value)
        assert "\n" not in line
        assert load(line, kind) == value

    check()


@given(pair=tool_specs().flatmap(lambda tool: st.tuples(st.just(tool), arguments_for(tool))))
def test_arguments_are_valid_for_their_tool(pair: tuple[ToolSpec, dict[str, JsonValue]]) -> None:
    tool, arguments = pair
    jsonschema.validate(arguments, dict(tool.parameters or {}))


@given(data=st.data(), tools=st.lists(tool_specs(), min_size=1, max_size=3))
def test_calls_of_given_tools_are_known_and_valid(
    data: st.DataObject, tools: list[ToolSpec]
) -> None:
    call = data.draw(tool_calls(tools))
    known = [tool for tool in tools if tool.name == call.name]
    assert known
    schemas = [dict(tool.parameters or {}) for tool in known]
    assert any(jsonschema.Draft202012Validator(s).is_valid(call.arguments) for s in schemas)


@given(conversation=conversations())
def test_conversations_happen_in_order(conversation: tuple[Message, ...]) -> None:
    assert conversation[-1].role in ("user", "tool")
    assert all(message.role != "system" for message in conversation[1:])
    waiting: list[tuple[str | None, str | None]] = []
    seen: set[str | None] = set()
    for message in conversation:
        if message.role == "tool":
            assert (message.tool_call_id, message.name) == waiting.pop(0)
            continue
        assert not waiting, "a result is missing"
        for call in message.tool_calls:
            assert call.id not in seen
            seen.add(call.id)
            waiting.append((call.id, call.name))
    assert not waiting


def test_bad_episodes_are_among_the_traces() -> None:
    wanted = (
        lambda t: not t.turns,
        lambda t: any(turn.reply is None for turn in t.turns),
        lambda t: any(turn.reply and turn.reply.faults for turn in t.turns),
        lambda t: any(not isinstance(call.arguments, dict) for call in t.calls),
        lambda t: t.halt == "error" and t.error is not None,
        lambda t: any(result.error for turn in t.turns for result in turn.results),
    )
    for condition in wanted:
        find(traces(), condition, settings=QUICK)


def test_control_rich_text_has_whole_and_broken_tokens() -> None:
    text = control_rich_text(["<|call>", "<call|>"])
    find(text, lambda t: "<|call><call|>" in t, settings=QUICK)
    find(text, lambda t: "<|ca" in t and "<|call>" not in t, settings=QUICK)


@given(value=json_values(text=st.just("word")))
def test_json_values_use_the_given_text(value: JsonValue) -> None:
    def words(item: JsonValue) -> list[str]:
        if isinstance(item, str):
            return [item]
        if isinstance(item, list):
            return [word for part in item for word in words(part)]
        if isinstance(item, dict):
            return [word for pair in item.items() for part in pair for word in words(part)]
        return []

    assert set(words(value)) <= {"word"}
