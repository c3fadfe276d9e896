"""Which positions of a batch see which, from an attention mask or from position ids."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Text:
    """The positions of the tokens that are computed now, and what they may look at.

    They are `here`, (length,), in a text of `total` tokens. `start`, (batch, length), is the
    first position that each may look at: behind the padding of its row, or at the beginning of
    its own text where several stand in a row; None: the row's first. Padding on the right needs
    no care, as nothing looks ahead.
    """

    here: Tensor
    total: int
    positions: Tensor
    """For the rotary embedding: (batch or 1, length)."""
    start: Tensor | None = None
    padding: Tensor | None = None
    """True where a token is padding on the left, (batch, length); None: none is."""
    packed: bool = False
    """Whether several texts stand in a row."""

    def visible(self, at: Tensor | None = None) -> Tensor | None:
        """Which positions are visible, (batch or 1, length, total); None: all up to one's own.

        With `at`, (batch, chosen), indices into `here`: for those alone, and never None.
        """
        cached = self.total > len(self.here)
        if at is None and self.start is None and (not cached or len(self.here) == 1):
            return None
        columns = torch.arange(self.total, device=self.here.device)
        here = self.here[None, :] if at is None else self.here[at]
        seen = columns <= here[..., None]
        if self.start is None:
            return seen
        start = self.start if at is None else self.start.gather(1, at)
        return seen & (columns >= start[..., None])

    def real(self, dtype: torch.dtype) -> Tensor | None:
        """1 for text and 0 for padding on the left, (batch, length, 1); None: no padding."""
        return None if self.padding is None else (~self.padding).to(dtype)[..., None]

    def taps(self, kernel: int, dtype: torch.dtype) -> list[Tensor] | None:
        """For j from 1 to kernel - 1: 1 where the j-th token back is of the same text.

        Each (batch, length, 1); None where one text fills the row.
        """
        if self.start is None or not self.packed:
            return None
        return [(self.here - j >= self.start).to(dtype)[..., None] for j in range(1, kernel)]


def read_text(
    length: int,
    past: int,
    attention_mask: Tensor | None,
    position_ids: Tensor | None,
    device: torch.device,
) -> Text:
    """The text of a batch: `length` tokens now, after `past` that are in the cache.

    `attention_mask` is (batch, past + length) with 0 for padding. Without one, `position_ids`
    that begin anew say that several texts stand in a row, and they do not see each other.
    Raises ValueError for a mask of another shape or with holes.
    """
    total = past + length
    here = torch.arange(past, total, device=device)
    start: Tensor | None = None
    padding: Tensor | None = None
    packed = False
    positions = here[None, :]
    if attention_mask is not None:
        if attention_mask.dim() != 2 or attention_mask.shape[1] != total:
            raise ValueError(
                f"the attention mask has the shape {tuple(attention_mask.shape)}; this model "
                f"takes one of (batch, {total}), 0 for padding"
            )
        mask = attention_mask.bool()
        begins = mask[:, 1:] & ~mask[:, :-1]
        if bool((begins.sum(1) + mask[:, 0] > 1).any()):
            raise ValueError("the attention mask has holes; this model takes padding at the ends")
        if not bool(mask[:, 0].all()):
            first = mask.to(torch.int8).argmax(1)[:, None]
            start = torch.minimum(first, here)
            padding = here < first
            if not bool(padding.any()):
                padding = None
            positions = (here - first).clamp_min(0)
    elif position_ids is not None and not past and length > 1:
        anew = position_ids[:, 1:] != position_ids[:, :-1] + 1
        if bool(anew.any()):
            packed = True
            begins = torch.cat((torch.zeros_like(anew[:, :1]), anew), 1)
            start = torch.where(begins, here, 0).cummax(1).values
    if position_ids is not None:
        positions = position_ids
    return Text(here, total, positions, start, padding, packed)
