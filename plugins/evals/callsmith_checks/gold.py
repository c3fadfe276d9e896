"""`calls-match`: the calls of an episode against the gold calls of its task.

The target's key `calls` is a list of gold calls. Beside `name` and `arguments`, a gold call may
say `"optional": true` (it may be left out), and `"optional_arguments": {…}` (arguments that may
be left out, but must have the value given if they are there). `{"any_of": [call, …]}` in place
of a call accepts any of these. A gold value may be

- `{"any_of": [value, …]}`: one of these,
- `{"anything": true}`: whatever it is,
- `{"exactly": value}`: this value, for values that look like one of the other two,
- anything else: that value. Numbers are equal by value (1 is 1.0), true is not 1; lists are
  compared in order, objects by their keys.

`"extra_calls": true` beside `calls` allows further calls (a retry after a failure, say).
`"answer_only": true` or an empty list passes exactly when there is no call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from callsmith import JsonValue, Task, ToolCall, Trace, Verdict
from callsmith_checks.config import MatchConfig
from callsmith_checks.pairing import pair_in_any_order, pair_in_order
from callsmith_checks.verdicts import judged, shorten


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldCall:
    """One wanted call: any of its alternatives."""

    alternatives: tuple[Mapping[str, JsonValue], ...]
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """What a task's target says about calls."""

    calls: tuple[GoldCall, ...] = field(default=())
    extra_calls: bool = False


class TargetError(ValueError):
    """A target that cannot be read; becomes the verdict's reason."""


def read_gold(task: Task) -> Gold | None:
    """The gold calls of a task; None when its target says nothing about calls."""
    target = task.target
    if target.get("answer_only") is True:
        return Gold()
    if "calls" not in target:
        return None
    rows = target["calls"]
    if not isinstance(rows, list):
        raise TargetError("the target's `calls` is no list")
    return Gold(
        calls=tuple(_gold_call(row) for row in rows), extra_calls=target.get("extra_calls") is True
    )


def _gold_call(row: JsonValue) -> GoldCall:
    if not isinstance(row, dict):
        raise TargetError(f"a gold call is no object: {shorten(row)}")
    options = row.get("any_of", [row])
    if not isinstance(options, list) or not options:
        raise TargetError("`any_of` of a gold call is no list of calls")
    alternatives: list[Mapping[str, JsonValue]] = []
    for call in options:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise TargetError(f"a gold call needs a name: {shorten(call)}")
        for key in ("arguments", "optional_arguments"):
            if not isinstance(call.get(key, {}), dict):
                raise TargetError(f"the {key} of the gold call {call['name']} are no object")
        alternatives.append(call)
    return GoldCall(alternatives=tuple(alternatives), optional=row.get("optional") is True)


class CallsMatch:
    """Names and arguments of all calls of the episode against the gold calls."""

    def __init__(self, config: MatchConfig | None = None) -> None:
        self.config = config or MatchConfig()

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """The score is the share of gold and emitted calls that have a partner."""
        name = "calls-match"
        try:
            gold = read_gold(task)
        except TargetError as error:
            return judged(name, [f"the task is unusable: {error}"], 0, 1)
        if gold is None:
            return Verdict(
                verifier=name, passed=True, score=1.0, reasons=("the task has no gold calls",)
            )
        try:
            return self._compare(name, gold, trace.calls)
        except RecursionError:
            return judged(name, ["arguments are nested too deeply to be compared"], 0, 1)

    def _compare(self, name: str, gold: Gold, calls: Sequence[ToolCall]) -> Verdict:
        fits = [
            [any(self.fits(call, wanted) for wanted in item.alternatives) for call in calls]
            for item in gold.calls
        ]
        pair = pair_in_order if self.config.order == "same" else pair_in_any_order
        partner = pair(fits, [not item.optional for item in gold.calls])
        taken = set(partner.values())
        problems: list[str] = []
        spare = [call for at, call in enumerate(calls) if at not in taken]
        for at, item in enumerate(gold.calls):
            if at not in partner and not item.optional:
                problems.append(self._missing(item, spare))
        if not (gold.extra_calls or self.config.extra_calls == "allow"):
            problems += [f"unwanted call {_show(call)}" for call in spare]
        # An optional call that was left out is neither right nor wrong.
        due = sum(at in partner or not item.optional for at, item in enumerate(gold.calls))
        return judged(name, problems, 2 * len(partner), due + len(calls))

    def _missing(self, item: GoldCall, spare: Sequence[ToolCall]) -> str:
        wanted = item.alternatives[0]
        shown = f"{wanted['name']}({shorten(wanted.get('arguments', {}))[1:-1]})"
        near = next((c for c in spare if c.name == wanted["name"]), None)
        if near is None:
            return f"missing call {shown}"
        return f"missing call {shown}; the nearest is {_show(near)}"

    def fits(self, call: ToolCall, wanted: Mapping[str, JsonValue]) -> bool:
        """Whether a call is the wanted one."""
        if call.name != wanted["name"]:
            return False
        required, optional = wanted.get("arguments", {}), wanted.get("optional_arguments", {})
        if not isinstance(required, dict) or not isinstance(optional, dict):
            return False
        given = call.arguments
        if not isinstance(given, dict):
            return False
        known = {**optional, **required}
        if self.config.arguments == "exact" and any(key not in known for key in given):
            return False
        return all(key in given for key in required) and all(
            self.equal(given[key], value) for key, value in known.items() if key in given
        )

    def equal(self, given: JsonValue, wanted: JsonValue) -> bool:
        """Whether a value is the wanted one; see the module's docstring."""
        if isinstance(wanted, dict) and len(wanted) == 1:
            ((rule, operand),) = wanted.items()
            if rule == "any_of" and isinstance(operand, list):
                return any(self.equal(given, value) for value in operand)
            if rule == "anything" and operand is True:
                return True
            if rule == "exactly":
                return self._same(given, operand, plain=True)
        return self._same(given, wanted, plain=False)

    def _same(self, given: JsonValue, wanted: JsonValue, *, plain: bool) -> bool:
        def inner(left: JsonValue, right: JsonValue) -> bool:
            return self._same(left, right, plain=True) if plain else self.equal(left, right)

        if isinstance(given, bool) or isinstance(wanted, bool):
            return given is wanted
        if isinstance(given, int | float) and isinstance(wanted, int | float):
            return given == wanted
        if isinstance(given, str) and isinstance(wanted, str):
            return self._text(given) == self._text(wanted)
        if isinstance(given, list) and isinstance(wanted, list):
            return len(given) == len(wanted) and all(map(inner, given, wanted))
        if isinstance(given, dict) and isinstance(wanted, dict):
            return given.keys() == wanted.keys() and all(inner(given[k], wanted[k]) for k in given)
        return given is None and wanted is None

    def _text(self, text: str) -> str:
        match self.config.strings:
            case "exact":
                return text
            case "trimmed":
                return text.strip()
            case "casefold":
                return text.strip().casefold()


def _show(call: ToolCall) -> str:
    return f"{call.name}({shorten(call.arguments)})"
