"""BFCL's multi-turn entries in mode prompting: whole conversations, with the calls in the text."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from callsmith import (
    Completion,
    Reply,
    Task,
    TextToolSession,
    Trace,
    load,
    plan_bakeoff,
    read_run_file,
    run_bakeoff,
    run_episode,
)
from callsmith.cli.main import main
from callsmith.runs import benchmark_rows
from callsmith.testing import ScriptedChatArm
from callsmith_bfcl.config import BfclConfig, ToolboxConfig
from callsmith_bfcl.data import Entry
from callsmith_bfcl.evaluation import BfclEval
from callsmith_bfcl.toolbox import BfclToolbox
from callsmith_bfcl.traces import result_of
from fixtures.small_bfcl import find_wheel
from servers.openai import Answer, FakeOpenAI

CATEGORIES = tuple(f"multi_turn_{name}" for name in ("base", "miss_func", "long_context"))
STEPS = 21
"""Officially the 21st step of a turn is still carried out, and ends the entry."""

SOLVED = "multi_turn_base_1"
"""An entry whose answer names all its arguments."""

RUN = """
kind: bakeoff
name: talk
steps: 21
eval: {{use: bfcl, options: {{categories: [multi_turn_base], per_category: 2, mode: prompting}}}}
arms:
  served: {{use: openai-chat, options: {{model: gemma4, url: "{url}"}}}}
