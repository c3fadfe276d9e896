"""The order in which rows are seen: random, and batches of about one length. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

SPAN = 50
"""Batches within which rows are sorted: the order stays random on the whole."""


def length_order(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[int]:
    """The indices of rows in the order of one epoch.

    Rows are shuffled, sorted by length within stretches of `SPAN` batches, and the batches of a
    stretch are shuffled again. Decided by `seed` and `epoch` alone, so that a training that was
    killed in the middle of an epoch goes on with the rows that it had not seen.
    """
    random = Random(f"callsmith-trl {seed} {epoch}")
    order = list(range(len(lengths)))
    random.shuffle(order)
    found: list[int] = []
    for start in range(0, len(order), batch * SPAN):
        stretch = sorted(order[start : start + batch * SPAN], key=lambda index: -lengths[index])
        batches = [stretch[place : place + batch] for place in range(0, len(stretch), batch)]
        # A batch that is not full may only be the last one: a loader cuts by counting.
        last = batches.pop() if len(batches[-1]) < batch else []
        random.shuffle(batches)
        found += [index for one in batches for index in one] + last
    return found
