"""The assistant's tasks can be solved, can be failed, and always meet the same world."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from callsmith import (
    JsonValue,
    Task,
    ToolCall,
    Trace,
    Verdict,
    load,
    run_episode,
)
from callsmith.testing import ScriptedChatArm
from callsmith_tasks.assistant import HISTORY, AssistantTasks, AssistantToolbox
from fixtures.assistant_solutions import ALTERNATIVES, SOLUTIONS, WRONG_CALLS, Step, web

TASKS = {task.id: task for task in AssistantTasks().tasks()}
TOOLS = {tool.name: tool for tool in AssistantToolbox().tools()}


def script(steps: Sequence[Step], answer: str) -> ScriptedChatArm:
    calls = [[ToolCall(name=name, arguments=asked) for name, asked in step] for step in steps]
    return ScriptedChatArm([*calls, answer])


async def play(task: Task, steps: Sequence[Step], answer: str) -> Trace:
    return await run_episode(script(steps, answer), task, AssistantToolbox())


def judge(name: str, task: Task, trace: Trace) -> Verdict:
    verdict: Verdict = load({}).build("verifier", name, {}).verify(task, trace)
    return verdict


def results_of(trace: Trace) -> str:
    """Everything that the tools said in an episode."""
    contents = [result.content for turn in trace.turns for result in turn.results]
    return json.dumps(contents, ensure_ascii=False).casefold()


def options(fact: JsonValue) -> list[str]:
    """The texts of which an answer needs one."""
    if isinstance(fact, dict):
        choices = fact["any_of"]
        assert isinstance(choices, list)
        return [str(choice) for choice in choices]
    return [str(fact)]


def facts_of(task: Task) -> list[JsonValue]:
    facts = task.target.get("answer_contains", [])
    assert isinstance(facts, list)
    return facts


# The set


def test_there_are_enough_tasks_of_every_kind() -> None:
    listed = list(AssistantTasks().tasks())
    assert len({task.id for task in listed}) == len(listed)
    assert 24 <= len(listed) <= 30
    count = {tag: sum(tag in task.tags for task in listed) for task in listed for tag in task.tags}
    assert count["answer-only"] >= 4
    assert count["tool-fails"] >= 3
    for tag in ("one-call", "two-calls", "parallel", "chain", "long", "memory", "tempting"):
        assert count[tag] >= 2, tag
    used = {name for steps, _ in SOLUTIONS.values() for step in steps for name, _ in step}
    assert used == set(TOOLS), "every tool is needed by some task"
    assert len(TOOLS) == 8


def test_tags_say_what_the_targets_ask_for() -> None:
    for task in TASKS.values():
        calls = task.target.get("calls", [])
        assert isinstance(calls, list)
        assert ("answer-only" in task.tags) == (task.target.get("answer_only") is True)
        assert bool(calls) != ("answer-only" in task.tags)
        if "one-call" in task.tags:
            assert len(calls) == 1, task.id
        if "long" in task.tags:
            assert len(calls) >= 6, task.id


def test_all_tasks_share_system_prompt_history_tools_and_toolbox() -> None:
    assert [message.role for message in HISTORY] == ["system", *["user", "assistant"] * 2]
    for task in TASKS.values():
        assert task.messages[:-1] == HISTORY
        assert task.messages[-1].role == "user"
        assert task.tools == tuple(TOOLS.values())
        assert task.toolbox == "assistant"


def test_every_task_has_a_solution_here() -> None:
    assert set(SOLUTIONS) == set(TASKS)


# Solving and failing


@pytest.mark.parametrize("name", SOLUTIONS)
async def test_every_task_can_be_solved(name: str) -> None:
    task, (steps, answer) = TASKS[name], SOLUTIONS[name]
    trace = await play(task, steps, answer)
    for verifier in ("completed", "schema-valid", "calls-match", "answer-contains"):
        verdict = judge(verifier, task, trace)
        assert verdict.passed, (verifier, verdict.reasons)
    assert len(trace.turns) <= 7
    failed = [result for turn in trace.turns for result in turn.results if result.error]
    assert bool(failed) == ("tool-fails" in task.tags), failed


@pytest.mark.parametrize(("name", "steps", "answer"), ALTERNATIVES)
async def test_other_right_ways_pass(name: str, steps: list[Step], answer: str) -> None:
    trace = await play(TASKS[name], steps, answer)
    for verifier in ("schema-valid", "calls-match", "answer-contains"):
        verdict = judge(verifier, TASKS[name], trace)
        assert verdict.passed, (verifier, verdict.reasons)


@pytest.mark.parametrize(("name", "steps"), WRONG_CALLS)
async def test_near_misses_fail(name: str, steps: list[Step]) -> None:
    trace = await play(TASKS[name], steps, SOLUTIONS[name][1])
    assert not judge("calls-match", TASKS[name], trace).passed


@pytest.mark.parametrize("name", SOLUTIONS)
async def test_a_model_that_does_not_call_or_calls_when_it_should_not_fails(name: str) -> None:
    task, (steps, answer) = TASKS[name], SOLUTIONS[name]
    if task.target.get("answer_only"):
        trace = await play(task, [[web("anything")]], answer)
        assert not judge("calls-match", task, trace).passed
        return
    for shorter in ([], steps[1:]):
        trace = await play(task, shorter, answer)
        assert not judge("calls-match", task, trace).passed, shorter
    wrong_tool: Step = [("chat_search" if steps[0][0][0] != "chat_search" else "web_search", {})]
    trace = await play(task, [wrong_tool, *steps[1:]], answer)
    assert not judge("calls-match", task, trace).passed


@pytest.mark.parametrize("name", [name for name in TASKS if facts_of(TASKS[name])])
async def test_an_answer_without_the_facts_fails(name: str) -> None:
    trace = await play(TASKS[name], SOLUTIONS[name][0], "I could not find out.")
    assert not judge("answer-contains", TASKS[name], trace).passed


@pytest.mark.parametrize("name", [name for name in TASKS if SOLUTIONS[name][0]])
async def test_facts_stand_in_tool_results_and_nowhere_else(name: str) -> None:
    task = TASKS[name]
    trace = await play(task, *SOLUTIONS[name])
    said = results_of(trace)
    shown = [message.content for message in task.messages]
    tools = [[tool.name, tool.description, tool.parameters] for tool in task.tools]
    prompt = json.dumps([shown, tools], ensure_ascii=False).casefold()
    for fact in facts_of(task):
        texts = [text.casefold() for text in options(fact)]
        assert any(text in said for text in texts), fact
        assert not any(text in prompt for text in texts), fact


@pytest.mark.parametrize("name", [n for n in TASKS if "chain" in TASKS[n].tags])
async def test_the_first_step_of_a_chain_does_not_tell_everything(name: str) -> None:
    task, (steps, answer) = TASKS[name], SOLUTIONS[name]
    said = results_of(await play(task, steps[:1], answer))
    missing = [f for f in facts_of(task) if not any(o.casefold() in said for o in options(f))]
    # Where the point is to store what was found, the first step finds it.
    assert missing or steps[-1][0][0] == "memory_write"


def searches(name: str) -> bool:
    return any("query" in arguments for step in SOLUTIONS[name][0] for _, arguments in step)


@pytest.mark.parametrize("name", [n for n in TASKS if searches(n) and "long" not in TASKS[n].tags])
async def test_searching_for_the_users_own_words_is_good_enough(name: str) -> None:
    task, (steps, answer) = TASKS[name], SOLUTIONS[name]
    question = task.messages[-1].content
    lazy: list[Step] = [
        [
            (tool, {**asked, "query": question} if "query" in asked else asked)
            for tool, asked in step
        ]
        for step in steps
    ]
    trace = await play(task, lazy, answer)
    said = results_of(trace)
    for fact in facts_of(task):
        assert any(text.casefold() in said for text in options(fact)), fact
    for number, step in enumerate(steps):
        known = str(question) + results_of(await play(task, lazy[:number], answer))
        for _, arguments in step:
            assert str(arguments.get("url", "")) in known, "an address is asked for or was found"


# Episodes


async def test_two_sessions_give_the_same_results() -> None:
    for name, (steps, answer) in SOLUTIONS.items():
        first = await play(TASKS[name], steps, answer)
        again = await play(TASKS[name], steps, answer)
        assert [turn.results for turn in first.turns] == [turn.results for turn in again.turns]


@pytest.mark.parametrize("name", SOLUTIONS)
async def test_every_prompt_of_an_episode_renders_without_control_text(name: str) -> None:
    template = load({}).build("template", "gemma4", {"control_text": "refuse"})
    arm = script(*SOLUTIONS[name])
    await run_episode(arm, TASKS[name], AssistantToolbox())
    assert len(arm.requests) == len(SOLUTIONS[name][0]) + 1
    for messages, tools, _ in arm.requests:
        prompt = template.render(messages, tools)
        assert TASKS[name].messages[-1].content in prompt.text
        assert prompt.changes == ()
