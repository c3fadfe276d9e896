"""`examples/arms.yaml`, run: one model behind five paths, and the paths agree."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from callsmith import RunFolder, Trace, load, plan_bakeoff, read_run_file, run_bakeoff
from callsmith.cli.main import main
from callsmith.runs import fidelity_rows
from servers.embedded import ollama_script, openai_script
from servers.ollama import FakeOllama
from servers.openai import FakeOpenAI

ROOT = Path(__file__).resolve().parent.parent.parent
GEMMA = "google/gemma-4-e4b-it"


@pytest.fixture
async def servers() -> AsyncIterator[tuple[FakeOllama, FakeOpenAI]]:
    async with (
        FakeOllama(script=ollama_script) as ollama,
        FakeOpenAI(
            script=openai_script, flavour="plain", models=(GEMMA,), strips_special=False
        ) as openai,
    ):
        yield ollama, openai


def shortened(ollama: FakeOllama, openai: FakeOpenAI) -> dict[str, Any]:
    """The example with these servers, the embedded model for the reference, and few tasks."""
    run: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "arms.yaml").read_text())
    run.update(tasks={"use": "tiny-tasks"}, limit=4, steps=3)
    run["sampling"]["max_tokens"] = 160
    arms = run["arms"]
    for name in ("ollama-chat", "ollama-raw"):
        arms[name]["options"].update(url=ollama.url, num_ctx=2048)
    for name in ("openai-chat", "openai-completions"):
        arms[name]["options"].update(url=f"{openai.url.removesuffix('/v1')}/v1")
    arms["jax-sampler"] = {"use": "tiny", "template": arms["ollama-raw"]["template"]}
    return run


def calls(traces: list[Trace]) -> dict[tuple[str, int], list[tuple[str, Any]]]:
    return {(t.task, t.sample): [(c.name, c.arguments) for c in t.calls] for t in traces}


async def test_one_model_behind_five_paths_makes_the_same_calls(
    servers: tuple[FakeOllama, FakeOpenAI], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "arms.yaml"
    file.write_text(yaml.safe_dump(shortened(*servers), sort_keys=False))
    folder = await run_bakeoff(plan_bakeoff(read_run_file(file), load()), tmp_path / "run")
    traces = list(folder.traces())
    assert [t.error for t in traces if t.error] == []
    by_arm = {
        arm: calls([t for t in traces if t.arm == arm]) for arm in folder.header["config"]["arms"]
    }
    assert len(by_arm) == 5
    reference = by_arm["jax-sampler"]
    assert len(reference) == 4
    assert any(reference.values()), "some tasks of these need a call"
    for arm, found in by_arm.items():
        assert found == reference, arm
    shows_what_ran(folder, capsys)


def shows_what_ran(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row.field: row for row in fidelity_rows(folder.header)}
    assert rows["history"].values == ("messages", "prompt", "messages", "prompt", "prompt")
    assert rows["history"].state == "differs"
    assert rows["sampling.temperature"].values[0] == "0.0"
    with pytest.raises(SystemExit) as end:
        main(["show", str(folder.path), "--json"])
    assert end.value.code == 0
    shown = json.loads(capsys.readouterr().out)
    assert {row["field"] for row in shown["fidelity"]} == set(rows)
