"""What all verifiers here share: verdicts over calls, and which calls a task is due.

One rule for all verifiers that look at each call: without any call, the verdict is "passed" if
the task is due none, and "failed" if it is due one. So the rungs of the ladder are comparable:
an arm that never calls passes none of them on a task that needs a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from callsmith import JsonValue, Task, Trace, Verdict

SHOWN = 5
"""Reasons that a verdict lists at most; the rest are counted."""


def calls_due(task: Task) -> bool | None:
    """Whether the task needs a call: None when its target does not say."""
    if task.target.get("answer_only") is True:
        return False
    calls = task.target.get("calls")
    if isinstance(calls, list):
        return any(not (isinstance(c, Mapping) and c.get("optional")) for c in calls)
    return None


def judged(name: str, problems: Iterable[str], right: int, total: int) -> Verdict:
    """Passed without problems; the score is the share of what was right."""
    reasons = list(problems)
    if len(reasons) > SHOWN:
        reasons = [*reasons[:SHOWN], f"and {len(reasons) - SHOWN} more"]
    if not reasons:
        return Verdict(verifier=name, passed=True, score=1.0)
    # A failed verdict never scores 1, however small the problem was.
    score = min(right / total, 0.99) if total else 0.0
    return Verdict(verifier=name, passed=False, score=score, reasons=tuple(reasons))


def no_calls(name: str, task: Task, trace: Trace) -> Verdict | None:
    """The verdict on a trace without calls; None when there are some."""
    if trace.calls:
        return None
    if calls_due(task):
        return judged(name, ["a call was due and there is none"], 0, 1)
    return Verdict(verifier=name, passed=True, score=1.0, reasons=("there is no call",))


def shorten(value: JsonValue, limit: int = 80) -> str:
    """A value for a reason: on one line, and never long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # too deep, or an integer of thousands of digits
        return f"a large {type(value).__name__}"
    return text if len(text) <= limit else text[: limit - 1] + "…"
