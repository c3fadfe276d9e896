"""Which token comes next: for each row by its own sampling and its own random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import torch

from callsmith import Sampling


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
    greedy = logits.argmax(dim=-1)
    chosen = torch.stack(
        [
            greedy[row] if sampling.temperature == 0 else _draw(logits[row], sampling, source)
            for row, (sampling, source) in enumerate(zip(samplings, sources, strict=True))
        ]
    )
    picked = logits.gather(-1, chosen[:, None]).squeeze(-1)
    logprobs = (picked - logits.logsumexp(dim=-1)).clamp(max=0.0)
    return chosen.tolist(), logprobs.tolist()


def _draw(logits: torch.Tensor, sampling: Sampling, source: Source) -> torch.Tensor:
    """One token id, as a tensor without dimensions: temperature, then top_k, then top_p."""
    number = source.next()
    scaled = (logits - logits.max()) / sampling.temperature
    order: torch.Tensor | None = None
    if 0 < sampling.top_k < scaled.shape[-1]:
        scaled, order = scaled.topk(sampling.top_k)
    elif sampling.top_p < 1:
        scaled, order = scaled.sort(descending=True, stable=True)
    weights = scaled.double().softmax(dim=-1)
    if sampling.top_p < 1:
        # A token stays if those before it do not reach top_p; so the first always does.
        weights = weights * (weights.cumsum(dim=-1) - weights < sampling.top_p)
    sums = weights.cumsum(dim=-1)
    # The first place whose sum is above a number below the total; places of weight 0 never are.
    place = torch.searchsorted(sums, sums[-1:] * number, right=True)[0]
    place = torch.minimum(place, (weights > 0).nonzero()[-1, 0])
    return place if order is None else order[place]
