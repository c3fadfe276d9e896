"""Two sets of verdicts on the same entries, compared pair by pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callsmith_bfcl.aggregate import Score, aggregate
from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.folder_report import group_names
from callsmith_bfcl.intervals import (
    Interval,
    McNemar,
    Verdicts,
    difference_intervals,
    holm,
    mcnemar,
)


@dataclass(frozen=True, slots=True)
class CategoryComparison:
    """One category over the entries that both have.

    `adjusted` is the mid-p value adjusted for the number of categories (Holm). `lost` and `gained`
    are the entries that only the first, and only the second, got right.
    """

    category: str
    first: Score
    second: Score
    test: McNemar
    adjusted: float
    interval: Interval
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    unpaired: int


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """One group of the official tables, over the entries that both have.

    `complete`: all of its categories are in both; a category that is not counts as 0 in both.
    """

    group: str
    first: float
    second: float
    interval: Interval
    complete: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of two models: categories, groups, and categories that only one has."""

    categories: tuple[CategoryComparison, ...]
    groups: tuple[GroupComparison, ...]
    unpaired_categories: tuple[str, ...]


def compare_verdicts(first: Mapping[str, Verdicts], second: Mapping[str, Verdicts]) -> Comparison:
    """The comparison of the verdicts by category of two models."""
    shared: dict[str, tuple[dict[str, bool], dict[str, bool]]] = {}
    for name in CATEGORIES:
        if name not in first or name not in second:
            continue
        both = [entry for entry in first[name] if entry in second[name]]
        if both:
            rows = {entry: first[name][entry] for entry in both}
            shared[name] = rows, {entry: second[name][entry] for entry in both}
    firsts = {name: rows for name, (rows, _) in shared.items()}
    seconds = {name: rows for name, (_, rows) in shared.items()}
    scores = [
        {name: Score(sum(rows.values()), len(rows)) for name, rows in side.items()}
        for side in (firsts, seconds)
    ]
    numbers = [aggregate(side) for side in scores]
    sizes = {name: numbers[0][name].total for name in CATEGORIES}
    intervals = difference_intervals(firsts, seconds, sizes)
    tests = {name: mcnemar(*rows) for name, rows in shared.items()}
    adjusted = dict(zip(tests, holm([test.mid_p for test in tests.values()]), strict=True))
    categories = tuple(
        CategoryComparison(
            category=name,
            first=scores[0][name],
            second=scores[1][name],
            test=tests[name],
            adjusted=adjusted[name],
            interval=intervals[name],
            lost=tuple(entry for entry in a if a[entry] and not b[entry]),
            gained=tuple(entry for entry in a if b[entry] and not a[entry]),
            unpaired=len(first[name].keys() ^ second[name].keys()),
        )
        for name, (a, b) in shared.items()
    )
    groups = tuple(
        GroupComparison(
            group=name,
            first=numbers[0][name].accuracy,
            second=numbers[1][name].accuracy,
            interval=intervals[name],
            complete=numbers[0][name].complete,
        )
        for name in group_names(numbers[0])
    )
    alone = tuple(name for name in CATEGORIES if name in first.keys() ^ second.keys())
    return Comparison(categories, groups, alone)


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON; accuracies, differences and p-values as numbers."""
    return {
        "categories": {
            item.category: {
                "pairs": item.test.pairs,
                "first": item.first.accuracy,
                "second": item.second.accuracy,
                "difference": item.second.accuracy - item.first.accuracy,
                "interval": [item.interval.low, item.interval.high],
                "only_first": list(item.lost),
                "only_second": list(item.gained),
                "p_exact": item.test.exact,
                "p_mid": item.test.mid_p,
                "p_mid_holm": item.adjusted,
                "unpaired": item.unpaired,
            }
            for item in comparison.categories
        },
        "groups": {
            item.group: {
                "first": item.first,
                "second": item.second,
                "difference": item.second - item.first,
                "interval": [item.interval.low, item.interval.high],
                "complete": item.complete,
            }
            for item in comparison.groups
        },
        "unpaired_categories": list(comparison.unpaired_categories),
    }
