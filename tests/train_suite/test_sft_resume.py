"""A training that is killed goes on from its last checkpoint and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from callsmith import Checkpoint
from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()

OPTIONS = {
    "rank": 2,
    "batch_size": 4,
    "accumulation": 1,
    "max_steps": 9,
    "save_every": 2,
    "learning_rate": 1e-2,
    "probe": {"samples": 2, "every": 3, "max_new_tokens": 4},
}
SCRIPT = """
import json, sys, time
from pathlib import Path
from callsmith import Checkpoint
from callsmith_trl.config import SftConfig
from callsmith_trl.sft import SftTrainer
from train_suite import models

base, output, reports, slow, options = sys.argv[1:]

def report(progress):
    with open(reports, "a") as target:
        target.write(json.dumps(progress) + "\\n")
    if progress.get("event") == "step":
        time.sleep(float(slow))

config = SftConfig.model_validate(json.loads(options))
job = models.job(Checkpoint(path=base, base="tiny/base"), Path(output), report=report)
made = SftTrainer(config).train(job)
print(made.adapter)
"""


def start(base: Checkpoint, output: Path, reports: Path, slow: float) -> subprocess.Popen[str]:
    here = Path(models.__file__).resolve().parent.parent
    path = os.pathsep.join([str(here), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            SCRIPT,
            base.path,
            str(output),
            str(reports),
            str(slow),
            json.dumps(OPTIONS),
        ],
        env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def events(reports: Path) -> list[dict[str, object]]:
    if not reports.is_file():
        return []
    whole = reports.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def test_killed_and_started_again(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from callsmith_trl.config import SftConfig
    from callsmith_trl.sft import SftTrainer

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
    first = [e["step"] for e in events(reports) if e.get("event") == "step"]

    again = start(qwen3_base, output, reports, slow=0)
    said, problem = again.communicate(timeout=300)
    assert again.returncode == 0, problem[-2000:]
    later = events(reports)[len(first) :]
    [resumed] = [e["step"] for e in later if e.get("event") == "resumed"]
    assert resumed == 4
    done = [e["step"] for e in later if e.get("event") == "step" and int(str(e["step"])) > 5]
    assert done[-1] == 9
    [end] = [e for e in later if e.get("event") == "done"]
    assert end["steps"] == 9
    assert end["resumed_at"] == 4
    history = (output / "probe.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in history] == [0, 3, 6, 9]

    job = models.job(qwen3_base, tmp_path / "plain")
    straight = SftTrainer(SftConfig.model_validate(OPTIONS)).train(job)
    one, two = (
        load_file(f"{adapter}/adapter_model.safetensors")
        for adapter in (said.strip(), straight.adapter)
    )
    assert one.keys() == two.keys()
    assert all((one[name] - two[name]).abs().max() < 1e-5 for name in one)
    assert not list((output).glob(".*"))


@pytest.mark.parametrize(
    "whole", [{}, {"adapter": "none", "quantization": ""}], ids=["adapter", "model"]
)
def test_killed_behind_the_last_step(
    whole: dict[str, str], qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    from callsmith_trl.config import SftConfig
    from callsmith_trl.sft import SftTrainer

    options = {**OPTIONS, **whole, "max_steps": 3, "keep_checkpoints": True}
    trainer = SftTrainer(SftConfig.model_validate(options))
    job = models.job(qwen3_base, tmp_path / "out")
    first = trainer.train(job)
    place = Path(first.adapter or first.path)
    [weights] = place.glob("*.safetensors")
    before = weights.read_bytes()
    (tmp_path / "out" / "checkpoint.json").unlink()
    seen: list[object] = []
    again = trainer.train(models.job(qwen3_base, tmp_path / "out", report=seen.append))
    assert [e["event"] for e in seen if isinstance(e, dict) and "event" in e] == [
        "loaded",
        "resumed",
        "done",
    ]
    assert again.details["steps"] == first.details["steps"] == 3
    assert again.details["best_step"] == first.details["best_step"] == 3
    assert weights.read_bytes() == before

    (tmp_path / "out" / "checkpoint.json").unlink()
    for name in (place.name, "probe.jsonl"):
        (tmp_path / "out" / name).rename(tmp_path / name)
    assert trainer.train(job).details["steps"] == 3
    assert weights.read_bytes() == before
