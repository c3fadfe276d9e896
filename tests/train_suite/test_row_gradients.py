"""Narrow rows: the values and gradients of PEFT's trained rows, without a copy of the matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callsmith import Checkpoint
from train_suite import models

models.need_libraries()

pytestmark = pytest.mark.train
ROWS = [5, 6, 9]
BASES = ["qwen3_base", "qwen3_untied", "gemma4_base"]


def adapted(base: Checkpoint) -> Any:
    """A base under LoRA with trained rows, all of them with numbers of their own."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    network = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32)
    add_fused_lm_head(network, outputs=("log_probs", "entropy"))
    model = get_peft_model(
        network,
        LoraConfig(
            r=4,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
            trainable_token_indices={"embed_tokens": ROWS, "lm_head": ROWS},
        ),
    )
    model.get_output_embeddings().bias = None
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "trainable_tokens_delta" in name:
            parameter.data.add_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.fixture
def model(request: pytest.FixtureRequest) -> Any:
    return adapted(request.getfixturevalue(request.param))


def step(model: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Loss, logits and gradients of one batch that is full of the trained tokens."""
    import torch

    torch.manual_seed(2)
    ids = torch.randint(1, 12, (2, 24))
    labels = ids.clone()
    labels[:, :5] = -100
    model.zero_grad()
    out = model(input_ids=ids, labels=labels, fused_lm_head=True)
    # Entropy has a gradient of its own, which GRPO may use.
    (out.loss + 0.1 * out.entropy.sum()).backward()
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    return out.loss.detach(), logits, gradients


@pytest.mark.parametrize("model", BASES, indirect=True)
def test_values_and_gradients_are_those_of_peft(model: Any) -> None:
    import torch

    from callsmith_trl.row_gradients import narrow_rows

    loss, logits, gradients = step(model)
    with narrow_rows(model) as on:
        narrow = step(model)
    assert on
    torch.testing.assert_close(narrow[0], loss)
    torch.testing.assert_close(narrow[1], logits, rtol=1e-5, atol=1e-5)
    assert narrow[2].keys() == gradients.keys()
    rows = [name for name in gradients if "trainable_tokens_delta" in name]
    assert rows
    for name, gradient in gradients.items():
        torch.testing.assert_close(narrow[2][name], gradient, rtol=1e-4, atol=1e-6)
    assert all(gradients[name].abs().sum() > 0 for name in rows)


@pytest.mark.parametrize("model", BASES, indirect=True)
def test_the_frozen_matrix_is_as_it_was_and_nothing_stays_behind(model: Any) -> None:
    import torch
    from trl.trainer import utils

    from callsmith_trl.row_gradients import narrow_rows

    loss = utils._ChunkedLogProbFunction
    layer = model.get_input_embeddings().token_adapter
    before = layer.base_layer.weight.detach().clone()
    frozen = step(model)[1]

    def interrupted() -> None:
        with narrow_rows(model):
            step(model)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.equal(layer.base_layer.weight, before)
    assert utils._ChunkedLogProbFunction is loss
    assert "forward_adapters" not in vars(layer)
    assert "get_merged_weights" not in vars(layer)
    assert torch.equal(step(model)[1], frozen)


@pytest.mark.parametrize("model", BASES, indirect=True)
def test_the_reference_without_the_adapter_sees_the_old_rows(model: Any) -> None:
    """DPO's reference model is the same model with its adapter switched off."""
    import torch

    from callsmith_trl.row_gradients import narrow_rows

    ids = torch.randint(1, 12, (1, 10))
    with torch.no_grad():
        with model.disable_adapter():
            plain = model(input_ids=ids, labels=ids, fused_lm_head=True).log_probs
        with narrow_rows(model), model.disable_adapter():
            narrow = model(input_ids=ids, labels=ids, fused_lm_head=True).log_probs
    assert torch.equal(plain, narrow)


@pytest.mark.parametrize("model", ["qwen3_base", "qwen3_untied"], indirect=True)
def test_no_gradient_of_the_whole_matrix_is_made(model: Any) -> None:
    """The largest float32 tensors of the backward pass: with PEFT's own way, the matrix."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from callsmith_trl.row_gradients import narrow_rows

    words, width = model.get_input_embeddings().token_adapter.base_layer.weight.shape

    class Watch(TorchDispatchMode):  # type: ignore[misc]
        made = 0

        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = function(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and tuple(out.shape) == (words, width):
                name = function.overloadpacket.__name__
                self.made += name in ("zeros", "index_copy", "embedding_dense_backward")
            return out

    with Watch() as whole:
        step(model)
    assert whole.made
    with narrow_rows(model), Watch() as narrow:
        step(model)
    assert not narrow.made


def test_a_model_without_trained_rows_is_left_alone(gemma4_base: Checkpoint) -> None:
    from transformers import AutoModelForCausalLM

    from callsmith_trl.row_gradients import narrow_rows

    with narrow_rows(AutoModelForCausalLM.from_pretrained(gemma4_base.path)) as on:
        assert not on


def test_two_adapters_at_once_go_peft_s_way(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    """TRL keeps a second adapter as DPO's reference; each alone is narrow."""
    import torch
    from peft import LoraConfig

    from callsmith_trl.row_gradients import narrow_rows

    model = adapted(qwen3_base)
    model.add_adapter(
        "ref",
        LoraConfig(r=4, target_modules=["q_proj"], trainable_token_indices={"embed_tokens": ROWS}),
    )
    ids = torch.tensor([[5, 6, 9, 4]])
    for name in ("default", "ref"):
        model.set_adapter(name)
        with torch.no_grad():
            plain = model(input_ids=ids, labels=ids, fused_lm_head=True).log_probs
            with narrow_rows(model):
                narrow = model(input_ids=ids, labels=ids, fused_lm_head=True).log_probs
        torch.testing.assert_close(narrow, plain)
