"""Requests of a batch that differ in length and end, or are equal: none sees the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callsmith import Completion, Prompt, Sampling
from hf_suite.models import need_libraries, plain, prompt

pytestmark = pytest.mark.hf
need_libraries()

WORDS = "the sun in rome one two three four five six seven eight nine ten blue green red "
LENGTHS = (1, 2, 13, 19, 20, 25, 40, 46, 67, 97, 98, 140)
"""In words, of about three tokens each. Some are near each other and some far apart, and the window
of the model's sliding layers, 128 tokens, is in between."""


def worded(count: int) -> Prompt:
    words = (WORDS * (count // 17 + 1)).split()[:count]
    return plain("<bos>" + " ".join(words))


async def together(arm: Any, requests: Sequence[tuple[Prompt, Sampling]]) -> list[Completion]:
    return list(await asyncio.gather(*(arm.complete(*request) for request in requests)))


def check_same(one: Completion, other: Completion) -> None:
    assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)
    assert replace(one, timings={}, logprobs=None) == replace(other, timings={}, logprobs=None)


def counted(loaded: Any) -> Counter[str]:
    """Counts the tokens, with padding, that the model computes."""
    found: Counter[str] = Counter()
    forward = loaded.network.model.forward

    def counting(**given: Any) -> Any:
        rows, columns = given["input_ids"].shape
        found["tokens"] += rows * columns
        return forward(**given)

    loaded.network.model.forward = counting
    return found


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.5, top_p=0.9, top_k=30)])
async def test_prompts_of_all_lengths(build: Callable[..., Any], sampling: Sampling) -> None:
    """They end at different times too."""
    requests = [
        (worded(length), replace(sampling, seed=index, max_tokens=2 + 5 * (index % 5)))
        for index, length in enumerate(LENGTHS)
    ]
    single, batched = build(batch_size=1), build(batch_size=len(LENGTHS), batch_wait=30.0)
    alone = [await single.complete(*request) for request in requests]
    assert max(one.usage.prompt_tokens for one in alone) > 300
    for one, other in zip(await together(batched, requests), alone, strict=True):
        check_same(one, other)


async def test_little_padding_is_computed(build: Callable[..., Any]) -> None:
    requests = [(worded(200), Sampling(max_tokens=1))]
    requests += [(worded(5 + index), Sampling(max_tokens=1)) for index in range(7)]
    arm = build(batch_size=len(requests), batch_wait=30.0)
    found = counted(await arm._worker.model())
    lengths = [one.usage.prompt_tokens for one in await together(arm, requests)]
    assert found["tokens"] < sum(lengths) + 60 * len(lengths) < max(lengths) * len(lengths) / 2


async def test_equal_prompts_are_read_once(build: Callable[..., Any]) -> None:
    """And each request draws by its own seed all the same, as if it were alone."""
    hot = Sampling(max_tokens=12, temperature=3.0)
    requests = [(prompt("counting"), replace(hot, seed=seed)) for seed in range(6)]
    requests.insert(2, (prompt("rainbow"), hot))
    single, batched = build(batch_size=1), build(batch_size=len(requests), batch_wait=30.0)
    alone = [await single.complete(*request) for request in requests]
    found = counted(await batched._worker.model())
    said = await together(batched, requests)
    for one, other in zip(said, alone, strict=True):
        check_same(one, other)
    assert len({one.token_ids for one in said}) > 3
    longest = max(one.usage.prompt_tokens for one in said)
    assert found["tokens"] <= 2 * longest + 11 * len(requests)


def test_a_cache_with_a_state_is_not_joined() -> None:
    """A model that sums up what it read would keep what another row left there."""
    from transformers import Qwen3NextConfig
    from transformers.cache_utils import DynamicCache

    from callsmith_hf.prefill import joining_padding

    assert joining_padding(DynamicCache()) == 0
    mixed = Qwen3NextConfig(num_hidden_layers=2, layer_types=["linear_attention", "full_attention"])
    assert joining_padding(DynamicCache(config=mixed)) is None


async def test_the_embedded_model_in_a_batch(build: Callable[..., Any], tmp_path: Path) -> None:
    """Its layers look back on tokens by convolutions too, which a mask does not hide.

    The lengths, in tokens, are such that a prompt begins right behind where others join.
    """
    from callsmith_tiny.training.checkpoint import to_transformers

    to_transformers(tmp_path / "tiny")
    options = {"register": "callsmith_tiny.training.huggingface", "dtype": "float32"}
    single = build(tmp_path / "tiny", batch_size=1, **options)
    encode = (await single._worker.model()).tokens.encode
    text = "<bos>" + WORDS * 20
    by_length = {len(encode(plain(text[:end]))): plain(text[:end]) for end in range(5, 1200)}
    lengths = [400, 335, 333, 332, 331, 330, 205, 204, 203, 100, 12, 2, 1]
    requests = [(by_length[length], Sampling(max_tokens=4)) for length in lengths]
    batched = build(tmp_path / "tiny", batch_size=len(requests), batch_wait=30.0, **options)
    alone = [await single.complete(*request) for request in requests]
    for one, other in zip(await together(batched, requests), alone, strict=True):
        check_same(one, other)
