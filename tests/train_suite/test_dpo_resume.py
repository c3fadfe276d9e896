"""A `dpo` that is killed goes on from its last checkpoint, against the same reference."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from callsmith import Checkpoint
from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()

OPTIONS: dict[str, Any] = {
    "rank": 2,
    "quantization": "",
    "token_rows": ["<tool_call>"],
    "batch_size": 4,
    "accumulation": 1,
    "max_steps": 6,
    "save_every": 2,
    "learning_rate": 1e-2,
    "probe": {"samples": 2, "every": 3, "max_new_tokens": 4},
    "pairs": {"held_out": 0.25},
}
SCRIPT = """
import json, sys, time
from pathlib import Path
from callsmith import Checkpoint
from callsmith_trl.dpo import DpoTrainer
from callsmith_trl.dpo_config import DpoConfig
from train_suite import models

base, output, reports, slow, options = sys.argv[1:]

def report(progress):
    with open(reports, "a") as target:
        target.write(json.dumps(progress) + "\\n")
    if progress.get("event") == "step":
        time.sleep(float(slow))

config = DpoConfig.model_validate(json.loads(options))
dev = models.tasks(12)[8:]
job = models.job(Checkpoint(path=base, base="tiny/base"), Path(output), report=report, dev=dev)
made = DpoTrainer(config).train(job)
print(made.adapter)
"""


def start(base: Checkpoint, output: Path, reports: Path, slow: float) -> subprocess.Popen[str]:
    here = Path(models.__file__).resolve().parent.parent
    path = os.pathsep.join([str(here), *filter(None, [os.environ.get("PYTHONPATH")])])
    given = [base.path, str(output), str(reports), str(slow), json.dumps(OPTIONS)]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *given],
        env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def events(reports: Path) -> list[dict[str, Any]]:
    if not reports.is_file():
        return []
    whole = reports.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def test_killed_and_started_again(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    output, reports = tmp_path / "killed", tmp_path / "killed.jsonl"
    process = start(qwen3_base, output, reports, slow=0.5)
    try:
        while process.poll() is None:
            if any(e.get("event") == "step" and e["step"] == 5 for e in events(reports)):
                break
            time.sleep(0.05)
        assert process.poll() is None, process.communicate()[1][-2000:]
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert not (output / "checkpoint.json").exists()
    reference, pairs = (output / "reference.json").read_bytes(), output / "pairs.jsonl"
    written = pairs.read_bytes()
    before = len(events(reports))

    again = start(qwen3_base, output, reports, slow=0)
    said, problem = again.communicate(timeout=300)
    assert again.returncode == 0, problem[-2000:]
    later = events(reports)[before:]
    assert [e["step"] for e in later if e.get("event") == "resumed"] == [4]
    assert [e["step"] for e in later if e.get("event") == "step"] == [5, 6]
    assert (output / "reference.json").read_bytes() == reference
    assert pairs.read_bytes() == written
    rewards = (output / "rewards.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in rewards] == [0, 3, 6]

    straight = start(qwen3_base, tmp_path / "plain", tmp_path / "plain.jsonl", slow=0)
    plain, problem = straight.communicate(timeout=300)
    assert straight.returncode == 0, problem[-2000:]
    one, two = (
        load_file(f"{adapter.strip()}/adapter_model.safetensors") for adapter in (said, plain)
    )
    assert one.keys() == two.keys()
    assert any("token_adapter" in name or "embed" in name for name in one)
    assert all((one[name] - two[name]).abs().max() < 1e-5 for name in one)
    measured = (tmp_path / "plain" / "rewards.jsonl").read_text(encoding="utf-8").splitlines()
    last = [json.loads(found[-1])["margin"] for found in (rewards, measured)]
    assert last[0] == pytest.approx(last[1], abs=1e-4)
