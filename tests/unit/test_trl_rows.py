"""Rows to learn: the prompt that serving sends, the completion up to the token that ends it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import (
    JsonValue,
    Message,
    Prompt,
    PromptTokens,
    RenderError,
    Segment,
    Task,
    Template,
    cut_prompt,
    load,
)
from callsmith_trl.rows import (
    completion_of,
    completion_prompt,
    prompt_of,
    target_message,
    training_row,
    training_rows,
)
from fixtures.tiny_gemma4_episodes import TOOLS
from fixtures.vllm_tokenizer import PLAIN, SPECIAL, tiny_tokenizer

SERIALISED = tiny_tokenizer().to_str()
TOKENS = PromptTokens(SERIALISED)
NAMES = ("gemma4", "qwen3")


def built(name: str, **options: Any) -> Template:
    made: Template = load().build("template", name, options)
    return made


def task(target: dict[str, JsonValue], question: str = "Add 2 and 3.") -> Task:
    return Task(
        id="row", messages=(Message(role="user", content=question),), tools=TOOLS, target=target
    )


ADD: JsonValue = {"name": "add", "arguments": {"a": 2, "b": 3}}
ROME: JsonValue = {"name": "get_weather", "arguments": {"city": "Rome"}}


@pytest.mark.parametrize(
    ("name", "completion"),
    [
        ("gemma4", "<|tool_call>call:add{a:2,b:3}<tool_call|><|tool_response>"),
        (
            "qwen3",
            '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call><|im_end|>',
        ),
    ],
)
def test_a_call_ends_with_what_stops_the_model(name: str, completion: str) -> None:
    row = training_row(task({"calls": [ADD]}), built(name), TOKENS)
    assert row.completion == completion
    assert TOKENS.decode(row.completion_ids) == completion
    assert len(row) == len(row.prompt_ids) + len(row.completion_ids)


@pytest.mark.parametrize("name", NAMES)
def test_the_prompt_is_what_a_run_sends(name: str) -> None:
    template, given_task = built(name), task({"calls": [ADD, ROME]})
    row = training_row(given_task, template, TOKENS)
    assert row.prompt == template.render(given_task.messages, given_task.tools, thinking=False)
    assert row.prompt_ids == PromptTokens(SERIALISED).encode(row.prompt)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_is_learnt_up_to_the_end_of_its_turn(name: str) -> None:
    template = built(name)
    row = training_row(task({"answer_only": True, "answer": "Five."}), template, TOKENS)
    assert row.completion in ("Five.<turn|>", "Five.<|im_end|>")


def test_a_prompt_with_an_empty_thought_is_followed_by_the_answer() -> None:
    large = built("gemma4", variant="large")
    row = training_row(task({"calls": [ADD]}), large, TOKENS)
    assert row.prompt.text.endswith("<|turn>model\n<|channel>thought\n<channel|>")
    assert row.completion == "<|tool_call>call:add{a:2,b:3}<tool_call|><|tool_response>"


def test_a_row_may_go_on_from_results() -> None:
    asked = task({"calls": [ADD]})
    turn = target_message(asked)
    turn = replace(turn, tool_calls=tuple(replace(one, id="c1") for one in turn.tool_calls))
    result = Message(role="tool", content="5", tool_call_id="c1", name="add")
    later = replace(asked, messages=(*asked.messages, turn, result), target={"answer": "It is 5."})
    for name in NAMES:
        template = built(name)
        row = training_row(later, template, TOKENS)
        assert row.completion.startswith("It is 5.")
        assert row.prompt == prompt_of(later, template)


def test_what_a_target_leaves_open_is_decided() -> None:
    calls: JsonValue = [
        {"any_of": [{"name": "add", "arguments": {"a": {"any_of": [1, 2]}, "b": 3}}, ROME]},
        {"name": "get_weather", "arguments": {"city": {"exactly": "Oslo"}}, "optional": True},
    ]
    made = target_message(task({"calls": calls})).tool_calls
    assert [(one.name, one.arguments) for one in made] == [("add", {"a": 1, "b": 3})]


def test_what_stands_deeper_in_a_value_is_decided_too() -> None:
    arguments: dict[str, JsonValue] = {
        "list": [{"any_of": ["x", "y"]}],
        "inside": {"city": {"any_of": ["Rome", "Roma"]}, "plain": {"exactly": {"any_of": [1]}}},
    }
    (call,) = target_message(task({"calls": [{"name": "add", "arguments": arguments}]})).tool_calls
    assert call.arguments == {"list": ["x"], "inside": {"city": "Rome", "plain": {"any_of": [1]}}}
    with pytest.raises(RenderError, match="accepts anything"):
        target_message(task({"calls": [{"name": "add", "arguments": {"a": [{"anything": True}]}}]}))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({}, "nothing to learn"),
        ({"answer_only": True}, "nothing to learn"),
        ({"calls": "add"}, "no list"),
        ({"calls": [{"arguments": {}}]}, "no name"),
        ({"calls": [{"name": "add", "arguments": [1]}]}, "no object"),
        ({"calls": [ADD], "answer_only": True}, "leave one out"),
        ({"calls": [{"name": "add", "arguments": {"a": {"anything": True}}}]}, "needs a value"),
    ],
)
def test_a_bad_row_is_one_line_and_the_others_stay(target: dict[str, JsonValue], said: str) -> None:
    good = task({"calls": [ADD]})
    rows, refused = training_rows([task(target), good], built("gemma4"), TOKENS)
    assert [row.task for row in rows] == [good]
    [(bad, why)] = refused
    assert bad.target == target
    assert said in why
    assert "\n" not in why


def test_a_template_that_never_stops_is_refused() -> None:
    class Endless:
        """Gemma's template without its stop strings."""

        def __init__(self) -> None:
            self.inner = built("gemma4")
            self.stop: tuple[str, ...] = ()
            self.digest = "endless:0"
            self.render = self.inner.render
            self.decoder = self.inner.decoder
            self.parse = self.inner.parse

    with pytest.raises(RenderError, match="never stop"):
        training_row(task({"calls": [ADD]}), Endless(), TOKENS)


