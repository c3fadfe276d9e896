"""What holds for any text at all: no error, the same reply for any chunking, nothing lost."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, get_args

from hypothesis import assume, example, given
from hypothesis import strategies as st

from callsmith import (
    CallParsed,
    ContentDelta,
    Event,
    FaultFound,
    JsonValue,
    ReasoningDelta,
    Reply,
    ToolCall,
)
from callsmith.testing import control_rich_text
from callsmith_qwen3.config import RepairPolicy
from callsmith_qwen3.control_tokens import CONTROL_TOKENS, STRUCTURE
from callsmith_qwen3.decoder import Qwen3Decoder
from callsmith_qwen3.kinds import FAULT_KINDS, REPAIR_KINDS
from callsmith_qwen3.render import render_call

SYNTAX = [
    *"{}[](),:='\"\\ \n<|>`",
    *('{"name": "', '", "arguments": ', '"arguments": "', '"parameters"', '{"function": '),
    *('<tool_call>\n{"name": "f", "arguments": {"a": "', '"}}\n</tool_call>', "}\n</tool_call>\n"),
    *('<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>', '{"name": "f"}', "```json\n"),
    *("<think>\n", "\n</think>\n\n", "<think><tool_call>", "</think>", '\\"', "\\u00", "\\ud83d"),
    *("true", "null", "None", "1", "-2.5e3", "1e999", "9" * 4001, "x", "it's", "é", "\ud800"),
]
TOKENS = sorted(CONTROL_TOKENS.tokens)
TEXTS = st.one_of(
    control_rich_text(TOKENS, max_size=20),
    st.lists(
        st.sampled_from(SYNTAX) | st.sampled_from(SYNTAX) | st.sampled_from(STRUCTURE), max_size=25
    ).map("".join),
)
OPTIONS = st.fixed_dictionaries(
    {
        "start": st.sampled_from(["content", "thought"]),
        "repair": st.sampled_from(get_args(RepairPolicy)),
        "max_depth": st.sampled_from([1, 3, 128]),
    }
)


def run(pieces: Sequence[str], options: dict[str, Any]) -> tuple[Reply, list[Event]]:
    decoder = Qwen3Decoder(**options)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return decoder.close(), events


def cut(text: str, at: Sequence[int]) -> list[str]:
    edges = [0, *sorted(min(place, len(text)) for place in at), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@given(text=TEXTS, at=st.lists(st.integers(0, 200), max_size=6), options=OPTIONS)
@example(text='<tool_call>{"a": "</tool_call>" x</tool_call>y', at=[20], options={})
@example(text='<think>a\n<tool_call>{"a": "<|im_end|>"}</tool_call>', at=[9], options={})
@example(text="<tool_call></tool_c", at=[14], options={})
def test_any_chunking_gives_the_same_reply(
    text: str, at: list[int], options: dict[str, Any]
) -> None:
    whole, _ = run([text], options)
    for pieces in (cut(text, at), list(text), [*text[:3], text[3:]]):
        reply, _ = run(pieces, options)
        assert reply == whole


@given(text=TEXTS, at=st.lists(st.integers(0, 200), max_size=6), options=OPTIONS)
def test_events_tell_the_reply(text: str, at: list[int], options: dict[str, Any]) -> None:
    """All that was published is in the reply; what is missing yet can only come by `close`."""
    for pieces in (cut(text, at), list(text)):
        reply, events = run(pieces, options)
        content = "".join([event.text for event in events if isinstance(event, ContentDelta)])
        reasoning = "".join([event.text for event in events if isinstance(event, ReasoningDelta)])
        calls = [event for event in events if isinstance(event, CallParsed)]
        faults = tuple([event.fault for event in events if isinstance(event, FaultFound)])
        assert reply.content.startswith(content)
        assert reply.reasoning.startswith(reasoning)
        assert tuple([event.call for event in calls]) == reply.calls[: len(calls)]
        assert [event.index for event in calls] == list(range(len(calls)))
        assert faults == reply.faults[: len(faults)]


@given(text=TEXTS, options=OPTIONS)
def test_the_end_of_the_turn_leaves_nothing_for_close(text: str, options: dict[str, Any]) -> None:
    """Behind it no state is open, so that the events are the whole reply."""
    # An open string, or a turn that has ended already, would take the token in.
    assume(not any(part in text for part in ('"', "'", "<|im_", "<|endoftext|>", "\\")))
    reply, events = run([text, "<|im_end|>"], options)
    assert "".join([e.text for e in events if isinstance(e, ContentDelta)]) == reply.content
    assert "".join([e.text for e in events if isinstance(e, ReasoningDelta)]) == reply.reasoning
    assert len([e for e in events if isinstance(e, CallParsed)]) == len(reply.calls)
    assert len([e for e in events if isinstance(e, FaultFound)]) == len(reply.faults)


@given(text=TEXTS, options=OPTIONS)
def test_notes_are_known_kinds_with_true_spans(text: str, options: dict[str, Any]) -> None:
    reply, _ = run([text], options)
    for fault in reply.faults:
        assert fault.kind in FAULT_KINDS or (
            options["repair"] == "off" and fault.kind in REPAIR_KINDS
        )
        assert fault.span is not None
        assert text[slice(*fault.span)] == fault.raw
    for repair in reply.repairs:
        assert repair.kind in REPAIR_KINDS
        assert repair.span is not None
        assert 0 <= repair.span[0] <= repair.span[1] <= len(text)
    if options["repair"] == "off":
        assert reply.repairs == ()
    for call in reply.calls:
        assert call.raw in text
        json.dumps(call.arguments, allow_nan=False)  # a JSON value, whatever was written


@given(text=TEXTS)
def test_what_needs_no_repair_is_the_same_under_every_policy(text: str) -> None:
    off, unambiguous = [run([text], {"repair": policy})[0] for policy in get_args(RepairPolicy)]
    assert not unambiguous.repairs or off.faults
    if not unambiguous.repairs:
        assert off == unambiguous


@given(
    pieces=st.lists(
        st.sampled_from(SYNTAX) | st.sampled_from(TOKENS) | st.just("WORD"), max_size=25
    ),
    options=OPTIONS,
)
def test_no_word_is_lost_or_told_twice(pieces: list[str], options: dict[str, Any]) -> None:
    words = [f"w{index:03}" for index, piece in enumerate(pieces) if piece == "WORD"]
    numbered = iter(words)
    text = "".join([next(numbered) if piece == "WORD" else piece for piece in pieces])
    reply, _ = run([text], options)
    told = "\n".join(
        [
            reply.content,
            reply.reasoning,
            *[call.raw for call in reply.calls],
            *[fault.raw for fault in reply.faults],
        ]
    )
    assert sorted(re.findall(r"w\d{3}", told)) == sorted(words)


# -- round trip ----------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_characters='"\\'), min_size=1)
STRINGS = st.text() | TEXTS
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
HUGE = st.integers(600, 3990).map(lambda digits: 10**digits - 7)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | NUMBERS | HUGE | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(STRINGS, VALUES, max_size=5)


def _says_itself(name: str) -> bool:
    return json.dumps(name, ensure_ascii=False) == f'"{name}"'


# Names that look like tokens are no names; arguments may hold anything.
CALLS = st.builds(
    ToolCall, name=(NAMES | STRINGS).filter(_says_itself), arguments=OBJECTS | st.lists(VALUES)
)


def exact(value: JsonValue) -> object:
    """A value that is equal only to what is the same JSON: 1, 1.0 and true differ."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return (type(value).__name__, value)


