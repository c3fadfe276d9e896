"""What holds for any text at all: no error, the same reply for any chunking, nothing lost."""

from __future__ import annotations

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
    ToolSpec,
)
from callsmith.testing import control_rich_text
from callsmith_gemma4.arguments import render_call
from callsmith_gemma4.config import RepairPolicy
from callsmith_gemma4.control_tokens import CONTROL_TOKENS, QUOTE
from callsmith_gemma4.decoder import Gemma4Decoder
from callsmith_gemma4.kinds import FAULT_KINDS, REPAIR_KINDS, SCHEMA_REPAIRS

TOOLS = (
    ToolSpec(
        name="f",
        parameters={
            "type": "object",
            "properties": {
                "a": {"type": "string"},
                "b": {"type": "integer"},
                "c": {"type": "array", "items": {"type": "string"}},
            },
        },
    ),
    ToolSpec(name="g", parameters={"type": "object", "properties": {}}),
)

SYNTAX = [
    *"{}[](),:='\"\\ \n<|>",
    *("call:", "call:f{", "call:g(", "a:", "b=", 'c:[<|"|>', '<|"|>}', '<|"|>,', "}<tool_call|>"),
    *("<|tool_call>call:f{", '<|tool_call>call:f{a:<|"|>', "}<tool_call|>", "\ncall:f{"),
    *("thought\n", "thought", "response:", "response\n", "<|channel>thought\n", "<pad>"),
    *("true", "null", "None", "1", "-2.5e3", "9" * 700, "x", "y z", "it's", "é", "\ud800"),
]
TEXTS = st.one_of(
    control_rich_text(sorted(CONTROL_TOKENS.tokens), max_size=20),
    st.lists(
        st.sampled_from(SYNTAX) | st.sampled_from(sorted(CONTROL_TOKENS.tokens)), max_size=25
    ).map("".join),
)
OPTIONS = st.fixed_dictionaries(
    {
        "start": st.sampled_from(["content", "thought"]),
        "repair": st.sampled_from(get_args(RepairPolicy)),
        "max_depth": st.sampled_from([1, 3, 128]),
    }
)
TOOL_SETS = st.sampled_from([(), TOOLS])


def run(
    pieces: Sequence[str], tools: tuple[ToolSpec, ...], options: dict[str, Any]
) -> tuple[Reply, list[Event]]:
    decoder = Gemma4Decoder(tools, **options)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return decoder.close(), events


