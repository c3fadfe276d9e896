"""Drawing a token: what may be drawn, how often, and that rows do not see each other."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import Sampling
from hf_suite.models import need_libraries

pytestmark = pytest.mark.hf
need_libraries()

PROBABILITIES = (0.4, 0.3, 0.15, 0.1, 0.05)


def choose(rows: list[list[float]], samplings: list[Sampling], sources: Any = None) -> Any:
    import torch

    from callsmith_hf.sampler import Source
    from callsmith_hf.sampler import choose as real

    sources = sources or [Source(sampling) for sampling in samplings]
    return real(torch.tensor(rows), samplings, sources)


def drawn(count: int, **options: Any) -> Counter[int]:
    from callsmith_hf.sampler import Source

    sampling = Sampling(**{"temperature": 1.0, "seed": 5, **options})
    source, logits = Source(sampling), [[math.log(p) for p in PROBABILITIES]]
    return Counter(choose(logits, [sampling], [source])[0][0] for _ in range(count))


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, PROBABILITIES),
        ({"top_k": 2}, (4 / 7, 3 / 7)),
        ({"top_k": 99}, PROBABILITIES),
        ({"top_p": 0.7}, (4 / 7, 3 / 7)),
        ({"top_p": 0.71}, (40 / 85, 30 / 85, 15 / 85)),
        ({"top_p": 1e-9}, (1.0,)),
        # top_k first: of what it leaves, the first two have 0.7 / 0.85.
        ({"top_k": 3, "top_p": 0.8}, (4 / 7, 3 / 7)),
        ({"temperature": 0.5}, tuple(p * p / 0.285 for p in PROBABILITIES)),
        ({"temperature": 1e-9}, (1.0,)),
        ({"temperature": 1e9}, (0.2,) * 5),
    ],
    ids=["all", "k", "large-k", "p", "p-above", "p-tiny", "both", "cool", "cold", "hot"],
)
def test_how_often(options: dict[str, Any], wanted: tuple[float, ...]) -> None:
    count = 1500
    found = drawn(count, **options)
    assert set(found) <= set(range(len(wanted)))
    for token, share in enumerate(wanted):
        # Five standard deviations; the seed is fixed, so this never changes.
        margin = 5 * math.sqrt(share * (1 - share) / count) + 1e-9
        assert abs(found[token] / count - share) <= margin


@given(
    st.lists(
        st.lists(st.floats(-30, 30, width=32), min_size=6, max_size=6), min_size=1, max_size=4
    ),
    st.integers(-(2**63), 2**63),
    st.sampled_from([0.0, 0.3, 1.0, 4.0]),
    st.integers(0, 8),
    st.floats(0.05, 1),
)
def test_a_row_is_drawn_as_if_it_were_alone(
    rows: list[list[float]], seed: int, temperature: float, top_k: int, top_p: float
) -> None:
    samplings = [
        Sampling(seed=seed + index, temperature=temperature, top_k=top_k, top_p=top_p)
        for index in range(len(rows))
    ]
    numbers, logprobs = choose(rows, samplings)
    for index, (row, sampling) in enumerate(zip(rows, samplings, strict=True)):
        (number,), (logprob,) = choose([row], [sampling])
        assert numbers[index] == number
        assert logprobs[index] == pytest.approx(logprob, abs=1e-5)
        total = math.log(sum(math.exp(value - max(row)) for value in row)) + max(row)
        assert logprob == pytest.approx(min(0.0, row[number] - total), abs=1e-4)
        if top_k:
            assert row[number] >= sorted(row, reverse=True)[min(top_k, len(row)) - 1]


def test_seeds_differ_also_by_their_sign() -> None:
    from callsmith_hf.sampler import Source

    first = {Source(Sampling(seed=seed)).next() for seed in (-2, -1, 0, 1, 2)}
    assert len(first) == 5


def test_a_token_without_probability_is_never_drawn() -> None:
    class Highest:
        def next(self) -> float:
            return 1 - 2**-53

    rows = [[0.0, 1.0, -math.inf, -math.inf]]
    for options in ({}, {"top_p": 0.999999}, {"top_k": 3}):
        sampling = Sampling(temperature=1.0, **options)  # type: ignore[arg-type]
        assert choose(rows, [sampling], [Highest()])[0][0] in (0, 1)


def test_logits_that_are_not_numbers_are_seen() -> None:
    for options in ({}, {"temperature": 1.0}, {"temperature": 1.0, "top_p": 0.5}):
        _, (logprob,) = choose([[math.nan, 1.0]], [Sampling(**options)])
        assert math.isnan(logprob)


def test_a_temperature_too_small_for_float32_is_nearly_greedy() -> None:
    assert choose([[0.5, 1.0, 0.75]], [Sampling(temperature=1e-60)])[0] == [1]


def test_rows_of_all_kinds_beside_each_other() -> None:
    """Greedy, drawn, cut by k and by p, in one batch: each as if it were alone."""
    rows = [[math.log(p) for p in PROBABILITIES]] * 40
    kinds: list[dict[str, Any]] = [
        {}, {"temperature": 1.0}, {"temperature": 0.7, "top_k": 3},
        {"temperature": 1.3, "top_p": 0.8}, {"temperature": 1.0, "top_k": 3, "top_p": 0.6},
        {"temperature": 1.0, "top_k": 4},
    ]  # fmt: skip
    samplings = [Sampling(seed=seed, **kinds[seed % len(kinds)]) for seed in range(len(rows))]
    together = choose(rows, samplings)[0]
    alone = [choose([row], [one])[0][0] for row, one in zip(rows, samplings, strict=True)]
    assert together == alone
    assert len(set(together)) > 2
