"""BFCL as an eval: any arm is asked, the official rules judge, and the answers can be exported."""

from __future__ import annotations

import ast
import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from callsmith import (
    ConfigError,
    Message,
    Task,
    ToolCall,
    Trace,
    UnknownNameError,
    Verdict,
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
from callsmith_bfcl.wheel import wheel_path
from fixtures.small_bfcl import find_wheel

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module", autouse=True)
def wheel() -> str:
    find_wheel()  # skips where the data is missing
    return str(wheel_path())


def benchmark(**options: Any) -> BfclEval:
    return BfclEval(BfclConfig(**options))


def gold(entry: Entry) -> list[ToolCall]:
    """The calls of a single-turn answer: for each argument the first one that may be given."""
    calls = []
    for answer in entry.ground_truth:
        ((name, arguments),) = answer.items()
        given = {key: values[0] for key, values in arguments.items() if values[0] != ""}
        calls.append(ToolCall(name=name.replace(".", "_"), arguments=given))
    return calls


def episode(task: Task, *answers: object, toolbox: BfclToolbox | None = None) -> Trace:
    arm = ScriptedChatArm(list(answers))  # type: ignore[arg-type]
    return asyncio.run(run_episode(arm, task, toolbox, steps=21))


def judged(found: BfclEval, task: Task, trace: Trace) -> dict[str, Verdict]:
    return {name: judge.verify(task, trace) for name, judge in found.verifiers().items()}


def test_gold_calls_pass_and_wrong_ones_name_the_official_error() -> None:
    found = benchmark(categories=["simple_python"], per_category=20)
    tasks = list(found.tasks())
    assert len(tasks) == 20
    assert tasks[0].tools[0].parameters["type"] == "object"
    for task in tasks:
        entry = found.entries()[task.id]
        right = judged(found, task, episode(task, gold(entry)))
        assert right["bfcl"].passed, (task.id, right["bfcl"].reasons)
        assert all(verdict.passed for verdict in right.values())
    task = tasks[0]
    wrong = judged(found, task, episode(task, [ToolCall(name="invented", arguments={})]))
    assert wrong["bfcl"].reasons[0] == "simple_function_checker:wrong_func_name"
    assert not wrong["bfcl-known-tools"].passed
    said = judged(found, task, episode(task, "I would rather not."))
    assert said["bfcl"].reasons[0] == "ast_decoder:decoder_failed"
    assert not said["bfcl-parseable"].passed


def test_prompting_reads_the_calls_from_the_text() -> None:
    found = benchmark(categories=["simple_python"], per_category=1, mode="prompting")
    (task,) = found.tasks()
    assert task.tools == ()
    assert task.messages[0].role == "system"
    (call,) = gold(found.entries()[task.id])
    assert isinstance(call.arguments, dict)
    inside = ", ".join(f"{key}={value!r}" for key, value in call.arguments.items())
    assert judged(found, task, episode(task, f"[{call.name}({inside})]"))["bfcl"].passed
    assert not judged(found, task, episode(task, f"I call {call.name}."))["bfcl"].passed


def test_strictly_the_table_lists_where_the_official_verdict_differs() -> None:
    # The empty string for a text that may be left out: right officially (A3).
    found = benchmark(categories=["simple_python"], ids=["simple_python_218"], strict=True)
    (task,) = found.tasks()
    (call,) = gold(found.entries()[task.id])
    assert isinstance(call.arguments, dict)
    entry = found.entries()[task.id]
    ((name, accepted),) = entry.ground_truth[0].items()
    assert name.replace(".", "_") == call.name
    schema = entry.functions[0]["parameters"]["properties"]
    (optional, *_) = [
        key for key, values in accepted.items() if "" in values and schema[key]["type"] == "string"
    ]
    said = ToolCall(name=call.name, arguments={**call.arguments, optional: ".-/"})
    judge = found.verifiers()["bfcl"]
    wrong = judge.verify(task, episode(task, [said]))
    assert (wrong.passed, wrong.reasons[-1]) == (False, "officially right (A3)")
    rows = found.summarize([(task, wrong)])
    assert rows[-1] == {
        "category": task.id,
        "note": "strictly value_error:string, officially right (A3)",
    }
    right = judge.verify(task, episode(task, [call]))
    assert (right.passed, right.reasons) == (True, ())
    lenient = benchmark(categories=["simple_python"], ids=[task.id]).verifiers()["bfcl"]
    assert lenient.verify(task, episode(task, [said])).passed


def test_a_call_where_none_is_due_fails() -> None:
    found = benchmark(categories=["irrelevance"], per_category=1)
    (task,) = found.tasks()
    call = ToolCall(name=task.tools[0].name, arguments={})
    assert judged(found, task, episode(task, "There is no tool for that."))["bfcl"].passed
    assert not judged(found, task, episode(task, [call]))["bfcl"].passed


def keyword_calls(texts: list[str]) -> list[ToolCall] | None:
    """Call texts of a multi-turn answer as calls; None if one has positional arguments."""
    calls = []
    for text in texts:
        node = ast.parse(text, mode="eval").body
        assert isinstance(node, ast.Call)
        if node.args:
            return None
        arguments = {k.arg or "": ast.literal_eval(k.value) for k in node.keywords}
        calls.append(ToolCall(name=ast.unparse(node.func), arguments=arguments))
    return calls


@pytest.mark.parametrize("category", ["multi_turn_base", "multi_turn_miss_func"])
def test_conversations_are_carried_out_on_the_simulated_apis(category: str) -> None:
    found = benchmark(categories=[category], per_category=12)
    box = BfclToolbox(ToolboxConfig())
    done = 0
    for task in found.tasks():
        entry = found.entries()[task.id]
        turns = [keyword_calls(texts) for texts in entry.ground_truth]
        if None in turns:
            continue
        answers: list[object] = []
        for calls in turns:
            answers += [*([calls] if calls else []), "Done."]
        trace = episode(task, *answers, toolbox=box)
        assert trace.halt == "answered", trace.error
        assert not any(r.error for turn in trace.turns for r in turn.results)
        assert judged(found, task, trace)["bfcl"].passed
        lazy = episode(task, *["Done."] * len(turns), toolbox=box)
        assert not judged(found, task, lazy)["bfcl"].passed
        done += 1
    assert done >= 5


def test_a_conversation_of_one_turn_is_a_conversation() -> None:
    found = benchmark(categories=["multi_turn_base"], ids=["multi_turn_base_50"])
    (task,) = found.tasks()
    entry = found.entries()[task.id]
    assert task.follow_ups == ()
    calls = keyword_calls(entry.ground_truth[0])
    assert calls is not None
    trace = episode(task, calls, "Done.", toolbox=BfclToolbox(ToolboxConfig()))
    assert judged(found, task, trace)["bfcl"].passed
    result = result_of(entry, trace, "fc")
    assert [len(turn) for turn in result] == [2]


def test_withheld_functions_come_with_their_turn() -> None:
    found = benchmark(categories=["multi_turn_miss_func"], per_category=1)
    (task,) = found.tasks()
    grown = [turn.tools for turn in task.follow_ups if turn.tools is not None]
    assert grown
    assert len(grown[0]) > len(task.tools)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"categories": ["agentic"]}, "needs web search or a memory backend"),
        ({"categories": ["format_sensitivity"]}, "needs mode prompting"),
        ({"categories": ["simple_pyton"]}, "did you mean 'simple_python'"),
        ({"wheel": "no/such.whl"}, "no/such.whl"),
    ],
)
def test_what_cannot_be_run_is_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        benchmark(**options)


