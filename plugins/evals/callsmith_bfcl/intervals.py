"""How sure the numbers are: intervals of categories and groups, and paired tests of two folders.

Intervals are at 95 %. A category has a Wilson interval. A group (an entry-weighted or plain mean
of categories) has a bootstrap interval: questions are drawn again with replacement, category by
category, and the group's number is computed from each draw. The multi-turn categories ask one set
of scenarios in four ways, memory and web search one set of questions on several backends; there a
question is drawn with all its variants, so that what they share is not counted as independent.

Nothing is drawn by chance for that. The number of a draw is a weighted sum of independent draws of
one question each, whose cumulants are known and add up; the percentiles of all possible draws are
computed from the first four by the Cornish-Fisher expansion (P. Hall, The Bootstrap and Edgeworth
Expansion, 1992, chapter 2). So the same verdicts have the same intervals, without a seed.

A category in which everything is right, or everything wrong, does not vary in any draw, though
it is no more certain than others. Its Wilson interval is added in quadrature (the MOVER method:
G. Y. Zou and A. Donner, Construction of confidence limits about effect measures, Statistics in
Medicine 27, 2008). A category without any results counts as 0 and is certain, as that is a
convention and not a measurement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from callsmith_bfcl.aggregate import GROUPS, category_weights
from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.wilson import wilson_interval

_Z = 1.959963984540054
"""The standard normal distribution's 97.5th percentile."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval of a share, or of a difference of shares."""

    low: float
    high: float


Verdicts = Mapping[str, bool]
"""Entry id -> whether it is right."""


def source_of(category: str, entry_id: str) -> str:
    """What an entry shares with its variants in other categories of its group; else itself.

    `multi_turn_base_7` and `multi_turn_miss_func_7` are variants of one scenario, and format
    sensitivity asks each of its 200 questions in 26 ways.
    """
    kind = CATEGORIES[category].kind
    if kind in ("multi_turn", "agentic"):
        return entry_id.removeprefix(category)
    if kind == "format_sensitivity":
        return entry_id.rpartition(":")[2]
    return entry_id


def _stratum_of(category: str) -> str:
    """Categories that ask the same questions are drawn together."""
    for group in ("multi_turn", "memory", "web_search"):
        if category in GROUPS[group].members:
            return group
    return category


def category_intervals(verdicts: Mapping[str, Verdicts]) -> dict[str, Interval]:
    """The Wilson interval of each category whose entries are independent questions."""
    return {
        category: Interval(*wilson_interval(sum(rows.values()), len(rows)))
        for category, rows in verdicts.items()
        if rows and CATEGORIES[category].kind != "format_sensitivity"
    }


def group_intervals(
    verdicts: Mapping[str, Verdicts],
    sizes: Mapping[str, int],
) -> dict[str, Interval]:
    """The interval of each group that has any results, and of format sensitivity.

    `sizes` are the numbers of entries of all categories, missing ones included; they weigh the
    entry-weighted mean.
    """
    singles = [
        name
        for name, rows in verdicts.items()
        if rows and CATEGORIES[name].kind == "format_sensitivity"
    ]
    return share_intervals(verdicts, sizes, singles)


def share_intervals(
    shares: Mapping[str, Mapping[str, float]],
    sizes: Mapping[str, int],
    singles: Sequence[str],
) -> dict[str, Interval]:
    """`group_intervals`, where an entry may be right in part: in some of its samples.

    `singles` are the categories that get an interval of this kind themselves.
    """
    values = {
        category: {entry: float(share) for entry, share in rows.items()}
        for category, rows in shares.items()
        if rows
    }
    return _intervals(values, sizes, (0, 1), singles)


def difference_intervals(
    first: Mapping[str, Verdicts],
    second: Mapping[str, Verdicts],
    sizes: Mapping[str, int],
) -> dict[str, Interval]:
    """The interval of second minus first, for each category and group, over entries of both."""
    values = {
        category: {
            entry: int(second[category][entry]) - int(valid)
            for entry, valid in rows.items()
            if entry in second[category]
        }
        for category, rows in first.items()
        if category in second
    }
    values = {category: rows for category, rows in values.items() if rows}
    return _intervals(values, sizes, (-1, 1), list(values))


Values = Mapping[str, float]
"""Entry id -> 0 or 1, a share in between, or a difference of these."""


@dataclass(frozen=True, slots=True)
class _Spread:
    """How draws are spread around their mean, which is 0: the second to fourth cumulant."""

    second: float = 0.0
    third: float = 0.0
    fourth: float = 0.0

    def __add__(self, other: _Spread) -> _Spread:
        """Of the sum of independent draws."""
        return _Spread(
            self.second + other.second, self.third + other.third, self.fourth + other.fourth
        )

    def times(self, factor: float) -> _Spread:
        """Of the draws times a factor."""
        return _Spread(self.second * factor**2, self.third * factor**3, self.fourth * factor**4)

    def percentile(self, z: float) -> float:
        """The percentile that `z` is of the standard normal distribution."""
        if self.second <= 0:
            return 0.0
        deviation = sqrt(self.second)
        skew, excess = self.third / deviation**3, self.fourth / deviation**4
        skewed = (z**2 - 1) / 6 * skew - (2 * z**3 - 5 * z) / 36 * skew**2
        return deviation * (z + skewed + (z**3 - 3 * z) / 24 * excess)