def cut(text: str, at: Sequence[int]) -> list[str]:
    edges = [0, *sorted(min(place, len(text)) for place in at), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@given(text=TEXTS, at=st.lists(st.integers(0, 200), max_size=6), tools=TOOL_SETS, options=OPTIONS)
@example(text='<|tool_call>call:f{a:<|"|>}<tool_call|><', at=[20], tools=(), options={})
def test_any_chunking_gives_the_same_reply(
    text: str, at: list[int], tools: tuple[ToolSpec, ...], options: dict[str, Any]
) -> None:
    whole, _ = run([text], tools, options)
    for pieces in (cut(text, at), list(text), [*text[:3], text[3:]]):
        reply, _ = run(pieces, tools, options)
        assert reply == whole


@given(text=TEXTS, at=st.lists(st.integers(0, 200), max_size=6), tools=TOOL_SETS, options=OPTIONS)
def test_events_tell_the_reply(
    text: str, at: list[int], tools: tuple[ToolSpec, ...], options: dict[str, Any]
) -> None:
    """All that was published is in the reply; what is missing yet can only come by `close`."""
    for pieces in (cut(text, at), list(text)):
        reply, events = run(pieces, tools, options)
        content = "".join([event.text for event in events if isinstance(event, ContentDelta)])
        reasoning = "".join([event.text for event in events if isinstance(event, ReasoningDelta)])
        calls = [event for event in events if isinstance(event, CallParsed)]
        faults = tuple([event.fault for event in events if isinstance(event, FaultFound)])
        assert reply.content.startswith(content)
        assert reply.reasoning.startswith(reasoning)
        assert tuple([event.call for event in calls]) == reply.calls[: len(calls)]
        assert [event.index for event in calls] == list(range(len(calls)))
        assert faults == reply.faults[: len(faults)]


@given(text=TEXTS, tools=TOOL_SETS, options=OPTIONS)
def test_the_end_of_the_turn_leaves_nothing_for_close(
    text: str, tools: tuple[ToolSpec, ...], options: dict[str, Any]
) -> None:
    """Behind it no state is open, so that the events are the whole reply."""
    # An open string, or a turn that has ended already, would take the token in.
    assume(not any(part in text for part in ('<|"|>', "<eos>", "turn")))
    reply, events = run([text, "<turn|>", "<turn|>"], tools, options)
    assert "".join([e.text for e in events if isinstance(e, ContentDelta)]) == reply.content
    assert "".join([e.text for e in events if isinstance(e, ReasoningDelta)]) == reply.reasoning
    assert len([e for e in events if isinstance(e, CallParsed)]) == len(reply.calls)
    assert len([e for e in events if isinstance(e, FaultFound)]) == len(reply.faults)


@given(text=TEXTS, tools=TOOL_SETS, options=OPTIONS)
def test_notes_are_known_kinds_with_true_spans(
    text: str, tools: tuple[ToolSpec, ...], options: dict[str, Any]
) -> None:
    reply, _ = run([text], tools, options)
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
    if options["repair"] != "schema":
        assert not SCHEMA_REPAIRS & {repair.kind for repair in reply.repairs}
    for call in reply.calls:
        assert call.raw in text


@given(text=TEXTS, tools=TOOL_SETS)
def test_what_needs_no_repair_is_the_same_under_every_policy(
    text: str, tools: tuple[ToolSpec, ...]
) -> None:
    replies = [run([text], tools, {"repair": policy})[0] for policy in get_args(RepairPolicy)]
    off, unambiguous, by_schema = replies
    if not off.faults:
        assert off == unambiguous
    if not unambiguous.repairs and not unambiguous.faults and not by_schema.repairs:
        assert off == unambiguous == by_schema


@given(
    pieces=st.lists(
        st.sampled_from(SYNTAX) | st.sampled_from(sorted(CONTROL_TOKENS.tokens)) | st.just("WORD"),
        max_size=25,
    ),
    tools=TOOL_SETS,
    options=OPTIONS,
)
def test_no_word_is_lost_or_told_twice(
    pieces: list[str], tools: tuple[ToolSpec, ...], options: dict[str, Any]
) -> None:
    words = [f"w{index:03}" for index, piece in enumerate(pieces) if piece == "WORD"]
    numbered = iter(words)
    text = "".join([next(numbered) if piece == "WORD" else piece for piece in pieces])
    reply, _ = run([text], tools, options)
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

NAME_PARTS = st.text(
    st.characters(exclude_categories=("Z", "C"), exclude_characters="{}[](),<>=|:"), min_size=1
)
NAMES = (
    st.lists(NAME_PARTS, min_size=1, max_size=3)
    .flatmap(
        lambda parts: st.sampled_from([":", " ", ".", "/", "-"]).map(lambda sep: sep.join(parts))
    )
    .filter(lambda name: name[0] not in "\"'")
)
KEY_PARTS = st.text(
    st.characters(exclude_categories=("Z", "C"), exclude_characters="{}[],:<="), min_size=1
)
KEYS = (
    st.lists(KEY_PARTS, min_size=1, max_size=2)
    .map(" ".join)
    .filter(lambda key: key[0] not in "\"'()")
)
STRINGS = (st.text() | TEXTS).filter(lambda text: QUOTE not in text)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
HUGE = st.integers(600, 6000).map(lambda digits: 10**digits - 7)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | NUMBERS | HUGE | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
CALLS = st.builds(ToolCall, name=NAMES, arguments=st.dictionaries(KEYS, VALUES, max_size=5))


def exact(value: JsonValue) -> object:
    """A value that is equal only to what is the same JSON: 1, 1.0 and true differ."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return (type(value).__name__, value)


@given(calls=st.lists(CALLS, max_size=3), size=st.integers(1, 40))
def test_reading_undoes_rendering(calls: list[ToolCall], size: int) -> None:
    text = "".join([render_call(call.name, call.arguments) for call in calls])
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    for reply in (run([text], (), {})[0], run(pieces, (), {})[0]):
        assert reply.faults == ()
        assert reply.repairs == ()
        assert [call.name for call in reply.calls] == [call.name for call in calls]
        for got, wanted in zip(reply.calls, calls, strict=True):
            assert exact(got.arguments) == exact(wanted.arguments)


@given(call=CALLS)
def test_a_call_that_is_mended_elsewhere_is_read_like_a_well_formed_one(call: ToolCall) -> None:
    """The reader that mends is given well-formed arguments and one that the schema makes text."""
    assert isinstance(call.arguments, dict)
    wanted = {**call.arguments, "zz": 5}
    tool = ToolSpec(name=call.name, parameters={"properties": {"zz": {"type": "string"}}})
    reply, _ = run([render_call(call.name, wanted)], (tool,), {})
    (got,) = reply.calls
    assert exact(got.arguments) == exact({**wanted, "zz": "5"})
    assert [repair.kind for repair in reply.repairs] == ["schema-string"]
    # And with white space between its tokens.
    rendered = render_call(call.name, call.arguments)
    opened = rendered.index("{") + 1
    reply, _ = run([rendered[:opened] + " \n" + rendered[opened:]], (), {})
    (got,) = reply.calls
    assert exact(got.arguments) == exact(call.arguments)
    assert [repair.kind for repair in reply.repairs] == ["whitespace"]
