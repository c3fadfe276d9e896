"""What is refused: with its kind, its span and all of its text, and without losing the rest."""

from __future__ import annotations

from typing import Any

import pytest

from callsmith import Reply, ToolSpec
from callsmith_gemma4.decoder import Gemma4Decoder

WRITE = ToolSpec(
    name="write",
    parameters={
        "type": "object",
        "properties": {"content": {"type": "string"}, "mode": {"type": "string"}},
    },
)


def read(text: str, **options: Any) -> Reply:
    decoder = Gemma4Decoder((WRITE,), **options)
    decoder.feed(text)
    return decoder.close()


def block(body: str) -> str:
    return f"<|tool_call>{body}<tool_call|>"


@pytest.mark.parametrize(
    "body",
    [
        # a corrupt span: better no call than invented arguments
        'call:f{content:<|"|>x<|"|>a<|"|>,status:<|"|>done<|"|>}',
        'call:f{a:<|"|>1<|"|>},{b:<|"|>2<|"|>}',
        'call:f{first:<|"|>one,second:<|"|>two<|"|>}',
        'call:f{a:[Paris, France<|"|>]}',
        # two readings
        "call:f{a:5, 6}",
        "call:f{a:one two: three}",
        "call:f{a:line\nbreak}",
        'call:f{a:"say "hi" now"}',
        "call:f{a:'it}",
        'call:f{a:"it}',
        "call:f{a:x{y}}",
        # no reading
        "call:f{broken}",
        "call:f{:1}",
        "call:f{a:}",
        "call:f{a:,b:1}",
        "call:f{a:1,,b:2}",
        "call:f{,a:1}",
        "call:f{a:1]}",
        "call:f{a:[1}}",
        "call:f{a:[k:1]}",
        "call:f{a:b:1}",
        'call:f{<|"|>a{b<|"|>:1}',
        'call:f{a:<|"|>x<|"|>b:1}',
        "call:f{a<|image|>:1}",
        "call:f{a:<|image|>}",
        'call:f("x")',
        "call:f{a:1} and more",
        "call:f",
        "f",
        "call:{a:1}",
        "{a:1}",
        "just a normal answer, no call here",
    ],
)
def test_malformed_calls(body: str) -> None:
    text = "Hi " + block(body) + " there"
    reply = read(text)
    assert reply.calls == ()
    assert [fault.kind for fault in reply.faults] == ["malformed"]
    assert reply.faults[0].raw == block(body)
    assert reply.faults[0].span == (3, 3 + len(block(body)))
    assert reply.faults[0].detail
    assert reply.content == "Hi  there"


@pytest.mark.parametrize(
    "body",
    [
        'call:f{a:<|"|>one,b:2}',
        'call:write{content:<|"|>one, mode:fast}',
        'call:f{a:<|"|>echo "{"}',
        'call:f{a:<|"|>x}call:g{b:1}',
        'call:f{query:[ k:<|"|>1]]}',
    ],
)
def test_strings_that_are_not_closed_and_more_than_one_may_end_them(body: str) -> None:
    for end in ("", "<turn|>", "<|tool_response>"):
        reply = read("Hi " + block(body) + end)
        assert [(fault.kind, fault.raw) for fault in reply.faults] == [("malformed", block(body))]
        assert (reply.content, reply.calls) == ("Hi ", ())
    # Text behind it may as well be more of the string: nothing of it is passed on.
    reply = read("Hi " + block(body) + " there")
    assert [fault.raw for fault in reply.faults] == [block(body) + " there"]
    assert (reply.content, reply.calls) == ("Hi ", ())


@pytest.mark.parametrize(
    "text",
    [
        "<|tool_call>",
        "<|tool_call>call:f",
        "<|tool_call>call:f{",
        "<|tool_call>call:f{a",
        "<|tool_call>call:f{a:",
        "<|tool_call>call:f{a:1",
        "<|tool_call>call:f{a:1,",
        "<|tool_call>call:f{a:tru",
        '<|tool_call>call:f{a:<|"',
        '<|tool_call>call:f{a:<|"|>London',
        '<|tool_call>call:f{a:<|"|>def g() { return {} }',
        '<|tool_call>call:f{a:<|"|>London<|"|>',
        '<|tool_call>call:f{a:<|"|>London<|"',
        "<|tool_call>call:f{a:[1,{b:2}",
        '<|tool_call>call:write{content:<|"|>the token <tool_call|> ends a call and',
        "<|tool_call>call:write{content:some text, that",
    ],
)
def test_calls_that_the_end_of_the_text_cuts(text: str) -> None:
    reply = read("Hi " + text)
    assert reply.content == "Hi "
    assert reply.calls == ()
    assert [(fault.kind, fault.raw, fault.span) for fault in reply.faults] == [
        ("cut", text, (3, 3 + len(text)))
    ]


