"""The sizes of a decoder that decide its memory, read from the numbers of its config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callsmith import ConfigError

NEEDED = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
)
SLIDING = "sliding_attention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One block of a decoder.

    `linears` are (in, out) of every linear layer. `heads` x `head_dim` is the width of the
    queries, `kv` the width of keys and values together that this layer keeps per token (0: it
    uses those of an earlier layer). `window` is in tokens, None for full attention.
    """

    linears: tuple[tuple[int, int], ...]
    heads: int
    head_dim: int
    kv: int
    ffn: int
    window: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A decoder with its embeddings.

    `extra` are linear layers outside the blocks (not the head). `per_layer` is (rows, width) of
    Gemma's table of per-layer embeddings, (0, 0) where there is none.
    """

    vocab: int
    hidden: int
    layers: tuple[Layer, ...]
    tied: bool
    extra: tuple[tuple[int, int], ...] = ()
    per_layer: tuple[int, int] = (0, 0)

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """All linear layers but the head, as (in, out)."""
        return (*(one for layer in self.layers for one in layer.linears), *self.extra)

    @property
    def linear_weights(self) -> int:
        """Weights in linear layers without the head: what 4-bit loading quantises."""
        return sum(a * b for a, b in self.linears)

    @property
    def embedding_weights(self) -> int:
        """Weights of the input embedding; a tied head is the same matrix."""
        return self.vocab * self.hidden

    @property
    def head_weights(self) -> int:
        """Weights of a head of its own; 0 where it is tied."""
        return 0 if self.tied else self.vocab * self.hidden

    @property
    def per_layer_weights(self) -> int:
        """Weights of the table of per-layer embeddings."""
        return self.per_layer[0] * self.per_layer[1]

    @property
    def parameters(self) -> int:
        """All weights but the norms."""
        return (
            self.linear_weights
            + self.embedding_weights
            + self.head_weights
            + self.per_layer_weights
        )

    def lora(self, rank: int) -> int:
        """Weights of a LoRA adapter of this rank on every linear layer but the head."""
        return rank * sum(a + b for a, b in self.linears)


def shape(config: Mapping[str, Any]) -> Shape:
    """The shape that a config.json describes (of its `text_config` where it has one).

    For decoders with gated feed-forward blocks (Llama, Qwen 2 and 3, Mistral, Gemma 2 to 4).
    Raises `ConfigError` where a number is missing, and for mixtures of experts.
    """
    numbers = dict(config.get("text_config") or config)
    missing = [name for name in NEEDED if not isinstance(numbers.get(name), int)]
    if missing:
        raise ConfigError(f"the model's config has no {', '.join(missing)}")
    if numbers.get("enable_moe_block") or numbers.get("num_experts"):
        raise ConfigError("the model is a mixture of experts, whose memory is not estimated")
    hidden = int(numbers["hidden_size"])
    count = int(numbers["num_hidden_layers"])
    each = int(numbers.get("hidden_size_per_layer_input") or 0)
    rows = int(numbers.get("vocab_size_per_layer_input") or 0) if each else 0
    return Shape(
        vocab=int(numbers["vocab_size"]),
        hidden=hidden,
        layers=tuple(_layer(numbers, index, each) for index in range(count)),
        tied=bool(config.get("tie_word_embeddings", numbers.get("tie_word_embeddings", True))),
        extra=((hidden, count * each),) if each else (),
        per_layer=(rows, count * each) if each else (0, 0),
    )


def shape_of(config: Any) -> Shape:
    """The shape of a model of transformers, by its config object. Raises `ConfigError`."""
    return shape(config.to_dict())


def _layer(numbers: Mapping[str, Any], index: int, per_layer: int) -> Layer:
    """Where the widths come from: transformers' modelling code for Qwen 3 and Gemma 4."""
    hidden = int(numbers["hidden_size"])
    heads = int(numbers["num_attention_heads"])
    kinds = numbers.get("layer_types") or ()
    kind = kinds[index] if index < len(kinds) else ""
    head_dim = int(numbers.get("head_dim") or hidden // heads)
    kv_heads = int(numbers.get("num_key_value_heads") or heads)
    own = _override(numbers, index)
    if kind == "full_attention":
        # What Gemma 4's config.json says, before transformers spreads it over `per_layer_config`.
        head_dim = int(numbers.get("global_head_dim") or head_dim)
        if numbers.get("attention_k_eq_v"):
            kv_heads = int(numbers.get("num_global_key_value_heads") or kv_heads)
    head_dim = int(own.get("head_dim", head_dim))
    kv_heads = int(own.get("num_key_value_heads", kv_heads))
    shared = index >= int(numbers["num_hidden_layers"]) - int(
        numbers.get("num_kv_shared_layers") or 0
    )
    ffn = int(numbers["intermediate_size"])
    if shared and numbers.get("use_double_wide_mlp"):
        ffn *= 2
    linears = [(hidden, heads * head_dim), (heads * head_dim, hidden)]
    linears += [(hidden, ffn), (hidden, ffn), (ffn, hidden)]
    if not shared:
        linears.append((hidden, kv_heads * head_dim))
        if not (numbers.get("attention_k_eq_v") and kind == "full_attention"):
            linears.append((hidden, kv_heads * head_dim))
    if per_layer:
        linears += [(hidden, per_layer), (per_layer, hidden)]
    return Layer(
        linears=tuple(linears),
        heads=heads,
        head_dim=head_dim,
        kv=0 if shared else 2 * kv_heads * head_dim,
        ffn=ffn,
        window=int(numbers.get("sliding_window") or 0) or None if kind == SLIDING else None,
    )


def _override(numbers: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    given = numbers.get("per_layer_config") or {}
    return given.get(str(index)) or given.get(index) or {}
