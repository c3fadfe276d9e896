"""What is kept of the text so far while a completion is generated."""

from __future__ import annotations

# transformers is not installed where the types are checked, so its classes are Any there.
# mypy: disable-error-code="misc"
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

ROOM = 128
"""Tokens that a buffer has room for when it is made, beyond those it is made for."""


class GrowingLayer(DynamicLayer):
    """Two tensors that grow along their last axis but one, in buffers with room to spare.

    `keys` and `values` are views of what is filled. transformers' own layer copies everything
    for every new token; here a token is written behind the others, unless gradients are wanted.
    """

    def __init__(self) -> None:
        super().__init__()
        self._buffers: list[Tensor | None] = [None, None]

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Empty tensors, each of its own type and shape."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = key_states[..., :0, :], value_states[..., :0, :]
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Puts the new ones behind the others; returns all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys = self._append(0, self.keys, key_states)
        self.values = self._append(1, self.values, value_states)
        return self.keys, self.values

    def _append(self, which: int, old: Tensor, new: Tensor) -> Tensor:
        if torch.is_grad_enabled() and (old.requires_grad or new.requires_grad):
            return torch.cat((old, new), dim=-2)
        start, end = old.shape[-2], old.shape[-2] + new.shape[-2]
        buffer = self._buffers[which]
        # After rows were selected or repeated, `old` is a tensor of its own.
        if (
            buffer is None
            or old.data_ptr() != buffer.data_ptr()
            or old.shape[:-2] != buffer.shape[:-2]
            or end > buffer.shape[-2]
        ):
            buffer = new.new_empty((*new.shape[:-2], end + ROOM, new.shape[-1]))
            buffer[..., :start, :] = old
            self._buffers[which] = buffer
        buffer[..., start:end, :] = new
        return buffer[..., :end, :]

    def reset(self) -> None:
        """Forgets everything."""
        super().reset()
        self._buffers = [None, None]


class BlockLayer(GrowingLayer):
    """Keys, values, and the last inputs of the block's two convolutions.

    `recent` is a list of two tensors (batch, kernel - 1, width), empty before the first tokens.
    """

    is_croppable = False

    def __init__(self) -> None:
        super().__init__()
        self.recent: list[Tensor] = []

    def crop(self, tokens_to_remove: int) -> None:
        """Refuses: what the convolutions saw before is gone."""
        if tokens_to_remove:
            raise ValueError("this model's cache cannot be shortened; start again without one")

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """The rows in another order."""
        super().reorder_cache(beam_idx)
        self.recent = [one.index_select(0, beam_idx.to(one.device)) for one in self.recent]

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Every row `repeats` times."""
        super().batch_repeat_interleave(repeats)
        self.recent = [one.repeat_interleave(repeats, dim=0) for one in self.recent]

    def batch_select_indices(self, indices: Tensor) -> None:
        """Only these rows."""
        super().batch_select_indices(indices)
        self.recent = [one[indices] for one in self.recent]

    def reset(self) -> None:
        """Forgets everything."""
        super().reset()
        self.recent = []


class TinyCache(DynamicCache):
    """One layer per block, and one more for the pointer.

    The pointer's `keys` are its keys, (batch, 1, length, width), and its `values` the token ids,
    (batch, 1, length, 1).
    """

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.layers = [*(BlockLayer() for _ in range(blocks)), GrowingLayer()]

    @property
    def joining_padding(self) -> int:
        """Tokens of padding that make a row forget what the convolutions look back on.

        For the arm `hf`, whose rows may take the place of another row's copy; a mask hides keys.
        """
        first: BlockLayer = self.layers[0]
        return first.recent[0].shape[1] if first.recent else 0

    @property
    def pointer(self) -> GrowingLayer:
        """The pointer's layer."""
        layer: GrowingLayer = self.layers[-1]
        return layer
