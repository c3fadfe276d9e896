"""`jax-sampler` for real: a tiny Gemma 4 in the gemma library."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from callsmith import ArmError, ConfigError, Prompt, PromptTooLongError, Sampling, Segment
from callsmith.testing import TextArmContract
from callsmith_jax.commands import jax
from callsmith_jax.config import SamplerConfig
from callsmith_jax.sampler_arm import JaxSamplerArm
from callsmith_jax.worker_pool import Worker

GREEDY = Sampling(max_tokens=48)


def control(text: str) -> Prompt:
    return Prompt(segments=(Segment(text=text, origin="control"),))


@pytest.fixture
async def arm(worker: Worker, options: dict[str, Any]) -> AsyncIterator[JaxSamplerArm]:
    arm = JaxSamplerArm(SamplerConfig(**options))
    yield arm
    await arm.aclose()


class TestContract(TextArmContract):
    @pytest.fixture
    def arm(self, arm: JaxSamplerArm) -> JaxSamplerArm:
        return arm

    @pytest.fixture
    def prompts(self, learnt: list[tuple[str, str]]) -> Sequence[Prompt]:
        return [control(prompt) for prompt, _ in learnt]


async def test_the_model_says_what_it_learnt(
    arm: JaxSamplerArm, learnt: list[tuple[str, str]]
) -> None:
    ends = {"<turn|>": "end_of_turn", "<|tool_response>": "tool_response"}
    for prompt, expected in learnt:
        (end,) = (token for token in ends if expected.endswith(token))
        found = await arm.complete(control(prompt), GREEDY)
        assert found.text == expected.removesuffix(end)
        assert found.stop_reason == ends[end]
        again = await arm.complete(control(prompt.removeprefix("<bos>")), GREEDY)
        assert again.usage == found.usage, "the sequence begins once, whoever wrote <bos>"


async def test_text_tokens_and_logprobs_are_those_of_a_full_forward_pass(
    arm: JaxSamplerArm,
    learnt: list[tuple[str, str]],
    tiny: Path,
    in_jax: Callable[..., str],
) -> None:
    prompts = [prompt for prompt, _ in learnt]
    prompts += [prompts[0].replace("0 plus 1", "7 plus 9"), prompts[-1].replace("Hello!", "Hm.")]
    told = in_jax("oracle.py", str(tiny), job={"prompts": prompts, "max_tokens": 24})
    for prompt, expected in zip(prompts, json.loads(told.splitlines()[-1]), strict=True):
        found = await arm.complete(control(prompt), replace(GREEDY, max_tokens=24))
        assert found.text == expected["text"]
        ended = found.stop_reason != "length"
        assert list(found.token_ids or ()) == expected["ids"][: -1 if ended else None]
        assert found.usage.completion_tokens == len(expected["ids"])
        own = expected["logprobs"][: len(found.token_ids or ())]
        assert np.allclose(found.logprobs or (), own, atol=2e-3)


async def test_nothing_is_compiled_again_for_another_length(
    arm: JaxSamplerArm, worker: Worker, learnt: list[tuple[str, str]]
) -> None:
    async def compiled() -> int:
        return int((await worker.ask("probe", {}, 60)).body["compiled_loops"])

    await arm.complete(control(learnt[0][0]), GREEDY)
    before = await compiled()
    for prompt in ("<bos>a", "<bos>" + "b" * 40, "<bos>" + "c" * 150, "<bos>" + "d" * 250):
        for limit in (3, 9):
            await arm.complete(control(prompt), replace(GREEDY, max_tokens=limit, seed=limit))
    assert await compiled() == before


async def test_a_seed_repeats_its_draws(arm: JaxSamplerArm, learnt: list[tuple[str, str]]) -> None:
    hot = Sampling(temperature=3.0, top_k=40, top_p=0.95, max_tokens=16)
    prompt = control(learnt[0][0])
    texts = [(await arm.complete(prompt, replace(hot, seed=seed))).text for seed in (1, 2, 3, 1)]
    assert texts[0] == texts[3]
    assert len(set(texts)) > 1
    big = replace(hot, seed=2**40 + 1)
    assert (await arm.complete(prompt, big)).text


async def test_temperature_top_k_and_top_p_hold_together(in_jax: Callable[..., str]) -> None:
    logits = np.random.default_rng(5).normal(0, 2, 40)
    settings: list[dict[str, float]] = [
        {"temperature": 0.0, "top_k": 0, "top_p": 1.0},
        {"temperature": 1.0, "top_k": 0, "top_p": 1.0},
        {"temperature": 0.7, "top_k": 10, "top_p": 1.0},
        {"temperature": 1.5, "top_k": 0, "top_p": 0.8},
        {"temperature": 2.0, "top_k": 12, "top_p": 0.6},
        {"temperature": 1.0, "top_k": 5, "top_p": 0.0},
        {"temperature": 1.0, "top_k": 99, "top_p": 1.0},
    ]
    count = 20_000
    job = {"logits": logits.tolist(), "count": count, "settings": settings}
    rows = json.loads(in_jax("draws.py", job=job).splitlines()[-1])
    for setting, counts in zip(settings, rows, strict=True):
        expected = distribution(logits, **setting)
        found = np.asarray(counts) / count
        assert not found[expected == 0].any(), f"{setting}: a token that is excluded was drawn"
        assert np.abs(found - expected).max() < 0.02, setting


def distribution(
    logits: np.ndarray[Any, Any], temperature: float, top_k: float, top_p: float
) -> np.ndarray[Any, Any]:
    """What the numbers mean, in plain NumPy."""
    order = np.argsort(-logits)
    shares = np.zeros_like(logits)
    if temperature == 0:
        shares[order[0]] = 1
        return shares
    kept = order[: int(top_k)] if top_k else order
    values = np.exp((logits[kept] - logits[kept].max()) / temperature)
    values /= values.sum()
    nucleus = max(1, int(((np.cumsum(values) - values) < top_p).sum()))
    shares[kept[:nucleus]] = values[:nucleus] / values[:nucleus].sum()
    return shares


async def test_control_text_in_content_is_spelt_out(arm: JaxSamplerArm) -> None:
    async def tokens(*segments: Segment) -> int | None:
        found = await arm.complete(Prompt(segments=segments), replace(GREEDY, max_tokens=1))
        return found.usage.prompt_tokens

    head = Segment(text="<bos><|turn>user\nSay ", origin="control")
    tail = Segment(text="<turn|>\n<|turn>model\n", origin="control")
    real = await tokens(head, Segment(text="<turn|>", origin="control"), tail)
    text = await tokens(head, Segment(text="<turn|>", origin="content"), tail)
    split = await tokens(
        head, Segment(text="<tur", origin="content"), Segment(text="n|>", origin="control"), tail
    )
    harmless = await tokens(head, Segment(text="turn", origin="content"), tail)
    assert real is not None
    assert text is not None
    assert harmless is not None
    # `<turn|>` is one token, `turn` is, and spelt out there are `<`, `|` and `>` around it.
    assert (text, split) == (harmless + 3, harmless + 3)
    assert real == harmless


async def test_a_prompt_fits_to_the_last_token(arm: JaxSamplerArm) -> None:
    limit = arm.config.cache_length - 8
    fits = control("<bos>" + "#" * (limit - 1))
    found = await arm.complete(fits, replace(GREEDY, max_tokens=8))
    assert found.usage.prompt_tokens == limit
    assert found.stop_reason != "cache_full"
    with pytest.raises(PromptTooLongError, match=f"{limit} tokens and max_tokens is 9"):
        await arm.complete(fits, replace(GREEDY, max_tokens=9))
    with pytest.raises(ArmError, match="max_tokens 65 is more than max_out_length 64"):
        await arm.complete(control("<bos>#"), replace(GREEDY, max_tokens=65))


async def test_the_fidelity(arm: JaxSamplerArm) -> None:
    found = await arm.probe()
    assert found.runtime_version == "gemma 4.0.1, jax 0.12.0.1"
    assert found.quantization == "float32"
    assert found.context_length == 320
    assert (found.model_digest or "").startswith("sha256:")
    assert (found.tokenizer_digest or "").startswith("sha256:")
    assert found.history == "prompt"
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checkpoint": "GEMMA9_E2B_IT"}, "neither a folder nor one of the library's: GEMMA4_"),
        ({"checkpoint": "GEMMA3_4B_IT"}, "only Gemma 4"),
        ({"checkpoint": "tokenizer"}, "has no _METADATA"),
        ({"model": "Gemma4_9T"}, "nor one of the library's: .*Gemma4_E2B"),
        (
            {"model": "Gemma4_E2B"},
            "parameters do not belong to the model: ",
        ),
    ],
    ids=["unknown-name", "gemma-3", "no-checkpoint", "unknown-model", "another-model"],
)
async def test_what_cannot_be_loaded_is_one_line(
    worker: Worker, options: dict[str, Any], tmp_path: Path, change: dict[str, str], message: str
) -> None:
    (tmp_path / "tokenizer").mkdir()
    if change.get("checkpoint") == "tokenizer":
        change = {"checkpoint": str(tmp_path / "tokenizer")}
    body = {**dict(worker.settings.load), **change}
    with pytest.raises(ConfigError, match=message) as caught:
        await worker.ask("load", body, 600)
    assert "\n" not in str(caught.value)


def test_the_command_finds_the_environment_in_order(jax_python: Path) -> None:
    done = CliRunner().invoke(jax, ["check", "--python", str(jax_python)], standalone_mode=False)
    assert done.exception is None
    assert "gemma: 4.0.1" in done.output
    assert "devices: " in done.output
    assert done.output.endswith("ready\n")
    assert done.return_value == 0
