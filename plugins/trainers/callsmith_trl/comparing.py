"""How far one model's next tokens and calls are from another's. Pure: takes and gives values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from callsmith import JsonValue, ToolCall, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """One way of serving against the model that was trained, on the same probe set.

    `agreement` is the share of positions of the gold completions at which both find the same
    token most likely, over `positions`; `divergence` is the mean KL divergence from the trained
    model in nats per token. `right` of `tasks` greedy completions were judged right; `same` of
    them are the trained model's calls and text.

    An arm (`served`) cannot be given a completion to read. Its positions are those of its own
    greedy completions, and its divergence is estimated from what it drew itself, with `error` as
    the standard error: that of the trained model from the arm, KL(arm || trained), where the
    others have KL(trained || other). Both are None where an arm does not show enough.
    """

    name: str
    tasks: int
    right: int
    same: int
    positions: int = 0
    agreement: float | None = None
    divergence: float | None = None
    error: float | None = None
    served: bool = False
    note: str = ""

    def is_the_trained_model(self, limits: Limits) -> bool:
        """Whether the probe set cannot tell the two apart, within `limits`."""
        # What an arm shows covers the answers that it gave, and not those that failed.
        if (self.served or self.agreement is None) and self.same < limits.same * self.tasks:
            return False
        if self.agreement is not None and self.agreement < limits.agreement:
            return False
        return self.divergence is None or self.divergence <= limits.divergence


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A completion that an arm drew from all tokens at temperature 1: the logarithms of its
    tokens' probabilities, by the arm itself and by the trained model behind the same tokens."""

    arm: Sequence[float]
    trained: Sequence[float]


def estimated_divergence(drawn: Sequence[Drawn]) -> tuple[float, float] | None:
    """KL(arm || trained) in nats per token and its standard error; None for no tokens.

    Each token gives r - 1 - log r with r = p_trained / p_arm, whose mean under the arm is the
    divergence, and which is never below 0 (J. Schulman, "Approximating KL Divergence", 2020).
    Tokens of one completion are not independent, so the error is over completions.
    """
    sums: list[tuple[float, int]] = []
    for one in drawn:
        logs = [trained - arm for arm, trained in zip(one.arm, one.trained, strict=True)]
        sums.append((sum(math.expm1(log) - log for log in logs), len(logs)))
    tokens = sum(count for _, count in sums)
    if not tokens:
        return None
    mean = sum(total for total, _ in sums) / tokens
    spread = sum((total - mean * count) ** 2 for total, count in sums)
    many = len(sums) / max(1, len(sums) - 1)
    return mean, math.sqrt(spread * many) / tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What still counts as the same model.

    The defaults lie between what exact merging in bfloat16 gives and what the smallest lossy way
    gives (`docs/how-to/export-and-serve.md` has the measurements).
    """

    agreement: float = 0.99
    divergence: float = 1e-3
    same: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a model answered to a task: its calls and its text, or why there is neither."""

    calls: tuple[ToolCall, ...] = ()
    text: str = ""
    problem: str = ""

    @property
    def essence(self) -> JsonValue:
        """What two answers are compared by: names, arguments and text; ids do not count."""
        return [[[call.name, to_json(call.arguments)] for call in self.calls], self.text]


def same_answers(ours: Sequence[Said], theirs: Sequence[Said]) -> int:
    """How many answers are equal; one that failed equals nothing."""
    return sum(
        not a.problem and not b.problem and a.essence == b.essence
        for a, b in zip(ours, theirs, strict=True)
    )
