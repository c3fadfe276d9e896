"""From verdicts per category to the official numbers and tables."""

from __future__ import annotations

import math

import pytest

from callsmith_bfcl.aggregate import (
    GROUPS,
    Score,
    aggregate,
    category_weights,
    format_statistics,
)
from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.costs import Price, Usage, cost_and_latency
from callsmith_bfcl.leaderboard import ModelCard, Standing, write_tables

SIZES = {name: category.count for name, category in CATEGORIES.items()}


def scores(**right: int) -> dict[str, Score]:
    return {name: Score(count, SIZES[name]) for name, count in right.items()}


def test_a_score_and_its_header() -> None:
    score = Score(3, 8, {"accuracy_std": 1.5})
    assert score.accuracy == 0.375
    assert list(score.header().items()) == [
        *(("accuracy", 0.375), ("correct_count", 3), ("total_count", 8), ("accuracy_std", 1.5)),
    ]
    assert Score(0, 0).accuracy == 0.0


def test_simple_is_a_plain_mean_and_live_an_entry_weighted_one() -> None:
    numbers = aggregate(
        scores(simple_python=400, simple_java=50, simple_javascript=0)
        | scores(live_simple=258, live_multiple=0, live_parallel=0, live_parallel_multiple=0)
    )
    assert numbers["simple"].accuracy == pytest.approx(0.5)
    assert numbers["live"].accuracy == pytest.approx(258 / 1351)
    assert numbers["live"].total == 1351


def test_the_overall_weighs_its_five_parts() -> None:
    single = [name for name in CATEGORIES if CATEGORIES[name].checker == "ast"]
    parts = {
        "non_live": [name for name in single if CATEGORIES[name].group == "non_live"],
        "live": [name for name in single if CATEGORIES[name].group == "live"],
        "irrelevance": ["irrelevance", "live_irrelevance"],
        "multi_turn": [name for name in CATEGORIES if name.startswith("multi_turn")],
        "agentic": [name for name in CATEGORIES if CATEGORIES[name].kind == "agentic"],
    }
    found = {
        part: aggregate({name: Score(SIZES[name], SIZES[name]) for name in names})["overall"]
        for part, names in parts.items()
    }
    accuracies = {part: round(number.accuracy, 9) for part, number in found.items()}
    assert accuracies == {
        "non_live": 0.1, "live": 0.1, "irrelevance": 0.1, "multi_turn": 0.3, "agentic": 0.4
    }  # fmt: skip


def test_relevance_and_format_sensitivity_are_not_in_the_overall() -> None:
    numbers = aggregate(scores(live_relevance=16, format_sensitivity=5200))
    assert numbers["overall"].accuracy == 0.0
    assert numbers["live_relevance"].accuracy == 1.0


def test_a_missing_category_counts_as_0_with_its_full_size() -> None:
    numbers = aggregate(scores(live_parallel=8))
    assert numbers["live"].accuracy == pytest.approx(8 / 1351)
    assert not numbers["live_simple"].shown
    assert numbers["live"].shown
    assert not numbers["live"].complete


def test_a_partial_category_weighs_what_it_has() -> None:
    numbers = aggregate({"live_parallel": Score(6, 11)})
    assert numbers["live"].accuracy == pytest.approx(6 / (258 + 1053 + 11 + 24))


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_the_weighted_sum_of_its_categories(group: str) -> None:
    given = {
        name: Score(position % (size + 1), size)
        for position, (name, size) in enumerate(SIZES.items(), 7)
    }
    numbers = aggregate(given)
    weights = category_weights(group, SIZES)
    assert math.fsum(weights.values()) == pytest.approx(1)
    by_weights = math.fsum(weights[name] * given[name].accuracy for name in weights)
    assert numbers[group].accuracy == pytest.approx(by_weights)


def test_format_statistics() -> None:
    verdicts = [("a", True), ("b", False), ("a", False), ("b", False), ("c", True)]
    assert format_statistics(verdicts) == {
        "accuracy_max_delta": 100.0,
        "accuracy_variance": 2500.0,
        "accuracy_std": 50.0,
        "a": {"accuracy": 0.5, "correct_count": 1, "total_count": 2},
        "b": {"accuracy": 0.0, "correct_count": 0, "total_count": 2},
        "c": {"accuracy": 1.0, "correct_count": 1, "total_count": 1},
    }
    assert format_statistics([("a", True)])["accuracy_std"] == 0.0


def test_usage_takes_plain_and_nested_numbers_and_drops_zeros() -> None:
    usage = Usage()
    usage.add({"latency": 1.5, "input_token_count": 10, "output_token_count": 0})
    usage.add({"latency": [[1, 0], [2.5]], "input_token_count": [[3], []], "result": "x"})
    usage.add({"latency": ["fast"], "input_token_count": [1, 2], "output_token_count": "many"})
    assert usage == Usage(input_tokens=[10, 3], output_tokens=[], seconds=[1.5, 1, 2.5])


