"""The network's sizes as a config of transformers."""

from __future__ import annotations

# transformers is not installed where the types are checked, so its classes are Any there.
# mypy: disable-error-code="misc"
from typing import ClassVar

from transformers import PretrainedConfig

MODEL_TYPE = "callsmith_tiny"
CONTEXT = 2048
"""Tokens of prompt and completion together. Rotary positions set no limit of their own; the
training's conversations are shorter."""


class TinyConfig(PretrainedConfig):
    """What `Shape` of `training/network.py` says, under the names that transformers expects.

    `kernel` is the width of the convolutions in tokens; `rope_base` and `epsilon` are those of
    the rotary embedding and of the norms.
    """

    model_type = MODEL_TYPE
    keys_to_ignore_at_inference = ("past_key_values",)
    auto_map: ClassVar[dict[str, str]] = {}
    """No code comes with a checkpoint; TRL asks every config of a class it does not know."""

    vocab_size: int = 1280
    hidden_size: int = 128
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    intermediate_size: int = 320
    kernel: int = 4
    rope_base: float = 10000.0
    epsilon: float = 1e-6
    max_position_embeddings: int = CONTEXT
    pad_token_id: int | None = 0
    bos_token_id: int | None = 2
    eos_token_id: int | list[int] | None = 1
    tie_word_embeddings: bool = False

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads
