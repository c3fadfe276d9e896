"""Verifiers of the final answer."""

from __future__ import annotations

import re

from callsmith import JsonValue, Task, Trace, Verdict
from callsmith_checks.verdicts import judged, shorten


class Completed:
    """The episode ended with an answer in text."""

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Passes for the halt reason `answered` with some text."""
        if trace.halt != "answered":
            detail = f": {shorten(trace.error, 160)}" if trace.error else ""
            return judged("completed", [f"it ended with {trace.halt}{detail}"], 0, 1)
        return judged("completed", [] if trace.answer.strip() else ["the answer is empty"], 0, 1)


class AnswerContains:
    """The answer holds every text of the target's `answer_contains`.

    An item is a text, or `{"any_of": [text, …]}`. Upper and lower case and the amount of white
    space do not matter, and a number is found only as a whole number. A task without the key
    passes.
    """

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """The score is the share of the items that were found."""
        name = "answer-contains"
        wanted = task.target.get("answer_contains")
        if wanted is None:
            return Verdict(
                verifier=name, passed=True, score=1.0, reasons=("the task wants no facts",)
            )
        if not isinstance(wanted, list):
            return judged(name, ["the target's `answer_contains` is no list"], 0, 1)
        if trace.halt != "answered":
            return judged(name, [f"there is no answer: it ended with {trace.halt}"], 0, 1)
        answer = _plain(trace.answer)
        missing = [item for item in wanted if not _found(item, answer)]
        problems = [f"the answer lacks {shorten(item)}" for item in missing]
        return judged(name, problems, len(wanted) - len(missing), len(wanted))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _found(item: JsonValue, answer: str) -> bool:
    if isinstance(item, dict):
        options = item.get("any_of")
        return isinstance(options, list) and any(_found(option, answer) for option in options)
    if not isinstance(item, str):
        return False
    # "14" is no part of "2014", of "14.5" or of "3.14".
    text = _plain(item)
    before = r"(?<!\d)(?<!\d[.,])" if text[:1].isdigit() else ""
    behind = r"(?!\d)(?![.,]\d)" if text[-1:].isdigit() else ""
    return re.search(before + re.escape(text) + behind, answer) is not None
