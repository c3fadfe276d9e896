"""The completions of a step, cut into the batches of its passes. Imports PyTorch.

A step's completions come as tensors with a row each, padded to the longest of all. The gradient
of a step is a sum over rows, so the order of rows, how they are cut into passes and how far they
are padded do not matter; rows whose advantage is 0 add nothing. Passes without rows are possible.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

Batch = dict[str, Any]

PROMPT = ("prompt_ids", "prompt_mask")
"""Tensors (rows, longest prompt), padded on the left."""
COMPLETION = (
    "completion_ids", "completion_mask", "old_per_token_logps", "ref_per_token_logps",
    "sampling_per_token_logps", "importance_sampling_ratio",
)  # fmt: skip
"""Tensors (rows, longest completion), padded on the right; the last may have one column."""


def rows_of(batch: Mapping[str, Any]) -> int:
    """How many rows a batch has."""
    return len(batch["advantages"])


def mask_rows(batch: Batch, kept: Any) -> Batch:
    """The batch with nothing of a row in the loss unless `kept` (rows,) is true for it."""
    return {**batch, "completion_mask": batch["completion_mask"] * kept[:, None].int()}


def batches(whole: Batch, *, size: int, count: int, drop: bool) -> list[Batch]:
    """`count` batches of up to `size` rows, rows of similar length together.

    `drop` leaves out the rows that add nothing: those with advantage 0, or wholly masked.
    """
    lengths = whole["prompt_mask"].sum(1) + whole["completion_mask"].sum(1)
    order = lengths.argsort(stable=True)
    if drop:
        counts = (whole["advantages"] != 0) & (whole["completion_mask"].sum(1) > 0)
        order = order[counts[order]]
    return [_narrow(whole, order[at * size : (at + 1) * size]) for at in range(count)]


def _narrow(whole: Batch, rows: Any) -> Batch:
    found: Batch = {}
    for name, value in whole.items():
        per_row = torch.is_tensor(value) and value.dim() > 0
        found[name] = value[rows] if per_row else value
    if not len(rows):
        return found
    prompts = found["prompt_mask"].any(dim=0).int()
    start = int(prompts.argmax())
    ends = found["completion_mask"].any(dim=0).nonzero()
    end = int(ends[-1]) + 1 if len(ends) else 1
    for name in PROMPT:
        found[name] = found[name][:, start:]
    for name in COMPLETION:
        if name in found:
            found[name] = found[name][:, :end]
    return found
