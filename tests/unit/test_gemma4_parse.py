"""Reading Gemma 4's native format: well-formed calls, text, thoughts, and where a reply ends."""

from __future__ import annotations

import math
from typing import Any

import pytest

from callsmith import Prompt, Reply, Segment, ToolCall, ToolSpec
from callsmith_gemma4.decoder import Gemma4Decoder, start_mode


def read(text: str, tools: tuple[ToolSpec, ...] = (), **options: Any) -> Reply:
    decoder = Gemma4Decoder(tools, **options)
    decoder.feed(text)
    return decoder.close()


def block(body: str) -> str:
    return f"<|tool_call>{body}<tool_call|>"


def arguments(text: str) -> Any:
    """The arguments of the only call `f{…}`, which must need no repair."""
    reply = read(block("call:f{" + text + "}"))
    assert reply.faults == ()
    assert reply.repairs == ()
    (call,) = reply.calls
    return call.arguments


# -- well-formed calls ---------------------------------------------------------------------------


def test_a_call_with_every_kind_of_value() -> None:
    body = (
        'call:plan{a:<|"|>text<|"|>,b:-12,c:0.5,d:true,e:false,f:null,g:{},h:[],'
        'i:{j:[1,<|"|>x<|"|>,{k:null}]},l:1.5e10,m:-1e-07}'
    )
    reply = read(block(body))
    assert reply == Reply(
        calls=(
            ToolCall(
                name="plan",
                arguments={
                    "a": "text",
                    "b": -12,
                    "c": 0.5,
                    "d": True,
                    "e": False,
                    "f": None,
                    "g": {},
                    "h": [],
                    "i": {"j": [1, "x", {"k": None}]},
                    "l": 1.5e10,
                    "m": -1e-07,
                },
                raw=body,
            ),
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "braces } { ] [ and, commas: colons",
        'quotes " and \' and \\"escaped\\"',
        "line\nbreaks\r\n\ttabs",
        "C:\\users\\bob",
        'a < b <| c <|"| d <tool_call',
        "literal }<tool_call|> inside",
        "<|tool_call>call:g{a:1}<tool_call|>",
        "<|channel>thought\nx<channel|><turn|><eos>",
        "zażółć 🌍 你好\x00",
        "null",
    ],
)
def test_strings_hold_anything(text: str) -> None:
    assert arguments(f'a:<|"|>{text}<|"|>') == {"a": text}
    assert arguments(f'z:[<|"|>{text}<|"|>,{{y:<|"|>{text}<|"|>}}],x:1') == {
        "z": [text, {"y": text}],
        "x": 1,
    }


@pytest.mark.parametrize(
    "name",
    [
        "f",
        "get-weather",
        "mcp.calendar:list_events",
        "google:a:b-c",
        "a/b",
        "größe",
        "工具",
        "a b",
        "it's",
    ],
)
def test_names_of_every_kind(name: str) -> None:
    reply = read(block(f"call:{name}{{}}"))
    assert reply == Reply(calls=(ToolCall(name=name, arguments={}, raw=f"call:{name}{{}}"),))


@pytest.mark.parametrize(
    "key", ["a", "A_1", "with-dash", "with.dot", "$ref", "größe", "键", "3", "first name", "a(b)"]
)
def test_keys_of_every_kind(key: str) -> None:
    assert arguments(f"{key}:{{{key}:1}}") == {key: {key: 1}}


@pytest.mark.parametrize(("text", "value"), [("42", 42), ("42.0", 42.0), ("-0", 0), ("-0.0", -0.0)])
def test_numbers_keep_their_kind(text: str, value: float) -> None:
    read_value = arguments(f"n:{text}")["n"]
    assert read_value == value
    assert type(read_value) is type(value)
    assert math.copysign(1, read_value) == math.copysign(1, value)


@pytest.mark.parametrize("digits", [20, 600, 601, 4300, 5000, 100_000])
def test_whole_numbers_of_any_size(digits: int) -> None:
    # 10**n - 1 is n nines; built and compared without any conversion of text.
    assert arguments("n:" + "9" * digits) == {"n": 10**digits - 1}
    if digits < 100_000:
        assert arguments("n:-" + "9" * digits) == {"n": 1 - 10**digits}


def test_several_calls_keep_their_order() -> None:
    reply = read(block("call:a{x:1}") + block("call:b{x:2}") + block("call:a{x:1}"))
    assert [(call.name, call.arguments) for call in reply.calls] == [
        ("a", {"x": 1}),
        ("b", {"x": 2}),
        ("a", {"x": 1}),
    ]
    assert reply.repairs == ()


def test_raw_is_the_text_of_each_call() -> None:
    reply = read("a" + block("call:f{x:1}") + "b" + block("call:g{}call:h{y:[2]}"))
    assert [call.raw for call in reply.calls] == ["call:f{x:1}", "call:g{}", "call:h{y:[2]}"]


