"""A whole bake-off against an OpenAI-compatible server, and what the run folder keeps of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

import callsmith_openai
from callsmith import Catalog, RunFolder, Trace, load, plan_bakeoff, read_run_file, run_bakeoff
from callsmith.registry import Plugin
from callsmith.runs.bakeoff import episode_seed
from servers.arithmetic import ARITHMETIC
from servers.openai import Answer, Call, Content, Delivery, Event, FakeOpenAI
from servers.openai_model import arithmetic

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = "sk-very-secret-0123456789"

RUN = """
kind: bakeoff
name: sums
sampling: {{temperature: 0.7, top_k: 40, max_tokens: 64, seed: 7}}
samples: 2
tasks: sums
arms:
  chat:
    use: openai-chat
    options: {{model: gemma4, url: "{url}", api_key_env: SOME_KEY}}
    concurrency: 2
  completions:
    use: openai-completions
    template: gemma4
    options: {{model: gemma4, url: "{url}", headers_env: {{Authorization: BEARER}}}}
"""


@pytest.fixture(params=["vllm", "llama.cpp", "plain"])
async def server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FakeOpenAI]:
    monkeypatch.setenv("SOME_KEY", KEY)
    monkeypatch.setenv("BEARER", f"Bearer {KEY}")
    async with FakeOpenAI(
        flavour=request.param,
        script=arithmetic,
        key=KEY,
        echoes_key=True,
        strips_special=request.param != "plain",
        delivery=Delivery(calls="fragments"),
    ) as running:
        yield running


def catalog() -> Catalog:
    found = [*load().plugins, ARITHMETIC]
    if not any(plugin.name == "openai" for plugin in found):
        components = tuple(("arm", item) for item in callsmith_openai.callsmith_arms())
        found.append(Plugin(name="openai", module="callsmith_openai", components=components))
    return Catalog(found)


async def bakeoff(folder: Path, url: str) -> RunFolder:
    file = folder.with_suffix(".yaml")
    file.write_text(RUN.format(url=url))
    return await run_bakeoff(plan_bakeoff(read_run_file(file), catalog()), folder)


def episodes(folder: RunFolder) -> dict[tuple[str, str, int], Trace]:
    return {(t.arm, t.task, t.sample): replace(t, seconds=0) for t in folder.traces()}


async def test_both_arms_solve_the_tasks(server: FakeOpenAI, tmp_path: Path) -> None:
    run = await bakeoff(tmp_path / "run", server.url)
    found = episodes(run)
    assert len(found) == 2 * 5 * 2
    assert {trace.halt for trace in found.values()} == {"answered"}, [
        trace.error for trace in found.values()
    ]
    for sample in (0, 1):
        for arm in ("chat", "completions"):
            assert found[arm, "sum-3", sample].answer == "It is 7."
            assert (
                found[arm, "greeting", sample].answer
                == f"Hello, seed {episode_seed(7, 'greeting', sample)}"
            )
            (call,) = found[arm, "sum-3", sample].calls
            assert call.arguments == {"a": 3, "b": 4}
    known = run.header["sessions"][0]["fidelity"]
    assert (known["chat"]["history"], known["completions"]["history"]) == ("messages", "prompt")
    for fidelity in known.values():
        assert fidelity["model"] == "gemma4"
        assert fidelity["sampling"]["top_k"] == "applied"


async def test_the_key_is_nowhere_in_the_run_folder(server: FakeOpenAI, tmp_path: Path) -> None:
    await bakeoff(tmp_path / "good", server.url)
    server.key = "another key"  # every request is refused now, and the refusal repeats the key
    refused = await bakeoff(tmp_path / "bad", server.url)
    errors = {trace.error for trace in refused.traces()}
    assert all("401" in (error or "") for error in errors)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 6
    for path in files:
        data = path.read_bytes()
        assert KEY.encode() not in data, path
        assert KEY.removeprefix("sk-").encode() not in data, path
    assert any(b"SOME_KEY" in path.read_bytes() for path in files)


async def test_a_failure_in_mid_stream_is_a_trace(server: FakeOpenAI, tmp_path: Path) -> None:
    def fails(body: object) -> Answer:
        return [Call("add", {"a": 1}), Content("so"), Event({"error": {"message": "no memory"}})]

    server.script = fails
    run = await bakeoff(tmp_path / "run", server.url)
    found = episodes(run)
    assert len(found) == 20
    assert all("no memory" in (trace.error or "") for trace in found.values())


def test_the_options_in_the_how_to_are_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_API_KEY", "x")
    text = (ROOT / "docs" / "how-to" / "openai-compatible.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert blocks
    arms = set()
    for number, block in enumerate(blocks):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block)
        for arm in read_run_file(file).arms.values():
            arms.add(arm.use)
            catalog().resolve("arm", arm.use, arm.options)
    assert arms >= {"openai-chat", "openai-completions"}
