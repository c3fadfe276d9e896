"""Reads the prompts of a batch, without reading anything twice and with little padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from callsmith_hf.network import Network

PLAIN = {"DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer"}
"""The layers of transformers' own cache that keep keys and values, or nothing."""
STEP = 64
"""Columns, at least, between rows that join: for every piece the cache is copied."""
LEAST = 256
"""Tokens of padding that a further piece must save to be worth a forward pass of its own."""


def joining_padding(cache: Any) -> int | None:
    """How much padding a row needs that is put into this cache beside rows that are there already.

    The place of the new row has something in its columns before: a copy of another row's. A mask
    hides it from attention, and keys and values alone need no padding: 0. A state that sums up all
    that was read would keep it: None, no row can join. A cache of another kind may say itself by an
    attribute `joining_padding` how many tokens of padding wipe out what is there besides.
    """
    said = getattr(cache, "joining_padding", None)
    if said is not None:
        return int(said)
    # By their very names: layers with a state besides the keys and values are derived from these.
    plain = type(cache).__name__ == "DynamicCache" and all(
        type(layer).__name__ in PLAIN for layer in cache.layers
    )
    return 0 if plain else None


def padding_of(model: Any, device: str) -> int | None:
    """`joining_padding` of a model's cache; of which kind it is shows when a token was read."""
    one = torch.ones((1, 1), dtype=torch.long, device=device)
    with torch.inference_mode():
        output = model(input_ids=one, attention_mask=one, use_cache=True)
    return joining_padding(output.past_key_values)


def read(
    network: Network, prompts: Sequence[Sequence[int]]
) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """The logits after each prompt [rows, vocabulary], the mask [rows, columns], the cache.

    Prompts are padded on the left. Equal ones are read once. A shorter one joins the batch when
    its beginning is near, so that the columns before are computed for the longer ones alone.
    """
    distinct = sorted({tuple(prompt) for prompt in prompts}, key=lambda one: (-len(one), one))
    lengths = [len(one) for one in distinct]
    longest = lengths[0]
    ids = torch.tensor(
        [[network.pad] * (longest - len(one)) + list(one) for one in distinct],
        device=network.device,
    )
    mask = torch.tensor(
        [[0] * (longest - length) + [1] * length for length in lengths], device=ids.device
    )
    positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
    cache: Any = None
    begun = 0
    parts = [(0, len(lengths))]
    if network.joining_padding is not None:
        parts = pieces(lengths, network.joining_padding)
    ends = [first for first, _ in parts[1:]] + [longest]
    for (first, rows), end in zip(parts, ends, strict=True):
        if 0 < begun < rows:
            cache.batch_select_indices(
                torch.tensor([*range(begun), *[0] * (rows - begun)], device=ids.device)
            )
        logits, cache = network.forward(
            ids[:rows, first:end], mask[:rows, :end], positions[:rows, first:end], cache
        )
        begun = rows
    place = {one: index for index, one in enumerate(distinct)}
    order = [place[tuple(prompt)] for prompt in prompts]
    if order != [*range(len(distinct))]:
        picked = torch.tensor(order, device=ids.device)
        cache.batch_select_indices(picked)
        logits, mask = logits[picked], mask[picked]
    return logits, mask, cache


def pieces(lengths: Sequence[int], padding: int) -> list[tuple[int, int]]:
    """In which pieces prompts of these lengths, longest first, are read.

    Each is its first column and how many of the rows it has; the last has all. A row that joins
    has so much `padding`, at least, and its first token in the piece that it joins with: a row of
    padding alone looks to some models like one without any.
    """
    starts = [lengths[0] - length for length in lengths]
    joins = [max(0, start - padding) for start in starts]
    found: list[tuple[int, int]] = []
    rows = 0
    while rows < len(joins):
        first = joins[rows]
        rows += 1
        while rows < len(joins) and (
            joins[rows] < first + STEP
            or (joins[rows] - first) * (len(joins) - rows) < LEAST
            or joins[rows] <= starts[rows - 1]
        ):
            rows += 1
        found.append((first, rows))
    return found
