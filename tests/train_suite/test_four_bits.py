"""4-bit layers: what is evaluated in between changes nothing of what is learnt."""

from __future__ import annotations

from typing import Any

import pytest

from callsmith import Checkpoint
from train_suite import models

models.need_libraries()

pytestmark = pytest.mark.train


@pytest.mark.parametrize("base", ["qwen3_base", "gemma4_base"])
def test_gradients_after_an_evaluation_are_those_before(
    base: str, request: pytest.FixtureRequest
) -> None:
    import torch

    from callsmith_trl.config import SftConfig
    from callsmith_trl.loading import load_for_training

    checkpoint: Checkpoint = request.getfixturevalue(base)
    config = SftConfig(rank=4, token_rows="off", device="cpu")
    model = load_for_training(config, checkpoint, models.template(base[:-5])).model
    ids = torch.arange(5, 25)[None]

    def gradients() -> dict[str, Any]:
        model.train()
        model.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        return {
            name: parameter.grad.clone()
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }

    before = gradients()
    model.eval()
    with torch.inference_mode():
        model(input_ids=ids)
    after = gradients()
    assert before.keys() == after.keys()
    assert any(value.abs().max() > 0 for value in before.values())
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, msg=name)
