"""A whole bake-off against an Ollama server, and again from its recording, without any server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from callsmith import (
    Catalog,
    RunFolder,
    Trace,
    load,
    plan_bakeoff,
    read_run_file,
    run_bakeoff,
)
from callsmith.runs.bakeoff import episode_seed
from servers.arithmetic import ARITHMETIC, scripted_gemma4
from servers.ollama import Answer, ErrorLine, FakeOllama

ROOT = Path(__file__).resolve().parent.parent.parent

RUN = """
kind: bakeoff
name: sums
sampling: {{temperature: 0.7, max_tokens: 64, seed: 7}}
samples: 2
record: {record}
tasks: sums
arms:
"""
OLLAMA = """
  chat: {{use: ollama-chat, options: {{model: "gemma4:e4b", url: "{url}"}}, concurrency: 2}}
  raw: {{use: ollama-raw, template: gemma4, options: {{model: "gemma4:e4b", url: "{url}"}}}}
"""
REPLAY = """
  chat: {{use: replay-chat, options: {{path: "{path}", arm: chat}}, concurrency: 3}}
  raw: {{use: replay, template: gemma4, options: {{path: "{path}", arm: raw}}, concurrency: 2}}
"""


@pytest.fixture
async def server() -> AsyncIterator[FakeOllama]:
    async with FakeOllama(script=scripted_gemma4) as running:
        yield running


def catalog() -> Catalog:
    return Catalog([*load().plugins, ARITHMETIC])


async def bakeoff(folder: Path, arms: str, record: str = "full") -> RunFolder:
    file = folder.with_suffix(".yaml")
    file.write_text(RUN.format(record=record) + arms)
    return await run_bakeoff(plan_bakeoff(read_run_file(file), catalog()), folder)


def episodes(folder: RunFolder) -> dict[tuple[str, str, int], Trace]:
    """The traces by key, without what may differ between two runs: times."""
    return {
        (trace.arm, trace.task, trace.sample): replace(
            trace,
            seconds=0,
            turns=tuple(replace(turn, seconds=0) for turn in trace.turns),
        )
        for trace in folder.traces()
    }


async def test_both_arms_solve_the_tasks_and_replay_repeats_them(
    server: FakeOllama, tmp_path: Path
) -> None:
    recorded = await bakeoff(tmp_path / "recorded", OLLAMA.format(url=server.url))
    first = episodes(recorded)
    assert len(first) == 2 * 5 * 2
    assert {trace.halt for trace in first.values()} == {"answered"}
    for sample in (0, 1):
        for arm in ("chat", "raw"):
            assert first[arm, "sum-3", sample].answer == "It is 7."
            assert (
                first[arm, "greeting", sample].answer
                == f"Hello, seed {episode_seed(7, 'greeting', sample)}"
            )
    before = len(server.requests)
    again = await bakeoff(tmp_path / "again", REPLAY.format(path=recorded.path))
    assert len(server.requests) == before
    assert episodes(again) == first


async def test_a_replayed_run_knows_what_it_replays(server: FakeOllama, tmp_path: Path) -> None:
    recorded = await bakeoff(tmp_path / "recorded", OLLAMA.format(url=server.url))
    again = await bakeoff(tmp_path / "again", REPLAY.format(path=recorded.path))
    was = recorded.header["sessions"][0]["fidelity"]
    now = again.header["sessions"][0]["fidelity"]
    for arm in ("chat", "raw"):
        assert now[arm]["runtime"] == "replay"
        assert now[arm]["details"]["recorded_runtime"] == "ollama"
        for key in ("model", "model_digest", "quantization", "context_length"):
            assert now[arm][key] == was[arm][key]


async def test_a_failure_is_a_trace_and_only_the_chat_side_can_repeat_it(
    server: FakeOllama, tmp_path: Path
) -> None:
    def fails(body: object) -> Answer:
        return [ErrorLine("out of memory")]

    server.script = fails
    recorded = await bakeoff(tmp_path / "recorded", OLLAMA.format(url=server.url))
    assert all("out of memory" in (t.error or "") for t in episodes(recorded).values())
    again = episodes(await bakeoff(tmp_path / "again", REPLAY.format(path=recorded.path)))
    for (arm, _, _), trace in again.items():
        assert trace.halt == "error"
        expected = "recorded failure: " if arm == "chat" else "keeps no prompt"
        assert expected in (trace.error or "")


async def test_without_prompts_only_the_chat_side_can_be_replayed(
    server: FakeOllama, tmp_path: Path
) -> None:
    recorded = await bakeoff(tmp_path / "recorded", OLLAMA.format(url=server.url), "replies")
    again = episodes(await bakeoff(tmp_path / "again", REPLAY.format(path=recorded.path)))
    assert {trace.halt for (arm, _, _), trace in again.items() if arm == "chat"} == {"answered"}
    errors = {trace.error for (arm, _, _), trace in again.items() if arm == "raw"}
    assert all("record: replies" in (error or "") for error in errors)


async def test_lost_control_tokens_are_told_in_the_run(server: FakeOllama, tmp_path: Path) -> None:
    server.loses_control_tokens = True
    recorded = await bakeoff(tmp_path / "recorded", OLLAMA.format(url=server.url))
    fidelity = recorded.header["sessions"][0]["fidelity"]
    assert any("control tokens" in text for text in fidelity["raw"].get("warnings", ()))
    assert fidelity["raw"]["details"]["control_tokens_visible"] is False
    assert not fidelity["chat"].get("warnings")


@pytest.mark.parametrize("source", ["example", "how-to"])
def test_the_options_in_the_example_and_the_how_to_are_valid(source: str, tmp_path: Path) -> None:
    file = ROOT / "examples" / "ollama-bakeoff.yaml"
    if source == "how-to":
        text = (ROOT / "docs" / "how-to" / "ollama.md").read_text(encoding="utf-8")
        file = tmp_path / "how-to.yaml"
        file.write_text(text.partition("```yaml\n")[2].partition("```")[0])
    frame = read_run_file(file)
    assert set(frame.arms) == {"chat", "raw"}
    for arm in frame.arms.values():
        load().resolve("arm", arm.use, arm.options)


async def test_the_example_runs(
    server: FakeOllama, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    frame = read_run_file(ROOT / "examples" / "ollama-bakeoff.yaml")
    known = {
        offer.component.name for kind in ("taskset", "verifier") for offer in load().offers(kind)
    }
    if not {"assistant", *(item.use for item in frame.verifiers)} <= known:
        pytest.skip("needs the plugins with the example's tasks and verifiers")
    folder = await run_bakeoff(plan_bakeoff(frame, load()), tmp_path / "run")
    traces = list(folder.traces())
    assert {trace.arm for trace in traces} == {"chat", "raw"}
    assert all(trace.error is None for trace in traces), [trace.error for trace in traces]
    header = json.loads((folder.path / "run.json").read_text())
    assert header["sessions"][0]["fidelity"]["chat"]["runtime"] == "ollama"
