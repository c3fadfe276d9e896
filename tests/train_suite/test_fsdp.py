"""QLoRA with weights that are shared out: what of FSDP can be run without a GPU.

The launcher, and the trainer around it, are not: Accelerate starts FSDP on GPUs only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from callsmith import Checkpoint
from train_suite import fsdp_process, models

pytestmark = pytest.mark.train
models.need_libraries()


def test_two_processes_with_half_of_the_weights_each_train_the_same_adapter(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    alone = fsdp_process.loaded(qwen3_base.path)
    losses = fsdp_process.train(alone.model, fsdp_process.batch())

    script = Path(fsdp_process.__file__)
    run = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
         str(script), qwen3_base.path, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(script.parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-4000:]
    said = json.loads((tmp_path / "said.json").read_text(encoding="utf-8"))
    linear = {name: sizes for name, sizes in said["held"].items() if "base_layer" in name}
    assert linear
    assert all(2 * here == whole for whole, here in linear.values())
    assert said["losses"] == pytest.approx(losses, rel=1e-4)

    from safetensors.torch import load_file

    from callsmith_trl.weights import write_weights

    theirs = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    folder = write_weights(alone, tmp_path / "alone")
    ours = load_file(folder / "adapter_model.safetensors")
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        assert float((values - theirs[name]).abs().max()) < 1e-4, name
    moved = max(float(values.abs().max()) for name, values in ours.items() if "lora_B" in name)
    assert moved > 1e-3
    recipes = [path / "callsmith.json" for path in (folder, tmp_path / "adapter")]
    assert recipes[0].read_bytes() == recipes[1].read_bytes()
