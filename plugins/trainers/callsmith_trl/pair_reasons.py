"""Names for what is wrong with a completion that the verifiers refused. Pure.

Nothing here decides whether a completion is right: `callsmith_trl.pairs` asks the verifiers, and
only what one of them refused comes here to be named, so that pairs can be counted and balanced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from callsmith import JsonValue, Reply, Task, ToolCall
from callsmith_trl.corrupted_values import Schema, required

OTHER = "other"
"""Refused by a verifier, and none of the differences below is there."""


def reason_of(task: Task, reply: Reply, wanted: Sequence[ToolCall], *, cut: bool = False) -> str:
    """The name of the first difference, from the coarsest to the finest.

    `wanted` are the right calls, none where an answer is due; `cut` says that the completion hit
    its token limit. The names are those of `callsmith_trl.corruptions`, and `cut`, `unreadable`
    (what began as a call could not be read), `mended` (the right call, in a form that had to be
    mended), `wrong-answer` and `other`.
    """
    calls = reply.calls
    if cut:
        return "cut"
    if reply.faults:
        return "unreadable"
    if wanted and not calls:
        return "no-call"
    if calls and not wanted:
        return "call-not-due"
    if not calls:
        return "wrong-answer"
    declared = {tool.name: tool for tool in task.tools}
    if any(call.name not in declared for call in calls):
        return "hallucinated-tool"
    names, right = Counter(call.name for call in calls), Counter(call.name for call in wanted)
    if names != right:
        if len(calls) == len(wanted):
            return "wrong-tool"
        return "extra-call" if len(calls) > len(wanted) else "missing-call"
    for name in right:
        said = [call.arguments for call in calls if call.name == name]
        meant = [call.arguments for call in wanted if call.name == name]
        for one in [other for other in said if not _among(other, meant)]:
            open_ = [other for other in meant if not _among(other, said)] or meant
            best = max(range(len(open_)), key=[_common(one, other) for other in open_].__getitem__)
            return _difference(one, open_[best], declared[name].parameters)
    return "mended" if reply.repairs else OTHER


def _difference(said: JsonValue, meant: JsonValue, parameters: Schema) -> str:
    if not isinstance(said, Mapping) or not isinstance(meant, Mapping):
        return "wrong-type"
    lost = meant.keys() - said.keys()
    if lost & {*required(parameters)} or (lost and not said.keys() - meant.keys()):
        return "missing-argument"
    if said.keys() - meant.keys():
        return "extra-argument"
    wrong = [key for key in meant if _unlike(said[key], meant[key])]
    if any(_kind(said[key]) != _kind(meant[key]) for key in wrong):
        return "wrong-type"
    if len(wrong) > 1 and sorted(map(repr, (said[key] for key in wrong))) == sorted(
        map(repr, (meant[key] for key in wrong))
    ):
        return "swapped-arguments"
    return "wrong-value" if wrong else OTHER


def _among(one: JsonValue, others: Sequence[JsonValue]) -> bool:
    return any(not _unlike(one, other) for other in others)


def _unlike(left: JsonValue, right: JsonValue) -> bool:
    """Whether two values differ as JSON: 1 is 1.0, and true is not 1."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() != right.keys() or any(_unlike(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) != len(right) or any(map(_unlike, left, right))
    return left != right or isinstance(left, bool) != isinstance(right, bool)


def _common(said: JsonValue, meant: JsonValue) -> int:
    if not isinstance(said, Mapping) or not isinstance(meant, Mapping):
        return -1
    return sum(2 if said[key] == meant[key] else 1 for key in said if key in meant)


def _kind(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__
