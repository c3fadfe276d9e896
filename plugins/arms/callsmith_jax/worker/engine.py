"""The stateless sampler, one prompt at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gemma import gm
from gemma.gm.text import _sampler_loop

from .failures import RequestError
from .loading import Loaded
from .sampling import TAPE, Draw
from .spans import Segment
from .stopping import Ended, ended


class Engine:
    """A loaded model with the sizes that it was set up for.

    `cache_length` is the number of tokens of a whole conversation, `max_out_length` that of one
    completion at most; prompts are padded to the next of `pad_lengths`, so that only as many
    shapes are ever compiled.
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        cache_length: int,
        max_out_length: int,
        pad_lengths: Sequence[int],
        logprobs: bool,
    ) -> None:
        self.loaded = loaded
        self.cache_length = cache_length
        self.max_out_length = max_out_length
        # A prompt longer than the last bucket would be compiled for its own length.
        self.pad_lengths = (*sorted({p for p in pad_lengths if p < cache_length}), cache_length)
        self.logprobs = logprobs
        self._sampler = gm.text.Gemma4Sampler(**self.sizes())

    def sizes(self) -> dict[str, Any]:
        """What every sampler of the library is built with."""
        return {
            "model": self.loaded.model,
            "params": self.loaded.params,
            "tokenizer": self.loaded.tokens.tokenizer,
            "cache_length": self.cache_length,
            "max_out_length": self.max_out_length,
            "pad_length": self.pad_lengths,
        }

    def drawing(self, sampling: Mapping[str, Any]) -> Draw:
        """The sampling method for a request's sampling."""
        greedy = sampling["temperature"] <= 0
        return Draw(  # greedy needs no other number, and so only one compilation
            temperature=0.0 if greedy else float(sampling["temperature"]),
            top_k=0 if greedy else int(sampling["top_k"]),
            top_p=1.0 if greedy else float(sampling["top_p"]),
            record=self.logprobs,
        )

    def max_tokens(self, sampling: Mapping[str, Any]) -> int:
        """The request's limit. Raises `RequestError` where the output buffer is smaller."""
        wanted = int(sampling["max_tokens"])
        if wanted > self.max_out_length:
            raise RequestError(
                "request",
                f"max_tokens {wanted} is more than max_out_length {self.max_out_length}; "
                "lower the one or raise the other",
            )
        return wanted

    def check_fits(self, tokens: int, max_tokens: int) -> None:
        """Raises `RequestError` unless the cache holds the prompt and the whole completion."""
        if tokens + max_tokens > self.cache_length:
            raise RequestError(
                "too-long",
                f"the prompt has {tokens} tokens and max_tokens is {max_tokens}, together more "
                f"than cache_length {self.cache_length}; shorten the conversation, declare fewer "
                "tools, lower max_tokens or raise cache_length",
            )

    def sample(self, segments: Sequence[Segment], sampling: Mapping[str, Any]) -> dict[str, Any]:
        """One completion of a prompt, as the answer to a request."""
        began = time.perf_counter()
        prompt, spelt = self.loaded.tokens.encode(segments)
        count = len(prompt.ids) + 1  # the sampler begins the sequence
        limit = self.max_tokens(sampling)
        self.check_fits(count, limit)
        TAPE.take()
        out = self._sampler.sample(
            prompt,
            max_new_tokens=limit,
            sampling=self.drawing(sampling),
            rng=seed(sampling),
            return_state=True,
        )
        result, logprobs, drawn = self.read(out.state, sampling, limit)
        return {
            "text": result.text,
            "stop_reason": result.reason,
            "token_ids": list(result.ids),
            "logprobs": logprobs,
            "prompt_tokens": count,
            "drawn": drawn,
            "spelt_out": spelt,
            "seconds": time.perf_counter() - began,
        }

    def counters(self) -> dict[str, Any]:
        """How often the decoding loop was compiled: once per sampling, not once per step."""
        return {"compiled_loops": int(_sampler_loop.SamplerLoop._sample_loop._cache_size())}

    def read(
        self, state: Any, sampling: Mapping[str, Any], limit: int
    ) -> tuple[Ended, list[float] | None, int]:
        """What a sampling state has: the completion, its logprobs, the number of tokens drawn."""
        steps = int(state.step)
        drawn = [int(token) for token in np.asarray(state.predicted_tokens[0, :steps])]
        tape = TAPE.take()
        tokens = self.loaded.tokens
        result = ended(
            drawn,
            ends=tokens.ends,
            stops=sampling["stop"],
            max_tokens=limit,
            decode=tokens.decode,
        )
        logprobs = None
        if self.logprobs and len(tape) == steps:
            # Rounding in single precision may leave a certain token a hair above zero.
            logprobs = [min(0.0, value) for value in tape[: len(result.ids)]]
        return result, logprobs, steps


def seed(sampling: Mapping[str, Any]) -> int:
    """The request's seed as JAX takes it: below 2**31."""
    return int(sampling["seed"]) % 2**31
