"""What a model's results cost and how long they took, as the official tables count it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; None for both where the model is hosted by its user."""

    input: float | None = None
    output: float | None = None


@dataclass(slots=True)
class Usage:
    """Tokens and seconds (latencies) of all results of a model.

    Without zeros, as officially, and without what counts nothing: NaN, or a number of 400 digits.
    """

    input_tokens: list[float] = field(default_factory=list)
    output_tokens: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, record: Mapping[str, Any]) -> None:
        """Takes the numbers of one result: plain ones, or one list per turn of one per step."""
        for name, numbers in (
            ("latency", self.seconds),
            ("input_token_count", self.input_tokens),
            ("output_token_count", self.output_tokens),
        ):
            value = record.get(name)
            kind = type(value)
            if kind is float or kind is int:
                if value and -_LARGEST < value < _LARGEST:
                    numbers.append(value)
            elif value:
                _collect(value, numbers)


def _collect(value: Any, numbers: list[float]) -> None:
    if isinstance(value, list):
        if all(isinstance(turn, list) for turn in value):
            numbers += [x for turn in value for x in turn if _counts(x)]
    elif _counts(value):
        numbers.append(value)


def _counts(value: Any) -> bool:
    return isinstance(value, int | float) and bool(value) and -_LARGEST < value < _LARGEST


_LARGEST = 1e15
"""Larger numbers are no tokens or seconds; squares and sums of smaller ones are finite."""


# Eight H100 for an hour, and the requests that the official harness has in flight on them.
_DOLLARS_PER_HOUR = 23.92
_CONCURRENT_REQUESTS = 100


@dataclass(frozen=True, slots=True)
class CostAndLatency:
    """Dollars in total; mean, sample deviation and 95th percentile of latencies in seconds.

    None where the records do not say. Rounded to two decimals, as the tables show them.
    """

    dollars: float | None = None
    mean: float | None = None
    deviation: float | None = None
    percentile_95: float | None = None


def cost_and_latency(usage: Usage, price: Price) -> CostAndLatency:
    """What the official tables say about cost and latency.

    A single latency has no deviation (the official tool stops there).
    """
    dollars: float | None = None
    seconds = usage.seconds
    if price.input is not None and price.output is not None:
        if usage.input_tokens and usage.output_tokens:
            spent = sum(usage.input_tokens) * price.input / 1e6
            dollars = round(spent + sum(usage.output_tokens) * price.output / 1e6, 2)
    elif seconds:
        dollars = round(sum(seconds) / 3600 * _DOLLARS_PER_HOUR / _CONCURRENT_REQUESTS, 2)
    if not seconds:
        return CostAndLatency(dollars)
    mean = math.fsum(seconds) / len(seconds)
    deviation = None
    if len(seconds) > 1:
        squares = math.fsum((value - mean) ** 2 for value in seconds)
        deviation = round(math.sqrt(squares / (len(seconds) - 1)), 2)
    return CostAndLatency(dollars, round(mean, 2), deviation, _percentile_95(seconds))


def _percentile_95(values: list[float]) -> float:
    """The 95th percentile by linear interpolation, rounded as NumPy rounds (in hundredths)."""
    ordered = sorted(values)
    place = 0.95 * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    step, share = ordered[above] - ordered[below], place - below
    exact = ordered[below] + step * share if share < 0.5 else ordered[above] - step * (1 - share)
    return round(exact * 100) / 100
