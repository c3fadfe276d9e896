"""The estimate of memory: shapes from config numbers, and what a recipe comes to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from callsmith import ConfigError
from callsmith_trl.memory import (
    GIB,
    Recipe,
    estimate,
    resident,
    state_bytes,
    trainable,
    weights,
)
from callsmith_trl.savings import savings, weight_savings
from callsmith_trl.shapes import Shape, shape

QWEN3_4B: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": True,
}
GEMMA4_E4B: dict[str, Any] = {
    "vocab_size": 262144,
    "hidden_size": 2560,
    "intermediate_size": 10240,
    "num_hidden_layers": 42,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "global_head_dim": 512,
    "num_kv_shared_layers": 18,
    "sliding_window": 512,
    "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 7,
    "hidden_size_per_layer_input": 256,
    "vocab_size_per_layer_input": 262144,
}


def gib(size: float) -> float:
    return size / GIB


def test_published_sizes_are_met() -> None:
    """Qwen's model card says 4.0 B parameters, 3.6 B without embeddings."""
    found = shape(QWEN3_4B)
    assert found.linear_weights == pytest.approx(3.6e9, rel=0.02)
    assert found.parameters == pytest.approx(4.0e9, rel=0.02)
    assert found.head_weights == 0


def test_gemma_has_a_table_beside_its_embedding() -> None:
    found = shape(GEMMA4_E4B)
    assert gib(found.per_layer_weights * 2) == pytest.approx(5.25)
    # 42 layers of 256 numbers, projected from the hidden state.
    assert found.extra == ((2560, 42 * 256),)


def test_layers_that_share_keys_and_values_have_none_of_their_own() -> None:
    layers = shape(GEMMA4_E4B).layers
    assert [layer.kv for layer in layers[-18:]] == [0] * 18
    assert layers[0].kv == 2 * 2 * 256
    assert layers[5].kv == 2 * 2 * 512
    assert layers[0].window == 512
    assert layers[5].window is None


def test_a_written_config_gives_the_same_shape_as_the_published_one() -> None:
    """Transformers writes the wide heads of full attention as overrides per layer."""
    written = {key: value for key, value in GEMMA4_E4B.items() if key != "global_head_dim"}
    written["per_layer_config"] = {str(i): {"head_dim": 512} for i in range(5, 42, 6)}
    assert shape(written) == shape(GEMMA4_E4B)
    assert shape({"text_config": GEMMA4_E4B, "tie_word_embeddings": True}) == shape(GEMMA4_E4B)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_size": None}, "hidden_size"),
        ({"num_experts": 8}, "mixture of experts"),
    ],
)
def test_what_cannot_be_estimated_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        shape({**QWEN3_4B, **change})


def test_quantised_weights_take_a_quarter_and_their_constants() -> None:
    """4 bits, a byte per 64 weights, 4 bytes per 256 of those: 1.75 GiB for 3.63 B weights."""
    parts = {part.name: part.size for part in estimate(shape(QWEN3_4B), Recipe()).parts}
    assert gib(parts["linear layers in NF4"]) == pytest.approx(1.75, abs=0.01)
    assert gib(parts["embedding"]) == pytest.approx(0.72, abs=0.01)


def test_the_parts_are_the_whole() -> None:
    found = estimate(shape(GEMMA4_E4B), Recipe(token_rows=4))
    assert found.size == sum(part.size for part in found.parts)
    assert found.largest(2)[0].name == "per-layer embeddings"
    assert found.size > resident(shape(GEMMA4_E4B), Recipe(token_rows=4))


def test_the_table_on_the_cpu_is_off_the_gpu() -> None:
    gemma = shape(GEMMA4_E4B)
    there = estimate(gemma, Recipe()).size
    moved = estimate(gemma, Recipe(ple_on_cpu=True)).size
    assert gib(there - moved) == pytest.approx(5.25, abs=0.01)


def test_trained_rows_cost_the_matrix_three_times_unless_they_are_narrow() -> None:
    """A bf16 copy, a float32 gradient and its cast: 8 bytes per weight of the embedding."""
    model = shape(QWEN3_4B)
    peak = estimate(model, Recipe(token_rows=2))
    copies = next(part.size for part in peak.parts if part.name == "trained rows")
    assert copies == 8 * 151936 * 2560
    narrow = estimate(model, Recipe(token_rows=2, narrow_rows=True))
    plain = estimate(model, Recipe())
    assert narrow.size - plain.size < GIB // 100
    assert "head" in peak.moment


