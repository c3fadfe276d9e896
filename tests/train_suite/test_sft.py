"""`sft` trains, watches what the model writes, keeps the best, and says what it did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callsmith import Checkpoint, JsonValue, Prompt, Sampling
from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()

QUICK: Mapping[str, Any] = {
    "rank": 4,
    "batch_size": 4,
    "accumulation": 1,
    "max_steps": 4,
    "learning_rate": 1e-2,
    "probe": {"samples": 4, "every": 2, "max_new_tokens": 8},
}
WHOLE: Mapping[str, Any] = {"adapter": "none", "quantization": ""}


def sft(**options: Any) -> Any:
    from callsmith_trl.config import SftConfig
    from callsmith_trl.sft import SftTrainer

    return SftTrainer(SftConfig(**{**QUICK, **options}))


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_model_learns_to_call_and_the_best_step_is_kept(taught: Checkpoint) -> None:
    history = lines(Path(taught.path).parent / "probe.jsonl")
    assert [entry["step"] for entry in history] == [0, 15, 30, 45, 60]
    assert history[0]["exact"] == 0.0
    best = max(history, key=lambda entry: (entry["right"], -entry["loss"]))
    assert best["exact"] == 1.0
    assert best["wrapper"] == 1.0
    assert best["repetition"] == 0.0
    assert best["length_cap"] == 0.0
    assert taught.details["best_step"] == best["step"]
    assert taught.adapter is None
    assert taught.base == "tiny/base"

    from callsmith_trl.config import SftConfig
    from callsmith_trl.loading import load_for_training
    from callsmith_trl.probe import Probe

    known = models.tasks(2)
    job = models.job(taught, Path(taught.path).parent, tasks=known, dev=known)
    config = SftConfig(**{**QUICK, **WHOLE, "probe": {"samples": 2, "max_new_tokens": 40}})
    again = Probe(config, job, load_for_training(config, taught, models.template("qwen3"))).run(0)
    assert again["exact"] == 1.0
    assert again["loss"] == pytest.approx(best["loss"], abs=1e-5)


@pytest.mark.parametrize("shape", ["qwen3", "gemma4"])
async def test_an_adapter_on_four_bits_is_served_as_it_was_trained(
    shape: str, qwen3_base: Checkpoint, gemma4_base: Checkpoint, tmp_path: Path
) -> None:
    base = {"qwen3": qwen3_base, "gemma4": gemma4_base}[shape]
    tokens = ["<tool_call>"] if shape == "qwen3" else ["<|tool_call>", "<tool_call|>"]
    job = models.job(base, tmp_path / "out", shape=shape)
    made = sft(token_rows=tokens, targets=["q_proj", "down_proj"]).train(job)
    assert made.path == base.path
    assert made.adapter == str(tmp_path / "out" / "adapter")

    from callsmith_hf.arm import HfArm
    from callsmith_hf.config import HfConfig
    from callsmith_trl.config import SftConfig
    from callsmith_trl.loading import load_for_training
    from callsmith_trl.probe import generate
    from callsmith_trl.rows import training_rows

    template = models.template(shape)
    loaded = load_for_training(SftConfig(), made, template)
    rows, _ = training_rows(models.tasks(4), template, loaded.tokens)
    ours = generate(loaded, [row.prompt_ids for row in rows], 12, 2)
    arm = HfArm(
        HfConfig(
            model=base.path, adapter=made.adapter, quantization="nf4", device="cpu", batch_size=1
        )
    )
    try:
        for row, ids in zip(rows, ours, strict=True):
            given: Prompt = row.prompt
            served = await arm.complete(given, Sampling(max_tokens=12, stop=template.stop))
            assert served.usage.prompt_tokens == len(row.prompt_ids)
            assert list(served.token_ids or ()) == ids
    finally:
        await arm.aclose()


def test_the_ids_that_are_trained_are_those_that_are_served(gemma4_base: Checkpoint) -> None:
    from callsmith_hf import library
    from callsmith_hf.config import HfConfig
    from callsmith_trl.config import SftConfig
    from callsmith_trl.loading import load_for_training
    from callsmith_trl.rows import training_rows
    from callsmith_trl.sft import dataset

    template = models.template("gemma4")
    config = HfConfig(model="google/gemma-4-tiny", path=gemma4_base.path)
    served = library.load(config).tokens
    trained = load_for_training(SftConfig(), gemma4_base, template).tokens
    rows, refused = training_rows(models.tasks(8), template, trained)
    assert refused == []
    for row, entry in zip(rows, dataset(rows), strict=True):
        prompt = served.encode(template.render(row.task.messages, row.task.tools, thinking=False))
        count = len(prompt)
        assert entry["input_ids"][:count] == prompt
        assert entry["labels"][:count] == [-100] * count
        assert entry["labels"][count:] == entry["input_ids"][count:]
        assert served.decode(entry["input_ids"][count:]) == row.completion
        assert entry["input_ids"][-1] in served.special(template.stop)


def test_progress_is_reported_and_the_folder_tells_the_story(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    seen: list[Mapping[str, JsonValue]] = []
    output = tmp_path / "out"
    made = sft().train(models.job(qwen3_base, output, report=seen.append, seed=5))
    json.dumps(seen)
    kinds = [entry.get("event") for entry in seen]
    assert kinds[0] == "loaded"
    assert kinds[-1] == "done"
    steps = [entry for entry in seen if entry.get("event") == "step"]
    assert [(entry["step"], entry["steps"]) for entry in steps] == [(n, 4) for n in (1, 2, 3, 4)]
    for name in ("loss", "tokens_per_second", "memory_gib", "seconds_left"):
        assert all(isinstance(entry[name], float) for entry in steps), name
    assert steps[-1]["seconds_left"] == 0.0
    probes = [entry for entry in seen if entry.get("event") == "probe"]
    assert [entry["step"] for entry in probes] == [0, 2, 4]
    assert [entry["step"] for entry in lines(output / "probe.jsonl")] == [0, 2, 4]

    kept = {file.name for file in output.iterdir()}
    assert kept >= {"adapter", "job.json", "preflight.json", "probe.jsonl"}
    assert "README.md" not in kept
    assert not list((output / "trainer").iterdir())
    # Beside the weights, so that it goes where they go.
    card = (output / "adapter" / "README.md").read_text(encoding="utf-8")
    for wanted in ("tiny/base", "| rows | 8 |", "sha256:", job_digest(made), "| seed | 5 |", "trl"):
        assert wanted in card
    written = [card, (output / "adapter" / "adapter_config.json").read_text(encoding="utf-8")]
    assert all(str(tmp_path) not in text and qwen3_base.path not in text for text in written)


def job_digest(made: Checkpoint) -> str:
    return str(made.details["template"])


def test_a_job_that_is_done_is_not_done_again(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    seen: list[Mapping[str, JsonValue]] = []
    job = models.job(qwen3_base, tmp_path / "out", report=seen.append)
    first = sft(max_steps=1).train(job)
    count = len(seen)
    assert sft(max_steps=1).train(job) == first
    assert len(seen) == count


def test_a_stage_goes_on_with_the_adapter_of_the_one_before(
    qwen3_untied: Checkpoint, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    first = sft(token_rows=["<tool_call>"]).train(models.job(qwen3_untied, tmp_path / "one"))
    begun = sft(max_steps=1, learning_rate=1e-12).train(models.job(first, tmp_path / "two"))
    assert begun.path == first.path
    one, two = (load_file(f"{made.adapter}/adapter_model.safetensors") for made in (first, begun))
    assert one.keys() == two.keys()
    assert any("token_adapter" in name for name in one)
    # Float32 all the way: TRL's cast to bfloat16 would show here.
    assert all(torch.allclose(one[name], two[name], atol=1e-7, rtol=0) for name in one)
    assert {tensor.dtype for tensor in two.values()} == {torch.float32}
    further = sft().train(models.job(first, tmp_path / "three"))
    three = load_file(f"{further.adapter}/adapter_model.safetensors")
    assert any(not torch.equal(one[name], three[name]) for name in one)


def test_without_a_dev_sample_the_last_step_is_the_result(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    made = sft(max_steps=2).train(models.job(qwen3_base, tmp_path / "out", dev=()))
    assert "best_step" not in made.details
    assert made.adapter is not None
    assert (Path(made.adapter) / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "out" / "probe.jsonl").exists()


def test_a_probe_that_draws_repeats_itself_and_takes_no_numbers_of_the_training(
    taught: Checkpoint, tmp_path: Path
) -> None:
    import torch

    from callsmith_trl.config import SftConfig
    from callsmith_trl.loading import load_for_training
    from callsmith_trl.probe import Probe

    job = models.job(taught, tmp_path / "out")

    def found(temperature: float) -> dict[str, Any]:
        probe = {"samples": 8, "max_new_tokens": 24, "temperature": temperature}
        return Probe(SftConfig(**{**QUICK, **WHOLE, "probe": probe}), job, loaded).run(0)

    config = SftConfig(**{**QUICK, **WHOLE})
    loaded = load_for_training(config, taught, models.template("qwen3"))
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    drawn = [found(8.0) for _ in range(2)]
    assert torch.equal(torch.rand(4), wanted)
    assert {**drawn[0], "seconds": 0} == {**drawn[1], "seconds": 0}
    # So hot that what is written is noise, where the taught model would be right.
    assert drawn[0]["exact"] == 0 < found(0.0)["exact"]


def test_when_no_step_is_better_the_start_is_the_result(taught: Checkpoint, tmp_path: Path) -> None:
    known = models.tasks(2)
    job = models.job(taught, tmp_path / "out", tasks=known, dev=known)
    probe = {"samples": 2, "max_new_tokens": 40}
    made = sft(max_steps=2, learning_rate=5.0, warmup=0.0, probe=probe).train(job)
    history = lines(tmp_path / "out" / "probe.jsonl")
    assert history[0]["right"] == 1.0
    assert history[-1]["right"] < 1.0
    assert made.details["best_step"] == 0
    assert made.adapter is not None
    card = Path(made.adapter, "README.md").read_text(encoding="utf-8")
    assert "No step was better than the start" in card
