"""The best weights so far: never lost, whenever the process is killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callsmith import Checkpoint
from train_suite import models

models.need_libraries()

pytestmark = pytest.mark.train


def keeper(base: Checkpoint, output: Path, start: int = 0) -> Any:
    """A keeper as a stage makes it; `start` is the step from which the training goes on."""
    from callsmith_trl.best import BestKeeper
    from callsmith_trl.config import SftConfig
    from callsmith_trl.loading import load_for_training
    from callsmith_trl.progress import ProgressCallback

    config = SftConfig(quantization="", rank=4, device="cpu", token_rows="off")
    loaded = load_for_training(config, base, models.template("qwen3"))
    progress = ProgressCallback("sft", lambda report: None, "cpu")
    return BestKeeper(output, loaded, progress, lambda report: None, "sft", start)


def probe(step: int, right: float) -> dict[str, Any]:
    return {"step": step, "right": right, "loss": 1.0, "seconds": 0.1}


def test_a_kill_while_better_weights_take_the_place_keeps_those_before(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    before = keeper(qwen3_base, tmp_path)
    before.add(probe(0, 0.25))
    before.add(probe(2, 0.5))
    # The moment between the two renames.
    (tmp_path / "best").rename(tmp_path / ".best.previous")
    again = keeper(qwen3_base, tmp_path, start=3)
    assert again.best == probe(2, 0.5)
    assert [one["step"] for one in again.history] == [0, 2]
    again.add(probe(4, 0.25))
    assert again.best == probe(2, 0.5)
    made = again.take({})
    assert made.adapter == str(tmp_path / "adapter")
    assert json.loads((tmp_path / "adapter" / "probe.json").read_text()) == probe(2, 0.5)
