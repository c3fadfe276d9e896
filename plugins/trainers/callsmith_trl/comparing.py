"""How far one model's next tokens and calls are from another's. Pure: takes and gives values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from callsmith import JsonValue, ToolCall, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """One way of serving against the model that was trained, on the same probe set.

    `agreement` is the share of positions of the gold completions at which both find the same
    token most likely, over `positions`; `divergence` is the mean KL divergence from the trained
    model in nats per token (None where a server does not show its probabilities). `right` of
    `tasks` greedy completions were judged right; `same` of them are the trained model's calls and
    text.
    """

    name: str
    tasks: int
    right: int
    same: int
    positions: int = 0
    agreement: float | None = None
    divergence: float | None = None
    note: str = ""

    def is_the_trained_model(self, limits: Limits) -> bool:
        """Whether the probe set cannot tell the two apart, within `limits`."""
        if self.agreement is None or self.divergence is None:
            return self.same >= limits.same * self.tasks
        return self.agreement >= limits.agreement and self.divergence <= limits.divergence


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
