"""Every kind of repair: what is read, what is noted, and what the three policies make of it."""

from __future__ import annotations

from typing import Any

import pytest

from callsmith import Reply, ToolSpec
from callsmith_gemma4.decoder import Gemma4Decoder
from callsmith_gemma4.kinds import FAULT_KINDS, REPAIR_KINDS, SCHEMA_REPAIRS

WRITE = ToolSpec(
    name="write",
    parameters={
        "type": "object",
        "properties": {
            "content": {"type": "string"},
            "mode": {"enum": ["fast", "slow"]},
            "note": {"anyOf": [{"$ref": "#/$defs/text"}, {"type": "null"}]},
            "lines": {"type": "array", "items": {"type": ["string", "null"]}},
            "limit": {"type": "integer"},
        },
        "required": ["content"],
        "$defs": {"text": {"type": "string"}},
    },
)
PING = ToolSpec(name="ping", parameters={"type": "object", "properties": {}})
ODD = ToolSpec(name="it's (odd)")
TOOLS = (WRITE, PING, ODD)


def read(text: str, repair: str = "schema", tools: tuple[ToolSpec, ...] = TOOLS) -> Reply:
    options: dict[str, Any] = {"repair": repair}
    decoder = Gemma4Decoder(tools, **options)
    decoder.feed(text)
    return decoder.close()


def short(value: object) -> str:
    """A test's id: the same in every process, so that workers collect the same tests."""
    return str(sorted(value) if isinstance(value, set) else value)[:40]


def block(body: str) -> str:
    return f"<|tool_call>{body}<tool_call|>"


# text of the arguments, what is read, the repairs
ARGUMENTS: list[tuple[str, Any, set[str]]] = [
    ("a: 1", {"a": 1}, {"whitespace"}),
    ("\n  a : [ 1 ,\n2 ] ,b:{ }\n", {"a": [1, 2], "b": {}}, {"whitespace"}),
    ("   ", {}, {"whitespace"}),
    ('a:"x, y:1}"', {"a": "x, y:1}"}, {"json-quotes"}),
    ('a:"say \\"hi\\"\\n\\u00e9\\ud83c\\udf0d"', {"a": 'say "hi"\né🌍'}, {"json-quotes"}),
    ('a:"\\s*\\w+ \\ud83c"', {"a": "\\s*\\w+ \\ud83c"}, {"json-quotes"}),
    ("a:'x, y'", {"a": "x, y"}, {"single-quotes"}),
    ("a:'it's',b:'it\\'s'", {"a": "it's", "b": "it's"}, {"single-quotes"}),
    ("a:':\\s*\\w+'", {"a": ":\\s*\\w+"}, {"single-quotes"}),
    ("a:'abc'<|\"|>", {"a": "abc"}, {"single-quotes", "dangling-delimiter"}),
    ('a:<|"|>x<|"|><|"|>,b:1', {"a": "x", "b": 1}, {"dangling-delimiter"}),
    ("a:Austin", {"a": "Austin"}, {"bare-string"}),
    ("a:[alpha,beta b]", {"a": ["alpha", "beta b"]}, {"bare-string"}),
    ("a:it's,b:C:\\x,c:12:30", {"a": "it's", "b": "C:\\x", "c": "12:30"}, {"bare-string"}),
    ("a:http://x.y/?q=1,b:2", {"a": "http://x.y/?q=1", "b": 2}, {"bare-string"}),
    ("a:Paris, France,b:2", {"a": "Paris, France", "b": 2}, {"bare-string"}),
    ("a:2026-01-05,b:NaN,c:1_0", {"a": "2026-01-05", "b": "NaN", "c": "1_0"}, {"bare-string"}),
    ("a:none", {"a": "none"}, {"bare-string"}),
    ('a:Paris, France<|"|>,b:5', {"a": "Paris, France", "b": 5}, {"missing-open-delimiter"}),
    ('a:[<|"|>x<|"|>,y<|"|>]', {"a": ["x", "y"]}, {"missing-open-delimiter"}),
    ('a:{b:5<|"|>}', {"a": {"b": "5"}}, {"missing-open-delimiter"}),
    ('a:<|"|>ls', {"a": "ls"}, {"missing-close-delimiter"}),
    ('a:1,b:{c:[<|"|>x {y}]}', {"a": 1, "b": {"c": ["x {y}"]}}, {"missing-close-delimiter"}),
    ("a:1,", {"a": 1}, {"trailing-comma"}),
    ("a:[1,],b:{c:2,}", {"a": [1], "b": {"c": 2}}, {"trailing-comma"}),
    ("a=1,b=[2]", {"a": 1, "b": [2]}, {"equals-sign"}),
    ("\"a:b\":1,'c':2", {"a:b": 1, "c": 2}, {"quoted-key"}),
    ('<|"|>3<|"|>:<|"|>x<|"|>', {"3": "x"}, {"wrapped-key"}),
    ("a:1,a:2", {"a": 2}, {"duplicate-key"}),
    ("a:True,b:None,c:NULL", {"a": True, "b": None, "c": None}, {"foreign-word"}),
    ("a:+5,b:007,c:108.,d:.5", {"a": 5, "b": 7, "c": 108.0, "d": 0.5}, {"loose-number"}),
    ("a:1e999,b:-1e999", {"a": "1e999", "b": "-1e999"}, {"number-range"}),
    ("a:" + "1" * 100_001, {"a": "1" * 100_001}, {"number-range"}),
    (
        'opts:{"mode": "fast"}',
        {"opts": {"mode": "fast"}},
        {"quoted-key", "json-quotes", "whitespace"},
    ),
]