"""


@pytest.fixture(scope="module", autouse=True)
def _wheel() -> None:
    find_wheel()  # skips where the data is missing


@pytest.fixture(scope="module")
def box() -> BfclToolbox:
    return BfclToolbox(ToolboxConfig())


def benchmark(category: str, count: int = 8) -> BfclEval:
    options = {"categories": [category], "per_category": count, "mode": "prompting"}
    return BfclEval(BfclConfig.model_validate(options))


def named(texts: Sequence[str]) -> bool:
    """Whether all calls name their arguments: the decoder drops those without a name (D4)."""
    parsed = [ast.parse(text, mode="eval").body for text in texts]
    return not any(isinstance(node, ast.Call) and node.args for node in parsed)


def gold(entry: Entry) -> list[str] | None:
    """What a perfect model writes: the calls of each turn in one text, then a closing sentence."""
    if not all(named(calls) for calls in entry.ground_truth):
        return None
    said = []
    for calls in entry.ground_truth:
        said += [*([f"[{', '.join(calls)}]"] if calls else []), "That is done."]
    return said


def episode(task: Task, box: BfclToolbox, answers: Sequence[object], steps: int = STEPS) -> Trace:
    arm = ScriptedChatArm(list(answers))  # type: ignore[arg-type]
    return asyncio.run(run_episode(arm, task, box, steps=steps))


def verdict(found: BfclEval, task: Task, trace: Trace) -> tuple[bool, tuple[str, ...]]:
    said = found.verifiers()["bfcl"].verify(task, trace)
    return said.passed, said.reasons


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_answers_calls_written_as_text_pass_and_their_absence_fails(
    category: str, box: BfclToolbox
) -> None:
    found = benchmark(category)
    done = 0
    for task in found.tasks():
        assert task.tools == ()
        assert isinstance(box.session(task), TextToolSession)
        entry = found.entries()[task.id]
        answers = gold(entry)
        if answers is None:
            continue
        trace = episode(task, box, answers)
        assert trace.halt == "answered", trace.error
        assert verdict(found, task, trace) == (True, ())
        assert len(trace.calls) == sum(map(len, entry.ground_truth))
        silent = episode(task, box, ["That is done."] * len(entry.question))
        passed, reasons = verdict(found, task, silent)
        assert not passed
        assert reasons[0] == "multi_turn:empty_turn_model_response"
        done += 1
    assert done >= 3


def test_results_come_back_as_one_message_of_the_user(box: BfclToolbox) -> None:
    found = benchmark("multi_turn_base", 1)
    (task,) = found.tasks()
    trace = episode(task, box, ["`[pwd(),ls(a=True), cd(folder='nowhere')]`"] + ["no"] * 9)
    said, told = trace.turns[1].sent
    assert (said.role, said.content) == ("assistant", "`[pwd(),ls(a=True), cd(folder='nowhere')]`")
    assert told.role == "user"
    results = ast.literal_eval(str(told.content))
    assert [result["name"] for result in results] == ["pwd()", "ls(a=True)", "cd(folder='nowhere')"]
    assert {result["role"] for result in results} == {"tool"}
    assert json.loads(results[0]["content"]) == {"current_working_directory": "/workspace"}
    assert "error" in json.loads(results[2]["content"])


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("[no_such(a=1)]", "Error during execution: name 'no_such' is not defined"),
        ("[ls(b=1)]", "Error during execution"),
        ("[cd(folder={'a': {'b': 1}})]", "Error during execution: name 'a' is not defined"),  # D5
    ],
)
def test_a_call_that_fails_is_told_so(text: str, result: str, box: BfclToolbox) -> None:
    found = benchmark("multi_turn_base", 1)
    (task,) = found.tasks()
    trace = episode(task, box, [text] + ["no"] * 9)
    assert result in str(trace.turns[0].results[0].content)
    assert trace.halt == "answered"


@pytest.mark.parametrize(
    "text",
    [
        "I shall list the files.",
        "```python\n[ls()]\n```",  # D6
        "",
        "[]",
        "[cd(folder={})]",  # D5
        "ls",
        Reply(content="[pwd() and", completion=Completion(text="", stop_reason="length")),
    ],
)
def test_a_text_that_cannot_be_decoded_ends_the_turn(text: object, box: BfclToolbox) -> None:
    found = benchmark("multi_turn_base", 1)
    (task,) = found.tasks()
    entry = found.entries()[task.id]
    trace = episode(task, box, [text] * len(entry.question))
    assert trace.calls == ()
    assert len(trace.turns) == len(entry.question)
    assert trace.halt == ("answered" if isinstance(text, str) else "cut")
    passed, reasons = verdict(found, task, trace)
    assert (passed, reasons[0]) == (False, "multi_turn:empty_turn_model_response")


def test_a_cut_text_is_read_as_far_as_it_goes(box: BfclToolbox) -> None:
    found = benchmark("multi_turn_base", 1)
    (task,) = found.tasks()
    reply = Reply(content="[ls()", completion=Completion(text="[ls()", stop_reason="length"))
    trace = episode(task, box, [reply] + ["no"] * 9)
    assert [call.raw for call in trace.calls] == ["ls()"], "the missing bracket is added"
    assert trace.halt == "answered"


def test_the_21st_step_is_carried_out_and_ends_the_entry(box: BfclToolbox) -> None:
    found = benchmark("multi_turn_base", 1)
    (task,) = found.tasks()
    entry = found.entries()[task.id]
    trace = episode(task, box, ["[pwd()]"] * 40)
    assert (trace.halt, len(trace.turns)) == ("step_budget", 21)
    result = result_of(entry, trace, "prompting")
    assert [len(turn) for turn in result] == [21]
    assert verdict(found, task, trace)[1][0] == "multi_turn:force_terminated"


def test_too_many_steps_in_the_last_turn_are_no_failure_in_themselves(box: BfclToolbox) -> None:
    found = benchmark("multi_turn_base")
    task = next(task for task in found.tasks() if task.id == SOLVED)
    answers = gold(found.entries()[task.id])
    assert answers is not None
    trace = episode(task, box, answers[:-1] + ["[pwd()]"] * 40)
    assert trace.halt == "step_budget"
    assert verdict(found, task, trace) == (True, ())


def writes_the_calls_of_one_entry(found: BfclEval) -> Callable[[dict[str, Any]], Answer]:
    """A served model that writes the answer to one entry, and sentences to every other."""
    first = next(task for task in found.tasks() if task.id == SOLVED)
    script = gold(found.entries()[first.id])
    opening = [message.content for message in first.messages]

    def answer(body: dict[str, Any]) -> Answer:
        said = [message["content"] for message in body["messages"]]
        number = sum(message["role"] == "assistant" for message in body["messages"])
        text = "I would rather not."
        if script is not None and said[: len(opening)] == opening:
            text = script[number]
        return text

    return answer


async def test_a_run_over_http_and_its_exported_folder_have_the_same_verdicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = writes_the_calls_of_one_entry(benchmark("multi_turn_base"))
    file = tmp_path / "run.yaml"
    async with FakeOpenAI(script=script, context=None) as up:
        file.write_text(RUN.format(url=up.url))
        plan = plan_bakeoff(read_run_file(file), load())
        folder = await run_bakeoff(plan, tmp_path / "run")
    assert [trace.halt for trace in folder.traces()] == ["answered"] * 2
    (row,) = benchmark_rows(plan, folder)["served"]
    assert (row["category"], row["right"], row["total"]) == ("multi_turn_base", 1, 2)
    run(capsys, "export", str(tmp_path / "run"), str(tmp_path / "official"))
    options = ("--partial", "--json", "--handler", "prompting")
    report = json.loads(run(capsys, "score", str(tmp_path / "official"), *options))
    scored = report["models"][0]["categories"]["multi_turn_base"]
    assert (scored["correct_count"], scored["total_count"]) == (1, 2)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["bfcl", *arguments])
    captured = capsys.readouterr()
    assert end.value.code == 0, captured.err
    return captured.out
