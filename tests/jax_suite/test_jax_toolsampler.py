"""`jax-toolsampler` for real, and a whole bake-off of both arms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import callsmith_jax
from callsmith import (
    Catalog,
    ControlCheck,
    ControlTokens,
    Message,
    PromptTooLongError,
    RenderError,
    Sampling,
    ToolCall,
    ToolSpec,
    load,
    plan_bakeoff,
    read_run_file,
    run_bakeoff,
    run_episode,
)
from callsmith.registry import Plugin
from callsmith.testing import ChatArmContract
from callsmith.testing.chat_arm_contract import Calling
from callsmith_jax.config import ToolSamplerConfig
from callsmith_jax.messages import convert_tools
from callsmith_jax.sampler_arm import sampling_body
from callsmith_jax.toolsampler_arm import JaxToolSamplerArm
from callsmith_jax.worker_pool import Worker
from servers.arithmetic import ADD, ARITHMETIC, Calculator, Sums

GREEDY = Sampling(max_tokens=48)


@pytest.fixture
async def arm(worker: Worker, options: dict[str, Any]) -> AsyncIterator[JaxToolSamplerArm]:
    arm = JaxToolSamplerArm(ToolSamplerConfig(**options))
    yield arm
    await arm.aclose()


def ask(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


class TestContract(ChatArmContract):
    @pytest.fixture
    def arm(self, arm: JaxToolSamplerArm) -> JaxToolSamplerArm:
        return arm

    @pytest.fixture
    def conversations(self) -> Sequence[Sequence[Message]]:
        return [ask(text) for text in ("Hello!", "Who are you?", "Good bye!")]

    @pytest.fixture
    def calling(self) -> Calling:
        return Calling(
            messages=ask("What is 2 plus 3?"),
            tools=[ADD],
            expected=[ToolCall(name="add", arguments={"a": 2, "b": 3})],
        )

    @pytest.fixture
    def sampling(self) -> Sampling:
        return GREEDY


async def test_episodes_run_side_by_side(arm: JaxToolSamplerArm) -> None:
    tasks = list(Sums().tasks())
    traces = await asyncio.gather(
        *(run_episode(arm, task, Calculator(), sampling=GREEDY, timeout=600) for task in tasks)
    )
    assert [trace.halt for trace in traces] == ["answered"] * len(tasks)
    assert [trace.answer for trace in traces] == [
        *(f"The sum is {n + n + 1}." for n in range(4)),
        "Hello, what shall I add?",
    ]
    first = traces[2]
    assert [result.content for turn in first.turns for result in turn.results] == ["5"]
    last = first.turns[-1].reply
    assert last is not None
    assert last.notes == ()
    assert last.prompt is not None
    assert last.prompt.text.endswith(
        "<|tool_call>call:add{a:2,b:3}<tool_call|><|tool_response>"
        'response:add{result:<|"|>5<|"|>}<tool_response|>'
    )


async def test_the_kept_state_is_one_position_behind_the_full_prompt(worker: Worker) -> None:
    """The deviation that the fidelity names: why this arm is not ranked as if it were the other."""

    async def told(do: str, **body: Any) -> Any:
        return (await worker.ask(do, body, 600)).body

    tools = convert_tools([ADD], ControlCheck(ControlTokens(()), "allow"))
    question = {"role": "user", "content": "What is 2 plus 3?", "calls": []}
    common = {"tools": tools, "sampling": sampling_body(GREEDY), "max_sessions": 2}
    asked = await told("chat", messages=[question], **common)
    kept = await told("step", session=asked["session"], results=["5"])
    called = {"role": "assistant", "content": "", "calls": asked["calls"]}
    result = {"role": "tool", "content": "5", "name": "add"}
    whole = await told("chat", messages=[question, called, result], **common)
    assert kept["prompt"] == whole["prompt"]
    assert kept["prompt_tokens"] == whole["prompt_tokens"]
    assert kept["position"] - kept["drawn"] == whole["position"] - whole["drawn"] - 1


async def test_a_system_prompt_and_a_history_are_one_conversation(arm: JaxToolSamplerArm) -> None:
    history = [
        Message(role="system", content="Be brief."),
        *ask("Hello!"),
        Message(role="assistant", content="Hello, what shall I add?"),
        *ask("What is 1 plus 2?"),
    ]
    reply = await arm.generate(history, [ADD], GREEDY)
    assert reply.prompt is not None
    text = reply.prompt.text
    assert text.startswith("<|turn>system\nBe brief.<|tool>declaration:add{")
    assert text.endswith(
        "<|turn>user\nHello!<turn|>\n<|turn>model\nHello, what shall I add?<turn|>\n"
        "<|turn>user\nWhat is 1 plus 2?<turn|>\n<|turn>model\n"
    )


async def test_thinking_is_asked_for(arm: JaxToolSamplerArm) -> None:
    sampling = Sampling(max_tokens=4, thinking=True)
    reply = await arm.generate(ask("Hello!"), (), sampling)
    assert reply.prompt is not None
    assert reply.prompt.text.startswith("<|turn>system\n<|think|>")


async def test_too_long_and_refused(arm: JaxToolSamplerArm) -> None:
    with pytest.raises(PromptTooLongError, match="more than cache_length 320"):
        await arm.generate(ask("#" * 300), (), GREEDY)
    # The state and the padded results do not fit: said, where the library would crash.
    asked = await arm.generate(ask("What is 2 plus 3?"), [ADD], GREEDY)
    assert asked.calls
    said = Message(role="assistant", tool_calls=asked.calls)
    back = Message(role="tool", content="#" * 190, name="add")
    with pytest.raises(PromptTooLongError, match="the kept state has"):
        await arm.generate([*ask("What is 2 plus 3?"), said, back], [ADD], GREEDY)
    bad = ToolSpec(name="bad", parameters={"type": 5})
    with pytest.raises(RenderError, match="tool 'bad': the library refuses it"):
        await arm.generate(ask("Hello!"), [bad], GREEDY)


async def test_a_whole_bakeoff(worker: Worker, options: dict[str, Any], tmp_path: Path) -> None:
    frame = {
        "kind": "bakeoff",
        "name": "jax",
        "sampling": {"temperature": 0, "max_tokens": 48},
        "tasks": "sums",
        "arms": {
            "sampler": {"use": "jax-sampler", "template": "gemma4", "options": options},
            "loop": {"use": "jax-toolsampler", "options": options, "concurrency": 2},
        },
        "verifiers": ["no-faults", "tool-known"],
    }
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(frame))
    arms = tuple(("arm", component) for component in callsmith_jax.callsmith_arms())
    plugins = [plugin for plugin in load(environment={}).plugins if plugin.name != "jax"]
    own = Plugin(name="jax", module="callsmith_jax", components=arms)
    folder = await run_bakeoff(
        plan_bakeoff(read_run_file(file), Catalog([*plugins, ARITHMETIC, own])), tmp_path / "run"
    )
    traces = list(folder.traces())
    assert len(traces) == 10
    assert {trace.error for trace in traces} == {None}
    for trace in traces:
        number = trace.task.partition("-")[2]
        expected = f"The sum is {2 * int(number) + 1}." if number else "Hello, what shall I add?"
        assert (trace.halt, trace.answer) == ("answered", expected), trace.arm
    fidelity = folder.header["sessions"][0]["fidelity"]
    assert fidelity["sampler"]["history"] == "prompt"
    assert fidelity["loop"]["history"] == "continuation"
    assert fidelity["loop"]["deviations"]
    for key in ("model", "model_digest", "tokenizer_digest", "quantization", "context_length"):
        assert fidelity["sampler"][key] == fidelity["loop"][key]
