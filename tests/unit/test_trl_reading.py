"""A completion during training is read as a run reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callsmith import (
    Completion,
    Message,
    PromptTokens,
    Sampling,
    Task,
    Template,
    Templated,
    load,
    run_episode,
)
from callsmith.testing import ScriptedTextArm
from callsmith_trl.reading import trace_of, trace_of_ids
from fixtures.tiny_gemma4_episodes import TOOLS
from fixtures.vllm_tokenizer import SPECIAL, tiny_tokenizer

TASK = Task(id="t", messages=(Message(role="user", content="Add 2 and 3."),), tools=TOOLS)
CASES = {
    "call": ("gemma4", "<|tool_call>call:add{a:2,b:3}<tool_call|>"),
    "two": (
        "gemma4",
        "<|tool_call>call:add{a:2,b:3}<tool_call|><|tool_call>call:add{a:1,b:1}<tool_call|>",
    ),
    "answer": ("gemma4", "It is five."),
    "torn": ("gemma4", "<|tool_call>call:add{a:2,"),
    "qwen": ("qwen3", '<tool_call>\n{"name": "add", "arguments": {"a": 2}}\n</tool_call>'),
    "nothing": ("qwen3", ""),
}


@pytest.mark.parametrize("name", CASES)
async def test_the_trace_is_the_agent_loops(name: str) -> None:
    shape, text = CASES[name]
    template: Template = load().build("template", shape)
    engine = ScriptedTextArm([text])
    wanted = await run_episode(Templated(engine, template), TASK, sampling=Sampling())
    found = trace_of(TASK, template, text + template.stop[0])
    assert found.halt == wanted.halt
    [ours], [theirs] = found.turns, wanted.turns
    assert ours.reply is not None
    assert theirs.reply is not None
    blank = Completion(text=text)
    assert replace(ours.reply, completion=blank) == replace(theirs.reply, completion=blank)
    assert ours.reply.completion is not None
    assert ours.reply.completion.text == text


def test_ids_without_an_end_were_cut() -> None:
    tokens = PromptTokens(tiny_tokenizer().to_str())
    template: Template = load().build("template", "gemma4")
    ends = frozenset([SPECIAL["<|tool_response>"], SPECIAL["<turn|>"]])
    whole = [*tokens.encode_text(CASES["call"][1]), SPECIAL["<|tool_response>"]]
    ended = trace_of_ids(TASK, template, tokens, whole, ends)
    assert (ended.halt, [one.name for one in ended.calls]) == ("calls", ["add"])
    assert trace_of_ids(TASK, template, tokens, whole[:-1], ends).halt == "cut"
    assert trace_of_ids(TASK, template, tokens, [], ends).halt == "cut"
