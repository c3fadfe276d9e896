"""Our own traces as rows: what a model did right becomes what the next one learns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from callsmith import Message, Task, Toolbox, ToolSpec, Trace, Verdict
from callsmith_tasks.data.row import Rejected, Row


def rows_of_traces(
    traces: Iterable[Trace],
    tasks: Mapping[str, Task],
    toolboxes: Mapping[str, Toolbox],
    verdicts: Mapping[tuple[str, str, int], Sequence[Verdict]],
    required: Sequence[str] = ("calls-match",),
) -> tuple[list[Row], list[Rejected]]:
    """A row for every turn of the episodes that passed all `required` verifiers.

    An episode that failed, was not judged, broke off, or whose text had to be mended is rejected
    as a whole: its calls are not gold. `toolboxes` say which tools were shown for tasks that list
    none of their own. `verdicts` are the run folder's, by (arm, task, sample).
    """
    rows: list[Row] = []
    rejected: list[Rejected] = []
    for trace in traces:
        name = f"{trace.arm}/{trace.task}/{trace.sample}"
        found = _problem(trace, tasks, verdicts, required)
        if found:
            rejected.append(Rejected(id=name, source="traces", reason=found[0], detail=found[1]))
            continue
        task = tasks[trace.task]
        box = toolboxes.get(task.toolbox or "")
        tools = task.tools or (tuple(box.tools()) if box else ())
        rows += _rows(trace, task, tools, name)
    return rows, rejected


def _problem(
    trace: Trace,
    tasks: Mapping[str, Task],
    verdicts: Mapping[tuple[str, str, int], Sequence[Verdict]],
    required: Sequence[str],
) -> tuple[str, str] | None:
    if trace.task not in tasks:
        return "unknown-task", f"the run's tasks have no {trace.task!r}"
    if trace.error or trace.halt in ("error", "cut", "step_budget"):
        return "unfinished", f"the episode ended with {trace.halt}: {trace.error or 'no answer'}"
    found = verdicts.get((trace.arm, trace.task, trace.sample), ())
    judged = {item.verifier: item for item in found}
    for name in required:
        if name not in judged:
            return "not-judged", f"the run did not judge it by {name!r}"
        if not judged[name].passed:
            return f"failed-{name}", "; ".join(judged[name].reasons)
    for turn in trace.turns:
        if turn.reply and (turn.reply.faults or turn.reply.repairs):
            return "mended", "a reply had to be mended or could not be read"
        if any(result.error for result in turn.results):
            return "tool-error", "a tool failed on a call of this episode"
    return None


def _rows(trace: Trace, task: Task, tools: tuple[ToolSpec, ...], name: str) -> list[Row]:
    rows: list[Row] = []
    messages: list[Message] = []
    follow_ups = list(task.follow_ups)
    for number, turn in enumerate(trace.turns, 1):
        if messages and any(m.role == "user" for m in turn.sent) and follow_ups:
            tools = follow_ups.pop(0).tools or tools
        messages += [replace(message, reasoning=None) for message in turn.sent]
        if turn.reply is None or not (turn.reply.calls or turn.reply.content.strip()):
            continue
        row = Row(
            messages=tuple(messages),
            tools=tools,
            calls=tuple(replace(call, raw="") for call in turn.reply.calls),
            answer=turn.reply.content.strip(),
            source="traces",
            id=name if len(trace.turns) == 1 else f"{name}#{number}",
        )
        rows.append(row)
    return rows
