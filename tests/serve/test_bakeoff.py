"""A whole bake-off on the real server: the same model through its renderer and through ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from callsmith import Catalog, RunFolder, Trace, load, plan_bakeoff, read_run_file, run_bakeoff
from fixtures.tiny_gemma4_episodes import BY_NAME, EPISODES, TAUGHT
from serve.live_server import LiveServer, need_transformers

pytestmark = pytest.mark.serve
need_transformers()

VERIFIERS = ("emits-call", "tool-known", "schema-valid", "calls-match", "answer-contains")
RUN = """
kind: bakeoff
name: served
sampling: {{temperature: 0, max_tokens: 96, seed: 7}}
samples: {samples}
steps: 4
tasks: taught
arms:
  chat:
    use: openai-chat
    options: {{url: "{url}", model: "{model}"}}
    concurrency: 2
  text:
    use: openai-completions
    template: gemma4
    options: {{url: "{url}", model: "{model}"}}
verifiers: [{verifiers}]
"""
TASKS = [episode.name for episode in EPISODES if episode.tools]


async def bakeoff(server: LiveServer, folder: Path, samples: int, model: str = "") -> RunFolder:
    file = folder.with_suffix(".yaml")
    names = ", ".join((*VERIFIERS, "native-wrapper", "completed"))
    file.write_text(
        RUN.format(url=server.url, model=model or server.model, samples=samples, verifiers=names),
        encoding="utf-8",
    )
    catalog = Catalog([*load().plugins, TAUGHT])
    return await run_bakeoff(plan_bakeoff(read_run_file(file), catalog), folder)


def traces(folder: RunFolder) -> dict[tuple[str, str, int], Trace]:
    return {(trace.arm, trace.task, trace.sample): trace for trace in folder.traces()}


async def test_both_arms_solve_everything(server: LiveServer, tmp_path: Path) -> None:
    folder = await bakeoff(server, tmp_path / "run", samples=2)
    found = traces(folder)
    assert set(found) == {(a, t, s) for a in ("chat", "text") for t in TASKS for s in (0, 1)}
    for (_, task, _), trace in found.items():
        episode = BY_NAME[task]
        assert trace.error is None
        assert trace.halt == "answered"
        assert [(c.name, c.arguments) for c in trace.calls] == [
            (c.name, c.arguments) for c in episode.calls
        ]
        assert trace.answer == episode.answer
        results = [result.content for turn in trace.turns for result in turn.results]
        assert results == list(episode.results)
    for verdicts in folder.verdicts().values():
        passed = {verdict.verifier: verdict.passed for verdict in verdicts}
        assert {name for name in (*VERIFIERS, "completed") if not passed[name]} == set()


async def test_what_differs_between_the_arms_is_in_the_run(
    server: LiveServer, tmp_path: Path
) -> None:
    """Both solve every task, and only one saw what the model wrote: the run says which."""
    folder = await bakeoff(server, tmp_path / "run", samples=1)
    fidelity = folder.header["sessions"][0]["fidelity"]
    assert {fidelity[arm]["runtime"] for arm in ("chat", "text")} == {"transformers"}
    assert fidelity["chat"]["history"] == "messages"
    assert fidelity["text"]["history"] == "prompt"
    assert fidelity["text"]["details"]["control_tokens_visible"] is False
    found = traces(folder)
    for task in TASKS:
        ours = found["text", task, 0]
        theirs = found["chat", task, 0]
        assert len(ours.turns) == len(theirs.turns)
        for turn in ours.turns:
            assert turn.reply
            assert turn.reply.prompt
            assert turn.reply.prompt.text.startswith("<bos><|turn>system\n")
        mended = [repair for turn in ours.turns if turn.reply for repair in turn.reply.repairs]
        assert bool(mended) == bool(BY_NAME[task].calls)
        assert not [r for turn in theirs.turns if turn.reply for r in turn.reply.repairs]
        verdicts = {v.verifier: v.passed for v in folder.verdicts()["text", task, 0]}
        assert verdicts["native-wrapper"] == (not BY_NAME[task].calls)


async def test_the_run_does_not_begin_again(server: LiveServer, tmp_path: Path) -> None:
    first = await bakeoff(server, tmp_path / "run", samples=1)
    before = (first.path / "traces.jsonl").read_bytes()
    again = await bakeoff(server, tmp_path / "run", samples=1)
    assert (again.path / "traces.jsonl").read_bytes() == before
    assert len(json.loads((again.path / "run.json").read_text())["sessions"]) == 2


async def test_a_wrong_model_is_an_error_in_every_trace(server: LiveServer, tmp_path: Path) -> None:
    folder = await bakeoff(server, tmp_path / "run", samples=1, model="gemma4:e4b")
    found = traces(folder)
    assert len(found) == 2 * len(TASKS)
    assert {trace.halt for trace in found.values()} == {"error"}
    assert all("gemma4:e4b" in (trace.error or "") for trace in found.values())
