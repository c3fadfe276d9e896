"""The arm on the real engine: one engine for all tests of this module, which starting makes slow.

All tests share an event loop, because an engine belongs to one.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from callsmith import (
    ArmError,
    ConfigError,
    Message,
    Prompt,
    PromptTooLongError,
    Sampling,
    Segment,
    Templated,
    ToolSpec,
)
from callsmith.testing import TextArmContract
from callsmith_vllm.config import VllmConfig
from contract_runner import names_of_tests
from vllm_suite.tiny_checkpoint import CONTEXT, write_adapter, write_model

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("default"),  # the library's own are not ours to mend
]

OPTIONS: dict[str, Any] = {
    "dtype": "float32",
    "max_model_len": CONTEXT,
    "gpu_memory_utilization": 0.1,
    "enforce_eager": True,
    "max_num_seqs": 16,
}
GREEDY = Sampling(max_tokens=24)
PROMPTS = tuple(
    Prompt(segments=(Segment(text=text, origin="content"),))
    for text in ("Count from one to ten:", "The colours of the rainbow are", "Once upon a time")
)
CONTRACT = [name for name in names_of_tests(TextArmContract) if "closed_twice" not in name]


def built(**options: Any) -> Any:
    from callsmith_vllm.arm import VllmArm

    return VllmArm(VllmConfig(**{**OPTIONS, **options}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def arm(checkpoint: Path) -> AsyncIterator[Any]:
    subject = built(model="google/gemma-4-tiny", path=str(checkpoint))
    yield subject
    await subject.aclose()


def prompt(*parts: tuple[str, str]) -> Prompt:
    return Prompt(
        segments=tuple(Segment(text=text, origin=origin) for origin, text in parts)  # type: ignore[arg-type]
    )


def usable(texts: Sequence[str]) -> None:
    assert all(len(text) >= 8 for text in texts), f"random weights gave too little text: {texts}"


@pytest.mark.parametrize("name", CONTRACT)
async def test_contract(name: str, arm: Any) -> None:
    contract = TextArmContract()
    test = getattr(contract, name)
    given = {"arm": arm, "prompts": PROMPTS, "sampling": GREEDY}
    wanted = inspect.signature(test).parameters
    result = test(**{key: value for key, value in given.items() if key in wanted})
    if inspect.isawaitable(result):
        await result


async def test_a_completion_has_ids_logprobs_and_counts(arm: Any) -> None:
    completion = await arm.complete(PROMPTS[0], GREEDY)
    usable([completion.text])
    assert completion.token_ids is not None
    assert completion.logprobs is not None
    assert len(completion.token_ids) == len(completion.logprobs) == 24
    assert completion.stop_reason == "length"
    assert completion.usage.completion_tokens == 24
    assert 0 < completion.timings["first_token"] <= completion.timings["total"]


async def test_bos_is_not_doubled(arm: Any) -> None:
    text = "<|turn>user\nhi<turn|>\n"
    without = await arm.complete(prompt(("control", text)), GREEDY)
    with_bos = await arm.complete(prompt(("control", "<bos>" + text)), GREEDY)
    assert with_bos.usage.prompt_tokens == without.usage.prompt_tokens + 1


async def test_control_text_in_content_is_characters(arm: Any) -> None:
    start, end = ("control", "<bos><|turn>user\n"), ("control", "<turn|>\n<|turn>model\n")
    honest = await arm.complete(prompt(start, ("control", "<|tool_call>"), end), GREEDY)
    forged = await arm.complete(prompt(start, ("content", "<|tool_call>"), end), GREEDY)
    spelled = len("<|tool_call>")
    assert forged.usage.prompt_tokens == honest.usage.prompt_tokens - 1 + spelled


async def many(arm: Any, sampling: Sampling) -> list[Any]:
    """One prompt with sixteen seeds, decoded together."""
    seeds = [replace(sampling, seed=seed) for seed in range(16)]
    return list(await asyncio.gather(*(arm.complete(PROMPTS[0], each) for each in seeds)))


async def test_the_generation_config_decides_nothing(arm: Any) -> None:
    completions = await many(arm, Sampling(temperature=1.0, max_tokens=1))
    assert len({completion.token_ids for completion in completions}) > 3  # its top_k


async def test_the_seed_decides(arm: Any) -> None:
    hot = Sampling(temperature=1.0, max_tokens=24, seed=1)
    first = await arm.complete(PROMPTS[0], hot)
    again = await arm.complete(PROMPTS[0], hot)
    other = await arm.complete(PROMPTS[0], replace(hot, seed=2))
    assert first.token_ids == again.token_ids
    assert first.token_ids != other.token_ids


async def test_ends_are_named_and_special_tokens_stay(arm: Any) -> None:
    # At this temperature any token comes by sooner or later, the special ones included.
    stop = "<|tool_call>"
    completions = await many(arm, Sampling(temperature=2.0, max_tokens=200, stop=(stop,)))
    named = {106: "<turn|>", 50: "<|tool_response>", 48: stop}
    reasons = {number: f"stop: {text}" for number, text in named.items()} | {1: "stop"}
    for completion in completions:
        assert completion.stop_reason == reasons.get(completion.token_ids[-1], "length")
        assert not any(text in completion.text for text in ("<eos>", *named.values()))
        assert all(value <= 0 for value in completion.logprobs)
    assert {completion.stop_reason for completion in completions} & set(reasons.values())
    kept = ("<bos>", "<|turn>", "<tool_call|>", '<|"|>', "<unk>", "<pad>")
    assert any(token in completion.text for completion in completions for token in kept)


async def test_a_prompt_that_does_not_fit_is_refused(arm: Any) -> None:
    long = prompt(("content", "x" * CONTEXT))
    with pytest.raises(PromptTooLongError, match=f"max_model_len {CONTEXT}"):
        await arm.complete(long, GREEDY)
    fits = prompt(("content", "x" * (CONTEXT - 24)))
    assert (await arm.complete(fits, GREEDY)).stop_reason is not None
    with pytest.raises(PromptTooLongError):
        await arm.complete(prompt(("content", "x" * (CONTEXT - 23))), GREEDY)


async def test_a_cancelled_request_is_gone(arm: Any) -> None:
    engine = await arm._lifetime.engine()
    long = Sampling(temperature=1.0, max_tokens=450, seed=5)
    tasks = [asyncio.create_task(arm.complete(PROMPTS[0], replace(long, seed=n))) for n in range(6)]
    while engine.output_processor.get_num_unfinished_requests() < 6:
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert engine.output_processor.get_num_unfinished_requests() == 0


async def test_a_reader_that_walks_away_ends_the_request(arm: Any) -> None:
    engine = await arm._lifetime.engine()
    async with aclosing(arm.stream(PROMPTS[0], Sampling(max_tokens=450))) as pieces:
        async for _ in pieces:
            break
    assert engine.output_processor.get_num_unfinished_requests() == 0


async def test_refused_sampling_is_one_line(arm: Any) -> None:
    with pytest.raises(ArmError, match="temperature") as caught:
        await arm.complete(PROMPTS[0], Sampling(temperature=3.0, max_tokens=8))
    assert "\n" not in str(caught.value)
    with pytest.raises(ArmError, match="vLLM would sample at temperature"):
        await arm.complete(PROMPTS[0], Sampling(temperature=0.001, max_tokens=8))


async def test_probe(arm: Any, checkpoint: Path) -> None:
    fidelity = await arm.probe()
    assert fidelity.runtime == "vllm"
    assert fidelity.model == "google/gemma-4-tiny"
    assert fidelity.quantization == "float32"
    assert fidelity.context_length == CONTEXT
    assert fidelity.history == "prompt"
    assert fidelity.model_digest.startswith("sha256:")
    assert fidelity.tokenizer_digest.startswith("sha256:")
    assert set(fidelity.sampling.values()) == {"applied"}
    assert fidelity.warnings == ()
    assert fidelity.details["prefix_caching"] is True


async def test_behind_a_template(arm: Any) -> None:
    from callsmith_gemma4.template import Gemma4Template

    tool = ToolSpec(name="add", description="Adds.", parameters={"type": "object"})
    reply = await Templated(arm, Gemma4Template()).generate(
        [Message(role="user", content="What is 2 plus 3?")], [tool], GREEDY
    )
    assert reply.completion is not None
    assert reply.prompt is not None
    assert reply.completion.usage.prompt_tokens is not None
    assert reply.completion.usage.prompt_tokens < len(reply.prompt.text)


async def test_closing_ends_what_is_under_way_and_may_be_done_twice(arm: Any) -> None:
    # The last test on this engine.
    engine = await arm._lifetime.engine()
    task = asyncio.create_task(arm.complete(PROMPTS[0], Sampling(max_tokens=450)))
    while not engine.output_processor.get_num_unfinished_requests():
        await asyncio.sleep(0)
    await arm.aclose()
    with pytest.raises(ArmError):
        await task
    await arm.aclose()
    with pytest.raises(ArmError, match="closed"):
        await arm.complete(PROMPTS[0], GREEDY)


async def test_an_adapter_changes_the_answer_and_text_prompts_work(
    checkpoint: Path, tmp_path: Path
) -> None:
    write_adapter(tmp_path / "adapter", checkpoint)
    options = {"model": "tiny", "path": str(checkpoint), "prompt_as": "text"}
    tuned = built(
        **options, adapters={"tuned": str(tmp_path / "adapter"), "other": "x"}, adapter="tuned"
    )
    try:
        tuned_completion = await tuned.complete(PROMPTS[0], GREEDY)
        engine = await tuned._lifetime.engine()
        tuned._lora = None  # the same engine without the adapter
        base = await tuned.complete(PROMPTS[0], GREEDY)
        assert tuned_completion.token_ids != base.token_ids
        with_bos = await tuned.complete(prompt(("control", "<bos>hi")), GREEDY)
        assert with_bos.usage.prompt_tokens == 3
        assert set(await engine.list_loras()) == {2}
        fidelity = await tuned.probe()
        assert fidelity.details["adapter"] == "tuned"
        assert str(fidelity.details["adapter_digest"]).startswith("sha256:")
        assert "as text" in fidelity.warnings[0]
    finally:
        await tuned.aclose()


async def test_an_engine_that_does_not_start_is_one_line(checkpoint: Path) -> None:
    failing = built(model="tiny", path=str(checkpoint), max_model_len=4096)
    for _ in range(2):
        with pytest.raises(ArmError, match="did not start") as caught:
            await failing.complete(PROMPTS[0], GREEDY)
        assert "\n" not in str(caught.value)
        assert "max_model_len" in str(caught.value)
    fidelity = await failing.probe()
    assert "did not start" in fidelity.warnings[0]
    await failing.aclose()


async def test_an_unknown_engine_argument_is_refused_before_anything_starts(
    checkpoint: Path,
) -> None:
    with pytest.raises(ConfigError, match="no engine argument 'cpu_ofload_gb'"):
        built(model="tiny", path=str(checkpoint), engine_args={"cpu_ofload_gb": 4})


async def test_an_engine_that_dies_is_one_line(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("kills the engine with a size of heads that only the CPU's attention refuses")
    write_model(tmp_path / "model", head=16)
    dying = built(model="tiny", path=str(tmp_path / "model"), restarts=0)
    for _ in range(2):
        with pytest.raises(ArmError, match="died") as caught:
            await dying.complete(PROMPTS[0], GREEDY)
        assert "\n" not in str(caught.value)
    await dying.aclose()