def test_depth_is_bounded_exactly() -> None:
    def nested(depth: int) -> str:
        return block("call:f{a:" + "[" * depth + "]" * depth + "}")

    for bound in (1, 5, 128):
        assert read(nested(bound), max_depth=bound).calls
        reply = read(nested(bound + 1), max_depth=bound)
        assert reply.calls == ()
        assert [fault.kind for fault in reply.faults] == ["depth"]
        assert reply.faults[0].raw == nested(bound + 1)


def test_very_deep_text_is_a_fault_and_no_error() -> None:
    for opener in ("[", "a:{", "{a:["):
        reply = read("<|tool_call>call:f{a:" + opener * 50_000)
        assert [fault.kind for fault in reply.faults] in (["depth"], ["malformed"], ["cut"])


# -- text and thoughts ---------------------------------------------------------------------------


def test_text_before_between_and_after_calls_is_content() -> None:
    text = " Let me see. " + block("call:f{}") + " and\n" + block("call:g{}") + " done "
    reply = read(text)
    assert reply.content == " Let me see.  and\n done "
    assert len(reply.calls) == 2
    assert reply.repairs == ()


def test_text_that_looks_like_a_call_is_content() -> None:
    for text in ("Like call: prince", "call:f{a:1}", "call foo(x=1)", "a {b:1} <tool> <|x|>"):
        assert read(text) == Reply(content=text)


@pytest.mark.parametrize(
    ("text", "reasoning"),
    [
        ("<|channel>thought\nhm<channel|>yes", "hm"),
        ("<|channel>thought\nhm\n<channel|>yes", "hm"),
        ("<|channel>thought\nhm\n\n<channel|>yes", "hm\n"),
        ("<|channel>thought\n hm <channel|>yes", " hm "),
        ("<|channel>thought\n<channel|>yes", ""),
        ("<|channel>thought\n<channel|>yes<|channel>thought\nno\n<channel|>", "no"),
        ("<|channel>thought\na\n<channel|><|channel>thought\nb\n<channel|>yes", "a\nb"),
    ],
)
def test_thoughts_are_reasoning(text: str, reasoning: str) -> None:
    assert read(text) == Reply(content="yes", reasoning=reasoning)


def test_a_thought_that_the_end_of_the_text_cuts() -> None:
    assert read("<|channel>thought\nhm, so\n") == Reply(reasoning="hm, so\n")


def test_a_call_after_a_thought() -> None:
    reply = read(
        "<|channel>thought\nI need f.\n<channel|>" + block("call:f{}") + "<|tool_response>"
    )
    assert reply.reasoning == "I need f."
    assert [call.name for call in reply.calls] == ["f"]
    assert (reply.content, reply.faults, reply.repairs) == ("", (), ())


def test_generation_that_starts_inside_a_thought() -> None:
    reply = read("so\n<channel|>yes", start="thought")
    assert reply == Reply(content="yes", reasoning="so")


# -- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "<turn|>", "<turn|>\n", "<eos>", "<turn|>\n<eos><pad><pad>"])
def test_the_end_of_the_turn_is_no_content(end: str) -> None:
    assert read("Hello.\n" + end) == Reply(content="Hello.\n")


@pytest.mark.parametrize("end", ["", "<|tool_response>", "<|tool_response>\n", "<turn|>\n"])
def test_the_stop_after_calls_needs_no_repair(end: str) -> None:
    reply = read(block("call:f{}") + "\n" + end)
    assert len(reply.calls) == 1
    assert (reply.content, reply.faults, reply.repairs) == ("\n", (), ())


def test_closing_twice_gives_the_same_reply_and_feeding_then_is_an_error() -> None:
    decoder = Gemma4Decoder()
    decoder.feed("Hello")
    assert decoder.close() is decoder.close()
    with pytest.raises(ValueError, match="closed"):
        decoder.feed(" there")


# -- the state in which the prompt leaves the model ----------------------------------------------


def prompt(*pieces: tuple[str, Any]) -> Prompt:
    return Prompt(segments=tuple([Segment(text=text, origin=origin) for text, origin in pieces]))


@pytest.mark.parametrize(
    ("pieces", "mode"),
    [
        ((), "content"),
        ((("<|turn>model\n", "control"),), "content"),
        ((("<|turn>model\n<|channel>thought\n", "control"),), "thought"),
        ((("<|channel>thought\n", "control"), ("Let me", "content")), "thought"),
        ((("<|turn>model\n<|channel>thought\n<channel|>", "control"),), "content"),
        (
            (("<|channel>thought\n", "control"), ("x", "content"), ("\n<channel|>", "control")),
            "content",
        ),
        ((("<|channel>thought\nx<channel|>a<turn|>\n<|turn>model\n", "control"),), "content"),
        ((("<|turn>user\n", "control"), ("<|channel>thought\n", "content")), "content"),
    ],
)
def test_start_mode(pieces: tuple[tuple[str, Any], ...], mode: str) -> None:
    assert start_mode(prompt(*pieces)) == mode


def test_start_mode_without_a_prompt() -> None:
    assert start_mode(None) == "content"
