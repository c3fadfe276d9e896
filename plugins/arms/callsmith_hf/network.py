"""A loaded model as decoding uses it: tokens in, the next one's logits and the cache out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What decoding needs of a loaded model.

    `arguments` are the names that its forward takes; `decode` and `name` are the tokenizer's.
    `joining_padding` is how much padding a row needs to join a batch whose longer prompts were
    read in part; None: it cannot.
    """

    model: Any
    device: str
    pad: int
    arguments: frozenset[str]
    decode: Callable[[Sequence[int]], str]
    name: Callable[[int], str]
    logprobs: bool
    joining_padding: int | None = None

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any
    ) -> tuple[torch.Tensor, Any]:
        """The logits after the last of `ids` [rows, tokens], as [rows, vocabulary], and the cache.

        `mask` is [rows, tokens of the cache and these], `positions` as `ids`; `cache` is None
        before the first tokens.
        """
        given: dict[str, Any] = {
            "input_ids": ids,
            "attention_mask": mask,
            "past_key_values": cache,
            "use_cache": True,
        }
        if "position_ids" in self.arguments:
            given["position_ids"] = positions
        if "logits_to_keep" in self.arguments:
            given["logits_to_keep"] = 1  # all of a long prompt's would take gigabytes
        output = self.model(**given)
        return output.logits[:, -1, :], output.past_key_values
