"""The synthetic conversations: repeatable, unseen words kept apart, Gemma 4's very text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import callsmith_tiny
from callsmith import Message, Prompt, Segment, ToolCall, ToolSpec, from_json
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.template import Gemma4Template
from callsmith_tiny.tokens import Tokens
from callsmith_tiny.training.evaluate import is_right, same, wilson
from callsmith_tiny.training.gemma_format import literal, prompt_text, read_calls
from callsmith_tiny.training.generator import Example, Generator
from callsmith_tiny.training.mixes import DOCUMENTED, EASY, FIRST, FULL, MIDDLE, Mix, mix_at
from callsmith_tiny.training.vocabulary import Pools, is_held_out, number_is_held_out

MIXES = {"first": FIRST, "easy": EASY, "middle": MIDDLE, "full": FULL, "documented": DOCUMENTED}
KINDS = tuple(FULL.kinds)
COUNT = 60
CANONICAL = (
    "tool/all_scalar",
    "tool/enum_string",
    "tool/system_and",
    "tool/empty_desc",
    "tool/no_params",
    "system_user",
)
"""Canonical cases of the forms that the generator uses."""


def drawn(
    kind: str | None = None, split: str = "train", count: int = COUNT, mix: Mix = FULL
) -> Iterator[Example]:
    generator = Generator("heldout" if split == "heldout" else "train", 3)
    for index in range(count):
        yield generator.example(index, mix, kind)


def as_messages(example: Example) -> list[Message]:
    """The conversation in the kernel's types, each result anchored to its call."""
    out: list[Message] = []
    pending: list[str] = []
    for number, message in enumerate(example.messages):
        calls = tuple(
            ToolCall(name=c["name"], arguments=c["arguments"], id=f"c{number}_{i}")
            for i, c in enumerate(message.get("tool_calls", ()))
        )
        pending += [call.id for call in calls if call.id]
        anchor = pending.pop(0) if message["role"] == "tool" else None
        out.append(
            Message(
                role=message["role"],
                content=message.get("content"),
                tool_calls=calls,
                tool_call_id=anchor,
            )
        )
    return out


def as_tools(example: Example) -> list[ToolSpec]:
    return [
        ToolSpec(
            name=tool["name"],
            description=tool["description"],
            parameters=tool["parameters"],
        )
        for tool in example.tools
    ]


@pytest.mark.parametrize("mix", MIXES)
def test_the_same_seed_and_index_give_the_same_conversation(mix: str) -> None:
    first, second, other = Generator("train", 1), Generator("train", 1), Generator("train", 2)
    ours = [first.example(i, MIXES[mix]) for i in range(20)]
    # Drawn in another order: an example depends on its index only.
    again = [second.example(i, MIXES[mix]) for i in reversed(range(20))][::-1]
    assert ours == again
    assert ours != [other.example(i, MIXES[mix]) for i in range(20)]


@pytest.mark.parametrize("mix", ["full", "documented"])
@pytest.mark.parametrize("kind", KINDS)
def test_prompts_are_what_the_template_renders(kind: str, mix: str) -> None:
    template = Gemma4Template(Gemma4Config(variant="small"))
    for example in drawn(kind, mix=MIXES[mix]):
        rendered = template.render(as_messages(example), as_tools(example), thinking=False)
        assert rendered.text == example.prompt


def test_prompts_equal_the_canonical_texts(shared: Path) -> None:
    cases = json.loads((shared / "gemma4/render/canonical_generated.json").read_text())
    compared = 0
    for case in cases:
        if (
            case["template"] != "e2b"
            or not case["add_generation_prompt"]
            or case["enable_thinking"]
        ):
            continue
        if not case["id"].startswith(CANONICAL):
            continue
        tools = [tool["function"] for tool in case["tools"] or ()]
        plain = [{"parameters": {}, **tool} for tool in tools]
        assert prompt_text(case["messages"], plain) == case["expected_text"], case["id"]
        compared += 1
    assert compared >= 5


@pytest.mark.parametrize("mix", ["full", "documented"])
@pytest.mark.parametrize("kind", ["single", "several", "chain", "later_turn"])
def test_completions_are_read_as_the_calls_that_they_are(kind: str, mix: str) -> None:
    template = Gemma4Template(Gemma4Config(variant="small"))
    seen = 0
    for example in drawn(kind, mix=MIXES[mix]):
        if not example.calls:
            continue
        seen += 1
        reply = template.parse(
            example.completion.removesuffix("<|tool_response>"), as_tools(example)
        )
        assert [(c.name, c.arguments) for c in reply.calls] == example.calls
        assert not reply.faults
        assert not reply.repairs
        strict = read_calls(example.completion.removesuffix("<|tool_response>"))
        assert strict is not None
        assert same(strict, example.calls)
    assert seen > COUNT / 3


def words_of(example: Example) -> set[str]:
    """Every word that names a tool or a parameter, or is given as a value."""
    words: set[str] = set()
    texts = [tool["name"] for tool in example.tools]
    for tool in example.tools:
        texts += list(tool["parameters"].get("properties", {}))
    for _, arguments in example.calls:
        texts += [value for value in arguments.values() if isinstance(value, str)]
    for text in texts:
        split = "".join(c if c.isalpha() else " " for c in text)
        split = "".join(f" {c.lower()}" if c.isupper() else c for c in split)
        words |= {word for word in split.split() if len(word) > 3}
    return words


