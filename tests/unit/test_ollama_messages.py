"""A conversation in Ollama's shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callsmith import JsonValue, Message, RenderError, ToolCall, ToolSpec
from callsmith_ollama.messages import convert, convert_tools


def sent(*messages: Message, drop: bool = False) -> list[Any]:
    return convert(messages, drop_beside_calls=drop).messages


def test_a_whole_episode() -> None:
    call = ToolCall(name="add", arguments={"b": 3, "a": 2}, id="call_0_0")
    assert sent(
        Message(role="system", content="Be brief."),
        Message(role="user", content="2 + 3?"),
        Message(role="assistant", content="", reasoning="I add.", tool_calls=(call,)),
        Message(role="tool", content="5", tool_call_id="call_0_0", name="add"),
        Message(role="assistant", content="5"),
    ) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2 + 3?"},
        {
            "role": "assistant",
            "content": "",
            "thinking": "I add.",
            "tool_calls": [
                {
                    "id": "call_0_0",
                    "function": {"index": 0, "name": "add", "arguments": {"b": 3, "a": 2}},
                }
            ],
        },
        {"role": "tool", "content": "5", "tool_name": "add", "tool_call_id": "call_0_0"},
        {"role": "assistant", "content": "5"},
    ]


def test_the_order_of_arguments_is_kept() -> None:
    call = ToolCall(name="f", arguments={"z": 1, "a": 2})
    (message,) = sent(Message(role="assistant", tool_calls=(call,)))
    assert list(message["tool_calls"][0]["function"]["arguments"]) == ["z", "a"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("as it is ", "as it is "),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([], ""),
    ],
)
def test_content_is_one_string(content: JsonValue, text: str) -> None:
    assert sent(Message(role="user", content=content)) == [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("5", "5"),
        ({"sky": "klar ☀", "t": 1.5}, '{"sky": "klar ☀", "t": 1.5}'),
        ([1, 2], "[1, 2]"),
        ([], "[]"),
        (None, "null"),
        (True, "true"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "text"}], '[{"type": "text"}]'),
    ],
)
def test_a_result_is_text_or_json_text(content: JsonValue, text: str) -> None:
    call = ToolCall(name="f", id="1")
    *_, tool = sent(
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content=content, tool_call_id="1"),
    )
    assert tool == {"role": "tool", "content": text, "tool_name": "f", "tool_call_id": "1"}


def test_images_go_where_ollama_wants_them() -> None:
    parts: JsonValue = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    assert sent(Message(role="user", content=parts)) == [
        {"role": "user", "content": "What is this?", "images": ["AAAA"]}
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}],
            r"content\[0\]",
        ),
        ([{"type": "audio"}], "audio"),
        (["text"], r"messages\[0\]\.content\[0\]"),
        ({"a": 1}, "list of parts"),
        (5, "list of parts"),
    ],
)
def test_content_that_cannot_be_sent_is_refused(content: JsonValue, says: str) -> None:
    with pytest.raises(RenderError, match=says):
        sent(Message(role="user", content=content))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [({}, {}), (None, {}), ("", {}), ('{"a": [1]}', {"a": [1]}), ({"a": None}, {"a": None})],
)
def test_arguments_are_sent_as_an_object(arguments: JsonValue, expected: JsonValue) -> None:
    (message,) = sent(
        Message(role="assistant", tool_calls=(ToolCall(name="f", arguments=arguments),))
    )
    assert message["tool_calls"] == [{"function": {"index": 0, "name": "f", "arguments": expected}}]


@pytest.mark.parametrize("arguments", [[1], "no json {", '"text"', 5, True])
def test_arguments_that_are_no_object_are_refused(arguments: JsonValue) -> None:
    call = ToolCall(name="f", arguments=arguments)
    with pytest.raises(RenderError, match=r"messages\[0\]\.tool_calls\[0\].*only as an object"):
        sent(Message(role="assistant", tool_calls=(call,)))


def test_a_stray_thought_in_the_history_is_sent_as_thinking() -> None:
    text = "<|channel>thought\nI guess.<channel|>It is 5."
    converted = convert([Message(role="assistant", content=text)], drop_beside_calls=False)
    assert converted.messages == [
        {"role": "assistant", "content": "It is 5.", "thinking": "I guess."}
    ]
    assert any("stray thought" in note for note in converted.notes)


def test_the_same_text_from_a_user_is_left_alone() -> None:
    text = "<|channel>thought\nI guess.<channel|>It is 5."
    assert sent(Message(role="user", content=text)) == [{"role": "user", "content": text}]


def test_text_beside_answered_calls_can_be_left_out() -> None:
    said = Message(
        role="assistant", content="Let me see.", tool_calls=(ToolCall(name="f", id="1"),)
    )
    result = Message(role="tool", content="5", tool_call_id="1")
    kept = convert([said, result], drop_beside_calls=False)
    dropped = convert([said, result], drop_beside_calls=True)
    assert [m["content"] for m in kept.messages if isinstance(m, dict)] == ["Let me see.", "5"]
    assert [m["content"] for m in dropped.messages if isinstance(m, dict)] == ["", "5"]
    assert kept.notes == ()
    assert len(dropped.notes) == 1
    assert "messages[0]" in dropped.notes[0]


def test_text_beside_calls_without_results_stays() -> None:
    said = Message(role="assistant", content="Let me see.", tool_calls=(ToolCall(name="f"),))
    (message,) = sent(said, drop=True)
    assert message["content"] == "Let me see."


def test_a_result_that_follows_no_call_is_pointed_out() -> None:
    converted = convert(
        [Message(role="user", content="Hi"), Message(role="tool", content="5", name="f")],
        drop_beside_calls=False,
    )
    assert converted.messages[1] == {"role": "tool", "content": "5", "tool_name": "f"}
    assert any("messages[1]" in note for note in converted.notes)


def test_several_results_belong_to_one_message_with_calls() -> None:
    calls = (ToolCall(name="f", id="1"), ToolCall(name="g", id="2"))
    converted = convert(
        [
            Message(role="assistant", tool_calls=calls),
            Message(role="tool", content="a", tool_call_id="2"),
            Message(role="tool", content="b", tool_call_id="1"),
        ],
        drop_beside_calls=False,
    )
    names = [m["tool_name"] for m in converted.messages[1:] if isinstance(m, dict)]
    assert names == ["g", "f"]
    assert converted.notes == ()


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(RenderError, match="empty"):
        sent()


def test_schemas_are_sent_as_they_are() -> None:
    schema: dict[str, JsonValue] = {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"], "default": 1}},
    }
    tools = (
        ToolSpec(name="f", description="Does f.", parameters=schema, response={"type": "string"}),
        ToolSpec(name="g"),
    )
    assert json.loads(json.dumps(convert_tools(tools))) == [
        {
            "type": "function",
            "function": {"name": "f", "description": "Does f.", "parameters": schema},
        },
        {"type": "function", "function": {"name": "g", "description": ""}},
    ]
