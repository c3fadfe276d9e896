"""Drawing the next token from its distribution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from callsmith import Sampling
from callsmith_tiny.model import Floats


class Sampler:
    """Greedy at temperature 0; otherwise temperature, then `top_k`, then `top_p`, then the draw.

    The same sampling set (its seed with it) draws the same tokens from the same distributions.
    """

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._random = np.random.default_rng(abs(sampling.seed))

    def choose(self, logprobs: Floats, allows: Callable[[int], bool] | None = None) -> int:
        """One token id; `logprobs` are the model's, (vocabulary,).

        With `allows`, only of the tokens that it allows; without any such token, of all.
        """
        sampling = self._sampling
        if allows is not None:
            ranked: list[int] = np.argsort(-logprobs, kind="stable").tolist()
            if sampling.temperature <= 0:
                return next((token for token in ranked if allows(token)), ranked[0])
            usable = [token for token in ranked if allows(token)] or ranked
            masked = np.full_like(logprobs, -np.inf)
            masked[usable] = logprobs[usable]
            logprobs = masked
        if sampling.temperature <= 0:
            return int(np.argmax(logprobs))
        scaled = logprobs.astype(np.float64) / sampling.temperature
        likeliest = np.argsort(-scaled, kind="stable")
        if sampling.top_k > 0:
            likeliest = likeliest[: sampling.top_k]
        weights = np.exp(scaled[likeliest] - scaled[likeliest[0]])
        weights /= weights.sum()
        if sampling.top_p < 1:
            # The smallest set of the likeliest tokens that reaches top_p; at least one.
            kept = int(np.searchsorted(np.cumsum(weights), sampling.top_p)) + 1
            likeliest, weights = likeliest[:kept], weights[:kept] / weights[:kept].sum()
        return int(self._random.choice(likeliest, p=weights))
