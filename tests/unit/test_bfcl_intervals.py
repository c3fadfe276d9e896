"""Intervals and paired tests: against exact values, brute force and simulation."""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import callsmith
from callsmith_bfcl.aggregate import GROUPS
from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.intervals import (
    Verdicts,
    category_intervals,
    difference_intervals,
    group_intervals,
    holm,
    mcnemar,
    source_of,
)
from callsmith_bfcl.wilson import wilson_interval

SIZES = {name: category.count for name, category in CATEGORIES.items()}
MULTI_TURN = GROUPS["multi_turn"].members


def verdicts(category: str, right: int, total: int) -> dict[str, bool]:
    return {f"{category}_{number}": number < right for number in range(total)}


def pairs(only_first: int, only_second: int, both: int = 0) -> tuple[Verdicts, Verdicts]:
    rows = [(True, False)] * only_first + [(False, True)] * only_second + [(True, True)] * both
    first = {str(number): row[0] for number, row in enumerate(rows)}
    return first, {str(number): row[1] for number, row in enumerate(rows)}


def test_a_category_has_a_wilson_interval() -> None:
    found = category_intervals({"multiple": verdicts("multiple", 8, 10), "parallel": {}})
    # 8 of 10: Newcombe, Two-sided confidence intervals for the single proportion (1998).
    assert found["multiple"].low == pytest.approx(0.4902, abs=1e-4)
    assert found["multiple"].high == pytest.approx(0.9433, abs=1e-4)
    assert set(found) == {"multiple"}


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_wilson_interval_is_the_framework_s(right: int, more: int) -> None:
    ours = wilson_interval(right, right + more)
    assert ours == pytest.approx(callsmith.wilson_interval(right, right + more), abs=1e-12)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_the_interval_is_that_of_a_great_many_draws(share: float) -> None:
    chance = random.Random(int(100 * share))
    names = ("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple", *MULTI_TURN)
    rows = {
        name: {f"{name}_{n}": chance.random() < share for n in range(SIZES[name])} for name in names
    }
    found = group_intervals(rows, SIZES)
    generator = numpy.random.default_rng(3)
    live = numpy.concatenate([list(rows[name].values()) for name in names[:4]])
    scenarios = numpy.mean([list(rows[name].values()) for name in MULTI_TURN], axis=0)
    # Entries of a category are drawn from that category; scenarios with their four variants.
    parts = [numpy.array(list(rows[name].values())) for name in names[:4]]
    drawn = {
        "live": sum(generator.binomial(len(p), p.mean(), 40_000) for p in parts) / len(live),
        "multi_turn": generator.choice(scenarios, (40_000, 200)).mean(axis=1),
    }
    for name, draws in drawn.items():
        low, high = numpy.quantile(draws, (0.025, 0.975))
        assert found[name].low == pytest.approx(low, abs=0.0025)
        assert found[name].high == pytest.approx(high, abs=0.0025)


