"""The order of rows: every row once, full batches but the last, about one length together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callsmith_trl.ordering import length_order


@given(
    lengths=st.lists(st.integers(1, 50), max_size=200),
    batch=st.integers(1, 9),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_every_row_is_seen_once_and_the_order_repeats(
    lengths: list[int], batch: int, seed: int, epoch: int
) -> None:
    order = length_order(lengths, batch, seed, epoch)
    assert sorted(order) == list(range(len(lengths)))
    assert order == length_order(lengths, batch, seed, epoch)


def test_epochs_and_seeds_differ() -> None:
    lengths = list(range(100))
    orders = [length_order(lengths, 4, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4


def test_batches_waste_little_padding_and_come_mixed() -> None:
    lengths = [(index * 37) % 100 + 1 for index in range(400)]
    order = length_order(lengths, 8, 0, 0)
    batches = [order[place : place + 8] for place in range(0, len(order), 8)]
    padded = sum(8 * max(lengths[index] for index in batch) for batch in batches)
    assert padded < 1.05 * sum(lengths)
    firsts = [lengths[batch[0]] for batch in batches]
    assert firsts != sorted(firsts)
    assert firsts != sorted(firsts, reverse=True)