@pytest.mark.parametrize("body", ["", " ", "\n"])
def test_empty_blocks(body: str) -> None:
    reply = read(block(body))
    assert [(fault.kind, fault.raw) for fault in reply.faults] == [("empty-call", block(body))]


def test_a_call_is_kept_when_the_next_in_its_block_is_malformed() -> None:
    reply = read(block("call:f{a:1}call:g{b}"))
    assert [(call.name, call.arguments) for call in reply.calls] == [("f", {"a": 1})]
    assert [(fault.kind, fault.raw) for fault in reply.faults] == [
        ("malformed", "call:g{b}<tool_call|>")
    ]


def test_a_malformed_call_does_not_touch_its_neighbours() -> None:
    reply = read(block("call:f{}") + block("call:g{b}") + block('call:h{c:<|"|>x<|"|>}') + "end")
    assert [call.name for call in reply.calls] == ["f", "h"]
    assert [fault.raw for fault in reply.faults] == [block("call:g{b}")]
    assert reply.content == "end"


@pytest.mark.parametrize(
    "result",
    [
        'response:f{value:<|"|>sunny<|"|>}<tool_response|>',
        '{"temperature": 20}<tool_response|>',
        "<tool_response|>",
        'response:f{value:<|"|>sunny<|"|>}',
        " \nresponse:f{value:5}",
    ],
)
def test_results_that_the_model_wrote_itself(result: str) -> None:
    for end, content in (("<turn|>", ""), ("<|tool_call>call:g{}<tool_call|>Fine", "Fine")):
        reply = read(block("call:f{}") + "<|tool_response>" + result + end)
        assert [(fault.kind, fault.raw) for fault in reply.faults] == [
            ("hallucinated-response", "<|tool_response>" + result)
        ]
        assert reply.content == content
        assert reply.repairs == ()


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Hi<turn|>\n<|turn>user\nWhat?<turn|>\n", "<|turn>user\nWhat?<turn|>\n"),
        ("Hi<eos>there", "there"),
        ("Hi<|turn>user\nWhat?", "<|turn>user\nWhat?"),
        ("Hi<eos> <|tool_call>call:f{}<tool_call|>", "<|tool_call>call:f{}<tool_call|>"),
    ],
)
def test_text_behind_the_end_of_the_turn(text: str, rest: str) -> None:
    reply = read(text)
    assert reply.content == "Hi"
    assert reply.calls == ()
    assert [(fault.kind, fault.raw, fault.span) for fault in reply.faults] == [
        ("text-after-end", rest, (len(text) - len(rest), len(text)))
    ]


@pytest.mark.parametrize("end", ['<|"|>}<tool_call|>', "", "<tool_call|>", " and so on"])
def test_calls_in_a_text_about_calls_are_never_read_as_calls(end: str) -> None:
    """A string that holds delimiters cannot be read; what it quotes must not be carried out."""
    quoted = (
        '<|tool_call>call:a{}<tool_call|><|tool_call>call:rm{path:<|"|>/<|"|>}<tool_call|>',
        "<|tool_call>call:rm{}<tool_call|><|tool_call>call:rm{}<tool_call|>",
        '<|tool_call>call:rm{path:<|"|>/<|"|>}<tool_call|>',
    )
    for example in quoted:
        reply = read('<|tool_call>call:write{content:<|"|>Example: ' + example + end)
        assert {call.name for call in reply.calls} <= {"write"}
        assert reply.faults or reply.calls[0].arguments == {"content": "Example: " + example}


def test_what_only_began_like_an_unmarked_call_is_content() -> None:
    for text in (
        "call:write{content:x",
        "call:write{content:x\nand so on",
        "Use call:write{content:x} for that.",
        " call:write{content:x}",
        "call:writer{content:x}",
        "call:write(content=x)",
        "call:write",
        "call:",
        "call:write {content:x}",
    ):
        assert read(text) == Reply(content=text)


def test_an_unmarked_call_that_is_malformed() -> None:
    reply = read("So:\ncall:write{city}\nDone.")
    assert [(fault.kind, fault.raw) for fault in reply.faults] == [
        ("malformed", "call:write{city}")
    ]
    assert reply.content == "So:\n\nDone."


def test_control_tokens_end_what_began_like_an_unmarked_call() -> None:
    reply = read("call:write{content:x\n" + block("call:f{}") + "end")
    assert reply.content == "call:write{content:x\nend"
    assert [call.name for call in reply.calls] == ["f"]


def test_a_thought_line_that_nothing_closes_is_content() -> None:
    assert read("thought\nI think so.") == Reply(content="thought\nI think so.")
    reply = read("thought\nI think so." + block("call:f{}"))
    assert reply.content == "thought\nI think so."
    assert [call.name for call in reply.calls] == ["f"]
