"""What a sample of completions says about a model: the rates of a probe. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from callsmith import JsonValue, Task, Trace, Verdict, Verifier

REPEATED = 12
"""Tokens that a completion's tail must repeat before it counts as stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One completion with what was said about it. `right` is None where nobody judges."""

    task: Task
    trace: Trace
    ids: Sequence[int]
    verdicts: Sequence[Verdict]
    right: bool | None


def judge(
    task: Task,
    trace: Trace,
    ids: Sequence[int],
    verifiers: Mapping[str, Verifier],
    decisive: str,
) -> Judged:
    """Asks every verifier. `decisive` decides what is right; where it is not among them, all."""
    verdicts = {name: verifier.verify(task, trace) for name, verifier in verifiers.items()}
    right: bool | None = None
    if decisive in verdicts:
        right = verdicts[decisive].passed
    elif verdicts:
        right = all(verdict.passed for verdict in verdicts.values())
    return Judged(task=task, trace=trace, ids=ids, verdicts=tuple(verdicts.values()), right=right)


def rates(judged: Sequence[Judged], verifiers: Sequence[str]) -> dict[str, JsonValue]:
    """The rates over a sample, each from 0 to 1, or None where there is nothing to count.

    `right`: completions that the decisive verifier passed; `exact`: the same, of the tasks that
    want a call. `wrapper`: of the tasks that want a
    call, those for which one was read without mending anything. `repetition`: completions whose
    end goes round in circles. `length_cap`: completions that the token limit cut. And for each
    verifier the share that it passed.
    """
    wanting = [one for one in judged if one.task.target.get("calls")]
    found: dict[str, JsonValue] = {
        "samples": len(judged),
        "right": _share([bool(one.right) for one in judged if one.right is not None]),
        "exact": _share([bool(one.right) for one in wanting if one.right is not None]),
        "wrapper": _share([_wrapped(one.trace) for one in wanting]),
        "repetition": _share([repeats(one.ids) for one in judged]),
        "length_cap": _share([one.trace.halt == "cut" for one in judged]),
    }
    for place, name in enumerate(verifiers):
        found[f"verifier:{name}"] = _share([one.verdicts[place].passed for one in judged])
    return found


def repeats(ids: Sequence[int]) -> bool:
    """Whether the last tokens are one piece, three times or more, of `REPEATED` tokens in all."""
    for period in range(1, len(ids) // 3 + 1):
        times = max(3, -(-REPEATED // period))
        if len(ids) < period * times:
            continue
        tail = list(ids[-period * times :])
        if tail == tail[-period:] * times:
            return True
    return False


def better(new: Mapping[str, JsonValue], old: Mapping[str, JsonValue] | None) -> bool:
    """Whether a probe is better: more right completions, or as many and a lower loss."""
    if old is None:
        return True
    return _rank(new) > _rank(old)


def _rank(result: Mapping[str, JsonValue]) -> tuple[float, float]:
    right, loss = result.get("right"), result.get("loss")
    return (
        float(right) if isinstance(right, int | float) else 0.0,
        -float(loss) if isinstance(loss, int | float) else float("-inf"),
    )


def _wrapped(trace: Trace) -> bool:
    reply = trace.turns[-1].reply if trace.turns else None
    return bool(reply and reply.calls and not reply.repairs and not reply.faults)


def _share(values: Sequence[bool]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
