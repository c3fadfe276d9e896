"""Drawing tokens: temperature, top-k and top-p together, which the library has only one by one."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gemma.gm.text import SamplingMethod
from jax.experimental import io_callback


class LogprobTape:
    """Receives the log probability of every token as it is drawn."""

    def __init__(self) -> None:
        self._values: list[float] = []

    def take(self) -> list[float]:
        """What came since the last time."""
        jax.effects_barrier()
        values, self._values = self._values, []
        return values

    def write(self, value: Any) -> None:
        """Called from the compiled loop, once per token, in order."""
        self._values.append(float(np.asarray(value).reshape(-1)[0]))


TAPE = LogprobTape()
"""One for the process: compiled loops keep a reference to it, and one request runs at a time."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draw(SamplingMethod):  # type: ignore[misc]
    """Temperature first, then the `top_k` likeliest, then the nucleus `top_p` of these.

    Temperature 0 is greedy; `top_k` 0 and `top_p` 1 are off. With `record`, the log probability
    that the model itself gives the token (natural logarithm, without temperature) goes to `TAPE`.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    record: bool = False

    def get_next_tokens(self, logits: Any, rng: Any) -> Any:
        """One token per row of `logits` [batch, vocabulary]."""
        logits = logits.astype(jnp.float32)
        if self.temperature <= 0:
            tokens = jnp.argmax(logits, axis=-1)
        else:
            size = logits.shape[-1]
            count = min(self.top_k, size) if self.top_k > 0 else size
            values, order = jax.lax.top_k(logits / self.temperature, count)
            if self.top_p < 1.0:
                shares = jax.nn.softmax(values, axis=-1)
                before = jnp.cumsum(shares, axis=-1) - shares
                kept = (before < self.top_p).at[..., 0].set(True)
                values = jnp.where(kept, values, -jnp.inf)
            choice = jax.random.categorical(rng, values, axis=-1)
            tokens = jnp.take_along_axis(order, choice[..., None], axis=-1)[..., 0]
        tokens = tokens.astype(jnp.int32)
        if self.record:
            shares = jax.nn.log_softmax(logits, axis=-1)
            chosen = jnp.take_along_axis(shares, tokens[..., None], axis=-1)[..., 0]
            io_callback(TAPE.write, None, chosen, ordered=True)
        return tokens
