"""From verdicts per category to the official numbers: groups, and the Overall.

The groups are a tree of means. Each node says how its members are weighted and whether the
official tables show it although a member is missing; a missing category always counts as 0, with
the size that it has in the data set. Accuracies are in 0..1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from callsmith_bfcl.categories import CATEGORIES


@dataclass(frozen=True, slots=True)
class Score:
    """How many of `total` entries are right.

    `extra` are the further fields of the header of the category's score file.
    """

    correct: int
    total: int
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """The share of right entries; 0 of 0 is 0."""
        return self.correct / self.total if self.total else 0.0

    def header(self) -> dict[str, Any]:
        """The first line of the category's score file."""
        return {
            "accuracy": self.accuracy,
            "correct_count": self.correct,
            "total_count": self.total,
            **self.extra,
        }


@dataclass(frozen=True, slots=True)
class Node:
    """One group: the plain or the entry-weighted mean of its members, or one by fixed weights.

    `always_shown`: the official tables show the number even when a member is missing.
    """

    members: tuple[str, ...]
    rule: Literal["plain", "entries", "fixed"] = "plain"
    weights: tuple[float, ...] = ()
    always_shown: bool = False


GROUPS: Mapping[str, Node] = {
    "simple": Node(("simple_python", "simple_java", "simple_javascript")),
    "non_live": Node(("simple", "multiple", "parallel", "parallel_multiple"), always_shown=True),
    "live": Node(
        ("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple"),
        "entries",
        always_shown=True,
    ),
    "all_irrelevance": Node(("irrelevance", "live_irrelevance")),
    "multi_turn": Node(
        (
            "multi_turn_base",
            "multi_turn_miss_func",
            "multi_turn_miss_param",
            "multi_turn_long_context",
        ),
        always_shown=True,
    ),
    "web_search": Node(("web_search_base", "web_search_no_snippet")),
    "memory": Node(("memory_kv", "memory_vector", "memory_rec_sum")),
    "agentic": Node(("web_search", "memory"), always_shown=True),
    "overall": Node(
        ("non_live", "live", "all_irrelevance", "multi_turn", "agentic"),
        "fixed",
        (0.1, 0.1, 0.1, 0.3, 0.4),
        always_shown=True,
    ),
}
"""The groups; members before the groups that hold them."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number of the tables.

    `complete`: every category below it was scored. `shown`: the official tables show it, and not
    N/A. `total` is the number of entries behind it, missing categories included.
    """

    accuracy: float
    total: int
    complete: bool
    shown: bool


def aggregate(scores: Mapping[str, Score]) -> dict[str, Number]:
    """The number of every category and group of the tables, by name."""
    numbers: dict[str, Number] = {}
    for name, category in CATEGORIES.items():
        score = scores.get(name)
        if score is None:
            numbers[name] = Number(0.0, category.count, complete=False, shown=False)
        else:
            numbers[name] = Number(score.accuracy, score.total, complete=True, shown=True)
    for name, node in GROUPS.items():
        numbers[name] = _mean(node, [numbers[member] for member in node.members])
    return numbers


def _mean(node: Node, members: list[Number]) -> Number:
    # Sums are taken in the official order: two decimals are shown, and a tie would show.
    entries = sum(member.total for member in members)
    if node.rule == "plain":
        accuracy = sum(member.accuracy for member in members) / len(members)
    elif node.rule == "entries":
        accuracy = sum(member.accuracy * member.total for member in members) / max(1, entries)
    else:
        accuracy = 0.0
        for member, weight in zip(members, node.weights, strict=True):
            accuracy += member.accuracy * weight
    complete = all(member.complete for member in members)
    # Inside `agentic`, `web_search` with a missing member counts as not shown, and so on up.
    shown = node.always_shown or all(member.shown for member in members)
    return Number(accuracy, entries, complete, shown)


def category_weights(group: str, sizes: Mapping[str, int]) -> dict[str, float]:
    """How much each category's accuracy counts in a group (or in itself): weights that sum to 1.

    `sizes` are the numbers of entries of the categories, missing ones included.
    """
    node = GROUPS.get(group)
    if node is None:
        return {group: 1.0}
    shares: Iterable[float]
    if node.rule == "plain":
        shares = [1 / len(node.members)] * len(node.members)
    elif node.rule == "entries":
        entries = sum(sizes[member] for member in node.members)
        shares = [sizes[member] / max(1, entries) for member in node.members]
    else:
        shares = node.weights
    weights: dict[str, float] = defaultdict(float)
    for member, share in zip(node.members, shares, strict=True):
        for category, weight in category_weights(member, sizes).items():
            weights[category] += share * weight
    return dict(weights)


def format_statistics(verdicts: Iterable[tuple[str, bool]]) -> dict[str, Any]:
    """The further header fields of format sensitivity, from (configuration, valid) pairs.

    Largest difference and sample deviation are in points, the variance in squared points, each
    rounded to two decimals; then the accuracy of each configuration, in the order of appearance.
    """
    counts: dict[str, tuple[int, int]] = {}
    for configuration, valid in verdicts:
        right, total = counts.get(configuration, (0, 0))
        counts[configuration] = right + valid, total + 1
    by_configuration = {
        name: Score(right, total).header() for name, (right, total) in counts.items()
    }
    rates = [item["accuracy"] for item in by_configuration.values()]
    spread = {"accuracy_max_delta": 0.0, "accuracy_variance": 0.0, "accuracy_std": 0.0}
    if len(rates) > 1:
        from statistics import stdev, variance

        spread = {
            "accuracy_max_delta": round((max(rates) - min(rates)) * 100, 2),
            "accuracy_variance": round(variance(rates) * 100**2, 2),
            "accuracy_std": round(stdev(rates) * 100, 2),
        }
    return {**spread, **by_configuration}
