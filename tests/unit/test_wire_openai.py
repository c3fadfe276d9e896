"""Messages in the OpenAI shape, and arguments out of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import (
    ConfigError,
    JsonValue,
    Message,
    ToolCall,
    decode_arguments,
    message_from_openai,
    message_to_openai,
)
from callsmith.testing import json_values

DECODED: list[tuple[object, JsonValue]] = [
    (None, {}),
    ("", {}),
    (" \n", {}),
    ("{}", {}),
    ('{"city": "Paris"}', {"city": "Paris"}),
    ("[1, 2]", [1, 2]),
    ("42", 42),
    ("null", None),
    ("true", True),
    ('"bare"', "bare"),
    ('{"city": ', '{"city": '),
    ("{'city': 'Paris'}", "{'city': 'Paris'}"),
    ('{"q": NaN}', '{"q": NaN}'),
    ('{"a": 1} trailing', '{"a": 1} trailing'),
    ("[" * 100_000, "[" * 100_000),
    (123, 123),
    ([1, 2], [1, 2]),
    ({"city": "Paris"}, {"city": "Paris"}),
    (False, False),
]


@pytest.mark.parametrize(
    ("raw", "value"), DECODED, ids=[str(number) for number in range(len(DECODED))]
)
def test_arguments_are_decoded_and_never_lost(raw: object, value: JsonValue) -> None:
    found = decode_arguments(raw)
    assert found == value
    assert type(found) is type(value)


@given(st.text())
def test_no_text_raises_and_none_turns_into_an_empty_object(text: str) -> None:
    value = decode_arguments(text)
    if value == {}:
        assert not text.strip() or json.loads(text) == {}


def test_the_shared_cases(shared: Path) -> None:
    cases = json.loads((shared / "guardrails" / "CASES.json").read_text(encoding="utf-8"))["cases"]
    chosen = [case for case in cases if case["area"] == "decode_args"]
    assert len(chosen) >= 10
    for case in chosen:
        assert case["expected"]["raises"] is False
        found = decode_arguments(case["given"]["raw_arguments"])
        assert found == case["expected"]["value"], case["id"]


def test_a_value_that_is_no_text_is_the_same_object() -> None:
    value = {"city": "Paris"}
    assert decode_arguments(value) is value


def test_a_call_goes_out_as_json_text() -> None:
    call = ToolCall(name="add", arguments={"a": 2, "ü": "☀"}, id="call_1")
    message = Message(role="assistant", content="", reasoning="I add.", tool_calls=(call,))
    assert message_to_openai(message) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "add", "arguments": '{"a": 2, "ü": "☀"}'},
            }
        ],
    }


def test_a_thought_goes_where_it_is_asked_for() -> None:
    message = Message(role="assistant", content="5", reasoning="I add.")
    assert message_to_openai(message) == {"role": "assistant", "content": "5"}
    assert message_to_openai(message, reasoning="reasoning_content") == {
        "role": "assistant",
        "content": "5",
        "reasoning_content": "I add.",
    }


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("sunny", "sunny"),
        ({"sky": "é"}, '{"sky": "é"}'),
        (None, "null"),
        ([], "[]"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "text", "text": "a"}, 5], '[{"type": "text", "text": "a"}, 5]'),
    ],
    ids=["text", "object", "null", "empty list", "text parts", "a list"],
)
def test_a_result_is_text(content: JsonValue, text: str) -> None:
    message = Message(role="tool", content=content, tool_call_id="call_1", name="f")
    assert message_to_openai(message) == {
        "role": "tool",
        "content": text,
        "tool_call_id": "call_1",
        "name": "f",
    }


@given(json_values())
def test_arguments_survive_the_way_there_and_back(value: JsonValue) -> None:
    message = Message(role="assistant", tool_calls=(ToolCall(name="f", arguments=value),))
    (call,) = message_from_openai(message_to_openai(message)).tool_calls
    expected = decode_arguments(value)
    assert decode_arguments(call.arguments) == expected
    assert isinstance(call.arguments, str)
    json.loads(call.arguments)  # also garbage goes out as valid JSON


def test_garbage_goes_out_as_a_json_string() -> None:
    call = ToolCall(name="f", arguments='{"city": ')
    sent = message_to_openai(Message(role="assistant", tool_calls=(call,)))
    assert sent["tool_calls"] == [
        {"type": "function", "function": {"name": "f", "arguments": json.dumps('{"city": ')}}
    ]


def test_what_json_cannot_say_is_named() -> None:
    call = ToolCall(name="f", arguments={"x": float("nan")})
    with pytest.raises(ConfigError, match="arguments of 'f'"):
        message_to_openai(Message(role="assistant", tool_calls=(call,)))
