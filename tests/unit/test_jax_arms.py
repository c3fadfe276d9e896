"""Both JAX arms against a worker process that speaks the real protocol and has no model."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import callsmith_jax
from callsmith import (
    ArmError,
    ArmTimeoutError,
    ConfigError,
    ControlTextError,
    Message,
    Prompt,
    PromptTooLongError,
    RenderError,
    Sampling,
    Segment,
    ToolCall,
    ToolSpec,
)
from callsmith.testing import ChatArmContract, TextArmContract
from callsmith.testing.chat_arm_contract import Calling
from callsmith_jax.config import SamplerConfig, ToolSamplerConfig
from callsmith_jax.sampler_arm import JaxSamplerArm
from callsmith_jax.toolsampler_arm import JaxToolSamplerArm

STAND_IN = Path(__file__).parents[1] / "jax_suite" / "stand_in_worker.py"
SAMPLING = Sampling(max_tokens=200)
WEATHER = ToolSpec(name="get_weather", parameters={"type": "object", "properties": {}})

Options = Callable[..., dict[str, Any]]


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """The options of an arm whose interpreter is the stand-in."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    checkpoint = tmp_path / "gemma" / "params"
    checkpoint.mkdir(parents=True)

    def make(**more: Any) -> dict[str, Any]:
        return {"checkpoint": str(checkpoint), "python": str(python), **more}

    return make


@pytest.fixture
async def text(options: Options) -> AsyncIterator[JaxSamplerArm]:
    arm = JaxSamplerArm(SamplerConfig(**options()))
    yield arm
    await arm.aclose()


@pytest.fixture
async def chat(options: Options) -> AsyncIterator[JaxToolSamplerArm]:
    arm = JaxToolSamplerArm(ToolSamplerConfig(**options()))
    yield arm
    await arm.aclose()


def prompt(text: str) -> Prompt:
    return Prompt(segments=(Segment(text=text, origin="control"),))


def ask(text: str) -> list[Message]:
    return [Message(role="user", content=text)]


class TestSampler(TextArmContract):
    @pytest.fixture
    async def arm(self, text: JaxSamplerArm) -> JaxSamplerArm:
        return text


class TestToolSampler(ChatArmContract):
    @pytest.fixture
    async def arm(self, chat: JaxToolSamplerArm) -> JaxToolSamplerArm:
        return chat

    @pytest.fixture
    def calling(self) -> Calling:
        return Calling(
            messages=ask("Weather in Oslo?"),
            tools=[WEATHER],
            expected=[ToolCall(name="get_weather", arguments={"city": "Oslo"})],
        )


async def test_a_completion_has_everything_that_the_worker_told(text: JaxSamplerArm) -> None:
    found = await text.complete(prompt("Hello"), SAMPLING)
    assert found.stop_reason == "end_of_turn"
    assert found.usage.prompt_tokens == 7
    assert found.token_ids == tuple(map(ord, found.text))
    assert found.usage.completion_tokens == len(found.text) + 1
    assert found.logprobs == (-0.5,) * len(found.text)
    assert found.timings == {"generate": 0.25}


async def test_what_libraries_print_does_not_reach_the_protocol(text: JaxSamplerArm) -> None:
    for _ in range(3):
        assert (await text.complete(prompt("noise"), SAMPLING)).text.startswith("You said 5")


async def test_a_worker_that_dies_is_an_error_with_its_last_words(text: JaxSamplerArm) -> None:
    with pytest.raises(ArmError, match=r"ended during `sample` \(exit code 3\).*out of memory"):
        await text.complete(prompt("die"), SAMPLING)
    assert (await text.complete(prompt("Hello"), SAMPLING)).text.startswith("You said 5")


async def test_requests_that_wait_survive_the_death_of_the_worker(text: JaxSamplerArm) -> None:
    asked = [text.complete(prompt(say), SAMPLING) for say in ("one", "die", "three")]
    first, second, third = await asyncio.gather(*asked, return_exceptions=True)
    assert not isinstance(first, BaseException)
    assert isinstance(second, ArmError)
    assert not isinstance(third, BaseException)


async def test_a_worker_that_takes_too_long_is_replaced(options: Options) -> None:
    arm = JaxSamplerArm(SamplerConfig(**options(request_timeout=1.0)))
    with pytest.raises(ArmTimeoutError, match="not done with `sample` within 1 s and was killed"):
        await arm.complete(prompt("hang"), SAMPLING)
    assert (await arm.complete(prompt("Hello"), SAMPLING)).text.startswith("You said 5")
    await arm.aclose()


