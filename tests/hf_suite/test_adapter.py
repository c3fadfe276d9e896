"""An adapter is applied beside the weights, as PEFT applies it, or refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callsmith import ConfigError, Sampling, weights_fingerprint
from hf_suite.models import generate, need_libraries, prompt, prompt_adapter, random_adapter

pytestmark = [
    pytest.mark.hf,
    # PEFT 0.21 asks transformers 5.23 for a name that is on its way out.
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]
need_libraries()

GREEDY = Sampling(max_tokens=32)


async def test_the_output_is_pefts_own(
    build: Callable[..., Any], checkpoint: Path, adapter: Path
) -> None:
    given = prompt("counting")
    with_adapter = await build(adapter=str(adapter)).complete(given, GREEDY)
    without = await build().complete(given, GREEDY)
    assert with_adapter.token_ids != without.token_ids
    wanted = generate(checkpoint, given.text, GREEDY.max_tokens, adapter)
    assert list(with_adapter.token_ids) == wanted


@pytest.mark.parametrize(
    "options",
    [
        {"trainable_token_indices": {"embed_tokens": [48, 49, 50], "lm_head": [48, 49, 50]}},
        {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    ],
    ids=["tokens", "embeddings"],
)
async def test_trained_tokens_are_applied(
    build: Callable[..., Any], checkpoint: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    """The recipes that train the tool tokens, on a head that is tied to the embeddings."""
    folder = tmp_path / "tuned"
    random_adapter(folder, checkpoint, **options)
    given = prompt("weather-oslo")
    said = await build(adapter=str(folder)).complete(given, GREEDY)
    assert list(said.token_ids) == generate(checkpoint, given.text, GREEDY.max_tokens, folder)


async def test_an_adapter_of_another_kind(
    build: Callable[..., Any], checkpoint: Path, tmp_path: Path
) -> None:
    prompt_adapter(tmp_path / "prompt", checkpoint)
    with pytest.raises(ConfigError, match=r"adapter: .*PROMPT_TUNING.*; use LoRA"):
        await build(adapter=str(tmp_path / "prompt")).complete(prompt("plain"), GREEDY)


async def test_the_weights_stay_as_they_are(
    build: Callable[..., Any], checkpoint: Path, adapter: Path
) -> None:
    from safetensors.torch import load_file

    loaded = await build(adapter=str(adapter))._worker.model()
    stored = load_file(str(checkpoint / "model.safetensors"))
    found = {
        name.removeprefix("base_model.model.").replace(".base_layer", ""): weight
        for name, weight in loaded.network.model.named_parameters()
        if "lora_" not in name
    }
    assert len(found) > 20
    assert all(stored[name].equal(weight) for name, weight in found.items() if name in stored)
    assert any(name.endswith("q_proj.weight") for name in found.keys() & stored.keys())


async def test_on_four_bits(build: Callable[..., Any], adapter: Path) -> None:
    """The adapter works on quantised weights, and both are in the fidelity."""
    given = prompt("counting")
    plain = await build(quantization="nf4").complete(given, GREEDY)
    arm = build(quantization="nf4", adapter=str(adapter))
    tuned = await arm.complete(given, GREEDY)
    assert tuned.token_ids != plain.token_ids
    fidelity = await arm.probe()
    assert fidelity.quantization == "nf4"
    assert fidelity.details["adapter"] == str(adapter)
    assert str(fidelity.details["adapter_digest"]).startswith("sha256:")


async def test_an_adapter_for_another_shape(
    build: Callable[..., Any], adapter: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    other = tmp_path / "other"
    shutil.copytree(adapter, other)
    file = str(other / "adapter_model.safetensors")
    save_file({name: torch.cat([w, w], -1) for name, w in load_file(file).items()}, file)
    with pytest.raises(ConfigError, match=r"adapter: .* does not fit this model: .*another one"):
        await build(adapter=str(other)).complete(prompt("plain"), GREEDY)


@pytest.mark.parametrize("change", ["renamed", "fewer", "more"])
async def test_an_adapter_for_other_layers(
    build: Callable[..., Any], adapter: Path, tmp_path: Path, change: str
) -> None:
    """PEFT itself would load what fits and leave the rest out, with a warning at most."""
    from safetensors.torch import load_file, save_file

    other = tmp_path / "other"
    shutil.copytree(adapter, other)
    file = str(other / "adapter_model.safetensors")
    weights = load_file(file)
    if change == "renamed":
        weights = {n.replace("layers.", "language_model.layers."): w for n, w in weights.items()}
    elif change == "fewer":
        weights = {n: w for n, w in weights.items() if "layers.3." not in n}
    else:
        weights |= {n.replace("layers.3.", "layers.9."): w + 0 for n, w in weights.items()}
    save_file(weights, file)
    with pytest.raises(ConfigError, match=r"adapter: .* does not fit this model: "):
        await build(adapter=str(other)).complete(prompt("plain"), GREEDY)


async def test_a_base_of_another_name_is_a_warning(
    build: Callable[..., Any], adapter: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(adapter, other)
    file = other / "adapter_config.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**data, "base_model_name_or_path": "Qwen/Qwen3-4B"}))
    said = (await build(adapter=str(other)).probe()).warnings
    assert said == ("the adapter was trained on Qwen/Qwen3-4B, and this is google/gemma-4-tiny",)


@pytest.fixture
def recorded(checkpoint: Path, adapter: Path, tmp_path: Path) -> Path:
    """The adapter with what our trainers write beside one."""
    folder = tmp_path / "recorded"
    shutil.copytree(adapter, folder)
    said = {"base": "tiny/base", "base_fingerprint": weights_fingerprint(checkpoint), "recipe": {}}
    (folder / "callsmith.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


@pytest.fixture
def other_base(checkpoint: Path, tmp_path: Path) -> Path:
    """A model of the same name and shapes, with other weights."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "other-base"
    shutil.copytree(checkpoint, folder)
    file = str(folder / "model.safetensors")
    save_file({name: w * 1.01 for name, w in load_file(file).items()}, file, {"format": "pt"})
    return folder


