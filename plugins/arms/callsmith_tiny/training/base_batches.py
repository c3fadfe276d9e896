"""The batches that `tiny-base` learns from: drawn by seed and number, always the same ones."""

from __future__ import annotations

import random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .base_config import TinyBaseConfig
from .gemma_format import completion_text
from .generator import Example, Generator
from .mixes import base_mix_at, mix_at

POOL = 256
"""Conversations that are drawn at once, to be put into batches of about one length."""
SEED_OFFSET = 1_000_000
"""Set against the seeds of task sets, so that a base has not seen what a later stage trains on."""
Row = tuple[list[int], int]
"""Token ids of prompt and completion, and where the completion begins."""


def pool_batches(
    config: TinyBaseConfig, tokenizer: Tokenizer, seed: int, pool: int, progress: float
) -> list[list[Row]]:
    """Pool number `pool` in batches, in random order; `progress` in [0, 1] decides the mixture."""
    curriculum = mix_at if config.curriculum == "full" else base_mix_at
    mixes = curriculum(progress)
    dice = random.Random(f"{seed}/{pool}")
    generator = Generator("train", seed + SEED_OFFSET)
    rows = []
    for index in range(pool * POOL, (pool + 1) * POOL):
        mix = dice.choices([m for m, _ in mixes], [w for _, w in mixes])[0]
        row = encode(tokenizer, generator.example(index, mix))
        if len(row[0]) <= min(config.context, config.batch_tokens):
            rows.append(row)
    rows.sort(key=lambda row: len(row[0]))
    groups: list[list[Row]] = [[]]
    for row in rows:
        if (len(groups[-1]) + 1) * len(row[0]) > config.batch_tokens and groups[-1]:
            groups.append([])
        groups[-1].append(row)
    dice.shuffle(groups)
    return groups


def encode(tokenizer: Tokenizer, example: Example) -> Row:
    """An example as the template writes it: arguments sorted, the end mark last."""
    prompt = tokenizer.encode(example.prompt, add_special_tokens=False).ids
    text = completion_text(example.calls, example.answer, in_order=False)
    return prompt + tokenizer.encode(text, add_special_tokens=False).ids, len(prompt)


def collate(rows: list[Row]) -> tuple[Tensor, Tensor]:
    """Rows as one batch: ids, and a mask of 0 padding, 1 prompt, 2 completion."""
    length = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.int8)
    for at, (row, start) in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
        mask[at, 1:start] = 1
        mask[at, start : len(row)] = 2
    return ids, mask