def _same(calls: Sequence[ToolCall], wanted: Sequence[ToolCall]) -> None:
    assert [call.name for call in calls] == [call.name for call in wanted]
    for call, other in zip(calls, wanted, strict=True):
        assert exact(call.arguments) == exact(other.arguments)


@given(calls=st.lists(CALLS, max_size=3), size=st.integers(1, 40), repair=st.booleans())
@example([ToolCall(name="f", arguments={"s": '</tool_call>\n<tool_call>{"name": "g"}'})], 3, False)
@example([ToolCall(name="f", arguments={"a": -0.0, "b": 1e22, "c": 5e-324, "d": "\\"})], 1, False)
def test_reading_undoes_rendering(calls: list[ToolCall], size: int, repair: bool) -> None:
    text = "\n".join([render_call(call.name, call.arguments) for call in calls])
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    options = {"repair": "unambiguous" if repair else "off"}
    for reply in (run([text], options)[0], run(pieces, options)[0]):
        assert reply.faults == ()
        assert reply.repairs == ()
        assert reply.content == ""
        _same(reply.calls, calls)


@given(
    thought=st.text(st.characters(exclude_characters="<"), max_size=20),
    answer=st.text(st.characters(exclude_characters="<"), max_size=20),
    calls=st.lists(CALLS, min_size=1, max_size=2),
)
def test_thoughts_text_and_calls_come_apart(
    thought: str, answer: str, calls: list[ToolCall]
) -> None:
    """The turn that the template writes for this reply."""
    assume(answer == answer.strip("\n"))
    text = f"<think>\n{thought}\n</think>\n\n{answer}" + "\n" * bool(answer)
    text += "\n".join([render_call(call.name, call.arguments) for call in calls])
    reply, _ = run([text + "<|im_end|>\n"], {"repair": "off"})
    assert (reply.reasoning, reply.content, reply.faults) == (thought, answer, ())
    _same(reply.calls, calls)


@given(call=CALLS, quote=st.booleans())
def test_the_reader_that_mends_reads_like_the_strict_one(call: ToolCall, quote: bool) -> None:
    """Well-formed arguments in a call that is mended elsewhere."""
    name = json.dumps(call.name, ensure_ascii=False)
    arguments = json.dumps(call.arguments, ensure_ascii=quote)
    reply, _ = run([f'<tool_call>{{"name": {name}, "arguments": {arguments},}}</tool_call>'], {})
    _same(reply.calls, [call])
    assert [repair.kind for repair in reply.repairs] == ["trailing-comma"]


@given(arguments=OBJECTS, call=CALLS)
def test_python_notation_is_read_as_what_it_says(
    arguments: dict[str, JsonValue], call: ToolCall
) -> None:
    """`repr` of a call: single quotes, `True`, `None`, and escapes that JSON has, too."""
    value = {"name": call.name, "arguments": arguments}
    text = repr(value)
    assume(not re.search(r"\\[xU]", text))  # escapes that JSON does not have
    reply, _ = run([f"<tool_call>\n{text}\n</tool_call>"], {})
    _same(reply.calls, [ToolCall(name=call.name, arguments=arguments)])
    assert {repair.kind for repair in reply.repairs} <= {"single-quotes", "python-literal"}