@pytest.mark.parametrize(("text", "value", "kinds"), ARGUMENTS, ids=short)
def test_arguments_that_are_mended_without_a_schema(text: str, value: Any, kinds: set[str]) -> None:
    for repair, tools in (("schema", TOOLS), ("unambiguous", TOOLS), ("schema", ())):
        reply = read(block("call:f{" + text + "}"), repair, tools)
        assert reply.faults == ()
        (call,) = reply.calls
        assert call.arguments == value
        assert {mend.kind for mend in reply.repairs} == kinds


# whole text, names and arguments, content, the repairs
AROUND: list[tuple[str, list[tuple[str, Any]], str, set[str]]] = [
    (block("call:f{a:1}call:g{}"), [("f", {"a": 1}), ("g", {})], "", {"several-calls-in-block"}),
    (block("call:f{}, call:g{}"), [("f", {}), ("g", {})], "", {"several-calls-in-block"}),
    (block(":f{a:1}"), [("f", {"a": 1})], "", {"missing-prefix"}),
    (block(":call:f{a:1}"), [("f", {"a": 1})], "", {"missing-prefix"}),
    (block("f{a:1}"), [("f", {"a": 1})], "", {"missing-prefix"}),
    (block("call:f(a=1)"), [("f", {"a": 1})], "", {"parenthesised-call"}),
    (block("call:f()"), [("f", {})], "", {"parenthesised-call"}),
    (
        block('call:f(c="g(x), h")'),
        [("f", {"c": "g(x), h"})],
        "",
        {"parenthesised-call", "json-quotes"},
    ),
    (block("\ncall: f{a:1}\n"), [("f", {"a": 1})], "", {"whitespace"}),
    (block('call:f{a:{b:[<|"|>x<|"|>'), [("f", {"a": {"b": ["x"]}})], "", {"missing-close-brace"}),
    (
        block('call:f{a:<|"|>x'),
        [("f", {"a": "x"})],
        "",
        {"missing-close-delimiter", "missing-close-brace"},
    ),
    (block("call:f{a:1}}}"), [("f", {"a": 1})], "", {"extra-close-brace"}),
    ("<|tool_call>call:f{a:1}", [("f", {"a": 1})], "", {"missing-call-close"}),
    ("<|tool_call>call:f{a:1}<tool_ca", [("f", {"a": 1})], "", {"missing-call-close"}),
    ("<|tool_call>call:f{a:1}<turn|>", [("f", {"a": 1})], "", {"missing-call-close"}),
    ("<|tool_call>call:f{a:1}<eos>", [("f", {"a": 1})], "", {"missing-call-close"}),
    ("<|tool_call>call:f{a:1}<|tool_response>", [("f", {"a": 1})], "", {"missing-call-close"}),
    (
        "<|tool_call>call:f{}<|tool_call>call:g{}",
        [("f", {}), ("g", {})],
        "",
        {"missing-call-close"},
    ),
    ("<|tool_call>" + block("call:f{}"), [("f", {})], "", {"stray-call-open"}),
    (block("call:f{}") + "<tool_call|><tool_call|>Hi", [("f", {})], "Hi", {"stray-call-close"}),
    (block("call:f{}") + "<|tool_response>Hi", [("f", {})], "Hi", {"stray-tool-response"}),
    (block("call:f{}") + "<|tool_response>" * 9, [("f", {})], "", {"stray-tool-response"}),
    (
        block("call:f{}") + "<|tool_response>" + block("call:g{}"),
        [("f", {}), ("g", {})],
        "",
        {"stray-tool-response"},
    ),
    ("Hi<|tool_response>", [], "Hi", {"stray-tool-response"}),
    ("Hi<tool_response|> there", [], "Hi there", {"stray-response-close"}),
    ('a<|"|>b<|image|><bos>c', [], "abc", {"stray-token"}),
    ("call:ping{}", [("ping", {})], "", {"unmarked-call"}),
    ("Hi\ncall:ping{}\nthere", [("ping", {})], "Hi\n\nthere", {"unmarked-call"}),
    ("call:ping{}call:ping{}", [("ping", {}), ("ping", {})], "", {"unmarked-call"}),
    ("<|channel>thought\nhm<channel|>call:ping{}", [("ping", {})], "", {"unmarked-call"}),
    ('call:ping{a:<|"|>}<|"|>}', [("ping", {"a": "}"})], "", {"unmarked-call"}),
    # what looks like a string holds the end of the call: its own end is missing
    (
        block('call:f{a:<|"|>x}') + block('call:g{b:<|"|>y<|"|>}'),
        [("f", {"a": "x"}), ("g", {"b": "y"})],
        "",
        {"missing-close-delimiter"},
    ),
    (
        '<|tool_call>call:f{a:<|"|>x}<turn|>',
        [("f", {"a": "x"})],
        "",
        {"missing-close-delimiter", "missing-call-close"},
    ),
    (
        block('call:f{a:x<|"|>}') + block('call:g{b:<|"|>y<|"|>}'),
        [("f", {"a": "x"}), ("g", {"b": "y"})],
        "",
        {"missing-open-delimiter"},
    ),
]