def test_an_unknown_id_is_named() -> None:
    with pytest.raises(UnknownNameError, match="simple_python_9999"):
        benchmark(categories=["simple_python"], ids=["simple_python_9999"]).entries()


def test_the_example_runs_and_its_answers_are_scored_the_same_from_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "examples" / "bfcl-quick.yaml").read_text()
    file = tmp_path / "quick.yaml"
    file.write_text(text.replace("per_category: 50", "per_category: 4"))
    plan = plan_bakeoff(read_run_file(file), load())
    folder = asyncio.run(run_bakeoff(plan, tmp_path / "run"))
    rows = benchmark_rows(plan, folder)["embedded"]
    passed = sum(
        verdict.passed
        for verdicts in folder.verdicts().values()
        for verdict in verdicts
        if verdict.verifier == "bfcl"
    )
    (row, *metrics) = rows
    assert (row["category"], row["right"], row["total"]) == ("simple_python", passed, 4)
    titles = ["parseable", "known tools", "schema valid", "right names", "right arguments"]
    assert [row["category"] for row in metrics] == [f"calls: {title}" for title in titles]
    run(capsys, "export", str(tmp_path / "run"), str(tmp_path / "official"))
    (results,) = (tmp_path / "official").rglob("*_result.json")
    assert results.name == "BFCL_v4_simple_python_result.json"
    assert len(results.read_text().splitlines()) == 4
    report = run(
        capsys, "score", str(tmp_path / "official"), "--partial", "--json", "--handler", "fc"
    )
    (model,) = json.loads(report)["models"]
    category = model["categories"]["simple_python"]
    assert category["correct_count"] == passed
    for row, share in zip(metrics, category["metrics"].values(), strict=True):
        assert (row["right"], row["total"]) == (share["count"], share["total"])


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["bfcl", *arguments])
    captured = capsys.readouterr()
    assert end.value.code == 0, captured.err
    return captured.out


def test_a_task_of_something_else_gets_no_session() -> None:
    task = Task(id="simple_python_0", messages=(Message(role="user", content="x"),))
    with pytest.raises(ConfigError, match="no multi-turn entry"):
        BfclToolbox(ToolboxConfig()).session(task)
