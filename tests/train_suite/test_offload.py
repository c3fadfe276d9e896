"""Gemma's per-layer embeddings on the CPU: the same logits, and no parameter of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callsmith import Checkpoint, ConfigError
from train_suite import models

models.need_libraries()

pytestmark = pytest.mark.train


def read(base: Checkpoint, dtype: str, quantised: bool) -> tuple[Any, Any]:
    """The model as it is, and with its table on the CPU."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from callsmith_trl.four_bits import keep_layout
    from callsmith_trl.offload import fill_table, without_table

    given: dict[str, Any] = {"dtype": getattr(torch, dtype), "local_files_only": True}
    if quantised:
        given["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=given["dtype"]
        )
    whole = AutoModelForCausalLM.from_pretrained(base.path, **given)
    with without_table():
        without = AutoModelForCausalLM.from_pretrained(base.path, **given)
    assert fill_table(without, base.path)
    for model in (whole, without):
        keep_layout(model)
    return whole, without


@pytest.mark.parametrize("quantised", [False, True], ids=["plain", "nf4"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_logits_are_the_same(gemma4_base: Checkpoint, dtype: str, quantised: bool) -> None:
    import torch

    from callsmith_trl.offload import has_table_on_cpu

    whole, without = read(gemma4_base, dtype, quantised)
    ids = torch.randint(1, 200, (2, 20))
    with torch.no_grad():
        wanted = whole(input_ids=ids).logits
        assert torch.equal(without(input_ids=ids).logits, wanted)
        assert not has_table_on_cpu(whole)
        assert has_table_on_cpu(without)


def test_the_table_is_no_parameter(gemma4_base: Checkpoint) -> None:
    import torch

    whole, without = read(gemma4_base, "float32", False)
    table = whole.model.embed_tokens_per_layer.weight.numel()
    count = sum(one.numel() for one in whole.parameters())
    assert sum(one.numel() for one in without.parameters()) == count - table
    # Moving the model leaves the table where it is.
    without.to(torch.device("meta"))
    assert without.model.embed_tokens_per_layer.weight.device.type == "cpu"
    assert without.model.embed_tokens.weight.device.type == "meta"


def test_models_without_a_table_are_left_alone(qwen3_base: Checkpoint) -> None:
    from transformers import AutoModelForCausalLM

    from callsmith_trl.offload import fill_table, without_table

    with without_table():
        model = AutoModelForCausalLM.from_pretrained(qwen3_base.path)
    assert not fill_table(model, qwen3_base.path)


def test_a_checkpoint_without_the_table_is_refused(gemma4_base: Checkpoint, tmp_path: Path) -> None:
    from callsmith_trl.offload import fill_table

    _, without = read(gemma4_base, "float32", False)
    with pytest.raises(ConfigError, match="embed_tokens_per_layer"):
        fill_table(without, tmp_path)