@pytest.mark.parametrize(("text", "calls", "content", "kinds"), AROUND, ids=short)
def test_mends_around_calls(
    text: str, calls: list[tuple[str, Any]], content: str, kinds: set[str]
) -> None:
    for repair in ("schema", "unambiguous"):
        reply = read(text, repair)
        assert [(call.name, call.arguments) for call in reply.calls] == calls
        assert reply.content == content
        assert reply.faults == ()
        assert {mend.kind for mend in reply.repairs} == kinds


THOUGHTS: list[tuple[str, str, str, set[str]]] = [
    ("<|channel>thought<channel|>Hi", "", "Hi", {"channel-header"}),
    ("<|channel>thought", "", "", {"channel-header"}),
    ("<|channel>a b<channel|>Hi", "a b", "Hi", {"channel-without-name"}),
    ("<|channel>thou", "thou", "", {"channel-without-name"}),
    ("<|channel><|channel>thought\nhm\n<channel|>Hi", "hm", "Hi", {"stray-channel-open"}),
    ("thought\nhm\n<channel|>Hi", "hm", "Hi", {"missing-channel-open"}),
    (
        "<|channel>thought\na<channel|>thought\nb\n<channel|>Hi",
        "a\nb",
        "Hi",
        {"missing-channel-open"},
    ),
    ("Hi<channel|> there", "", "Hi there", {"stray-channel-close"}),
    (
        "<|channel>thought\nhm\n<|channel>response\nHi",
        "hm",
        "Hi",
        {"unclosed-channel", "response-channel"},
    ),
    ("<|channel>thought\nhm<turn|>", "hm", "", {"unclosed-channel"}),
    ("<|channel>thought\na<tool_call|>b\n<channel|>Hi", "ab", "Hi", {"stray-call-close"}),
]


@pytest.mark.parametrize(("text", "reasoning", "content", "kinds"), THOUGHTS)
def test_mends_around_thoughts(text: str, reasoning: str, content: str, kinds: set[str]) -> None:
    reply = read(text)
    assert (reply.reasoning, reply.content) == (reasoning, content)
    assert {mend.kind for mend in reply.repairs} == kinds


def test_a_call_inside_an_open_thought() -> None:
    reply = read("<|channel>thought\nNeed it.\n" + block("call:ping{}"))
    assert reply.reasoning == "Need it."
    assert [call.name for call in reply.calls] == ["ping"]
    assert [mend.kind for mend in reply.repairs] == ["unclosed-channel"]


# text of the arguments of `write`, what the schema makes of it, the schema's repairs
BY_SCHEMA: list[tuple[str, Any, set[str]]] = [
    ("content:5,limit:5", {"content": "5", "limit": 5}, {"schema-string"}),
    ("content:true,mode:1.0", {"content": "true", "mode": "1.0"}, {"schema-string"}),
    ("content:null,note:7", {"content": None, "note": "7"}, {"schema-string"}),
    ("lines:[1,x,null]", {"lines": ["1", "x", None]}, {"schema-string", "bare-string"}),
    ("content:\n\n# It's, a: title\n", {"content": "\n\n# It's, a: title\n"}, {"raw-string"}),
    ("content:Use {x}, ok,mode:fast", {"content": "Use {x}, ok", "mode": "fast"}, {"raw-string"}),
    ('content:a: {b}<|"|>,limit:1', {"content": "a: {b}", "limit": 1}, {"raw-string"}),
    ('content:"He said "hi" to me"', {"content": 'He said "hi" to me'}, {"raw-string"}),
    (
        "content:Dear Bob, note to self: no",
        {"content": "Dear Bob, note to self: no"},
        {"raw-string"},
    ),
    ("content:Dear Bob, limit:5", {"content": "Dear Bob", "limit": 5}, {"bare-string"}),
]


