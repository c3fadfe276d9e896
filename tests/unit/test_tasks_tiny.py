"""The embedded model's tasks: every one can be solved, and can be failed."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from callsmith import Reply, Task, ToolCall, Trace, load, run_episode
from callsmith.testing import ScriptedChatArm

CATALOG = load({})
TASKS: tuple[Task, ...] = tuple(CATALOG.build("taskset", "tiny-tasks").tasks())
VERIFIERS = ("calls-match", "schema-valid", "tool-known", "answer-contains", "completed")


def run(task: Task, calls: list[ToolCall], told: bool = True) -> Trace:
    """An episode in which a script makes the calls one by one and repeats what it was told."""
    box = CATALOG.build("toolbox", "tiny")

    async def episode() -> Trace:
        rounds: list[object] = [[call] for call in calls]
        first = await run_episode(ScriptedChatArm([*rounds, ""]), task, box)  # type: ignore[list-item]
        results = [str(r.content) for turn in first.turns for r in turn.results]
        answer = "; ".join(results) if told and results else "I have no tool for that."
        arm = ScriptedChatArm([*rounds, Reply(content=answer)])  # type: ignore[list-item]
        return await run_episode(arm, task, box)

    return asyncio.run(episode())


def gold(task: Task) -> list[ToolCall]:
    rows = task.target.get("calls", [])
    assert isinstance(rows, list)
    return [ToolCall(name=r["name"], arguments=r["arguments"]) for r in rows]  # type: ignore[index, call-overload, arg-type]


def verdicts(task: Task, trace: Trace) -> dict[str, bool]:
    return {n: CATALOG.build("verifier", n).verify(task, trace).passed for n in VERIFIERS}


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.id)
def test_the_gold_calls_solve_the_task_and_others_do_not(task: Task) -> None:
    solved = run(task, gold(task))
    assert verdicts(task, solved) == dict.fromkeys(VERIFIERS, True)
    wrong = ToolCall(name=task.tools[0].name, arguments={"nothing": "of the kind"})
    assert not verdicts(task, run(task, [wrong]))["calls-match"]
    if task.target.get("answer_contains"):
        assert not verdicts(task, run(task, gold(task), told=False))["answer-contains"]


def test_there_is_something_of_every_kind() -> None:
    tags = Counter(tag for task in TASKS for tag in task.tags)
    kinds = ("one-argument", "two-arguments", "three-arguments", "two-calls", "no-tool")
    for kind in (*kinds, "follow-up", "tool-fails", "hard"):
        assert tags[kind] >= 3, kind
    assert len({task.id for task in TASKS}) == len(TASKS) >= 40


def test_the_tools_never_fail_in_another_way_than_tools_do() -> None:
    box = CATALOG.build("toolbox", "tiny")
    task = Task(id="all", messages=(), toolbox="tiny")
    odd = [{}, {"city": None}, {"city": [1]}, {"room": {}, "level": True}, {"query": 10**30}]
    calls = [ToolCall(name=t.name, arguments=dict(a)) for t in box.tools() for a in odd]  # type: ignore[arg-type]
    arm = ScriptedChatArm([calls, "done"])
    trace = asyncio.run(run_episode(arm, task, box))
    assert trace.halt == "answered"
    assert not [r for r in trace.turns[0].results if "the tool failed" in str(r.content)]
