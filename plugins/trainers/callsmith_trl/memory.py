"""How much memory of a GPU a stage of training needs at its peak: arithmetic, nothing measured.

Pure: from the numbers of a model (`shapes.Shape`) and of a recipe. What is counted, and where it
comes from:

- Linear layers in NF4 take 4 bits per weight, a byte per 64 weights and, with double
  quantisation, 4 bytes per 256 of those (bitsandbytes). Embeddings and the head stay in bf16.
- Trainable weights of a 4-bit model are cast to bf16 (TRL 1.16), and so are their gradients.
- With gradient checkpointing the input of every layer is kept, and one layer at a time is run
  again with everything that its backward pass needs.
- The loss never holds all logits: TRL projects in tiles of 4,096 tokens x 32,768 words.
- Rows of the embedding that are trained through PEFT's `trainable_token_indices` cost a copy of
  the whole matrix, its gradient in float32 and that cast to bf16, all at once (PEFT 0.21 and
  TRL 1.16 as installed; see `row_gradients` for what avoids it).
- Attention is a kernel that holds no scores (`sdpa`); eager attention takes more.

Not counted: fragmentation of the allocator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from callsmith_trl.shapes import Layer, Shape

Method = Literal["sft", "dpo", "grpo"]

GIB = 1 << 30
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
NF4_SINGLE = 0.5 + 4 / 64
TILE = (4096, 32768)
"""Tokens and words of one tile of logits (TRL 1.16, `trl.kernels.chunked_logprob`)."""
CONTEXT = GIB // 2
"""What CUDA and its libraries take before the first tensor: a guess, it depends on the driver. A
cap on the process (`set_per_process_memory_fraction`) does not count it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is done with the model.

    `length` is prompt and completion together, in tokens; `batch` the rows of one backward pass
    (pairs for DPO, completions for GRPO). `group` and `new_tokens` are GRPO's: completions that
    are written at once, and their length, which is part of `length`. `lora_rank` 0 trains all
    weights. `token_rows` are rows of embedding and head that are trained. `dtype` and
    `adapter_dtype` are bytes per number.
    """

    method: Method = "sft"
    length: int = 2048
    batch: int = 1
    quantization: Literal["", "nf4"] = "nf4"
    double_quant: bool = True
    dtype: int = 2
    adapter_dtype: int = 2
    lora_rank: int = 16
    token_rows: int = 0
    narrow_rows: bool = False
    """Whether the gradient is made for the trained rows alone (`row_gradients`)."""
    optimizer: str = "paged_adamw_8bit"
    checkpointing: bool = True
    group: int = 1
    new_tokens: int = 0
    reference_adapter: bool = False
    """GRPO with a reference (`beta`) holds a copy of what the stage started from."""
    ple_on_cpu: bool = False
    context: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One share of the peak, in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The peak and what it is made of. `moment` is the step of training at which it comes."""

    parts: tuple[Part, ...]
    moment: str

    @property
    def size(self) -> int:
        """Bytes at the peak."""
        return sum(part.size for part in self.parts)

    @property
    def gib(self) -> float:
        """The peak in GiB."""
        return self.size / GIB

    def largest(self, count: int = 3) -> tuple[Part, ...]:
        """The largest parts, largest first."""
        return tuple(sorted(self.parts, key=lambda part: -part.size)[:count])

    def text(self, count: int = 3) -> str:
        """One line: the peak and its largest parts."""
        parts = ", ".join(f"{part.name} {part.size / GIB:.2f}" for part in self.largest(count))
        return f"about {self.gib:.1f} GiB at the peak ({self.moment}): {parts}"


def estimate(shape: Shape, recipe: Recipe) -> Estimate:
    """The peak memory of one step, on the device."""
    held = _resident(shape, recipe)
    moments = _moments(shape, recipe)
    moment, parts = max(moments.items(), key=lambda item: sum(part.size for part in item[1]))
    return Estimate(parts=tuple(part for part in (*held, *parts) if part.size > 0), moment=moment)


def resident(shape: Shape, recipe: Recipe) -> int:
    """Bytes that are held all the time: weights, adapter, gradients, optimizer."""
    return sum(part.size for part in _resident(shape, recipe))


def weights(shape: Shape, recipe: Recipe) -> int:
    """Bytes of the weights alone: what must be there before anything can be trained."""
    return sum(part.size for part in _weights(shape, recipe))


def trainable(shape: Shape, recipe: Recipe) -> int:
    """Weights that are trained."""
    if not recipe.lora_rank:
        return shape.parameters
    rows = recipe.token_rows * shape.hidden * (1 if shape.tied else 2)
    return shape.lora(recipe.lora_rank) + rows


def state_bytes(optimizer: str, dtype: int) -> float:
    """Bytes of an optimizer's state per trained weight, of `dtype` bytes."""
    name = optimizer.lower()
    if "8bit" in name:
        return 1.0 if "lion" in name else 2.0
    if "32bit" in name:
        return 4.0 if "lion" in name else 8.0
    if name in ("sgd", "adafactor"):
        return 0.0
    return 2.0 * dtype


