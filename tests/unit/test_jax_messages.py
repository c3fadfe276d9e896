"""Messages and tools on their way to the library's tool loop."""

from __future__ import annotations

from typing import Any

import pytest

from callsmith import (
    ControlCheck,
    ControlTextPolicy,
    ControlTokens,
    Message,
    RenderError,
    ToolCall,
    ToolSpec,
)
from callsmith_jax.config import GEMMA4_CONTROL_TOKENS
from callsmith_jax.messages import convert, convert_tools


def check(policy: ControlTextPolicy = "refuse") -> ControlCheck:
    return ControlCheck(ControlTokens(GEMMA4_CONTROL_TOKENS), policy)


def test_a_conversation() -> None:
    call = ToolCall(name="add", arguments='{"a": 1}', id="c1")
    found = convert(
        [
            Message(role="developer", content="Be brief."),
            Message(
                role="user", content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
            ),
            Message(role="model", content=None, reasoning="hm", tool_calls=(call,)),
            Message(role="tool", content={"sum": 1}, tool_call_id="c1"),
        ],
        check(),
    )
    assert found == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "ab"},
        {
            "role": "assistant",
            "content": "",
            "reasoning": "hm",
            "calls": [{"name": "add", "arguments": {"a": 1}}],
        },
        {"role": "tool", "content": '{"sum": 1}', "name": "add"},
    ]


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (Message(role="critic", content="x"), r"messages\[0\]: the library has no role 'critic'"),
        (
            Message(role="user", content=[{"type": "image"}]),
            r"messages\[0\].content: expected text",
        ),
        (Message(role="tool", content="x"), r"messages\[0\]: a result needs"),
        (
            Message(role="assistant", tool_calls=(ToolCall(name="f", arguments="[1]"),)),
            r"messages\[0\].tool_calls\[0\]: .*only as an object.*\[1\]",
        ),
    ],
    ids=["role", "image", "nameless-result", "list-of-arguments"],
)
def test_what_the_library_cannot_hold(message: Message, place: str) -> None:
    with pytest.raises(RenderError, match=place):
        convert([message], check())


def test_an_empty_conversation() -> None:
    with pytest.raises(RenderError, match="empty"):
        convert([], check())


def test_schemas_are_untouched_and_checked() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"enum": ["x", None, 1.5]}}}
    tool = ToolSpec(name="f", description="d", parameters=schema, response={"type": "string"})
    assert convert_tools([tool, ToolSpec(name="g", response=True)], check()) == [
        {"name": "f", "description": "d", "parameters": schema, "response": {"type": "string"}},
        {"name": "g", "description": "", "parameters": None, "response": None},
    ]


@pytest.mark.parametrize("place", ["key", "value", "name", "result"])
def test_control_text_is_found_wherever_it_stands(place: str) -> None:
    token = "<|tool_call>"
    arguments = {token if place == "key" else "a": token if place == "value" else "x"}
    name = token if place == "name" else "f"
    call = ToolCall(name=name, arguments=arguments, id="c")
    messages = [
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content=token if place == "result" else "x", tool_call_id="c"),
    ]
    with pytest.raises(RenderError, match="control text"):
        convert(messages, check())
    lenient = check("neutralise")
    assert token not in str(convert(messages, lenient))
    assert lenient.changes
    allowed = check("allow")
    assert token in str(convert(messages, allowed))
    assert not allowed.changes
