"""What the decoder publishes while the text arrives, and what it holds back."""

from __future__ import annotations

from typing import Any

import pytest

from callsmith import (
    CallParsed,
    ContentDelta,
    Event,
    FaultFound,
    ReasoningDelta,
    ToolCall,
    ToolSpec,
)
from callsmith_gemma4.decoder import Gemma4Decoder

PING = ToolSpec(name="ping")


def feed(*pieces: str, tools: tuple[ToolSpec, ...] = (), **options: Any) -> list[list[Event]]:
    decoder = Gemma4Decoder(tools, **options)
    return [decoder.feed(piece) for piece in pieces]


def said(text: str) -> list[Event]:
    return [ContentDelta(text=text)]


def thought(text: str) -> list[Event]:
    return [ReasoningDelta(text=text)]


def test_text_is_published_as_it_comes() -> None:
    assert feed("He", "llo", "", " there", tools=(PING,)) == [
        said("He"),
        said("llo"),
        [],
        said(" there"),
    ]


@pytest.mark.parametrize(
    "token",
    ["<|tool_call>", "<tool_call|>", "<|channel>", "<channel|>", "<turn|>", "<eos>", '<|"|>'],
)
def test_no_part_of_a_control_token_is_published(token: str) -> None:
    for cut in range(1, len(token)):
        first, second = feed("Hi" + token[:cut], token[cut:])
        assert first == said("Hi")
        assert not [event for event in second if isinstance(event, ContentDelta)]


def test_what_turns_out_to_be_no_token_is_published_at_once() -> None:
    assert feed("a <", "d", " <|tool", "_box>") == [
        said("a "),
        said("<d"),
        said(" "),
        said("<|tool_box>"),
    ]


def test_a_held_back_end_is_published_by_close() -> None:
    decoder = Gemma4Decoder()
    assert decoder.feed("a <|tool_") == said("a ")
    assert decoder.close().content == "a <|tool_"


def test_a_call_is_published_once_and_whole() -> None:
    call = ToolCall(name="f", arguments={"a": 12, "b": True}, raw="call:f{a:12,b:true}")
    events = feed("<|tool_call>call:f{a:1", "2,b:tru", "e}<tool_call", "|>", "<tool_call|>")
    assert events == [[], [], [], [CallParsed(index=0, call=call)], []]


def test_calls_are_numbered_in_their_order() -> None:
    events = feed("<|tool_call>call:f{}<tool_call|><|tool_call>call:g{}call:f{}<tool_call|>")
    assert [
        (event.index, event.call.name) for event in events[0] if isinstance(event, CallParsed)
    ] == [(0, "f"), (1, "g"), (2, "f")]


def test_a_fault_is_published_as_soon_as_it_is_certain() -> None:
    events = feed("<|tool_call>call:f{a}", "<tool_call|>", "Hi")
    assert [type(event) for event in events[1]] == [FaultFound]
    assert events[2] == said("Hi")


def test_thoughts_are_published_without_their_last_line_break() -> None:
    assert feed("<|chan", "nel>tho", "ught\n", "hm\n", "so", "\n<chan", "nel|>Hi") == [
        [],
        [],
        [],
        thought("hm"),
        thought("\nso"),
        [],
        said("Hi"),
    ]


def test_start_inside_a_thought() -> None:
    assert feed("hm", "<channel|>Hi", start="thought") == [thought("hm"), said("Hi")]


def test_a_line_is_held_back_only_while_it_may_be_a_call_of_a_known_tool() -> None:
    assert feed("a\n", "ca", "ll:pin", "t", tools=(PING,)) == [
        said("a\n"),
        [],
        [],
        said("call:pint"),
    ]
    assert feed("a\n", "ca", "ll:pin", "t") == [
        said("a\n"),
        said("ca"),
        said("ll:pin"),
        said("t"),
    ]


def test_a_literal_end_of_a_call_inside_a_string_does_not_end_it() -> None:
    pieces = ['<|tool_call>call:f{a:<|"|>x', "}<tool_call|>", " y", '<|"|>', "}<tool_call|>"]
    events = feed(*pieces)
    assert events[:4] == [[], [], [], []]
    (event,) = events[4]
    assert isinstance(event, CallParsed)
    assert event.call.arguments == {"a": "x}<tool_call|> y"}
