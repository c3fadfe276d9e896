"""Readers: every published shape becomes the same rows, and what is malformed says why."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import Message, ToolCall
from callsmith_tasks.data.readers import READERS, recognise
from callsmith_tasks.data.row import Row, RowError, row_from_json, row_to_json
from fixtures.data_rows import RECORDS, TIMER, WEATHER, glaive, hermes, toolace, trl, xlam

FORMATS = sorted(RECORDS)


def read(format: str, record: dict[str, Any]) -> list[Row]:
    return READERS[format](record, "7")


@pytest.mark.parametrize("format", FORMATS)
def test_a_record_is_recognised_by_its_keys(format: str) -> None:
    assert recognise(RECORDS[format]) == format


def test_unknown_keys_are_no_format() -> None:
    assert recognise({"text": "hello"}) is None


@pytest.mark.parametrize("format", FORMATS)
def test_rows_survive_their_own_file_format(format: str) -> None:
    for row in read(format, RECORDS[format]):
        data = json.loads(json.dumps(row_to_json(row)))
        assert recognise(data) == "rows"
        assert READERS["rows"](data, "ignored") == [row]


def test_xlam_types_become_json_schema() -> None:
    (row,) = read("xlam", xlam())
    assert row.messages == (
        Message(role="user", content="What is the weather in Oslo for 3 days?"),
    )
    assert row.calls == (
        ToolCall(name="get_weather", arguments={"city": "Oslo", "days": 3}, id="call_1"),
    )
    assert row.tools[1].parameters == {
        "type": "object",
        "properties": {"minutes": {"description": "How long.", "type": "number"}},
        "required": ["minutes"],
    }
    weather = row.tools[0].parameters
    assert weather is not None
    # The default "1" is no integer, so it is not shown; what has a default is not required.
    assert weather["properties"] == {
        "city": {"description": "The city.", "type": "string", "default": ""},
        "days": {"description": "Days ahead.", "type": "integer"},
    }
    assert "required" not in weather


def test_toolace_calls_are_python_text_and_names_lose_their_spaces() -> None:
    first, second = read("toolace", toolace())
    assert first.tools[0].name == "Market_Trends_API"
    assert first.calls[0].name == "Market_Trends_API"
    assert first.calls[0].arguments == {"trend_type": "INDEXES", "limit": 2}
    assert first.tools[0].parameters is not None
    assert first.tools[0].parameters["type"] == "object"
    assert second.answer == "Two indexes went up."
    result = second.messages[-1]
    assert (result.role, result.tool_call_id, result.name) == (
        "tool",
        "call_1",
        first.calls[0].name,
    )
    assert [row.id for row in (first, second)] == ["7#1", "7#2"]


def test_several_toolace_calls() -> None:
    call = (
        "[Market Trends API(trend_type='a', ratios=[1.5, -2]), Market Trends API(trend_type='b')]"
    )
    first, *_ = read("toolace", toolace(call))
    assert [c.arguments for c in first.calls] == [
        {"trend_type": "a", "ratios": [1.5, -2]},
        {"trend_type": "b"},
    ]


@pytest.mark.parametrize(
    "call",
    [
        "[Market Trends API(trend_type=INDEXES)]",  # a name is no literal
        "[Market Trends API('INDEXES')]",
        "[Market Trends API(trend_type='a'",
        "[Market Trends API(trend_type='a') and more]",
        "[Market Trends API(trend_type=open('x'))]",
        "I call Market Trends API(trend_type='a')",
        "[" + "(" * 5000 + "]",
    ],
    ids=["name", "position", "open", "text", "code", "inside", "deep"],
)
def test_unreadable_toolace_calls_are_never_trained_as_text(call: str) -> None:
    with pytest.raises(RowError) as error:
        read("toolace", toolace(call))
    assert error.value.reason == "unreadable-call"


@pytest.mark.parametrize(
    "call",
    [
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
        "<tool_call>{'arguments': {'city': 'Oslo'}, 'name': 'get_weather'}</tool_call>",
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}</tool_call>',
    ],
    ids=["json", "python", "json-text"],
)
def test_hermes_calls(call: str) -> None:
    first, second = read("hermes", hermes(call))
    assert first.calls[0].arguments == {"city": "Oslo"}
    # The format's own instruction is gone: the template declares the tools.
    assert [m.role for m in first.messages] == ["user"]
    assert second.messages[-1].content == '{"sky": "clear"}'


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("<tool_call>{broken</tool_call>", "unreadable-call"),
        ('<tool_call>{"name": "get_weather"', "unreadable-call"),
        ('<tool_call>{"arguments": {}}</tool_call>', "unreadable-call"),
        ("<think>Oslo it is.</think>Clear.", "reasoning"),
    ],
)
def test_bad_hermes_turns(call: str, reason: str) -> None:
    with pytest.raises(RowError) as error:
        read("hermes", hermes(call))
    assert error.value.reason == reason


def test_hermes_tools_may_stand_in_a_column_and_the_system_text_stays() -> None:
    turns = [{"from": "system", "value": "Be brief."}, *hermes()["conversations"][1:]]
    record = {"conversations": turns, "tools": json.dumps([WEATHER])}
    first, _ = read("hermes", record)
    assert [m.role for m in first.messages] == ["system", "user"]
    assert [tool.name for tool in first.tools] == ["get_weather"]


def test_glaive_texts_become_messages() -> None:
    first, second = read("glaive", glaive())
    assert [tool.name for tool in first.tools] == ["get_weather", "set_timer"]
    assert first.calls[0].arguments == {"city": "Oslo"}
    assert [m.role for m in second.messages] == ["user", "assistant", "tool"]
    assert second.answer == "It is clear in Oslo."


def test_a_glaive_apostrophe() -> None:
    call = '{"name": "get_weather", "arguments": \'{"city": "L\\\'Aquila"}\'}'
    assert read("glaive", glaive(call))[0].calls[0].arguments == {"city": "L'Aquila"}


def test_glaive_without_functions() -> None:
    record = {
        "system": "SYSTEM: You are helpful, with no access to functions.",
        "chat": "USER: Hi\n\n\nASSISTANT: Hello! <|endoftext|>",
    }
    (row,) = read("glaive", record)
    assert (row.tools, row.calls, row.answer) == ((), (), "Hello!")


@pytest.mark.parametrize("tools", [[TIMER], json.dumps([TIMER])], ids=["list", "text"])
def test_trl_rows(tools: Any) -> None:
    first, second = read("trl", trl(tools=tools))
    assert first.calls == (ToolCall(name="set_timer", arguments={"minutes": 5}, id="call_9"),)
    assert [m.role for m in first.messages] == ["system", "user"]
    assert second.messages[-1].tool_call_id == "call_9"


def test_trl_prompt_and_completion_train_the_completion_only() -> None:
    messages = trl()["messages"]
    record = {"prompt": messages[:4], "completion": messages[4:], "tools": [TIMER]}
    (row,) = read("trl", record)
    assert (row.id, row.answer, len(row.messages)) == ("7", "It runs.", 4)


def test_trl_arguments_as_json_text() -> None:
    record = trl()
    record["messages"][2]["tool_calls"][0]["function"]["arguments"] = '{"minutes": 5}'
    assert read("trl", record)[0].calls[0].arguments == {"minutes": 5}
    record["messages"][2]["tool_calls"][0]["function"]["arguments"] = '{"minutes": 5'
    with pytest.raises(RowError, match="arguments are text"):
        read("trl", record)


@pytest.mark.parametrize(
    ("format", "record", "reason"),
    [
        ("xlam", xlam(query=None), "malformed"),  # type: ignore[arg-type]
        ("xlam", {**xlam(), "answers": "[{"}, "malformed"),
        ("xlam", xlam(answers=[]), "no-answer"),
        ("xlam", xlam(answers=[{"arguments": {}}]), "unreadable-call"),
        ("xlam", xlam(tools=[{"description": "no name"}]), "invalid-tool"),
        ("xlam", xlam(tools=[{"name": "f", "parameters": {"a": "str"}}]), "invalid-tool"),
        ("xlam", xlam(tools=[{"name": "f", "parameters": {}}, {"name": "f"}]), "invalid-tool"),
        ("toolace", toolace(system="no tools here"), "malformed"),
        ("toolace", toolace(conversations=[]), "malformed"),
        ("toolace", toolace(conversations=[{"from": "god", "value": "x"}]), "malformed"),
        ("toolace", toolace(conversations=[{"from": "user", "value": "x"}]), "no-answer"),
        ("hermes", hermes(conversations=[{"from": "human"}]), "malformed"),
        ("hermes", {"conversations": hermes()["conversations"][3:]}, "stray-result"),
        ("glaive", glaive("{broken"), "unreadable-call"),
        ("glaive", glaive(chat="hello"), "malformed"),
        ("glaive", glaive(system="SYSTEM: {broken"), "malformed"),
        ("trl", trl(messages="[]"), "malformed"),
        ("trl", trl(messages=[{"content": "no role"}]), "malformed"),
        ("trl", trl(messages=["text"]), "malformed"),
        ("rows", {"messages": [], "source": "x"}, "malformed"),
        ("rows", {"messages": 3, "source": "x", "id": "y"}, "malformed"),
    ],
)
def test_malformed_records_say_why(format: str, record: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowError) as error:
        read(format, record)
    assert error.value.reason == reason
    assert len(error.value.detail) < 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("format", FORMATS)
@given(data=st.data())
def test_any_json_in_a_field_gives_rows_or_a_row_error(format: str, data: st.DataObject) -> None:
    record = dict(RECORDS[format])
    record[data.draw(st.sampled_from(sorted(record)))] = data.draw(JSON)
    try:
        for row in read(format, record):
            assert row_from_json(json.loads(json.dumps(row_to_json(row)))) == row
    except RowError:
        pass


@pytest.mark.parametrize(
    ("format", "record"),
    [
        ("hermes", hermes("<tool_call>" * 200_000)),
        (
            "hermes",
            hermes() | {"conversations": [{"from": "tool", "value": "<tool_response>" * 90_000}]},
        ),
        ("glaive", glaive(chat="USER: hi" + "\n" * 200_000 + "x")),
        ("glaive", glaive(call='{"name": "x", ' + '"arguments": \'' * 60_000)),
        ("toolace", toolace(system='[{"a":1},' * 60_000)),
    ],
    ids=["calls", "results", "lines", "arguments", "lists"],
)
def test_a_huge_record_is_refused_in_linear_time(format: str, record: dict[str, Any]) -> None:
    began = time.process_time()
    with pytest.raises(RowError):
        READERS[format](record, "0")
    assert time.process_time() - began < 10  # minutes, where every start is searched to the end
