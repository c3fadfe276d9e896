"""What is loaded, in which precision, how large it may be, and what cannot be loaded."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callsmith import ArmError, ConfigError, PromptTooLongError, Sampling
from fixtures.tiny_gemma4_episodes import BY_NAME
from hf_suite.models import need_libraries, plain, prompt

pytestmark = pytest.mark.hf
need_libraries()

GREEDY = Sampling(max_tokens=64)
SHORT = Sampling(max_tokens=4)
LONG = Sampling(max_tokens=1000)
ENDLESS = plain("<pad>")
"""The model takes long to end what follows this."""


async def test_probe(build: Callable[..., Any], checkpoint: Path) -> None:
    import transformers

    found = await build().probe()
    tokenizer = hashlib.sha256((checkpoint / "tokenizer.json").read_bytes()).hexdigest()
    assert (found.runtime, found.runtime_version) == ("transformers", transformers.__version__)
    assert found.model == "google/gemma-4-tiny"
    assert found.quantization == "float32"
    assert found.context_length == 1024
    assert found.tokenizer_digest == f"sha256:{tokenizer}"
    assert found.history == "prompt"
    names = {"temperature", "top_p", "top_k", "max_tokens", "seed", "stop"}
    assert found.sampling == dict.fromkeys(names, "applied")
    assert found.warnings == ()
    assert found.details["end_token_ids"] == [1, 50, 106]
    assert found.details["device"] == "cpu"


async def test_the_digest_is_of_the_weights(
    build: Callable[..., Any], checkpoint: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(checkpoint, copy)
    first, second = await build().probe(), await build(copy).probe()
    assert first.model_digest == second.model_digest
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    assert (await build(copy).probe()).model_digest != first.model_digest


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
async def test_other_precisions(build: Callable[..., Any], dtype: str) -> None:
    arm = build(dtype=dtype)
    said = await arm.complete(prompt("weather-oslo"), GREEDY)
    assert said.text.startswith("<|tool_call>call:get_weather{")
    assert (await arm.probe()).quantization == dtype


async def test_four_bits(build: Callable[..., Any]) -> None:
    """The linear layers really are in 4 bits, the embeddings are not, and it still calls."""
    import bitsandbytes

    arm = build(quantization="nf4")
    said = await arm.complete(prompt("counting"), GREEDY)
    assert said.text
    loaded = await arm._worker.model()
    weights = dict(loaded.network.model.named_parameters())
    kinds = {name: type(weight) for name, weight in weights.items()}
    (first,) = [name for name in kinds if name.endswith("layers.0.self_attn.q_proj.weight")]
    assert kinds[first] is bitsandbytes.nn.Params4bit
    assert weights[first].quant_state.quant_type == "nf4"
    assert weights[first].quant_state.nested
    assert kinds["model.embed_tokens.weight"] is not bitsandbytes.nn.Params4bit
    found = await arm.probe()
    assert found.quantization == "nf4"
    assert found.details["double_quant"] is True


async def test_a_model_with_a_tower_for_images_is_loaded_without(
    build: Callable[..., Any], checkpoint: Path, tmp_path: Path
) -> None:
    """The same text model inside the class for images and audio gives the same answers."""
    folder = tmp_path / "whole"
    _with_towers(checkpoint, folder)
    arm = build(folder)
    said = await arm.complete(prompt("weather-oslo"), GREEDY)
    assert said.text == '<|tool_call>call:get_weather{city:<|"|>Oslo<|"|>}<tool_call|>'
    names = [name for name, _ in (await arm._worker.model()).network.model.named_parameters()]
    assert not [name for name in names if "vision" in name]
    whole = build(folder, text_only=False)
    assert (await whole.complete(prompt("weather-oslo"), GREEDY)).text == said.text


async def test_a_prompt_that_is_too_long(build: Callable[..., Any]) -> None:
    arm = build(context_length=100)
    with pytest.raises(PromptTooLongError, match=r"max_tokens is 64, together more .* 100;"):
        await arm.complete(prompt("weather-oslo"), GREEDY)
    assert (await arm.complete(prompt("plain"), SHORT)).stop_reason == "length"


async def test_a_context_that_the_model_has_not(build: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="context_length: the checkpoint has 1024 positions"):
        await build(context_length=4096).complete(prompt("plain"), SHORT)


async def test_memory_is_refused_before_loading(build: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"memory_gib: the weights alone take about 0\.00"):
        await build(memory_gib=0.0005).complete(prompt("plain"), SHORT)
    assert (await build(memory_gib=1).complete(prompt("plain"), SHORT)).text


async def test_a_batch_that_does_not_fit_says_what_helps(build: Callable[..., Any]) -> None:
    """With the allocator's own error, for more than any machine has; the next request runs."""
    import torch

    arm = build(batch_size=1)
    model = (await arm._worker.model()).network.model
    forward = model.forward
    model.forward = lambda **_: torch.empty(1 << 52)
    with pytest.raises(ArmError, match=r"a batch of 1 ran out of memory .*lower batch_size"):
        await arm.complete(prompt("plain"), GREEDY)
    model.forward = forward
    assert (await arm.complete(prompt("plain"), GREEDY)).text == BY_NAME["plain"].answer