def test_an_entry_weighted_mean_is_as_sure_as_its_entries_together() -> None:
    sizes = {"live_simple": 258, "live_multiple": 1053, "live_parallel": 16}
    sizes["live_parallel_multiple"] = 24
    rows = {name: verdicts(name, size // 2, size) for name, size in sizes.items()}
    found = group_intervals(rows, SIZES)["live"]
    # 1.96 standard errors of a half of 1,351 on each side.
    assert found.low == pytest.approx(0.5 - 1.96 * (0.25 / 1351) ** 0.5, abs=0.002)
    assert found.high == pytest.approx(0.5 + 1.96 * (0.25 / 1351) ** 0.5, abs=0.002)


def test_variants_of_one_question_are_not_independent() -> None:
    # Four variants of each scenario that are right or wrong together: no surer than one variant.
    together = {name: verdicts(name, 100, 200) for name in MULTI_TURN}
    wide = group_intervals(together, SIZES)["multi_turn"]
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * (0.25 / 200) ** 0.5, abs=0.004)
    # Right and wrong in turns, so that each scenario has two of four: no variation at all.
    opposite = dict(together)
    for name in MULTI_TURN[:2]:
        opposite[name] = {entry: not valid for entry, valid in together[name].items()}
    narrow = group_intervals(opposite, SIZES)["multi_turn"]
    assert narrow.high - narrow.low < 1e-9


def test_the_bootstrap_covers_the_truth() -> None:
    # Fixed seeds: the share of intervals that hold the truth is a constant of this test.
    chance = random.Random(5)
    covered = 0
    for _ in range(200):
        scenario = [chance.random() < 0.6 for _ in range(200)]
        rows = {
            name: {
                f"{name}_{n}": right if chance.random() < 0.7 else chance.random() < 0.6
                for n, right in enumerate(scenario)
            }
            for name in MULTI_TURN
        }
        interval = group_intervals(rows, SIZES)["multi_turn"]
        covered += interval.low <= 0.6 <= interval.high
    assert covered >= 182  # 95 % of 200 less two standard deviations and a bit


def test_a_category_where_all_is_right_is_not_certain() -> None:
    rows = {"web_search_base": verdicts("web_search_base", 100, 100)}
    rows["web_search_no_snippet"] = verdicts("web_search_no_snippet", 100, 100)
    found = group_intervals(rows, SIZES)["web_search"]
    assert found.high == 1.0
    assert 0.95 < found.low < 0.99


def test_a_missing_category_counts_as_0_and_adds_no_doubt() -> None:
    found = group_intervals({"multiple": verdicts("multiple", 100, 200)}, SIZES)
    assert found["non_live"].low == pytest.approx(0.125 - 0.25 * 0.069, abs=0.003)
    assert found["non_live"].high == pytest.approx(0.125 + 0.25 * 0.069, abs=0.003)
    assert "live" not in found


def test_format_sensitivity_draws_whole_questions() -> None:
    rows = {
        f"format_sensitivity_{q * 26 + c}:config{c}:multiple_{q}": q < 100
        for q in range(200)
        for c in range(26)
    }
    found = group_intervals({"format_sensitivity": rows}, SIZES)["format_sensitivity"]
    assert found.high - found.low == pytest.approx(2 * 0.0693, abs=0.005)
    assert category_intervals({"format_sensitivity": rows}) == {}


def test_what_variants_share() -> None:
    assert source_of("multi_turn_base", "multi_turn_base_7") == source_of(
        "multi_turn_miss_func", "multi_turn_miss_func_7"
    )
    assert source_of("memory_kv", "memory_kv_1-student-0") == "_1-student-0"
    assert source_of("multiple", "multiple_7") == "multiple_7"


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 3))
def test_mcnemar_is_the_binomial_test_of_the_discordant_pairs(b: int, c: int, both: int) -> None:
    found = mcnemar(*pairs(b, c, both))
    size = b + c
    density = [Fraction(comb(size, k), 2**size) for k in range(size + 1)]
    # Two-sided by symmetry: all tables at least as far from the middle as this one.
    as_far = [p for k, p in enumerate(density) if abs(2 * k - size) >= abs(b - c)]
    here = sum(p for k, p in enumerate(density) if abs(2 * k - size) == abs(b - c))
    assert found.exact == pytest.approx(float(sum(as_far)))
    if size:
        assert found.mid_p == pytest.approx(float(sum(as_far) - here / 2))
    assert (found.pairs, found.only_first, found.only_second) == (size + both, b, c)


def test_mcnemar_of_a_published_table() -> None:
    # Fagerland, Lydersen and Laake (2013), table 2: airway hyper-responsiveness, 1 and 7 pairs.
    found = mcnemar(*pairs(1, 7, 13))
    assert found.exact == pytest.approx(0.0703, abs=5e-5)
    assert found.mid_p == pytest.approx(0.0391, abs=5e-5)


def test_mcnemar_without_a_difference_and_with_thousands() -> None:
    assert mcnemar(*pairs(0, 0, 5)).mid_p == 1.0
    many = mcnemar(*pairs(2000, 2200))
    assert 0.001 < many.mid_p < many.exact < 0.003
    assert mcnemar(*pairs(0, 2000)).exact < 1e-300


def test_only_entries_of_both_are_paired() -> None:
    found = mcnemar({"a": True, "b": True}, {"b": False, "c": True})
    assert (found.pairs, found.only_first, found.only_second) == (1, 1, 0)


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1)))
def test_holm_keeps_the_order_and_lies_between_raw_and_bonferroni(values: list[float]) -> None:
    adjusted = holm(values)
    for raw, value in zip(values, adjusted, strict=True):
        assert raw <= value <= min(1.0, raw * len(values)) + 1e-12
    order = sorted(range(len(values)), key=lambda index: values[index])
    assert [adjusted[index] for index in order] == sorted(adjusted)


def test_a_difference_is_paired() -> None:
    first = {"multiple": verdicts("multiple", 100, 200)}
    # The same but for five more: far surer than two independent runs would be.
    second = {"multiple": verdicts("multiple", 105, 200)}
    found = difference_intervals(first, second, SIZES)
    assert found["multiple"].low > 0
    assert found["multiple"].high < 0.06
    assert found["non_live"].low == pytest.approx(found["multiple"].low / 4, abs=0.002)


def test_no_difference_is_not_certain_either() -> None:
    rows = {"live_parallel": verdicts("live_parallel", 8, 16)}
    found = difference_intervals(rows, rows, SIZES)["live_parallel"]
    assert found.low == pytest.approx(-found.high)
    assert 0.1 < found.high < 0.3


def test_only_shared_entries_and_categories_are_compared() -> None:
    first = {"multiple": {"multiple_0": True, "multiple_1": True}, "parallel": {"parallel_0": True}}
    second = {"multiple": {"multiple_1": False}}
    found = difference_intervals(first, second, SIZES)
    assert found["multiple"].low == -1.0
    assert "parallel" not in found
