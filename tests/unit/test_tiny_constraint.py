"""Constrained decoding: what may follow, character by character and token by token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import callsmith_tiny
from callsmith import Message, Sampling, ToolSpec
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.template import Gemma4Template
from callsmith_tiny.constraint import Constraint, Declared, Parameter, declared_tools
from callsmith_tiny.sampler import Sampler
from callsmith_tiny.training.generator import Generator

TOOLS = (
    ToolSpec(
        name="set_volume",
        description="Set it: {now}, or ,parameters:{ later",
        parameters={
            "type": "object",
            "properties": {
                "level": {"type": "integer", "description": "How loud: 0, 1}"},
                "room": {"type": "string", "enum": ["kitchen", "Küche"]},
                "gain": {"type": "number"},
                "soft": {"type": "boolean"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "more": {"type": "object", "properties": {"deep": {"type": "string"}}},
            },
            "required": ["level"],
        },
    ),
    ToolSpec(name="set_vol", description="", parameters={"type": "object", "properties": {}}),
    ToolSpec(name="say", parameters={"type": "object", "properties": {"text": {"type": "string"}}}),
    ToolSpec(name="ping", description="No parameters at all"),
)
Q = '<|"|>'


@pytest.fixture(scope="module")
def prompt() -> str:
    template = Gemma4Template(Gemma4Config(variant="small", control_text="allow"))
    return template.render([Message(role="user", content="go")], TOOLS).text


@pytest.fixture(scope="module")
def constraint(prompt: str) -> Constraint:
    return Constraint(prompt)


def test_declarations_are_read_from_the_prompt(prompt: str) -> None:
    tools = declared_tools(prompt)
    assert tools.keys() == {"set_volume", "set_vol", "say", "ping"}
    assert tools["set_volume"] == Declared(
        {
            "gain": Parameter("NUMBER"),
            "level": Parameter("INTEGER"),
            "more": Parameter("OBJECT"),
            "room": Parameter("STRING", ("kitchen", "Küche")),
            "soft": Parameter("BOOLEAN"),
            "tags": Parameter("ARRAY"),
        },
        frozenset({"level"}),
    )
    assert tools["ping"] == tools["set_vol"] == Declared({}, frozenset())


def walk(constraint: Constraint, text: str) -> int:
    """How many bytes of a text are allowed one by one."""
    data = text.encode()
    for at in range(len(data)):
        if not constraint.allows(data[:at], data[at : at + 1]):
            return at
    return len(data)


@pytest.mark.parametrize(
    "text",
    [
        "Hello! {no: call}",
        "<|tool_call>call:set_volume{level:7}<tool_call|>",
        f"<|tool_call>call:set_volume{{room:{Q}Küche{Q},level:-12,gain:1.50,soft:false}}<tool_call|>",
        "<|tool_call>call:set_vol{}<tool_call|><|tool_call>call:ping{}<tool_call|><|tool_response>",
        f"<|tool_call>call:say{{text:{Q}a < b, {{c}}: |d| <x{Q}}}<tool_call|>",
        "<|tool_call>call:say{}<tool_call|>Done.",
        f"<|tool_call>call:set_volume{{tags:[{Q}x{Q}],anything goes here",
    ],
)
def test_valid_texts_are_allowed(constraint: Constraint, text: str) -> None:
    assert walk(constraint, text) == len(text.encode())


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("<|tool_call>call:set_v", "i"),
        ("<|tool_call>call:set_volume{", "}"),
        ("<|tool_call>call:set_volume{", "x"),
        ("<|tool_call>call:set_volume{level:", "<"),
        ("<|tool_call>call:set_volume{level:7", "."),
        ("<|tool_call>call:set_volume{level:", "}"),
        ("<|tool_call>call:set_volume{level:7,", "l"),
        ("<|tool_call>call:set_volume{level:7,", "}"),
        ("<|tool_call>call:set_volume{gain:1.", "}"),
        ("<|tool_call>call:set_volume{gain:1.5", "."),
        ("<|tool_call>call:set_volume{soft:t", "e"),
        (f"<|tool_call>call:set_volume{{room:{Q}k", "a"),
        (f"<|tool_call>call:set_volume{{room:{Q}kitchen{Q}", "}"),
        (f"<|tool_call>call:say{{text:{Q}x{Q}", ","),
        (f"<|tool_call>call:say{{text:{Q}x", "<turn|>"),
        (f"<|tool_call>call:say{{text:{Q}x{Q}", "<|tool_call>call:ping{}"),
        ("<|tool_call>call:say{text:", f"{Q},parameters:{{properties:{{"),
        ("<|tool_call>call:ping{}<tool_call|><|tool_call>call:say{", "x"),
        ("<|tool_call>call:ping{", "a"),
        ("<|tool_call>call:ping{}", "x"),
        ("<|tool_call>call:ping", "<turn|>"),
        ("Hello", "<tool_call|>"),
    ],
)
def test_what_leads_nowhere_is_not_allowed(constraint: Constraint, good: str, bad: str) -> None:
    assert walk(constraint, good) == len(good.encode())
    assert not constraint.allows(good.encode(), bad.encode())


def test_without_tools_no_call_can_begin() -> None:
    none = Constraint("<bos><|turn>user\nhi<turn|>\n<|turn>model\n")
    assert none.allows(b"", b"Hello")
    assert not none.allows(b"", b"<|tool_call>call:")


def test_every_wanted_completion_is_allowed() -> None:
    for kind in ("single", "several", "chain", "follow_up"):
        for index in range(40):
            example = Generator("heldout", 5).example(index, kind=kind)
            constraint = Constraint(example.prompt)
            assert walk(constraint, example.completion) == len(example.completion.encode())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_sampler_takes_allowed_tokens_only(temperature: float) -> None:
    logprobs = np.log(np.array([0.6, 0.25, 0.1, 0.05], np.float32))
    sampler = Sampler(Sampling(temperature=temperature, seed=1))
    drawn = {sampler.choose(logprobs, lambda token: token in (1, 3)) for _ in range(60)}
    assert drawn == ({1} if temperature == 0 else {1, 3})
    # Nothing allowed: the model's own choice, so that decoding always goes on.
    assert {Sampler(Sampling()).choose(logprobs, lambda _: False)} == {0}


async def test_the_arm_writes_valid_calls_even_at_a_high_temperature() -> None:
    from callsmith_tiny.arm import TinyArm
    from callsmith_tiny.config import TinyConfig

    assert Path(callsmith_tiny.__file__).with_name("model.safetensors").is_file()
    template = Gemma4Template(Gemma4Config(variant="small", repair="off"))
    tools = TOOLS[2:]
    question = Message(role="user", content="say with text 'good evening'")
    prompt = template.render([question], tools)
    arm = TinyArm(TinyConfig(constrain=True))
    calls = 0
    for seed in range(12):
        # Outside of calls it writes what it draws: where it opens another turn, its own is over.
        sampling = Sampling(temperature=1.7, seed=seed, max_tokens=160, stop=("<|turn>",))
        completion = await arm.complete(prompt, sampling)
        if completion.stop_reason == "length":
            continue
        reply = template.parse(completion.text, tools, after=prompt)
        assert not reply.faults
        for call in reply.calls:
            calls += 1
            assert isinstance(call.arguments, dict)
            assert (call.name, *call.arguments) in {("say",), ("say", "text"), ("ping",)}
    assert calls
    await arm.aclose()