def _spread_of(members: Mapping[str, Values], parts: int) -> _Spread:
    """How far the mean over `parts` categories is from its value, over all draws.

    A question is drawn with all its variants in `members`. Its share is its distance from its
    category's mean, so that a draw with more entries of one category than of another stays a
    mean (when nothing is missing, they are equal in number and this changes nothing).
    """
    shares: dict[str, float] = defaultdict(float)
    for name, rows in members.items():
        mean = sum(rows.values()) / len(rows)
        for entry, value in rows.items():
            shares[source_of(name, entry)] += (value - mean) / len(rows) / parts
    # As many questions are drawn as there are; each has these moments around the mean 0.
    powers = [0.0, 0.0, 0.0]
    for share in shares.values():
        square = share * share
        powers[0] += square
        powers[1] += square * share
        powers[2] += square * square
    return _Spread(powers[0], powers[1], powers[2] - 3 * powers[0] ** 2 / len(shares))


def _intervals(
    values: Mapping[str, Values],
    sizes: Mapping[str, int],
    bounds: tuple[int, int],
    singles: Sequence[str],
) -> dict[str, Interval]:
    """The interval of each category of `singles`, and of each group with any values."""
    found: dict[str, Interval] = {}
    for name in singles:
        single = {name: values[name]}
        found[name] = _interval(single, {name: 1.0}, _spread_of(single, 1), bounds)
    strata: dict[str, dict[str, Values]] = defaultdict(dict)
    for name, rows in values.items():
        strata[_stratum_of(name)][name] = rows
    # Once for all groups: within a stratum the categories weigh the same in each of them.
    parts = {stratum: len(category_weights(stratum, sizes)) for stratum in strata}
    spreads = {name: _spread_of(members, parts[name]) for name, members in strata.items()}
    for group in GROUPS:
        weights = category_weights(group, sizes)
        members = {name: values[name] for name in weights if name in values}
        if not members:
            continue
        share = {_stratum_of(name): weights[name] for name in members}
        whole = [spreads[name].times(share[name] * parts[name]) for name in share]
        spread = sum(whole, start=_Spread())
        found[group] = _interval(members, weights, spread, bounds)
    return found


def _interval(
    members: Mapping[str, Values],
    weights: Mapping[str, float],
    spread: _Spread,
    bounds: tuple[int, int],
) -> Interval:
    """The interval around the weighted mean of the members' means.

    A category without any variation adds what
    its Wilson interval has; for a difference that is 0 everywhere, n pairs without a difference
    say about each direction what n entries without a success say.
    """
    centre = sum(weights[name] * sum(rows.values()) / len(rows) for name, rows in members.items())
    below, above = spread.percentile(-_Z) ** 2, spread.percentile(_Z) ** 2
    for name, rows in members.items():
        kinds = set(rows.values())
        if len(kinds) > 1:
            continue
        reach = (weights[name] * wilson_interval(0, len(rows))[1]) ** 2
        below += reach if bounds[0] not in kinds else 0.0
        above += reach if bounds[1] not in kinds else 0.0
    return Interval(max(bounds[0], centre - sqrt(below)), min(bounds[1], centre + sqrt(above)))


@dataclass(frozen=True, slots=True)
class McNemar:
    """A paired test of two sets of verdicts on the same entries.

    `only_first` and `only_second` are the entries that just one of the two got right. `exact` is
    the two-sided exact p-value, `mid_p` the less conservative mid-p value.
    """

    pairs: int
    only_first: int
    only_second: int
    exact: float
    mid_p: float


def mcnemar(first: Verdicts, second: Verdicts) -> McNemar:
    """McNemar's test over the entries that both have.

    Source: M. W. Fagerland, S. Lydersen and P. Laake, The McNemar test for binary matched-pairs
    data: mid-p and asymptotic are better than exact conditional, BMC Medical Research Methodology
    13:91 (2013).
    """
    both = [(valid, second[entry]) for entry, valid in first.items() if entry in second]
    only_first = sum(a and not b for a, b in both)
    only_second = sum(b and not a for a, b in both)
    discordant, smaller = only_first + only_second, min(only_first, only_second)
    if not discordant:
        return McNemar(len(both), 0, 0, 1.0, 1.0)
    # Integers until the last division: 0.5 ** 2000 is 0 as a float.
    ways, here, at_most = 2**discordant, 1, 1
    for k in range(smaller):
        here = here * (discordant - k) // (k + 1)
        at_most += here
    exact = min(1.0, 2 * at_most / ways)
    # The mid-p value counts the observed table by half.
    mid_p = 1 - here / ways / 2 if only_first == only_second else (2 * at_most - here) / ways
    return McNemar(len(both), only_first, only_second, exact, mid_p)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for being several (Holm's step-down method), in the order given.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal
    of Statistics 6 (1979).
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
