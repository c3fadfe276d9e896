"""A stage in a pipeline, through the command line: what is seen, recorded and shipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from callsmith import Checkpoint, dumps
from callsmith.cli.main import main
from train_suite import models

models.need_libraries()

pytestmark = pytest.mark.train

PIPELINE = """
kind: pipeline
name: p
template: {use: qwen3, options: {thinking: false}}
steps:
  sft:
    train:
      use: sft
      base: {path: BASE, model: tiny/base}
      tasks: {use: jsonl, options: {path: tasks.jsonl}}
      verifiers: [calls-match]
      options: {rank: 2, quantization: "", max_steps: 1, max_length: 400, probe: {samples: 0}}
"""


def test_a_stage_shows_its_preflight_and_ships_card_and_recipe(
    qwen3_base: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    tasks = [*models.tasks(4), models.answer_task("long", "word " * 900, "Yes.")]
    Path("tasks.jsonl").write_text("".join(dumps(one) + "\n" for one in tasks), encoding="utf-8")
    Path("p.yaml").write_text(PIPELINE.replace("BASE", qwen3_base.path), encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main(["run", "p.yaml"])
    said = capfd.readouterr().err.splitlines()
    assert end.value.code == 0, said
    (step,) = Path("runs/p/steps").iterdir()

    # All findings of preflight.json, once, a line each, in its order.
    found = json.loads((step / "output/preflight.json").read_text(encoding="utf-8"))["findings"]
    assert {"warning", "info"} <= {one["level"] for one in found}
    start = said.index("[1/1] sft: preflight")
    for line, one in zip(said[start + 1 :], found, strict=False):
        assert line.split()[0] == one["level"]
        assert line.endswith(one["text"])
        assert sum(one["text"] in line for line in said) == 1

    adapter = step / "output/adapter"
    assert (adapter / "README.md").read_text(encoding="utf-8").startswith("---\nbase_model:")
    recipe = json.loads((adapter / "callsmith.json").read_text(encoding="utf-8"))["recipe"]
    assert recipe["template_reference"]["use"].endswith("qwen3")
    assert recipe["template_reference"]["options"]["thinking"] is False