def test_what_is_no_count_spoils_no_cost() -> None:
    # NaN and Infinity are JSON to Python, and so is an integer of 4,000 digits.
    usage = Usage()
    spoilt = (float("nan"), float("inf"), -float("inf"), 10**4000, -(10**400), 1e200)
    for value in (*spoilt, 3):
        usage.add({"latency": value, "input_token_count": value, "output_token_count": [[value]]})
    assert usage == Usage([3], [3], [3])
    assert cost_and_latency(usage, Price(1, 1)).dollars == 0.0


def test_cost_by_tokens_or_by_time() -> None:
    usage = Usage([1_000_000], [500_000], [3600.0, 36000.0])
    found = cost_and_latency(usage, Price(2.5, 10))
    assert found.dollars == 7.5
    # Eleven hours of a machine at 23.92 dollars that serves 100 requests at once.
    assert cost_and_latency(usage, Price()).dollars == 2.63
    assert cost_and_latency(Usage([], [], [1.0]), Price(1, 1)).dollars is None
    assert cost_and_latency(Usage(), Price()).mean is None


def test_latency_is_mean_sample_deviation_and_95th_percentile() -> None:
    found = cost_and_latency(Usage(seconds=[float(n) for n in range(1, 22)]), Price())
    assert (found.mean, found.deviation, found.percentile_95) == (11.0, 6.2, 20.0)
    # Between two values.
    assert cost_and_latency(Usage(seconds=[0.0, 1.0]), Price()).percentile_95 == 0.95


def test_a_single_latency_has_no_deviation() -> None:
    found = cost_and_latency(Usage(seconds=[2.0]), Price())
    assert (found.mean, found.deviation, found.percentile_95) == (2.0, None, 2.0)


def table(text: str) -> list[dict[str, str]]:
    header, *rows = [line.split(",") for line in text.split("\n")]
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_tables_show_na_where_a_member_is_missing() -> None:
    standing = Standing(ModelCard("M"), scores(simple_python=200, live_parallel=8))
    tables = {name: table(text)[0] for name, text in write_tables([standing]).items()}
    assert tables["data_non_live.csv"] == {
        "Rank": "1", "Model": "M", "Non-Live Overall Acc": "4.17%", "AST Summary": "N/A",
        "Simple AST": "N/A", "Python Simple AST": "50.00%", "Java Simple AST": "N/A",
        "JavaScript Simple AST": "N/A", "Multiple AST": "N/A", "Parallel AST": "N/A",
        "Parallel Multiple AST": "N/A", "Irrelevance Detection": "N/A",
    }  # fmt: skip
    assert tables["data_live.csv"]["Live Overall Acc"] == "0.59%"
    overall = tables["data_overall.csv"]
    assert (overall["Overall Acc"], overall["Live Acc"]) == ("0.48%", "0.59%")
    assert (overall["Non-Live AST Acc"], overall["Web Search Acc"]) == ("N/A", "N/A")
    assert (overall["Multi Turn Acc"], overall["Total Cost ($)"]) == ("0.00%", "N/A")
    assert (overall["Model Link"], overall["Organization"]) == ("N/A", "N/A")
    assert tables["data_agentic.csv"]["Agentic Overall Acc"] == "0.00%"
    assert tables["data_format_sensitivity.csv"]["Format Sensitivity Max Delta"] == "N/A"


def test_each_table_is_ranked_by_its_own_number() -> None:
    low = Standing(ModelCard("low"), scores(live_simple=1, multi_turn_base=200))
    high = Standing(ModelCard("high"), scores(live_simple=200, multi_turn_base=100))
    tables = write_tables([low, high])
    assert [row["Model"] for row in table(tables["data_live.csv"])] == ["high", "low"]
    assert [row["Model"] for row in table(tables["data_multi_turn.csv"])] == ["low", "high"]
    assert [row["Rank"] for row in table(tables["data_overall.csv"])] == ["1", "2"]


def test_models_without_format_sensitivity_come_last_in_its_table() -> None:
    extra = format_statistics([("a", True), ("b", True)])
    known = Standing(ModelCard("known"), {"format_sensitivity": Score(2, 2, extra)})
    tables = write_tables([Standing(ModelCard("unknown"), {}), known])
    rows = table(tables["data_format_sensitivity.csv"])
    assert [row["Model"] for row in rows] == ["known", "unknown"]
    assert rows[0]["Format Sensitivity Max Delta"] == "0.0"
