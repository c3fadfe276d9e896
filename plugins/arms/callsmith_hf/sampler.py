"""Which token comes next: for each row by its own sampling and its own random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from random import Random

import torch

from callsmith import Sampling

ELEMENTS = {"cpu": 1 << 18, "cuda": 1 << 22}
"""Rows times vocabulary that are drawn from at once, by the kind of device: what fits into the
caches of a processor, and on a GPU some copies in float64, which take memory beside the model."""
TINY = 1e-37
"""A temperature below this one counts as this one, which is still more than 0 in float32."""


class Source:
    """The random numbers of one request: one per token, whatever runs beside it or on what."""

    def __init__(self, sampling: Sampling) -> None:
        # As a string, because `Random` takes a negative seed for its absolute value.
        self._random = Random(f"callsmith-hf {sampling.seed}")

    def next(self) -> float:
        """The next one, in [0, 1)."""
        return self._random.random()


def choose(
    logits: torch.Tensor, samplings: Sequence[Sampling], sources: Sequence[Source]
) -> tuple[list[int], list[float]]:
    """A token per row of `logits` [rows, vocabulary], and the logarithm of its probability.

    The logarithms are the model's own: before temperature, top_k and top_p. They are not a number
    where the model's logits are not.
    """
    logits = logits.float()
    chosen = logits.argmax(dim=-1)
    for kind, rows in _kinds(samplings, logits.shape[-1]).items():
        most = max(1, ELEMENTS.get(logits.device.type, 1 << 18) // logits.shape[-1])
        for part in (rows[first : first + most] for first in range(0, len(rows), most)):
            index = torch.tensor(part, device=logits.device)
            numbers = [sources[row].next() for row in part]
            chosen[index] = _draw(logits[index], [samplings[row] for row in part], numbers, kind)
    picked = logits.gather(-1, chosen[:, None]).squeeze(-1)
    logprobs = (picked - logits.logsumexp(dim=-1)).clamp(max=0.0)
    return chosen.tolist(), logprobs.tolist()


def _kinds(samplings: Sequence[Sampling], vocabulary: int) -> dict[int, list[int]]:
    """The rows that are drawn, by how many tokens are put in order first: 0 is none of them."""
    found: dict[int, list[int]] = {}
    for row, sampling in enumerate(samplings):
        if sampling.temperature == 0:
            continue
        if 0 < sampling.top_k < vocabulary:
            kind = sampling.top_k
        else:
            kind = vocabulary if sampling.top_p < 1 else 0
        found.setdefault(kind, []).append(row)
    return found


def _draw(
    logits: torch.Tensor, samplings: Sequence[Sampling], numbers: Sequence[float], ordered: int
) -> torch.Tensor:
    """A token id per row, each by its own: temperature, then top_k, then top_p.

    `numbers` are random ones in [0, 1), and `ordered` is the rows' kind.
    """
    temperatures = _column([max(sampling.temperature, TINY) for sampling in samplings], logits)
    scaled = (logits - logits.amax(dim=-1, keepdim=True)) / temperatures.to(logits.dtype)
    order: torch.Tensor | None = None
    if ordered == logits.shape[-1]:
        scaled, order = scaled.sort(descending=True, stable=True)
    elif ordered:
        scaled, order = scaled.topk(ordered)
    weights = scaled.double().softmax(dim=-1)
    if any(sampling.top_p < 1 for sampling in samplings):
        # A token stays if those before it do not reach top_p; so the first always does. Sums can
        # come out a little above 1, and a top_p of 1 is to leave nothing out.
        limits = [sampling.top_p if sampling.top_p < 1 else inf for sampling in samplings]
        weights = weights * (weights.cumsum(dim=-1) - weights < _column(limits, logits))
    sums = weights.cumsum(dim=-1)
    total = sums[:, -1:].contiguous()
    # The first place whose sum is above a number below the total; places of weight 0 never are.
    place = torch.searchsorted(sums, total * _column(numbers, logits), right=True)
    # The product may be rounded up to the total: then it is the place where the sum reaches it.
    place = torch.minimum(place, torch.searchsorted(sums, total))
    place = place.clamp(max=sums.shape[-1] - 1)  # where the logits are not numbers
    return (place if order is None else order.gather(-1, place)).squeeze(-1)


def _column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    """[rows, 1], in float64."""
    return torch.tensor(values, dtype=torch.float64, device=like.device)[:, None]