def test_training_and_held_out_words_never_meet() -> None:
    for kind, mix in (("single", FULL), ("several", FULL), ("single", DOCUMENTED)):
        train = set().union(*(words_of(e) for e in drawn(kind, count=300, mix=mix)))
        heldout = set().union(*(words_of(e) for e in drawn(kind, "heldout", count=300, mix=mix)))
        fixed = {"https", "json", "and", "the"}
        assert len(train) > 1000
        assert len(heldout) > 1000
        # Accents make a word another one, codes and addresses are cut words: all follow the split.
        assert not {w for w in train & heldout - fixed if w.isascii()}


def test_pools_are_split_by_the_word_alone() -> None:
    train, heldout = Pools("train"), Pools("heldout")
    for name in ("verbs", "nouns", "adjectives", "parameters", "words"):
        ours, theirs = getattr(train, name), getattr(heldout, name)
        assert len(theirs) > 15
        assert not any(map(is_held_out, ours))
        assert all(map(is_held_out, theirs))
    assert not number_is_held_out(3)
    assert number_is_held_out(17)
    assert not number_is_held_out(18)


def test_tokens_give_back_the_text_and_values_keep_their_tokens() -> None:
    tokens = Tokens(Path(callsmith_tiny.__file__).with_name("tokenizer.json"))

    def encode(text: str) -> list[int]:
        return tokens.encode(Prompt(segments=(Segment(text=text, origin="control"),)))

    for example in drawn(split="heldout"):
        text = example.prompt + example.completion
        ids = encode(text)
        assert b"".join(tokens.pieces[i] for i in ids).decode() == text
        assert ids == encode(example.prompt) + encode(example.completion)
    for value in ("blue whale", "Zürich", "x@y.org", "2031-05-17", "4711"):
        bare = encode(value)
        for around in ("with name {} and", '{{name:<|"|>{}<|"|>}}<tool_call|>', "is '{}'."):
            ids = encode(around.format(value))
            assert any(ids[i : i + len(bare)] == bare for i in range(len(ids)))


def test_the_curriculum_begins_easy_and_ends_with_everything() -> None:
    for step in range(101):
        assert sum(share for _, share in mix_at(step / 100)) == pytest.approx(1)
    assert mix_at(0.0) == ((FIRST, 1.0),)
    assert FULL in [mix for mix, _ in mix_at(1.0)]
    assert FIRST.value_first == EASY.value_first == 0.0 < FULL.value_first


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        '<|tool_call>call:f{a:<|"|>x<|"|>}<tool_call|> and more',
        '<|tool_call>call:f{a:<|"|>x<|"|>}',
        "<|tool_call>call:f{a:x}<tool_call|>",
        "<|tool_call>call:f{a:1,a:2}<tool_call|>",
        "<|tool_call>call:f{a:1 b:2}<tool_call|>",
        "<|tool_call>call:f{a:[1,]}<tool_call|>",
        "<|tool_call>call:f{a:[1 2]}<tool_call|>",
        "<|tool_call>call:f{a:[x]}<tool_call|>",
        "<|tool_call>call:f{a:[1}<tool_call|>",
    ],
)
def test_the_strict_reader_refuses_everything_else(text: str) -> None:
    assert read_calls(text) is None


def test_documented_requests_give_what_is_required_and_nothing_unsaid() -> None:
    optional = lists = said_by_description = 0
    for example in drawn("single", count=300, mix=DOCUMENTED):
        text = example.messages[-1]["content"]
        (name, arguments), *more = example.calls
        tool = next(tool for tool in example.tools if tool["name"] == name)
        parameters = tool["parameters"]["properties"]
        required = set(tool["parameters"].get("required", ()))
        assert not more
        assert required <= set(arguments) <= set(parameters)
        optional += len(parameters) > len(arguments)
        for key, value in arguments.items():
            said_by_description += key not in text and key.replace("_", " ") not in text
            lists += isinstance(value, list)
            for item in value if isinstance(value, list) else [value]:
                # A boolean may be said in other words; everything else stands in the request.
                assert isinstance(item, bool) or str(item) in text
    assert min(optional, lists, said_by_description) > 30


def test_the_strict_reader_reads_lists() -> None:
    text = '<|tool_call>call:f{a:[1,-2.5],b:[<|"|>x, y]<|"|>,<|"|>z<|"|>],c:[]}<tool_call|>'
    assert read_calls(text) == [("f", {"a": [1, -2.5], "b": ["x, y]", "z"], "c": []})]


def test_the_judge_of_the_evaluation() -> None:
    example = next(e for e in drawn("single") if e.calls[0][1])
    text = example.completion.removesuffix("<|tool_response>")
    assert is_right(example, text)
    assert not is_right(example, text + "x")
    assert not is_right(example, "I have no tool for that.")
    pairs: list[tuple[Any, Any, bool]] = [(1, 1.0, True), (1, True, False), ("1", 1, False)]
    for ours, theirs, equal in pairs:
        assert same([("f", {"a": ours})], [("f", {"a": theirs})]) is equal
    assert literal(True) == "true"
    # R, DescTools 0.99: BinomCI(90, 100, method = "wilson").
    assert wilson(90, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_examples_are_json() -> None:
    for example in drawn():
        for tool in as_tools(example):
            assert json.loads(json.dumps(tool.parameters)) == tool.parameters
    assert from_json is not None