@pytest.mark.parametrize(
    "change",
    [
        {"length": 4096},
        {"batch": 2},
        {"lora_rank": 64},
        {"checkpointing": False},
        {"quantization": ""},
        {"double_quant": False},
        {"optimizer": "adamw_torch"},
        {"method": "dpo"},
        {"adapter_dtype": 4},
        {"reference_adapter": True},
        {"token_rows": 4},
    ],
    ids=lambda change: "-".join(f"{key}={value}" for key, value in change.items()),
)
@pytest.mark.parametrize("model", [QWEN3_4B, GEMMA4_E4B], ids=["qwen3", "gemma4"])
def test_what_takes_more_is_estimated_to_take_more(
    model: dict[str, Any], change: dict[str, Any]
) -> None:
    base = Recipe(ple_on_cpu=True)
    assert estimate(shape(model), replace(base, **change)).size > estimate(shape(model), base).size


def test_a_second_generation_costs_its_keys_and_values() -> None:
    """Qwen3-4B keeps 36 layers x 8 heads x 128 x (key + value) in bf16: 144 KiB per token."""
    model = shape(QWEN3_4B)
    recipe = Recipe(method="grpo", length=1024, new_tokens=1024, group=64)
    found = {part.name: part.size for part in estimate(model, recipe).parts}
    assert estimate(model, recipe).moment == "generation"
    assert found["key-value cache"] == 64 * 1024 * 144 * 1024


def test_sliding_layers_keep_their_window_only() -> None:
    model = shape(GEMMA4_E4B)

    def cache(length: int) -> int:
        recipe = Recipe(method="grpo", length=length, new_tokens=length, group=64)
        parts = {part.name: part.size for part in estimate(model, recipe).parts}
        return parts["key-value cache"]

    # Beyond the window only the layers with full attention of their own grow: 4 of 42.
    assert cache(4096) - cache(2048) == 64 * 2048 * 4 * (2 * 2 * 512) * 2


def test_training_everything_counts_gradients_and_states_of_everything() -> None:
    model = shape(QWEN3_4B)
    recipe = Recipe(lora_rank=0, dtype=4, optimizer="adamw_torch", context=False)
    assert trainable(model, recipe) == model.parameters
    assert resident(model, recipe) == 16 * model.parameters


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("adamw_torch", 8.0),
        ("adamw_torch_fused", 8.0),
        ("paged_adamw_8bit", 2.0),
        ("paged_adamw_32bit", 8.0),
        ("lion_8bit", 1.0),
        ("sgd", 0.0),
    ],
)
def test_states_of_optimizers(name: str, size: float) -> None:
    assert state_bytes(name, 4) == size


def test_savings_are_ordered_and_true() -> None:
    model = shape(GEMMA4_E4B)
    recipe = Recipe(quantization="", optimizer="adamw_torch", checkpointing=False, batch=2)
    found = savings(model, recipe)
    assert [one.size for one in found] == sorted((one.size for one in found), reverse=True)
    quantise = next(one for one in found if "nf4" in one.change)
    difference = (
        estimate(model, recipe).size - estimate(model, replace(recipe, quantization="nf4")).size
    )
    assert quantise.size == difference
    assert all("GiB" in one.text() for one in found)


def test_only_what_makes_weights_smaller_helps_loading() -> None:
    model = shape(GEMMA4_E4B)
    recipe = Recipe(quantization="", dtype=4, length=8192, batch=4)
    found = {one.change: one.size for one in weight_savings(model, recipe)}
    assert set(found) == {"quantization: nf4", "dtype: bfloat16", "table_on_cpu: true"}
    for change, kept in (("nf4", {"quantization": "nf4"}), ("bfloat16", {"dtype": 2})):
        size = next(size for name, size in found.items() if change in name)
        assert size == weights(model, recipe) - weights(model, replace(recipe, **kept))
    assert "max_length: 4096" in {one.change for one in savings(model, recipe)}
    smallest = Recipe(ple_on_cpu=True)
    assert weight_savings(model, smallest) == ()
    single = weight_savings(model, replace(smallest, double_quant=False))
    assert [one.change for one in single] == ["double_quant: true"]


def test_no_saving_is_offered_that_saves_nothing() -> None:
    model = shape(QWEN3_4B)
    changes = " ".join(one.change for one in savings(model, Recipe()))
    assert "nf4" not in changes
    assert "table_on_cpu" not in changes
    assert "checkpointing" not in changes


def test_an_untied_head_is_a_second_matrix() -> None:
    tied, untied = shape(QWEN3_4B), shape({**QWEN3_4B, "tie_word_embeddings": False})
    more = estimate(untied, Recipe()).size - estimate(tied, Recipe()).size
    assert more == 151936 * 2560 * 2
    assert isinstance(untied, Shape)