@pytest.mark.parametrize(("text", "value", "kinds"), BY_SCHEMA, ids=short)
def test_readings_that_the_schema_decides(text: str, value: Any, kinds: set[str]) -> None:
    reply = read(block("call:write{" + text + "}"))
    assert reply.faults == ()
    assert reply.calls[0].arguments == value
    assert kinds <= {mend.kind for mend in reply.repairs} <= kinds | {"whitespace", "bare-string"}
    for other in (
        read(block("call:write{" + text + "}"), "unambiguous"),
        read(block("call:other{" + text + "}")),
    ):
        assert not {mend.kind for mend in other.repairs} & SCHEMA_REPAIRS


def test_a_call_without_arguments_needs_a_schema_that_requires_none() -> None:
    assert read(block("call:ping")).calls[0].arguments == {}
    assert read(block("call:ping"), "unambiguous").calls == ()
    assert read(block("call:write")).calls == ()
    assert read(block("call:other")).calls == ()


def test_the_schema_never_changes_what_is_delimited() -> None:
    reply = read(block('call:write{limit:<|"|>5<|"|>,content:<|"|>true<|"|>}'))
    assert reply.calls[0].arguments == {"limit": "5", "content": "true"}
    assert reply.repairs == ()


def test_a_tool_may_have_a_name_that_only_the_tools_tell_apart() -> None:
    reply = read(block("call:it's (odd){a:1}"))
    assert [(call.name, call.arguments) for call in reply.calls] == [("it's (odd)", {"a": 1})]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"properties": 5},
        {"properties": {"a": 5}},
        {"properties": {"a": {"type": 5, "enum": 5}}},
        {"properties": {"a": {"$ref": "#"}}, "$ref": "#"},
        {"properties": {"a": {"$ref": "http://x.y"}}},
        {"properties": {"a": {"anyOf": [{"$ref": "#/properties/a"}]}}},
        {"type": "array", "items": "string"},
        {"properties": {"a": {"anyOf": [{"$ref": "#/properties/a"}] * 16}}},
        {"properties": {"a": {"anyOf": []}, "b": {"anyOf": [{"type": "null"}]}}},
    ],
)
def test_schemas_that_make_no_sense_decide_nothing(parameters: Any) -> None:
    reply = read(block("call:f{a:5,b:[1]}"), tools=(ToolSpec(name="f", parameters=parameters),))
    assert reply.calls[0].arguments == {"a": 5, "b": [1]}


def test_with_repair_off_every_mend_is_a_fault() -> None:
    seen: set[str] = set()
    texts = [block("call:f{" + text + "}") for text, _, _ in ARGUMENTS]
    texts += [block("call:write{" + text + "}") for text, _, _ in BY_SCHEMA]
    texts += [text for text, _, _, _ in AROUND] + [text for text, _, _, _ in THOUGHTS]
    for text in texts:
        reply = read(text, "off")
        assert reply.repairs == ()
        kinds = {mend.kind for mend in read(text, "unambiguous").repairs}
        assert bool(reply.faults) == bool(kinds or read(text, "unambiguous").faults)
        for fault in reply.faults:
            assert fault.kind in FAULT_KINDS or fault.kind in REPAIR_KINDS
            assert fault.span is not None
            assert text[slice(*fault.span)] == fault.raw
        seen |= {mend.kind for mend in read(text).repairs}
    # Between them, the tables above show every kind that there is.
    assert seen | {"missing-arguments"} == set(REPAIR_KINDS)


def test_a_run_of_the_same_stray_token_is_one_repair() -> None:
    reply = read(block("call:f{}") + "<tool_call|>" * 50)
    (mend,) = reply.repairs
    assert mend.span == (len(block("call:f{}")), len(block("call:f{}")) + 50 * len("<tool_call|>"))


def test_spans_of_repairs_point_into_the_whole_text() -> None:
    text = "Hi " + block("call:f{a:'x',b:1}") + "<tool_call|>"
    spans = {mend.kind: text[slice(*mend.span)] for mend in read(text).repairs if mend.span}
    assert spans == {"single-quotes": "'x'", "stray-call-close": "<tool_call|>"}
