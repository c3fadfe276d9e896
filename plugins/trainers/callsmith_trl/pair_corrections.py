"""Pairs from calls that were refused when they were made, and their successors that passed. Pure.

That the first call was wrong is what the tool, or the guard, said when it was made; that the
second one was right is said by the job's verifiers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from callsmith import CallsmithError, Message, Task, ToolCall, Trace, Turn
from callsmith_trl.pair_judges import Judges, as_written, line, same_calls
from callsmith_trl.pair_reasons import reason_of
from callsmith_trl.pairs import Dropped, Pair
from callsmith_trl.rows import prompt_of

NOT_THE_CALL = ("error: the tool failed", "error: the tool did not finish")
"""How the agent loop's results begin where a tool broke down: no fault of the call's."""


def corrected(traces: Iterable[tuple[Task, Trace]], judges: Judges, dropped: Dropped) -> list[Pair]:
    """Calls that were refused when they were made, each with the successor that passed.

    The prompt is the conversation up to the refused turn; the successor's call is written as the
    answer to that same prompt. It counts only if the episode would have been right with it: the
    verifiers judge the episode with the refused turns left out.
    """
    found: list[Pair] = []
    for task, trace in traces:
        fixes = _fixes(trace)
        if not fixes:
            continue
        if not task.tools or any(one.tools is not None for one in task.follow_ups):
            dropped.add("the tools of the turn are not known", task.id)
            continue
        if against := judges.refusals(task, _repaired(trace, fixes)):
            dropped.add(
                f"the corrected episode is refused by {against[0].partition(':')[0]}", task.id
            )
            continue
        for place, calls in fixes.items():
            pair = _correction(task, trace, place, calls, judges, dropped)
            if pair is not None:
                found.append(pair)
    return found


def _correction(
    task: Task,
    trace: Trace,
    place: int,
    calls: tuple[ToolCall, ...],
    judges: Judges,
    dropped: Dropped,
) -> Pair | None:
    turn = trace.turns[place]
    assert turn.reply is not None
    asked = replace(
        task,
        id=f"{task.id}#{place}",
        messages=tuple(message for one in trace.turns[: place + 1] for message in one.sent),
        target={},
        follow_ups=(),
    )
    if same_calls(calls, turn.reply.calls):
        dropped.add("refused and passed are the same call", task.id)
        return None
    rejected, cut = as_written(asked, turn.reply, judges, dropped)
    if rejected is None:
        return None
    try:
        prompt = prompt_of(asked, judges.template, thinking=judges.thinking)
        plain = tuple(replace(call, raw="", id=None) for call in calls)
        chosen = judges.write(asked, Message(role="assistant", tool_calls=plain))
    except CallsmithError as error:
        dropped.add(f"cannot be written: {line(error)}", task.id)
        return None
    if against := judges.refusals(asked, judges.read(asked, chosen.text)):
        dropped.add(f"the successor is refused by {against[0].partition(':')[0]}", task.id)
        return None
    read = judges.read(asked, rejected.text, cut=cut)
    again = read.turns[0].reply
    assert again is not None
    return Pair(
        task=asked,
        source=task.id,
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        reason=reason_of(asked, again, calls, cut=cut),
        origin="correction",
        said=(*_refused_because(turn), *judges.refusals(asked, read)),
    )


def _fixes(trace: Trace) -> dict[int, tuple[ToolCall, ...]]:
    """For each refused turn, the calls that should have stood there."""
    found: dict[int, tuple[ToolCall, ...]] = {}
    for place, turn in enumerate(trace.turns):
        if turn.reply is None or not turn.reply.calls or not _refused_because(turn):
            continue
        after = place + 1
        while after < len(trace.turns) and _refused_because(trace.turns[after]):
            after += 1
        if after == len(trace.turns):
            continue
        successor = trace.turns[after]
        if successor.reply is None or not successor.reply.calls or not _passed(successor):
            continue
        bad = {result.call_id for result in turn.results if _refusal(result.content, result.error)}
        if not bad or len(bad) == len(turn.reply.calls):
            found[place] = successor.reply.calls
            continue
        new = list(successor.reply.calls)
        if len(new) == len(bad):  # the others were carried out and stay
            found[place] = tuple(new.pop(0) if c.id in bad else c for c in turn.reply.calls)
    return found


def _repaired(trace: Trace, fixes: Mapping[int, tuple[ToolCall, ...]]) -> Trace:
    """The episode as it would have been: refused turns left out, the calls that passed kept."""
    turns: list[Turn] = []
    kept: list[ToolCall] = []
    for place, turn in enumerate(trace.turns):
        if place in fixes and turn.reply is not None:
            bad = {one.call_id for one in turn.results if one.error}
            kept += [call for call in turn.reply.calls if bad and call.id not in bad]
            continue
        if kept and turn.reply is not None:
            turn = replace(turn, reply=replace(turn.reply, calls=(*kept, *turn.reply.calls)))
            kept = []
        turns.append(turn)
    return replace(trace, turns=tuple(turns))


def _refused_because(turn: Turn) -> tuple[str, ...]:
    errors = [
        f"refused: {result.content}"
        for result in turn.results
        if _refusal(result.content, result.error)
    ]
    if not turn.results:
        errors += [f"guard: {text}" for text in turn.interventions]
    return tuple(errors)


def _refusal(content: object, error: bool) -> bool:
    return error and not (isinstance(content, str) and content.startswith(NOT_THE_CALL))


def _passed(turn: Turn) -> bool:
    return not turn.interventions and not any(result.error for result in turn.results)