def test_a_stop_string_inside_content_ends_nothing() -> None:
    template = built("qwen3", control_text="allow")
    message = Message(role="assistant", content="I say <|im_end|> and go on.")
    text = completion_of(task({}), template, message)
    assert text == "I say <|im_end|> and go on.<|im_end|>"


def test_control_text_in_an_answer_is_learnt_as_characters() -> None:
    template = built("gemma4", control_text="allow")
    message = Message(role="assistant", content="write <|tool_call> so")
    ids = TOKENS.encode(completion_prompt(task({}), template, message))
    assert SPECIAL["<|tool_call>"] not in ids
    assert ids[-1] == SPECIAL["<turn|>"]


TEXTS = st.one_of(
    st.text(max_size=12), st.sampled_from([*SPECIAL, PLAIN, "th", "<|tool_", "call>", " "])
)
SEGMENTS = st.lists(
    st.builds(Segment, text=TEXTS.filter(bool), origin=st.sampled_from(["control", "content"])),
    min_size=1,
    max_size=6,
)


@given(segments=SEGMENTS, start=st.integers(0, 40), length=st.integers(0, 40))
def test_a_cut_is_a_slice_of_the_text(segments: list[Segment], start: int, length: int) -> None:
    prompt = Prompt(segments=tuple(segments))
    part = cut_prompt(prompt, start, start + length)
    assert part.text == prompt.text[start : start + length]
    origins = "".join(segment.origin[3] * len(segment.text) for segment in segments)
    assert (
        "".join(segment.origin[3] * len(segment.text) for segment in part.segments)
        == origins[start : start + length]
    )