async def test_an_adapter_of_this_base(
    build: Callable[..., Any], adapter: Path, recorded: Path
) -> None:
    given = prompt("counting")
    said = await build(adapter=str(recorded)).complete(given, GREEDY)
    assert said.token_ids == (await build(adapter=str(adapter)).complete(given, GREEDY)).token_ids


def test_an_adapter_of_another_base(
    build: Callable[..., Any], other_base: Path, recorded: Path
) -> None:
    """Its names and shapes fit, and what it says would be wrong."""
    with pytest.raises(ConfigError) as caught:
        build(other_base, adapter=str(recorded))
    assert str(caught.value) == (
        f"adapter: {recorded} was trained on other weights (tiny/base) than those of {other_base}; "
        "name the base that it belongs to, or an adapter of this one"
    )


async def test_an_adapter_of_another_base_by_a_name_of_the_hub(
    other_base: Path, recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the base lies shows only when it is loaded."""
    from callsmith_hf.arm import HfArm
    from callsmith_hf.config import HfConfig

    revision = "0" * 40
    place = tmp_path / "hub" / "models--tiny--base"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(revision, encoding="utf-8")
    shutil.copytree(other_base, place / "snapshots" / revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    arm = HfArm(HfConfig(model="tiny/base", device="cpu", adapter=str(recorded)))
    with pytest.raises(ConfigError, match=r"adapter: .* was trained on other weights"):
        await arm.complete(prompt("plain"), GREEDY)
    await arm.aclose()


async def test_an_adapter_that_says_nothing_of_its_base(
    build: Callable[..., Any], other_base: Path, adapter: Path
) -> None:
    assert (await build(other_base, adapter=str(adapter)).complete(prompt("plain"), GREEDY)).text


def test_a_damaged_record(build: Callable[..., Any], recorded: Path) -> None:
    (recorded / "callsmith.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"adapter: .*callsmith\.json is damaged; save"):
        build(adapter=str(recorded))