async def test_weights_that_are_missing(
    build: Callable[..., Any], checkpoint: Path, tmp_path: Path
) -> None:
    """Transformers would make them up."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "cut"
    shutil.copytree(checkpoint, folder)
    file = str(folder / "model.safetensors")
    weights = load_file(file)
    weights = {name: w for name, w in weights.items() if "layers.1.mlp" not in name}
    save_file(weights, file, {"format": "pt"})
    arm = build(folder)
    with pytest.raises(ConfigError, match=r"lacks 3 weights of a Gemma4ForCausalLM, such as model"):
        await arm.complete(prompt("plain"), SHORT)
    assert "lacks 3 weights" in (await arm.probe()).warnings[0]


async def test_a_torn_file(build: Callable[..., Any], checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "torn"
    shutil.copytree(checkpoint, folder)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:50_000])
    with pytest.raises(ArmError, match="could not be loaded"):
        await build(folder).complete(prompt("plain"), SHORT)


async def test_a_name_that_is_not_in_the_cache() -> None:
    from callsmith_hf.arm import HfArm
    from callsmith_hf.config import HfConfig

    arm = HfArm(HfConfig(model="nobody/no-such-model"))
    with pytest.raises(ConfigError, match=r"model: .* neither a folder nor in the local cache"):
        await arm.complete(prompt("plain"), SHORT)
    await arm.aclose()


async def test_a_cancelled_request_leaves_its_batch(build: Callable[..., Any]) -> None:
    arm = build(batch_size=2, batch_wait=30.0)
    lost = asyncio.create_task(arm.complete(ENDLESS, LONG))
    other = asyncio.create_task(arm.complete(prompt("counting"), GREEDY))
    await asyncio.sleep(0)
    assert (await other).text == BY_NAME["counting"].answer
    assert not lost.done()
    lost.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lost
    after = await asyncio.gather(*(arm.complete(prompt("rainbow"), GREEDY) for _ in range(2)))
    assert {one.text for one in after} == {BY_NAME["rainbow"].answer}


@pytest.fixture(scope="module")
def endless(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model with no way to end: its end tokens have rows of zeros in the tied head."""
    from safetensors.torch import load_file, save_file
    from tokenizers import Tokenizer

    folder = tmp_path_factory.mktemp("endless") / "model"
    shutil.copytree(checkpoint, folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    weights = load_file(folder / "model.safetensors")
    for token in ("<eos>", "<turn|>", "<|tool_response>"):
        weights["model.embed_tokens.weight"][tokenizer.token_to_id(token)] = 0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


async def test_closing_ends_what_is_under_way(build: Callable[..., Any], endless: Path) -> None:
    arm = build(endless, batch_size=1)
    pieces = arm.stream(ENDLESS, LONG)
    await anext(pieces)
    waiting = asyncio.create_task(arm.complete(prompt("counting"), GREEDY))
    await asyncio.sleep(0.2)
    await arm.aclose()
    with pytest.raises(ArmError, match="the arm was closed"):
        async for _ in pieces:
            pass
    with pytest.raises(ArmError, match="the arm was closed"):
        await waiting
    with pytest.raises(ArmError, match="the arm is closed"):
        await arm.complete(prompt("plain"), SHORT)


def _with_towers(text: Path, folder: Path) -> None:
    """The text model of `text` as a whole Gemma 4, with a small tower of random weights."""
    from transformers import AutoModelForCausalLM, Gemma4Config, Gemma4ForConditionalGeneration

    small = AutoModelForCausalLM.from_pretrained(text, local_files_only=True)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "global_head_dim": 16,
    }
    config = Gemma4Config(
        text_config=small.config.to_dict(), vision_config=vision, audio_config=None
    )
    whole = Gemma4ForConditionalGeneration(config)
    whole.model.language_model.load_state_dict(small.model.state_dict())
    whole.tie_weights()
    shutil.copytree(text, folder)
    (folder / "model.safetensors").unlink()
    whole.save_pretrained(folder)
    generation = json.loads((text / "generation_config.json").read_text(encoding="utf-8"))
    (folder / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")


async def test_arms_that_load_at_once_all_load(build: Callable[..., Any]) -> None:
    arms = [build() for _ in range(4)]
    found = await asyncio.gather(*(arm.probe() for arm in arms))
    assert [one.warnings for one in found] == [()] * 4
    texts = await asyncio.gather(*(arm.complete(plain("<bos>"), SHORT) for arm in arms))
    assert len({one.token_ids for one in texts}) == 1
