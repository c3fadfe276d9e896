"""Whatever is wrong is one clear line, and nothing that was finished is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callsmith import CallsmithError, Checkpoint, ConfigError, JsonValue, Task
from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()


def sft(**options: Any) -> Any:
    from callsmith_trl.config import SftConfig
    from callsmith_trl.sft import SftTrainer

    given = {
        "rank": 2,
        "batch_size": 4,
        "accumulation": 1,
        "max_steps": 2,
        "save_every": 1,
        "probe": {"samples": 0},
        **options,
    }
    return SftTrainer(SftConfig(**given))


def refused(call: Callable[[], object], kind: type[CallsmithError] = ConfigError) -> str:
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_job_without_base_or_template(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    job = models.job(qwen3_base, tmp_path)
    assert "no base" in refused(lambda: sft().train(replace(job, base=None)))
    assert "no template" in refused(lambda: sft().train(replace(job, template=None)))


def test_a_missing_folder(tmp_path: Path) -> None:
    job = models.job(Checkpoint(path=str(tmp_path / "nowhere")), tmp_path / "out")
    assert "there is no folder" in refused(lambda: sft().train(job))


def test_a_base_that_was_cut(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(qwen3_base.path, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    job = models.job(Checkpoint(path=str(folder)), tmp_path / "out")
    assert "could not be loaded" in refused(lambda: sft().train(job))


def test_an_adapter_of_another_base(
    qwen3_base: Checkpoint, gemma4_base: Checkpoint, tmp_path: Path
) -> None:
    made = sft(max_steps=1).train(models.job(qwen3_base, tmp_path / "one"))
    twin = models.qwen3(tmp_path / "twin", seed=1)
    strangers = {
        "trained on other weights": Checkpoint(path=twin.path, adapter=made.adapter),
        "trained on other": Checkpoint(path=gemma4_base.path, adapter=made.adapter),
    }
    for said, stranger in strangers.items():
        job = models.job(stranger, tmp_path / f"out-{len(said)}")
        assert said in refused(lambda job=job: sft().train(job))  # type: ignore[misc]
    # One that Callsmith did not write is known by its shapes alone.
    assert made.adapter is not None
    (Path(made.adapter) / "callsmith.json").unlink()
    larger = models.qwen3(tmp_path / "larger", hidden_size=64)
    job = models.job(Checkpoint(path=larger.path, adapter=made.adapter), tmp_path / "shapes")
    assert "does not fit this base" in refused(lambda: sft().train(job))


def test_an_adapter_where_all_weights_are_trained(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    made = sft(max_steps=1).train(models.job(qwen3_base, tmp_path / "one"))
    job = models.job(made, tmp_path / "two")
    assert "merge it first" in refused(lambda: sft(adapter="none", quantization="").train(job))
    assert "4 bits" in refused(lambda: sft(adapter="none").train(job))


def test_one_bad_row_is_listed_and_the_others_are_trained(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    seen: list[Mapping[str, JsonValue]] = []
    bad = Task(id="broken", messages=models.tasks(1)[0].messages, target={"calls": [{}]})
    long = models.answer_task("long", "word " * 4000, "Yes.")
    tasks = [*models.tasks(4), bad, long]
    made = sft().train(models.job(qwen3_base, tmp_path / "out", tasks=tasks, report=seen.append))
    data = made.details["data"]
    assert isinstance(data, dict)
    assert data["rows"] == 4
    listed = (tmp_path / "out" / "refused.jsonl").read_text(encoding="utf-8").splitlines()
    reasons = {entry["id"]: entry["reason"] for entry in map(json.loads, listed)}
    assert set(reasons) == {"broken", "long"}
    assert "max_length" in reasons["long"]
    [said] = [entry for entry in seen if entry.get("event") == "refused"]
    assert said["rows"] == 2
    job = models.job(qwen3_base, tmp_path / "stop", tasks=tasks)
    assert "row broken" in refused(lambda: sft(bad_rows="stop").train(job))


def test_nothing_to_learn(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    job = models.job(qwen3_base, tmp_path / "out", tasks=[Task(id="x", messages=())])
    assert "x" in refused(lambda: sft().train(job))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"packing": True}, "see each other"),
        ({"device": "cuda:7"}, "there is no cuda:7"),
        ({"register": "no.such.module"}, "cannot be imported"),
        ({"report_to": ["no-such-tracker"]}, "no-such-tracker"),
        ({"control_tokens": ["<nope>"]}, "no token '<nope>'"),
        ({"targets": ["no_such_layer"]}, "no_such_layer"),
    ],
)
def test_options_that_cannot_be(
    options: dict[str, Any], said: str, qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    job = models.job(qwen3_base, tmp_path / "out")
    assert said in refused(lambda: sft(**options).train(job))


def test_a_folder_of_another_job(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    job = models.job(qwen3_base, tmp_path / "out")
    sft(max_steps=1).train(job)
    text = refused(lambda: sft(max_steps=1).train(replace(job, seed=3)))
    assert "another job" in text
    assert "seed" in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    from callsmith_trl.failures import TrainingError

    output = tmp_path / "out"
    output.mkdir()
    (output / ".probe.jsonl.unfinished").symlink_to("/dev/full")
    probing = {"samples": 1, "max_new_tokens": 2}
    job = models.job(qwen3_base, output)
    text = refused(lambda: sft(probe=probing).train(job), TrainingError)
    assert "is full" in text
    (output / ".probe.jsonl.unfinished").unlink()
    assert sft(probe=probing).train(job).adapter is not None


def full(folder: Path, base: Checkpoint, **numbers: Any) -> Checkpoint:
    """A base that runs out of memory while it is loaded."""
    shutil.copytree(base.path, folder)
    file = folder / "config.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    said |= {"model_type": "full_memory", "architectures": ["FullForCausalLM"], **numbers}
    file.write_text(json.dumps(said), encoding="utf-8")
    return Checkpoint(path=str(folder))


FOUR_B = {
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "layer_types": ["full_attention"] * 36,
    "dtype": "float32",
}


@pytest.mark.parametrize("method", ["sft", "dpo", "grpo"])
def test_too_little_memory_to_load(method: str, qwen3_base: Checkpoint, tmp_path: Path) -> None:
    """The estimate needs the numbers of config.json alone."""
    from callsmith import load
    from callsmith_trl.failures import OutOfMemoryError

    base = full(tmp_path / "full", qwen3_base, **FOUR_B)
    options = {"register": "train_suite.full_memory", "quantization": "", "max_length": 2048}
    trainer = load().build("trainer", method, options)
    job = models.job(base, tmp_path / "out")
    text = refused(lambda: trainer.train(job), OutOfMemoryError)
    assert "loading" in text
    assert "742.00 MiB" in text or "CUDA out of memory" in text
    assert "the weights take about 15.0 GiB" in text  # 4.0 B numbers of 4 bytes
    assert "at the peak" in text
    helps = text.partition("what helps most: ")[2].split("; ")
    assert len(helps) == 3
    assert helps[0].startswith("quantization: nf4 saves 11.")
    assert helps[1].startswith("dtype: bfloat16 saves 7.")
    assert helps[2].endswith("in training")


def test_weights_that_no_option_makes_smaller(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    from callsmith_trl.failures import OutOfMemoryError

    base = full(tmp_path / "full", qwen3_base, **{**FOUR_B, "dtype": "bfloat16"})
    job = models.job(base, tmp_path / "out")
    trainer = sft(register="train_suite.full_memory")
    text = refused(lambda: trainer.train(job), OutOfMemoryError)
    assert "the weights take about 2.5 GiB" in text
    assert "a smaller base" in text


MEMORY = """
import resource, sys, torch
from dataclasses import replace
from pathlib import Path
from callsmith import CallsmithError, Checkpoint
from callsmith_trl.config import SftConfig
from callsmith_trl.sft import SftTrainer
from train_suite import models

base = Checkpoint(path=sys.argv[1])
job = models.job(base, Path(sys.argv[2]), tasks=[
    models.answer_task(f"long-{n}", "word " * 500, "Yes.") for n in range(64)
], dev=())
config = SftConfig(rank=2, batch_size=64, accumulation=1, max_steps=2, attention="eager")
torch.ones(8, 8) @ torch.ones(8, 8)

def report(progress):
    if "preflight" in progress:  # loaded; from here on there is little left
        with open("/proc/self/statm") as source:
            used = int(source.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20), -1))

try:
    SftTrainer(config).train(replace(job, report=report))
except CallsmithError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_too_little_memory(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    here = Path(models.__file__).resolve().parent.parent
    path = os.pathsep.join([str(here), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, qwen3_base.path, str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    [line] = done.stdout.splitlines()
    assert line.startswith("OutOfMemoryError"), done.stderr[-2000:]
    assert "ran out of memory" in line
    assert "GiB at the peak" in line
    assert line.partition("what helps most: ")[2].count(";") == 2
