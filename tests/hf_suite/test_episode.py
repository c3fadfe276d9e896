"""Whole episodes: call, result, answer, with our template; and a run file that names the arm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callsmith import (
    CallParsed,
    Catalog,
    ContentDelta,
    Reply,
    Sampling,
    Templated,
    load,
    plan_bakeoff,
    read_run_file,
    run_bakeoff,
    run_episode,
)
from callsmith.registry import Plugin
from fixtures.tiny_gemma4_episodes import BY_NAME, EPISODES, TAUGHT, Taught, TaughtTools
from hf_suite.models import need_libraries

pytestmark = pytest.mark.hf
need_libraries()

GREEDY = Sampling(max_tokens=96)
VERIFIERS = "calls-match, answer-contains, native-wrapper, schema-valid, completed"
TASKS = {task.id: task for task in Taught().tasks()}


@pytest.mark.parametrize("name", sorted(TASKS))
async def test_call_result_answer(build: Callable[..., Any], name: str) -> None:
    chat = Templated(build(), load().build("template", "gemma4"))
    episode = BY_NAME[name]
    trace = await run_episode(chat, TASKS[name], TaughtTools(), sampling=GREEDY)
    assert (trace.error, trace.halt) == (None, "answered")
    assert [(c.name, c.arguments) for c in trace.calls] == [
        (c.name, c.arguments) for c in episode.calls
    ]
    results = [result.content for turn in trace.turns for result in turn.results]
    assert results == list(episode.results)
    assert trace.answer == episode.answer
    for turn in trace.turns:
        assert turn.reply is not None
        assert not turn.reply.faults
        assert not turn.reply.repairs


async def test_a_streamed_episode_shows_the_call(build: Callable[..., Any]) -> None:
    chat = Templated(build(), load().build("template", "gemma4"))
    episode = BY_NAME["sum-2-3"]
    items = [item async for item in chat.stream([episode.user], episode.tools, GREEDY)]
    (call,) = [item for item in items if isinstance(item, CallParsed)]
    assert (call.call.name, call.call.arguments) == ("add", {"a": 2, "b": 3})
    assert isinstance(items[-1], Reply)
    said = [item async for item in chat.stream(episode.history, episode.tools, GREEDY)]
    text = "".join(item.text for item in said if isinstance(item, ContentDelta))
    assert text == episode.answer


async def test_thinking(build: Callable[..., Any]) -> None:
    chat = Templated(build(), load().build("template", "gemma4"))
    episode = BY_NAME["thinking"]
    reply = await chat.generate([episode.user], (), Sampling(max_tokens=96, thinking=True))
    assert (reply.reasoning, reply.content) == (episode.reasoning, episode.answer)


async def test_a_bakeoff_runs_several_at_once(checkpoint: Path, tmp_path: Path) -> None:
    import callsmith_hf

    file = tmp_path / "run.yaml"
    file.write_text(
        f"""
kind: bakeoff
name: in-process
sampling: {{temperature: 0, max_tokens: 96, seed: 7}}
samples: 2
steps: 4
tasks: taught
arms:
  hf:
    use: hf
    template: gemma4
    options: {{model: google/gemma-4-tiny, path: "{checkpoint}", batch_size: 4, device: cpu}}
    concurrency: 4
verifiers: [{VERIFIERS}]
""",
        encoding="utf-8",
    )
    components = tuple(("arm", component) for component in callsmith_hf.callsmith_arms())
    ours = Plugin(name="hf", module="callsmith_hf", components=components)  # type: ignore[arg-type]
    installed = [plugin for plugin in load().plugins if plugin.name != "hf"]
    catalog = Catalog([*installed, ours, TAUGHT])
    folder = await run_bakeoff(plan_bakeoff(read_run_file(file), catalog), tmp_path / "run")
    verdicts = folder.verdicts()
    with_tools = [episode for episode in EPISODES if episode.tools]
    assert len(verdicts) == 2 * len(with_tools)
    for judged in verdicts.values():
        assert len(judged) == len(VERIFIERS.split(", "))
        assert {verdict.verifier for verdict in judged if not verdict.passed} == set()
    fidelity = folder.header["sessions"][0]["fidelity"]["hf"]
    assert fidelity["runtime"] == "transformers"
    assert fidelity["sampling"]["thinking"] == "applied"