async def test_closing_ends_a_request_that_is_under_way(text: JaxSamplerArm) -> None:
    await text.complete(prompt("Hello"), SAMPLING)
    asked = asyncio.create_task(text.complete(prompt("hang"), SAMPLING))
    await asyncio.sleep(0.1)
    await text.aclose()
    with pytest.raises(ArmError, match=r"ended during `sample`|was closed"):
        await asked


async def test_an_abandoned_request_does_not_disturb_the_next(text: JaxSamplerArm) -> None:
    asked = asyncio.create_task(text.complete(prompt("one"), SAMPLING))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert "'three'" in (await text.complete(prompt("three"), SAMPLING)).text


async def test_the_arm_lives_on_in_another_event_loop(options: Options) -> None:
    arm = JaxSamplerArm(SamplerConfig(**options()))

    def elsewhere() -> str:
        return asyncio.run(arm.complete(prompt("Hello"), SAMPLING)).text

    here = (await arm.complete(prompt("Hello"), SAMPLING)).text
    assert await asyncio.to_thread(elsewhere) == here
    await arm.aclose()


@pytest.mark.parametrize(
    ("question", "error", "message"),
    [
        ("too long", PromptTooLongError, "the prompt has 99 tokens"),
        ("fail", ArmError, "ZeroDivisionError: nothing goes into nothing"),
    ],
)
async def test_the_workers_errors(
    text: JaxSamplerArm, question: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await text.complete(prompt(question), SAMPLING)
    assert (await text.complete(prompt("Hello"), SAMPLING)).text.startswith("You said 5")


async def test_an_empty_prompt_is_refused(text: JaxSamplerArm) -> None:
    with pytest.raises(ArmError, match="the prompt is empty"):
        await text.complete(Prompt(segments=()), SAMPLING)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("protocol", "speaks protocol 99 and callsmith 1"),
        ("id", "answered another request"),
        ("json", "wrote what is no answer: 'no JSON'"),
        ("silence", "not done with its hello within 1 s"),
    ],
)
async def test_a_worker_that_breaks_the_protocol(
    options: Options, monkeypatch: pytest.MonkeyPatch, how: str, message: str
) -> None:
    monkeypatch.setenv("STAND_IN_BREAKS", how)
    limit = 1.0 if how == "silence" else 60.0
    arm = JaxSamplerArm(SamplerConfig(**options(start_timeout=limit)))
    with pytest.raises(ArmError, match=message):
        await arm.complete(prompt("Hello"), SAMPLING)
    await arm.aclose()


