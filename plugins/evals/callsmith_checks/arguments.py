"""`arguments-match`: `calls-match` with a score for calls that are partly right, for rewards.

It passes exactly when `calls-match` with the same options passes, and gives the same reasons. A
verdict that failed has a finer score: names, argument names and argument values are counted each,
as ToolRL does (Qian et al. 2025, arXiv 2504.13958), so that a group of completions of which none is
right still says which of them was nearer.

A call is made of parts: its name, and for every argument its name and its value. The score is
2 x (parts that are right) / (parts of the gold calls + parts of the calls), with gold and calls
paired so that most parts are right. Nothing in a call counts as right unless its tool is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from callsmith import JsonValue, Task, ToolCall, Trace, Verdict
from callsmith_checks.config import MatchConfig
from callsmith_checks.gold import CallsMatch, Gold, GoldCall, read_gold
from callsmith_checks.pairing import heaviest_in_any_order, heaviest_in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a call and a wanted call have in common.

    `right` are the parts that both have; `wanted` those that the gold call asks for, with the
    optional ones that the call has; `given` the call's own, without those that do not matter.
    """

    right: int
    wanted: int
    given: int


class ArgumentsMatch:
    """Names, argument names and argument values of all calls against the gold calls."""

    def __init__(self, config: MatchConfig | None = None) -> None:
        self.config = config or MatchConfig()
        self._match = CallsMatch(self.config)

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Passed, and why not, is what `calls-match` says; the score is the share of parts."""
        name = "arguments-match"
        verdict = self._match.verify(task, trace)
        if verdict.passed:
            return Verdict(verifier=name, passed=True, score=1.0, reasons=verdict.reasons)
        try:
            gold = read_gold(task)
            score = self._share(gold, trace.calls) if gold else 0.0
        except (ValueError, RecursionError):  # an unusable target, endless nesting: see the reasons
            score = 0.0
        # Not all parts are everything: order is not one of them.
        return Verdict(verifier=name, passed=False, score=min(score, 0.99), reasons=verdict.reasons)

    def _share(self, gold: Gold, calls: Sequence[ToolCall]) -> float:
        table = [[self._nearest(call, item) for call in calls] for item in gold.calls]
        # Of two pairings with as much in common, the one that serves more required calls.
        weights = [
            [parts.right * (len(table) + 1) + (not item.optional) if parts.right else 0
             for parts in row]
            for item, row in zip(gold.calls, table, strict=True)
        ]  # fmt: skip
        pair = heaviest_in_order if self.config.order == "same" else heaviest_in_any_order
        partner = pair(weights)
        pairs = [table[at][call] for at, call in partner.items()]
        right = sum(parts.right for parts in pairs)
        total = sum(parts.wanted + parts.given for parts in pairs)
        total += sum(
            min(map(_size, item.alternatives))
            for at, item in enumerate(gold.calls)
            if at not in partner and not item.optional
        )
        if not (gold.extra_calls or self.config.extra_calls == "allow"):
            taken = set(partner.values())
            total += sum(_given(call) for at, call in enumerate(calls) if at not in taken)
        return 2 * right / total if total else 0.0

    def _nearest(self, call: ToolCall, item: GoldCall) -> Parts:
        """The alternative of a gold call with which a call has most in common."""
        return max(
            (self._common(call, wanted) for wanted in item.alternatives),
            key=lambda parts: (parts.right, -parts.wanted - parts.given),
        )

    def _common(self, call: ToolCall, wanted: Mapping[str, JsonValue]) -> Parts:
        if call.name != wanted["name"]:
            return Parts(right=0, wanted=_size(wanted), given=_given(call))
        given = call.arguments
        if not isinstance(given, dict):
            return Parts(right=1, wanted=_size(wanted), given=_given(call))
        required, optional = _arguments(wanted), _arguments(wanted, "optional_arguments")
        known = {**optional, **required}
        there = [key for key in known if key in given]
        values = sum(self._match.equal(given[key], known[key]) for key in there)
        spare = len(given) - len(there) if self.config.arguments == "exact" else 0
        chosen = sum(key not in required for key in there)
        return Parts(
            right=1 + len(there) + values,
            wanted=1 + 2 * (len(required) + chosen),
            given=1 + 2 * (len(there) + spare),
        )


def _arguments(wanted: Mapping[str, JsonValue], key: str = "arguments") -> Mapping[str, JsonValue]:
    value = wanted.get(key, {})
    return value if isinstance(value, dict) else {}


def _size(wanted: Mapping[str, JsonValue]) -> int:
    """Parts that a gold call asks for."""
    return 1 + 2 * len(_arguments(wanted))


def _given(call: ToolCall) -> int:
    """Parts of a call; arguments that are no object count as one argument."""
    return 1 + 2 * (len(call.arguments) if isinstance(call.arguments, dict) else 1)
