"""A step's `launch`: two processes train one model, on the CPU with gloo, as on GPUs with NCCL."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from callsmith import (
    Checkpoint,
    PipelineFolder,
    dumps,
    load,
    plan_pipeline,
    read_pipeline_file,
    run_pipeline,
)
from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()

DDP = Path(__file__).resolve().parents[2] / "examples" / "accelerate" / "ddp.yaml"
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(DDP),
          "--num_processes", "2", "--main_process_port", "0"]  # fmt: skip
OPTIONS: dict[str, Any] = {
    "token_rows": ["<tool_call>"],
    "rank": 4,
    "batch_size": 2,
    "max_steps": 3,
    "learning_rate": 1e-3,
    "device": "cpu",
    "probe": {"samples": 2, "every": 2, "max_new_tokens": 8},
}


def test_two_processes_take_the_steps_of_one_with_twice_the_accumulation(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(dumps(task) + "\n" for task in models.tasks()), encoding="utf-8")
    tasks = {"use": "jsonl", "options": {"path": str(file)}}
    step = {
        "use": "sft",
        "launch": LAUNCH,
        "base": {"path": qwen3_base.path, "model": "tiny/base"},
        "tasks": tasks,
        "dev": tasks,
        "template": "qwen3",
        "verifiers": ["calls-match"],
        "options": {**OPTIONS, "accumulation": 1},
    }
    pipeline = {"kind": "pipeline", "name": "two", "seed": 5, "steps": {"sft": {"train": step}}}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    plan = plan_pipeline(read_pipeline_file(tmp_path / "two.yaml"), load())
    folder = run_pipeline(plan, tmp_path / "two")
    both = made_by(folder)

    from callsmith_trl.config import SftConfig
    from callsmith_trl.sft import SftTrainer

    seen: list[dict[str, Any]] = []
    job = models.job(
        qwen3_base, tmp_path / "one", seed=5, report=lambda entry: seen.append(dict(entry))
    )
    alone = SftTrainer(SftConfig(**OPTIONS, accumulation=2)).train(job)

    assert both.details["steps"] == alone.details["steps"] == 3
    assert losses(reports(folder)) == pytest.approx(losses(seen), rel=1e-4)
    assert [one["step"] for one in reports(folder) if one.get("event") == "probe"] == [0, 2, 3]
    ours, theirs = adapter(both), adapter(alone)
    assert ours.keys() == theirs.keys()
    moved = 0.0
    for name, values in ours.items():
        moved = max(moved, float(values.abs().max()))
        assert float((values - theirs[name]).abs().max()) < 1e-4, name
    assert moved > 1e-3


def made_by(folder: PipelineFolder) -> Checkpoint:
    (step,) = folder.steps()
    result = folder.result(step)
    assert result is not None
    assert result.checkpoint is not None
    return result.checkpoint


def reports(folder: PipelineFolder) -> list[dict[str, Any]]:
    (step,) = folder.steps()
    return [line["progress"] for line in folder.progress(step)]


def losses(seen: list[dict[str, Any]]) -> list[float]:
    return [one["loss"] for one in seen if one.get("event") == "step"]


def adapter(checkpoint: Checkpoint) -> dict[str, Any]:
    from safetensors.torch import load_file

    assert checkpoint.adapter is not None
    return load_file(Path(checkpoint.adapter) / "adapter_model.safetensors")