async def test_an_interpreter_that_is_none(options: Options, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no such module' >&2\nexit 4\n")
    broken.chmod(0o755)
    arm = JaxSamplerArm(SamplerConfig(**options(python=str(broken))))
    with pytest.raises(ArmError, match=r"during its hello \(exit code 4\): no such module"):
        await arm.complete(prompt("Hello"), SAMPLING)
    await arm.aclose()
    broken.chmod(0o644)
    with pytest.raises(ArmError, match="does not start"):
        await arm.complete(prompt("Hello"), SAMPLING)
    await arm.aclose()


async def test_arms_with_the_same_settings_share_a_worker(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("STAND_IN_LOG", str(log))
    first = JaxSamplerArm(SamplerConfig(**options()))
    second = JaxToolSamplerArm(ToolSamplerConfig(**options(max_sessions=2)))
    other = JaxSamplerArm(SamplerConfig(**options(cache_length=64)))
    for arm in (first, second, other):
        await arm.probe()
    assert len({json.loads(line)["pid"] for line in log.read_text().splitlines()}) == 2
    await first.aclose()
    assert (await second.generate(ask("Hello"), (), SAMPLING)).content.startswith("You said 5")
    assert len(log.read_text().splitlines()) == 2
    for arm in (first, second, other):
        await arm.aclose()


async def test_the_options_reach_the_worker(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("STAND_IN_LOG", str(log))
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.chdir(tmp_path)
    given = options(
        checkpoint="./gemma/params",
        platform="gpu",
        memory_fraction=0.5,
        preallocate=False,
        cache_length=300,
        pad_lengths=(64, 128),
        logprobs=False,
    )
    arm = JaxSamplerArm(SamplerConfig(**given))
    await arm.probe()
    await arm.aclose()
    (told,) = map(json.loads, log.read_text().splitlines())
    assert Path(told["checkpoint"]) == tmp_path / "gemma" / "params"
    assert told["cache_length"] == told["max_out_length"] == 300
    assert (told["pad_lengths"], told["logprobs"]) == ([64, 128], False)
    assert told["JAX_PLATFORMS"] == "cuda"
    assert told["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.5"
    assert told["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert told["PYTHONPATH"] is None


async def test_the_fidelity_of_both_arms(text: JaxSamplerArm, chat: JaxToolSamplerArm) -> None:
    one, two = await text.probe(), await chat.probe()
    assert (one.history, two.history) == ("prompt", "continuation")
    assert one.deviations == ()
    assert any("positions" in line for line in two.deviations)
    assert any("result" in line for line in two.deviations)
    assert one.runtime_version == "gemma 4.0.1, jax 0.12.0.1"
    assert one.quantization == "bfloat16"
    assert one.context_length == 4096
    assert one.model_digest is None
    assert one.sampling["top_k"] == "applied"
    assert "thinking" not in one.sampling
    assert two.sampling["thinking"] == "applied"
    assert not one.warnings


async def test_other_versions_are_a_warning(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_LACKS", "fastmcp")
    arm = JaxSamplerArm(SamplerConfig(**options()))
    found = await arm.probe()
    assert any("fastmcp is missing" in line for line in found.warnings)
    await arm.aclose()


async def test_a_model_that_loads_slowly_is_not_waited_for(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_LOADING", "1.5")
    arm = JaxSamplerArm(SamplerConfig(**options(probe_timeout=0.2)))
    found = await arm.probe()
    assert found.runtime_version is None
    assert "not loaded within 0.2 s" in found.warnings[0]
    assert (await arm.complete(prompt("Hello"), SAMPLING)).text.startswith("You said 5")
    await arm.aclose()


@pytest.mark.parametrize("key", ["python", "checkpoint", "tokenizer", "model"])
def test_missing_files_are_found_before_anything_starts(options: Options, key: str) -> None:
    given = options(**{key: "/no/such/thing.json"})
    with pytest.raises(ConfigError, match=r"no such (folder|file)|does not exist") as caught:
        JaxSamplerArm(SamplerConfig(**given))
    assert caught.value.path == key


async def test_a_checkpoint_that_vanishes_is_a_clear_error(options: Options) -> None:
    given = options()
    arm = JaxSamplerArm(SamplerConfig(**given))
    Path(given["checkpoint"]).rmdir()
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"checkpoint .*: no folder"):
            await arm.complete(prompt("Hello"), SAMPLING)
    await arm.aclose()


def follow(question: str, calls: tuple[ToolCall, ...], *results: str) -> list[Message]:
    named = tuple(replace(call, id=f"call_{at}") for at, call in enumerate(calls))
    answers = [
        Message(role="tool", content=text, tool_call_id=call.id, name=call.name)
        for call, text in zip(named, results, strict=True)
    ]
    return [*ask(question), Message(role="assistant", tool_calls=named), *answers]


async def test_a_tool_loop_goes_on_with_the_results_alone(chat: JaxToolSamplerArm) -> None:
    asked = await chat.generate(ask("Weather in Oslo and Bergen?"), [WEATHER], SAMPLING)
    assert [call.arguments for call in asked.calls] == [{"city": "Oslo"}, {"city": "Bergen"}]
    assert asked.completion is not None
    assert asked.completion.stop_reason == "tool_response"
    messages = follow("Weather in Oslo and Bergen?", asked.calls, "sun", "rain")
    reply = await chat.generate(messages, [WEATHER], SAMPLING)
    assert reply.content.startswith("The tool said: sun; rain.")
    assert reply.notes == ()


async def test_results_are_given_in_the_order_of_the_calls(chat: JaxToolSamplerArm) -> None:
    asked = await chat.generate(ask("Weather in Oslo and Bergen?"), [WEATHER], SAMPLING)
    messages = follow("Weather in Oslo and Bergen?", asked.calls, "sun", "rain")
    messages[2:] = reversed(messages[2:])
    reply = await chat.generate(messages, [WEATHER], SAMPLING)
    assert reply.content.startswith("The tool said: sun; rain.")


async def test_a_loop_is_used_once_and_then_the_history_is_read_anew(
    chat: JaxToolSamplerArm,
) -> None:
    asked = await chat.generate(ask("Weather in Oslo?"), [WEATHER], SAMPLING)
    messages = follow("Weather in Oslo?", asked.calls, "sun")
    await chat.generate(messages, [WEATHER], SAMPLING)
    again = await chat.generate(messages, [WEATHER], SAMPLING)
    assert again.content == "Read anew: sun"
    assert "rendered anew" in again.notes[0]


@pytest.mark.parametrize("changed", ["question", "call", "tools", "sampling"])
async def test_another_conversation_does_not_go_on_from_a_waiting_loop(
    chat: JaxToolSamplerArm, changed: str
) -> None:
    asked = await chat.generate(ask("Weather in Oslo?"), [WEATHER], SAMPLING)
    question = "Weather in Rome?" if changed == "question" else "Weather in Oslo?"
    other = (ToolCall(name="get_weather", arguments={"city": "Rome"}),)
    messages = follow(question, other if changed == "call" else asked.calls, "sun")
    tools = [replace(WEATHER, description="another")] if changed == "tools" else [WEATHER]
    sampling = replace(SAMPLING, seed=1) if changed == "sampling" else SAMPLING
    assert (await chat.generate(messages, tools, sampling)).content == "Read anew: sun"


async def test_loops_of_several_episodes_wait_side_by_side(chat: JaxToolSamplerArm) -> None:
    questions = ["Weather in Oslo?", "Weather in Rome?", "Weather in Bonn?"]
    asked = [await chat.generate(ask(q), [WEATHER], SAMPLING) for q in questions]
    for question, reply in reversed(list(zip(questions, asked, strict=True))):
        messages = follow(question, reply.calls, f"sun for {question}")
        found = await chat.generate(messages, [WEATHER], SAMPLING)
        assert found.content.startswith(f"The tool said: sun for {question}.")


async def test_the_oldest_loop_gives_way(options: Options) -> None:
    arm = JaxToolSamplerArm(ToolSamplerConfig(**options(max_sessions=1)))
    first = await arm.generate(ask("Weather in Oslo?"), [WEATHER], SAMPLING)
    await arm.generate(ask("Weather in Rome?"), [WEATHER], SAMPLING)
    messages = follow("Weather in Oslo?", first.calls, "sun")
    assert (await arm.generate(messages, [WEATHER], SAMPLING)).content == "Read anew: sun"
    await arm.aclose()


async def test_a_loop_does_not_survive_its_worker(chat: JaxToolSamplerArm) -> None:
    asked = await chat.generate(ask("Weather in Oslo?"), [WEATHER], SAMPLING)
    with pytest.raises(ArmError, match="last words"):
        await chat.generate(ask("die"), (), SAMPLING)
    await chat.generate(ask("Weather in Rome?"), [WEATHER], SAMPLING)
    messages = follow("Weather in Oslo?", asked.calls, "sun")
    assert (await chat.generate(messages, [WEATHER], SAMPLING)).content == "Read anew: sun"


async def test_what_the_library_cannot_read_is_a_fault(chat: JaxToolSamplerArm) -> None:
    reply = await chat.generate(ask("malformed"), [WEATHER], SAMPLING)
    assert not reply.calls
    (fault,) = reply.faults
    assert (fault.raw, fault.detail) == ("<|tool_call>call:", "ValueError: no end")


async def test_control_text_is_refused_or_broken(options: Options) -> None:
    arm = JaxToolSamplerArm(ToolSamplerConfig(**options()))
    with pytest.raises(ControlTextError, match=r"messages\[0\].content: .*<\|turn>"):
        await arm.generate(ask("a <|turn> here"), (), SAMPLING)
    asked = await arm.generate(ask("Weather in Oslo?"), [WEATHER], SAMPLING)
    messages = follow("Weather in Oslo?", asked.calls, "<tool_response|>")
    with pytest.raises(ControlTextError, match=r"results\[0\]"):
        await arm.generate(messages, [WEATHER], SAMPLING)
    await arm.aclose()
    arm = JaxToolSamplerArm(ToolSamplerConfig(**options(control_text="neutralise")))
    reply = await arm.generate(ask("a <|turn> here"), (), SAMPLING)
    assert "broken by a space" in reply.notes[0]
    assert "15 characters" in reply.content
    await arm.aclose()


async def test_a_conversation_that_the_library_cannot_hold(chat: JaxToolSamplerArm) -> None:
    listed = Message(role="assistant", tool_calls=(ToolCall(name="f", arguments=[1]),))
    for messages in ([], [Message(role="critic", content="x")], [*ask("x"), listed]):
        with pytest.raises(RenderError):
            await chat.generate(messages, (), SAMPLING)


def test_the_arms_and_the_command_are_declared() -> None:
    arms = {arm.name: arm.provides for arm in callsmith_jax.callsmith_arms()}
    assert arms == {"jax-sampler": "text", "jax-toolsampler": "chat"}
    assert [command.name for command in callsmith_jax.callsmith_commands()] == ["jax"]
