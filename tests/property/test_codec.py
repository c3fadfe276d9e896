"""Values survive the trip through JSON, whatever a model put into them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import (
    ConfigError,
    JsonValue,
    Task,
    ToolCall,
    Trace,
    decode_arguments,
    dumps,
    loads,
    message_from_openai,
    tool_from_openai,
    tool_to_openai,
)
from callsmith.testing import json_values, tasks, tool_specs, traces


@given(traces())
def test_traces(trace: Trace) -> None:
    assert loads(dumps(trace), Trace) == trace


@given(tasks())
def test_tasks(task: Task) -> None:
    assert loads(dumps(task), Task) == task


@given(tool_specs())
def test_tools_in_the_openai_shape(tool: object) -> None:
    assert tool_from_openai(tool_to_openai(tool)) == tool  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        10**5000,
        -(10**99_999),
        [{"n": 10**4300}],
        {"$integer": "0xff"},
        {"$$integer": 1},
        {"$integer": {"$integer": "0x1"}},
        {"$integer": 1, "other": 2},
    ],
    ids=range(7),
)
def test_integers_of_any_size_and_what_looks_like_their_mark(value: JsonValue) -> None:
    call = ToolCall(name="f", arguments=value)
    assert loads(dumps(call), ToolCall) == call


@given(st.one_of(st.text(), json_values(), json_values().map(json.dumps)))
def test_decoding_arguments_never_raises_and_invents_nothing(raw: object) -> None:
    found = decode_arguments(raw)
    if found == {} and raw not in (None, {}):
        assert isinstance(raw, str)
        assert not raw.strip() or json.loads(raw) == {}


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (None, {}),
        ("", {}),
        ("  ", {}),
        ('{"a": 1}', {"a": 1}),
        ("[1]", [1]),
        ("4", 4),
        ('"x"', "x"),
        ('{"a": ', '{"a": '),
        ("NaN", "NaN"),
        ("[" * 100_000, "[" * 100_000),
        (12, 12),
        ([1], [1]),
    ],
    ids=range(12),
)
def test_decoding_arguments(raw: object, value: JsonValue) -> None:
    assert decode_arguments(raw) == value


@given(json_values())
def test_strangers_json_is_a_message_or_one_clear_line(data: object) -> None:
    for read in (message_from_openai, tool_from_openai):
        error = ""
        try:
            read(data)  # type: ignore[arg-type]
        except ConfigError as problem:
            error = str(problem)
        assert "\n" not in error
