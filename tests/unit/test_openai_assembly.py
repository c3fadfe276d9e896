"""A chat answer put together from pieces of every shape."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import (
    ArmError,
    CallParsed,
    ContentDelta,
    Event,
    FaultFound,
    JsonValue,
    ReasoningDelta,
    ToolCall,
    Usage,
)
from callsmith_openai.assembly import Reading


def fragment(
    arguments: Any = None, *, index: Any = None, id: Any = None, name: Any = None
) -> dict[str, Any]:
    piece: dict[str, Any] = {"function": {}}
    if index is not None:
        piece["index"] = index
    if id is not None:
        piece["id"] = id
    if name is not None:
        piece["function"]["name"] = name
    if arguments is not None:
        piece["function"]["arguments"] = arguments
    return piece


def calls_of(*deltas: Sequence[Any]) -> list[tuple[str, JsonValue, str | None]]:
    """Name, arguments and id of the calls in deltas of such fragments; no fault is expected."""
    reading = Reading()
    for fragments in deltas:
        reading.take({"choices": [{"delta": {"tool_calls": list(fragments)}}]})
    reading.finish()
    assert reading.faults == ()
    return [(call.name, call.arguments, call.id) for call in reading.calls]


def test_arguments_in_one_piece() -> None:
    assert calls_of([fragment('{"a": 1}', index=0, id="x", name="f")]) == [("f", {"a": 1}, "x")]


def test_arguments_in_a_hundred_pieces() -> None:
    text = json.dumps({"text": "é☀" * 50})
    pieces = [[fragment(char, index=0)] for char in text]
    assert calls_of([fragment("", index=0, id="x", name="f")], *pieces) == [
        ("f", {"text": "é☀" * 50}, "x")
    ]


def test_interleaved_by_index() -> None:
    assert calls_of(
        [fragment("", index=0, id="x", name="f"), fragment("", index=1, id="y", name="g")],
        [fragment('{"a"', index=1)],
        [fragment('{"b"', index=0)],
        [fragment(": 1}", index=0), fragment(": 2}", index=1)],
    ) == [("f", {"b": 1}, "x"), ("g", {"a": 2}, "y")]


def test_the_order_is_that_in_which_calls_begin() -> None:
    found = calls_of([fragment("{}", index=1, name="g")], [fragment("{}", index=0, name="f")])
    assert [name for name, _, _ in found] == ["g", "f"]


def test_ids_that_are_repeated() -> None:
    assert calls_of(
        [fragment('{"a"', index=0, id="x", name="f")],
        [fragment(": 1}", index=0, id="x", name="f")],
    ) == [("f", {"a": 1}, "x")]


def test_a_fresh_id_in_every_piece_is_one_call() -> None:
    assert calls_of(
        [fragment('{"a"', index=0, id="x", name="f")], [fragment(": 1}", index=0, id="y")]
    ) == [("f", {"a": 1}, "x")]


def test_every_call_numbered_zero() -> None:
    assert calls_of(
        [fragment('{"a": 1}', index=0, id="x", name="f")],
        [fragment('{"a": 2}', index=0, id="y", name="f")],
    ) == [("f", {"a": 1}, "x"), ("f", {"a": 2}, "y")]


def test_every_call_numbered_zero_without_ids() -> None:
    assert calls_of(
        [fragment('{"a": 1}', index=0, name="f")], [fragment('{"a": 2}', index=0, name="f")]
    ) == [("f", {"a": 1}, None), ("f", {"a": 2}, None)]


def test_by_id_without_an_index() -> None:
    assert calls_of(
        [fragment('{"a"', id="x", name="f")],
        [fragment('{"b"', id="y", name="g")],
        [fragment(": 1}", id="x")],
        [fragment(": 2}", id="y")],
    ) == [("f", {"a": 1}, "x"), ("g", {"b": 2}, "y")]


def test_by_position_without_an_index_and_ids() -> None:
    assert calls_of(
        [fragment('{"a"', name="f"), fragment('{"b"', name="g")],
        [fragment(": 1}"), fragment(": 2}")],
    ) == [("f", {"a": 1}, None), ("g", {"b": 2}, None)]


def test_one_after_the_other_without_an_index_and_ids() -> None:
    assert calls_of(
        [fragment('{"a"', name="f")],
        [fragment(": 1}")],
        [fragment('{"b"', name="f")],
        [fragment(": 2}")],
    ) == [("f", {"a": 1}, None), ("f", {"b": 2}, None)]


def test_an_id_first_and_an_index_later() -> None:
    assert calls_of([fragment('{"a"', id="x", name="f")], [fragment(": 1}", id="x", index=0)]) == [
        ("f", {"a": 1}, "x")
    ]


def test_a_name_that_comes_later() -> None:
    assert calls_of([fragment("", index=0, id="x")], [fragment("{}", index=0, name="f")]) == [
        ("f", {}, "x")
    ]


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (None, {}),
        ("", {}),
        ("null", None),
        ('"text"', "text"),
        ("[1]", [1]),
        ('{"a": ', '{"a": '),
        ({"a": 1}, {"a": 1}),
        ({}, {}),
        ([1], [1]),
    ],
    ids=str,
)
def test_arguments_are_data_whatever_they_are(arguments: Any, value: JsonValue) -> None:
    assert calls_of([fragment(arguments, index=0, id="x", name="f")]) == [("f", value, "x")]


@pytest.mark.parametrize(
    "piece",
    [fragment("{}", index=0, id="x"), fragment(name=""), fragment(name=5), {}, None, "text", 7],
    ids=str,
)
def test_a_call_without_a_name_is_a_fault(piece: Any) -> None:
    reading = Reading()
    reading.take({"choices": [{"delta": {"tool_calls": [piece]}}]})
    events = reading.finish()
    assert reading.calls == ()
    (fault,) = reading.faults
    assert fault.kind == "nameless-call"
    assert json.loads(fault.raw) == [piece]
    assert events == [FaultFound(fault=fault)]


def test_the_older_form_of_one_call() -> None:
    reading = Reading()
    reading.take({"choices": [{"delta": {"function_call": {"name": "f", "arguments": '{"a"'}}}]})
    reading.take({"choices": [{"delta": {"function_call": {"arguments": ": 1}"}}}]})
    reading.finish()
    assert reading.calls == (ToolCall(name="f", arguments={"a": 1}, raw='{"a": 1}'),)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "thinking"])
def test_reasoning_under_any_of_its_names(name: str) -> None:
    reading = Reading()
    assert reading.take({"choices": [{"delta": {name: "Hm."}}]}) == [ReasoningDelta(text="Hm.")]
    assert (reading.reasoning, reading.content) == ("Hm.", "")


def test_reasoning_under_two_names_at_once_is_read_once() -> None:
    reading = Reading()
    reading.take({"choices": [{"delta": {"reasoning": "Hm.", "reasoning_content": "Hm."}}]})
    assert reading.reasoning == "Hm."


def test_a_usage_chunk_has_no_choices() -> None:
    reading = Reading()
    reading.take({"choices": [{"delta": {"content": "5"}, "finish_reason": "stop"}]})
    assert reading.take({"choices": [], "usage": {"prompt_tokens": 7}}) == []
    assert reading.usage == Usage(prompt_tokens=7)
    reading.take({"choices": [], "usage": None})
    assert reading.usage == Usage(prompt_tokens=7)


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "eos", "MAX_TOKENS", "", 7])
def test_a_finish_reason_is_kept_as_it_came(reason: Any) -> None:
    reading = Reading()
    reading.take({"choices": [{"delta": {}, "finish_reason": reason}]})
    reading.take({"choices": [{"delta": {}, "finish_reason": None}]})
    assert reading.finish_reason == str(reason)


def test_only_the_first_choice_is_read() -> None:
    reading = Reading()
    reading.take({"choices": [{"index": 1, "delta": {"content": "b"}}]})
    reading.take({"choices": [{"index": 0, "delta": {"content": "a"}}]})
    assert reading.content == "a"


def test_a_whole_message_reads_like_a_stream() -> None:
    message = {
        "role": "assistant",
        "content": None,
        "reasoning": "Hm.",
        "tool_calls": [
            {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "y", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ],
    }
    reading = Reading()
    reading.take({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    reading.finish()
    assert reading.reasoning == "Hm."
    assert [call.id for call in reading.calls] == ["x", "y"]


def test_content_in_parts_and_a_refusal_are_text() -> None:
    reading = Reading()
    reading.take({"choices": [{"delta": {"content": [{"type": "text", "text": "a"}]}}]})
    reading.take({"choices": [{"delta": {"refusal": "I will not."}}]})
    reading.take({"choices": [{"delta": {"refusal": " No."}}]})
    assert reading.content == "aI will not. No."
    assert len(reading.notes) == 1


@pytest.mark.parametrize(
    "value",
    [
        {"choices": 5},
        {"choices": [5]},
        {"choices": [{"delta": 5}]},
        {"choices": [{"delta": {"content": 5}}]},
        {"choices": [{"delta": {"reasoning": {}}}]},
        {"choices": [{"delta": {"tool_calls": {}}}]},
    ],
    ids=str,
)
def test_another_shape_is_named(value: Mapping[str, Any]) -> None:
    with pytest.raises(ArmError):
        Reading().take(value)


def test_a_stop_string_that_the_server_lets_through_is_cut() -> None:
    reading = Reading(["END"])
    events: list[Event] = []
    for piece in ("one E", "N", "D and more", " text"):
        events += reading.take({"choices": [{"delta": {"content": piece}}]})
    events += reading.finish()
    assert reading.content == "one "
    assert "".join(e.text for e in events if isinstance(e, ContentDelta)) == "one "


# -- any way of cutting --------------------------------------------------------------------------

NAMES = st.sampled_from(["f", "g", "a-b.c"])
VALUES: st.SearchStrategy[Any] = st.dictionaries(
    st.text(max_size=3), st.text(max_size=5) | st.integers(), max_size=3
)


@st.composite
def cut_calls(draw: st.DrawFn) -> tuple[list[ToolCall], list[list[dict[str, Any]]]]:
    """Calls, and deltas of their fragments: any sizes, any order between calls, any marking."""
    count = draw(st.integers(1, 4))
    calls = [
        ToolCall(name=draw(NAMES), arguments=draw(VALUES), id=f"id{number}")
        for number in range(count)
    ]
    marking = draw(st.sampled_from(["index", "index and id", "id", "sequence"]))
    interleaved = marking != "sequence" and draw(st.booleans())
    repeats = draw(st.booleans())
    streams: list[list[dict[str, Any]]] = []
    for number, call in enumerate(calls):
        text = json.dumps(call.arguments)
        cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)) | {0, len(text)})
        pieces = [text[a:b] for a, b in pairwise(cuts)]
        stream = []
        for order, piece in enumerate(pieces):
            item = fragment(piece, name=call.name if order == 0 else None)
            if "index" in marking:
                item["index"] = number
            if marking == "id" or ("id" in marking and (order == 0 or repeats)):
                item["id"] = call.id
            stream.append(item)
        streams.append(stream)
    if interleaved:
        rows = [[item for item in row if item] for row in zip_longest(*streams)]
        together = draw(st.booleans())
        deltas = rows if together else [[item] for row in rows for item in row]
    else:
        deltas = [[item] for stream in streams for item in stream]
    if marking in ("index", "sequence"):
        calls = [ToolCall(name=call.name, arguments=call.arguments) for call in calls]
    return calls, deltas


@given(cut_calls())
def test_calls_survive_any_cutting(
    case: tuple[list[ToolCall], list[list[dict[str, Any]]]],
) -> None:
    calls, deltas = case
    assert calls_of(*deltas) == [(call.name, call.arguments, call.id) for call in calls]


KEYS = st.sampled_from(
    [
        "choices", "delta", "message", "index", "id", "function", "name", "arguments", "content",
        "reasoning", "tool_calls", "function_call", "finish_reason", "usage", "prompt_tokens",
    ]
)  # fmt: skip
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "x", "{", "f"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def deltas() -> Iterator[st.SearchStrategy[Any]]:
    yield ANY.map(lambda value: {"choices": [{"delta": value}]})
    yield ANY.map(lambda value: {"choices": [{"delta": {"tool_calls": [value]}}]})
    yield ANY.map(lambda value: {"choices": value})


@given(st.lists(st.one_of(*deltas()), max_size=5))
def test_nothing_else_than_an_arm_error_is_raised(values: list[Mapping[str, Any]]) -> None:
    reading = Reading()
    try:
        for value in values:
            reading.take(value)
    except ArmError:
        return
    events = reading.finish()
    assert [e.call for e in events if isinstance(e, CallParsed)] == list(reading.calls)