def _weights(shape: Shape, recipe: Recipe) -> list[Part]:
    quantised = recipe.quantization and recipe.lora_rank
    each = (NF4 if recipe.double_quant else NF4_SINGLE) if quantised else recipe.dtype
    table = 0 if recipe.ple_on_cpu else shape.per_layer_weights * recipe.dtype
    return [
        Part(
            name="linear layers" + (" in NF4" if quantised else ""),
            size=round(shape.linear_weights * each),
        ),
        Part(name="embedding", size=shape.embedding_weights * recipe.dtype),
        Part(name="head", size=shape.head_weights * recipe.dtype),
        Part(name="per-layer embeddings", size=table),
    ]


def _resident(shape: Shape, recipe: Recipe) -> list[Part]:
    adapter_dtype = recipe.adapter_dtype if recipe.lora_rank else recipe.dtype
    count = trainable(shape, recipe)
    adapter = count * adapter_dtype if recipe.lora_rank else 0
    if recipe.reference_adapter:
        adapter *= 2
    return [
        *_weights(shape, recipe),
        Part(name="adapter", size=adapter),
        Part(name="gradients", size=count * adapter_dtype),
        Part(
            name=f"state of {recipe.optimizer}",
            size=round(count * state_bytes(recipe.optimizer, adapter_dtype)),
        ),
        Part(name="CUDA itself", size=CONTEXT if recipe.context else 0),
    ]


def _moments(shape: Shape, recipe: Recipe) -> dict[str, list[Part]]:
    """What is held beside the resident parts, by the step of training."""
    sequences = recipe.batch * (2 if recipe.method == "dpo" else 1)
    tokens = sequences * recipe.length
    scored = sequences * recipe.new_tokens if recipe.method == "grpo" else tokens
    if recipe.checkpointing:
        kept = len(shape.layers) * tokens * shape.hidden * recipe.dtype
    else:
        kept = tokens * sum(_backward(shape, layer, recipe) for layer in shape.layers)
    base = [
        Part(name="kept activations", size=kept),
        Part(name="per-layer inputs", size=_per_layer_inputs(shape, recipe, tokens)),
    ]
    layer = max(_backward(shape, layer, recipe) for layer in shape.layers) * tokens
    weight = max(a * b for a, b in shape.linears) * recipe.dtype
    moments = {
        "a layer's backward pass": [
            *base,
            Part(name="one layer's activations", size=layer if recipe.checkpointing else 0),
            Part(name="one weight, dequantised", size=weight if recipe.quantization else 0),
        ],
        "the head's backward pass": [*base, *_head(shape, recipe, scored)],
    }
    if recipe.method == "grpo":
        moments["generation"] = _generation(shape, recipe)
    return moments


def _head(shape: Shape, recipe: Recipe, scored: int) -> list[Part]:
    tile = min(scored, TILE[0]) * min(shape.vocab, TILE[1]) * recipe.dtype
    parts = [
        Part(name="a tile of logits", size=tile),
        Part(name="gradient of the last hidden state", size=scored * shape.hidden * 4),
    ]
    matrix = shape.embedding_weights
    if not recipe.lora_rank:
        parts.append(Part(name="head's gradient in float32", size=matrix * 4))
    elif recipe.token_rows and not recipe.narrow_rows:
        # The merged copy that autograd keeps, the float32 gradient, and its cast, all at once.
        parts.append(Part(name="trained rows", size=matrix * (2 * recipe.dtype + 4)))
    return parts


def _generation(shape: Shape, recipe: Recipe) -> list[Part]:
    cache = 0
    for layer in shape.layers:
        held = recipe.length if layer.window is None else min(recipe.length, layer.window)
        cache += recipe.group * held * layer.kv * recipe.dtype
    prompt = recipe.group * max(recipe.length - recipe.new_tokens, 0)
    widest = max(_forward(shape, layer, recipe) for layer in shape.layers)
    copy = shape.embedding_weights * recipe.dtype
    if not (recipe.lora_rank and recipe.token_rows) or recipe.narrow_rows:
        copy = 0
    return [
        Part(name="key-value cache", size=cache),
        Part(name="reading the prompts", size=prompt * widest),
        Part(name="per-layer inputs", size=_per_layer_inputs(shape, recipe, prompt)),
        Part(name="trained rows", size=copy),
    ]


def _per_layer_inputs(shape: Shape, recipe: Recipe, tokens: int) -> int:
    # Looked up, projected (and normed in float32) and their sum, each as wide as all layers.
    return tokens * shape.per_layer[1] * (4 * recipe.dtype + 8)


def _backward(shape: Shape, layer: Layer, recipe: Recipe) -> int:
    """Bytes per token that one layer's backward pass holds: what its forward pass saved, and
    gradients. The feed-forward block dominates: gate, activation, up and product are saved, and
    three of them have a gradient at the same time."""
    queries = layer.heads * layer.head_dim
    return recipe.dtype * (7 * layer.ffn + 8 * queries) + (4 * recipe.dtype + 8) * shape.hidden


def _forward(shape: Shape, layer: Layer, recipe: Recipe) -> int:
    """Bytes per token of one layer's forward pass without gradients."""
    queries = layer.heads * layer.head_dim
    widest = max(3 * layer.ffn, 4 * queries)
    return recipe.dtype * widest + (2 * recipe.dtype + 4) * shape.hidden
