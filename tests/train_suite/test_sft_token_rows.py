"""The rows of tool tokens are trained where they count: in the head, tied or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callsmith import Checkpoint
from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()

DEAD = ("<tool_call>", "</tool_call>")


def loaded(base: Checkpoint, **options: Any) -> Any:
    from callsmith_trl.config import SftConfig
    from callsmith_trl.loading import load_for_training

    return load_for_training(SftConfig(rank=2, **options), base, models.template("qwen3"))


def matrices(model: Any) -> tuple[Any, Any]:
    """Embedding and head as they are used: with trained rows in them."""
    return tuple(  # type: ignore[return-value]
        module.weight.detach().clone()
        for module in (model.get_input_embeddings(), model.get_output_embeddings())
    )


def moved(before: Any, after: Any) -> set[int]:
    return set((before != after).any(dim=1).nonzero().flatten().tolist())


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("quantization", ["", "nf4"])
def test_named_rows_move_in_the_head_and_no_others(
    tied: bool, quantization: str, tmp_path: Path
) -> None:
    from callsmith_trl.config import SftConfig
    from callsmith_trl.sft import SftTrainer

    base = models.qwen3(tmp_path / "base", tied=tied)
    options: dict[str, Any] = {
        "rank": 2,
        "token_rows": list(DEAD),
        "quantization": quantization,
        "max_steps": 3,
        "batch_size": 2,
        "accumulation": 1,
        "learning_rate": 1e-2,
        "probe": {"samples": 0},
    }
    made = SftTrainer(SftConfig(**options)).train(models.job(base, tmp_path / "out"))
    assert made.details["token_rows"] == list(DEAD)
    before, after = (
        matrices(loaded(base, quantization="", token_rows="off").model),
        matrices(loaded(made, quantization=quantization).model),
    )
    ids = {508, 509}
    assert moved(before[1], after[1]) == ids, "the head"
    assert moved(before[0], after[0]) == ids, "the embedding"
    assert ((after[0] == after[1]).all().item()) is tied


@pytest.mark.parametrize("tied", [True, False])
def test_auto_finds_the_rows_that_were_never_trained(tied: bool, tmp_path: Path) -> None:
    dead = models.qwen3(tmp_path / "dead", tied=tied, dead=DEAD)
    alive = models.qwen3(tmp_path / "alive", tied=tied)
    found = loaded(dead)
    assert found.tokens.pieces(found.token_rows) == list(DEAD)
    assert loaded(alive).token_rows == ()
    assert loaded(dead, token_rows="off").token_rows == ()


def test_frozen_dead_rows_are_refused_with_the_fix(tmp_path: Path) -> None:
    from callsmith import ConfigError
    from callsmith_trl.config import SftConfig
    from callsmith_trl.sft import SftTrainer

    base = models.qwen3(tmp_path / "base", dead=DEAD)
    with pytest.raises(ConfigError) as caught:
        SftTrainer(SftConfig(token_rows="off", max_steps=1)).train(
            models.job(base, tmp_path / "out")
        )
    assert "<tool_call>" in str(caught.value)
    assert "trainable_token_indices" in str(caught.value)


def test_a_name_that_is_no_token_is_one_line(qwen3_base: Checkpoint) -> None:
    from callsmith import ConfigError

    with pytest.raises(ConfigError, match="no added token '<call>'"):
        loaded(qwen3_base, token_rows=("<call>",))


def test_rows_of_the_embedding_alone_are_refused_where_the_head_is_another(
    qwen3_untied: Checkpoint, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from callsmith import ConfigError
    from callsmith_trl.config import SftConfig
    from callsmith_trl.sft import SftTrainer

    model = AutoModelForCausalLM.from_pretrained(qwen3_untied.path, local_files_only=True)
    rows = {"embed_tokens": [508, 509]}
    made = LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices=rows)
    get_peft_model(model, made).save_pretrained(tmp_path / "foreign")
    base = Checkpoint(path=qwen3_untied.path, adapter=str(tmp_path / "foreign"))
    with pytest.raises(ConfigError) as caught:
        SftTrainer(SftConfig(max_steps=1)).train(models.job(base, tmp_path / "out"))
    assert "nothing that the model writes would change" in str(caught.value)
    assert "trainable_token_indices for embed_tokens and lm_head" in str(caught.value)
