"""The runner: concurrency, failures, resuming, what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from callsmith import BrokenPluginError, ConfigError, RunFolder, StoreError, run_bakeoff, summarize
from callsmith.config import parse_run_file
from callsmith.runs import Progress
from callsmith.runs.bakeoff import episode_seed
from callsmith.wiring import plan_bakeoff
from fixtures import parts

RUN = """
kind: bakeoff
name: r
samples: 2
tasks: ten
arms:
  a: {use: counting, concurrency: 3}
verifiers: [answered]
"""


@pytest.fixture(autouse=True)
def fresh() -> None:
    parts.Counting.now = parts.Counting.most = parts.Counting.requests = 0
    parts.Counting.closed.clear()


def run(folder: Path, text: str = RUN, old: str = "", new: str = "") -> RunFolder:
    plan = plan_bakeoff(parse_run_file(text.replace(old, new)), parts.catalog())
    return asyncio.run(run_bakeoff(plan, folder))


def test_every_arm_task_and_sample_is_run_once_with_its_own_seed(tmp_path: Path) -> None:
    folder = run(tmp_path)
    traces = list(folder.traces())
    assert len({(t.arm, t.task, t.sample) for t in traces}) == len(traces) == 20
    for trace in traces:
        assert trace.answer == f"seed {episode_seed(0, trace.task, trace.sample)}"
    # Arms are compared on the same draws; tasks and samples are no copies of each other.
    drawn = {(t.task, t.sample): t.answer for t in traces}
    assert len(set(drawn.values())) == len(drawn)
    assert parts.Counting.requests == 20
    assert parts.Counting.closed == ["Counting"]


@pytest.mark.parametrize("limit", [1, 3])
def test_concurrency_is_bounded_and_used(tmp_path: Path, limit: int) -> None:
    run(tmp_path, old="concurrency: 3", new=f"concurrency: {limit}")
    assert parts.Counting.most == limit


def test_a_failing_arm_stops_neither_its_other_episodes_nor_other_arms(tmp_path: Path) -> None:
    folder = run(tmp_path, old="verifiers", new="  b: {use: failing}\nverifiers")
    summary = summarize(folder)
    assert summary["a"].halts == {"answered": 20}
    assert summary["b"].halts == {"answered": 10, "error": 10}
    assert summary["b"].errors == {"ValueError: odd": 10}
    assert summary["b"].rates["answered"].passed == 10
    fidelity = folder.header["sessions"][0]["fidelity"]
    assert fidelity["b"] == {"error": "OSError: nobody home"}
    assert fidelity["a"]["warnings"] == ["only a test"]


def test_a_failing_verifier_is_a_verdict_with_its_reason(tmp_path: Path) -> None:
    folder = run(tmp_path, old="[answered]", new="[answered, crashing]")
    for verdicts in folder.verdicts().values():
        assert [v.passed for v in verdicts] == [True, False]
        assert verdicts[1].reasons[0].startswith("the verifier failed: KeyError")


def test_what_is_there_is_not_run_again_and_missing_verdicts_are_made_up_for(
    tmp_path: Path,
) -> None:
    run(tmp_path)
    traces = (tmp_path / "traces.jsonl").read_bytes().splitlines(keepends=True)
    verdicts = (tmp_path / "verdicts.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "traces.jsonl").write_bytes(b"".join(traces[:12]) + traces[12][:30])
    (tmp_path / "verdicts.jsonl").write_bytes(b"".join(verdicts[:7]) + b'{"torn')
    parts.Counting.requests = 0
    seen: list[Progress] = []
    plan = plan_bakeoff(parse_run_file(RUN), parts.catalog())
    folder = asyncio.run(run_bakeoff(plan, tmp_path, seen.append))
    assert parts.Counting.requests == 8
    assert len(list(folder.traces())) == len(folder.verdicts()) == 20
    assert (seen[0].done, seen[0].resumed, seen[-1].done, seen[-1].total) == (12, 12, 20, 20)


def test_another_run_in_the_same_folder_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    run(tmp_path)
    before = (tmp_path / "traces.jsonl").read_bytes()
    with pytest.raises(StoreError, match=r"holds another run \(samples: 2 there, 3 here\)"):
        run(tmp_path, old="samples: 2", new="samples: 3")
    assert (tmp_path / "traces.jsonl").read_bytes() == before


def test_prompts_can_be_left_out_of_the_record(tmp_path: Path) -> None:
    folder = run(tmp_path, old="samples: 2", new="samples: 1\nrecord: replies")
    assert all(t.turns[0].reply and t.turns[0].reply.prompt is None for t in folder.traces())


def test_an_eval_brings_its_own_verifiers(tmp_path: Path) -> None:
    folder = run(tmp_path, old="tasks: ten", new="eval: benchmark\nlimit: 4")
    assert set(summarize(folder)["a"].rates) == {"own", "answered"}
    assert summarize(folder)["a"].episodes == 8


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("use: counting", "use: incomplete", BrokenPluginError, "is no ChatArm: it lacks"),
        ("tasks: ten", "tasks: twice", ConfigError, "has the task 'same' twice"),
        ("use: counting", "use: engine", ConfigError, "engine is a text engine: name a template"),
        ("ten", "{use: ten, options: {x: 1}}", ConfigError, "tasks.options: ten takes no options"),
    ],
)
def test_what_cannot_be_built_is_an_error_before_anything_runs(
    tmp_path: Path, old: str, new: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(tmp_path / "run", old=old, new=new)
    assert not (tmp_path / "run" / "traces.jsonl").exists()
    assert parts.Counting.requests == 0


def test_a_reply_that_is_no_json_is_an_error_of_its_episode(tmp_path: Path) -> None:
    folder = run(tmp_path, old="use: counting", new="use: unwritable")
    traces = list(folder.traces())
    assert len(traces) == 20
    assert {t.error for t in traces} == {
        "the reply cannot be stored as JSON: set is not a JSON value"
    }


def test_the_options_of_a_toolbox_are_part_of_the_run() -> None:
    text = RUN + "toolbox: {use: box, options: {size: SIZE}}\n"
    plans = [
        plan_bakeoff(parse_run_file(text.replace("SIZE", size)), parts.catalog()).describe()
        for size in "12"
    ]
    assert plans[0] != plans[1]


def test_traces_without_a_header_are_not_taken_for_this_run(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(StoreError, match=r"has traces but no run.json"):
        run(tmp_path)


def test_errors_are_run_again_only_when_asked_and_stay_on_record(tmp_path: Path) -> None:
    text = RUN.replace("use: counting, concurrency: 3", "use: failing")
    folder = run(tmp_path, text)
    assert summarize(run(tmp_path, text))["a"].halts == {"answered": 10, "error": 10}
    plan = plan_bakeoff(parse_run_file(text), parts.catalog())
    parts.Failing.mended = True
    try:
        asyncio.run(run_bakeoff(plan, tmp_path, retry_errors=True))
    finally:
        parts.Failing.mended = False
    assert summarize(folder)["a"].halts == {"answered": 20}
    assert len({(t.arm, t.task, t.sample) for t in folder.traces()}) == len(folder.verdicts()) == 20
    retried = (tmp_path / "retried.jsonl").read_text().splitlines()
    assert len(retried) == 10
    assert all('"halt":"error"' in line for line in retried)


def test_arms_may_run_one_after_the_other(tmp_path: Path) -> None:
    two = "  b: {use: counting, concurrency: 2}\nverifiers"
    folder = run(tmp_path / "together", old="verifiers", new=two)
    assert parts.Counting.most == 5
    arms = [trace.arm for trace in folder.traces()]
    assert arms != sorted(arms)
    parts.Counting.most = 0
    parts.Counting.closed.clear()
    folder = run(tmp_path / "alone", old="verifiers", new=f"{two}: [answered]\ntogether: false #")
    assert parts.Counting.most == 3
    arms = [trace.arm for trace in folder.traces()]
    assert arms == sorted(arms)
    assert len(arms) == 40
    (session,) = folder.header["sessions"]
    assert set(session["fidelity"]) == {"a", "b"}
    assert len(parts.Counting.closed) >= 2


def test_an_arm_may_be_a_bare_name(tmp_path: Path) -> None:
    folder = run(tmp_path, old="{use: counting, concurrency: 3}", new="counting")
    assert summarize(folder)["a"].episodes == 20
