"""The table of a run: how often each arm passed each verifier, with its uncertainty."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import sqrt
from statistics import median
from typing import Any

from callsmith.runs.store import RunFolder
from callsmith.types import JsonValue


def wilson_interval(passed: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """The Wilson score interval of a proportion (95 % by default); (0, 1) when `total` is 0.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927).
    """
    if total == 0:
        return (0.0, 1.0)
    rate = passed / total
    scale = 1 + z * z / total
    centre = (rate + z * z / (2 * total)) / scale
    margin = z * sqrt(rate * (1 - rate) / total + z * z / (4 * total * total)) / scale
    # At the ends the bound is exact; rounding must not put it on the wrong side.
    low = 0.0 if passed == 0 else max(0.0, centre - margin)
    high = 1.0 if passed == total else min(1.0, centre + margin)
    return (low, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many of `total` episodes passed."""

    passed: int
    total: int

    def as_json(self) -> dict[str, JsonValue]:
        """Counts, rate and its 95 % Wilson interval."""
        low, high = wilson_interval(self.passed, self.total)
        return {
            "passed": self.passed,
            "total": self.total,
            "rate": self.passed / self.total if self.total else None,
            "low": low,
            "high": high,
        }


@dataclass(slots=True, kw_only=True)
class ArmSummary:
    """What one arm did in a run."""

    episodes: int = 0
    rates: dict[str, Rate] = field(default_factory=dict)
    halts: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    repairs: int = 0
    faults: int = 0
    completion_tokens: int = 0
    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """The summary for machines."""
        return {
            "episodes": self.episodes,
            "verifiers": {name: rate.as_json() for name, rate in self.rates.items()},
            "halts": dict(self.halts),
            "calls": self.calls,
            "repairs": self.repairs,
            "faults": self.faults,
            "completion_tokens": self.completion_tokens,
            "median_seconds": median(self.seconds) if self.seconds else None,
            "errors": dict(self.errors),
        }


def summarize(folder: RunFolder) -> dict[str, ArmSummary]:
    """The summary of every arm, in the order of the run file."""
    header = folder.header
    names: list[str] = list(header["config"]["arms"])
    arms = {name: ArmSummary() for name in names}
    for trace in folder.traces():
        arm = arms.setdefault(trace.arm, ArmSummary())
        arm.episodes += 1
        arm.halts[trace.halt] += 1
        arm.calls += len(trace.calls)
        arm.seconds.append(trace.seconds)
        if trace.error:
            arm.errors[trace.error] += 1
        for turn in trace.turns:
            if turn.reply is None:
                continue
            arm.repairs += len(turn.reply.repairs)
            arm.faults += len(turn.reply.faults)
            if turn.reply.completion is not None:
                arm.completion_tokens += turn.reply.completion.usage.completion_tokens or 0
    for (name, _, _), verdicts in folder.verdicts().items():
        rates = arms.setdefault(name, ArmSummary()).rates
        for verdict in verdicts:
            rate = rates.get(verdict.verifier, Rate(passed=0, total=0))
            rates[verdict.verifier] = Rate(
                passed=rate.passed + verdict.passed, total=rate.total + 1
            )
    return arms
