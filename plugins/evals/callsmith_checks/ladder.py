"""The protocol ladder: metrics from "a call was emitted" upwards, each usable on its own.

`schema-valid` and `calls-match` are rungs too; they stand in files of their own.
"""

from __future__ import annotations

from callsmith import Fault, Repair, Task, Trace, Verdict
from callsmith_checks.config import FaultsConfig, WrapperConfig
from callsmith_checks.gold import Gold, TargetError, read_gold
from callsmith_checks.pairing import pair_in_any_order
from callsmith_checks.verdicts import calls_due, judged, no_calls, shorten


def faults_of(trace: Trace) -> tuple[Fault, ...]:
    """All faults of an episode, in order."""
    return tuple(f for turn in trace.turns if turn.reply for f in turn.reply.faults)


def repairs_of(trace: Trace) -> tuple[Repair, ...]:
    """All repairs of an episode, in order."""
    return tuple(r for turn in trace.turns if turn.reply for r in turn.reply.repairs)


class EmitsCall:
    """A call where one is due, none where none is; passes when the target does not say."""

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """The lowest rung."""
        due, emitted = calls_due(task), len(trace.calls)
        if due is False and emitted:
            return judged("emits-call", [f"no call was due and there are {emitted}"], 0, 1)
        if due is True and not emitted:
            return judged("emits-call", ["a call was due and there is none"], 0, 1)
        return judged("emits-call", [], 1, 1)


class ToolKnown:
    """Every call names a declared tool."""

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """The second rung."""
        vacuous = no_calls("tool-known", task, trace)
        return vacuous or _known("tool-known", task, trace)


class HallucinatedTool:
    """No call names a tool that was not declared; passes without calls, whatever was due."""

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Beside the ladder."""
        return _known("hallucinated-tool", task, trace)


def _known(name: str, task: Task, trace: Trace) -> Verdict:
    declared = {tool.name for tool in task.tools}
    unknown = [call.name for call in trace.calls if call.name not in declared]
    problems = [f"there is no tool {shorten(n)}" for n in dict.fromkeys(unknown)]
    return judged(name, problems, len(trace.calls) - len(unknown), len(trace.calls))


class NamesMatch:
    """The names of the calls are those of the gold calls, in any order."""

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Between `schema-valid` and `calls-match`."""
        name = "names-match"
        try:
            gold = read_gold(task)
        except TargetError as error:
            return judged(name, [f"the task is unusable: {error}"], 0, 1)
        if gold is None:
            return Verdict(
                verifier=name, passed=True, score=1.0, reasons=("the task has no gold calls",)
            )
        return _names(name, gold, trace)


def _names(name: str, gold: Gold, trace: Trace) -> Verdict:
    calls = trace.calls
    wanted = [[str(call["name"]) for call in item.alternatives] for item in gold.calls]
    fits = [[call.name in names for call in calls] for names in wanted]
    partner = pair_in_any_order(fits, [not item.optional for item in gold.calls])
    problems = [
        f"missing call of {' or '.join(dict.fromkeys(wanted[at]))}"
        for at, item in enumerate(gold.calls)
        if at not in partner and not item.optional
    ]
    if not gold.extra_calls:
        taken = set(partner.values())
        problems += [
            f"unwanted call of {shorten(call.name)}"
            for at, call in enumerate(calls)
            if at not in taken
        ]
    right = 2 * len(partner)
    return judged(name, problems, right, right + len(problems))


class NativeWrapper:
    """Calls stood in their format's own markers."""

    def __init__(self, config: WrapperConfig | None = None) -> None:
        self.kinds = frozenset((config or WrapperConfig()).kinds)

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """What a server has parsed by itself shows no repairs, so it passes."""
        vacuous = no_calls("native-wrapper", task, trace)
        if vacuous is not None:
            return vacuous
        problems = [f"{r.kind}: {r.detail}" for r in repairs_of(trace) if r.kind in self.kinds]
        total = max(len(trace.calls), len(problems))
        return judged("native-wrapper", problems, total - len(problems), total)


class Strict:
    """A call where one is due, nothing mended, nothing unreadable."""

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """The top rung of form; says nothing about the gold calls."""
        problems = _problems(trace, repairs=True)
        if calls_due(task) and not trace.calls:
            problems.append("a call was due and there is none")
        return judged("strict", problems, 0, 1)


class NoFaults:
    """Everything that began as a call could be read."""

    def __init__(self, config: FaultsConfig | None = None) -> None:
        self.refuse_repairs = (config or FaultsConfig()).repairs == "refuse"

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Passes without calls: text that never began as a call is no fault."""
        problems = _problems(trace, repairs=self.refuse_repairs)
        total = len(trace.calls) + len(problems)
        return judged("no-faults", problems, len(trace.calls), total)


def _problems(trace: Trace, *, repairs: bool) -> list[str]:
    found = [f"fault {f.kind}: {f.detail or shorten(f.raw)}" for f in faults_of(trace)]
    if repairs:
        found += [f"repair {r.kind}: {r.detail}" for r in repairs_of(trace)]
    return found
