"""`dpo` prefers the right completion, against the very model that it started from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callsmith import Checkpoint, ConfigError, JsonValue, Message, Task, load
from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()

QUICK: Mapping[str, Any] = {
    "rank": 4,
    "quantization": "",
    "batch_size": 4,
    "accumulation": 1,
    "max_steps": 2,
    "learning_rate": 1e-2,
    "probe": {"samples": 0},
    "pairs": {"held_out": 0.25},
}
EASY = {
    "held_out": 0.25,
    "corruptions": 3,
    "kinds": ["no-call", "hallucinated-tool", "stray-text"],
    "balance": "off",
}


def dpo(**options: Any) -> Any:
    from callsmith_trl.dpo import DpoTrainer
    from callsmith_trl.dpo_config import DpoConfig

    return DpoTrainer(DpoConfig(**{**QUICK, **options}))


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def sums(count: int) -> list[Task]:
    return [
        models.call_task(f"add-{n}", f"Add {n % 10} and {n // 10}.", "add", a=n % 10, b=n // 10)
        for n in range(count)
    ]


@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_margins_grow_on_pairs_that_were_not_trained_on(
    adapter: str, qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    seen: list[Mapping[str, JsonValue]] = []
    output = tmp_path / "out"
    job = models.job(qwen3_base, output, tasks=sums(16), dev=[], report=seen.append)
    made = dpo(adapter=adapter, max_steps=24, pairs=EASY, anchor=0.1).train(job)
    assert (made.adapter is None) == (adapter == "none")

    history = lines(output / "rewards.jsonl")
    first, last = history[0], history[-1]
    assert (first["step"], last["step"]) == (0, 24)
    for side in ("chosen", "rejected", "margin"):
        assert first[side] == pytest.approx(0.0, abs=1e-5)  # the reference is the start
    assert last["margin"] > 0.2
    assert last["accuracy"] == 1.0
    reasons = last["reasons"]
    assert reasons.keys() == set(EASY["kinds"])  # type: ignore[call-overload]
    assert sum(one["pairs"] for one in reasons.values()) == last["pairs"]
    assert made.details["data"]["held-out rewards"]["margin"] == last["margin"]  # type: ignore[index, call-overload]

    pairs = lines(output / "pairs.jsonl")
    sources = {
        part: {one["source"] for one in pairs if one["part"] == part}
        for part in ("train", "held-out")
    }
    assert len(sources["held-out"]) == 4
    assert not sources["train"] & sources["held-out"]
    (told,) = [one for one in seen if one.get("event") == "pairs"]
    assert told["pairs"] == sum(one["part"] == "train" for one in pairs)
    assert [one["step"] for one in seen if one.get("event") == "rewards"] == [
        one["step"] for one in history
    ]
    shipped = Path(made.adapter or made.path)
    assert "held-out margins" in (shipped / "README.md").read_text(encoding="utf-8")


def start(folder: Path, base: Checkpoint, **options: Any) -> Checkpoint:
    """A stage before: an adapter with rows of tokens, all of it far from where it began."""
    import torch

    from callsmith_trl.dpo_config import DpoConfig
    from callsmith_trl.loading import load_for_training, save_checkpoint

    config = DpoConfig(**{**QUICK, **options})
    job = models.job(base, folder)
    loaded = load_for_training(config, base, models.template("qwen3"))
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return save_checkpoint(loaded, config, job, {})


@pytest.mark.parametrize("quantization", ["", "nf4"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_reference_is_what_the_stage_starts_from(
    quantization: str,
    tied: bool,
    qwen3_base: Checkpoint,
    qwen3_untied: Checkpoint,
    tmp_path: Path,
) -> None:
    import torch

    from callsmith_trl.dpo_config import DpoConfig
    from callsmith_trl.loading import load_for_training

    options = {"quantization": quantization, "token_rows": ["<tool_call>", "</tool_call>"]}
    base = start(tmp_path / "before", qwen3_base if tied else qwen3_untied, **options)
    before = {file.name: file.read_bytes() for file in Path(base.adapter or "").iterdir()}
    output = tmp_path / "out"
    made = dpo(**options, learning_rate=0.1).train(models.job(base, output, dev=[]))
    assert before == {file.name: file.read_bytes() for file in Path(base.adapter or "").iterdir()}
    shipped = {file.name for file in Path(made.adapter or "").iterdir()}
    assert shipped == {*before, "README.md"}

    # What transformers and PEFT say of the start, one completion at a time.
    loaded = load_for_training(DpoConfig(**{**QUICK, **options}), base, models.template("qwen3"))
    tokens = loaded.tokens
    said = json.loads((output / "reference.json").read_text(encoding="utf-8"))
    parts = {"train": "train", "eval": "held-out"}
    checked = 0
    for name, part in parts.items():
        rows = [one for one in lines(output / "pairs.jsonl") if one["part"] == part]
        for side in ("chosen", "rejected"):
            assert len(rows) == len(said[name][f"ref_{side}_logps"])
            for row, kept in zip(rows, said[name][f"ref_{side}_logps"], strict=True):
                prompt, text = tokens.encode_text(row["prompt"]), tokens.encode_text(row[side])
                with torch.no_grad():
                    ids = torch.tensor([prompt + text])
                    logits = loaded.model.eval()(input_ids=ids).logits[0].float().log_softmax(-1)
                places = range(len(prompt) - 1, len(prompt) + len(text) - 1)
                alone = sum(
                    float(logits[place, number]) for place, number in zip(places, text, strict=True)
                )
                assert kept == pytest.approx(alone, abs=2e-3)
                checked += 1
    assert checked > 12
    rewards = lines(output / "rewards.jsonl")
    assert abs(rewards[0]["margin"]) < 1e-5
    assert abs(rewards[-1]["chosen"]) > 1e-2  # and the model has left it


def test_pairs_come_from_traces_and_never_from_dev(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    from callsmith_trl.dpo import DpoTrainer
    from callsmith_trl.dpo_config import DpoConfig
    from callsmith_trl.reading import trace_of

    known, template = sums(4), models.template("qwen3")
    traces = [
        (one, trace_of(one, template, f"The answer is {place}.", thinking=False))
        for place, one in enumerate(known)
    ]
    job = models.job(qwen3_base, tmp_path / "out", tasks=known, dev=known[:1], traces=traces)
    config = DpoConfig(**{**QUICK, "pairs": {"corruptions": 0, "held_out": 0}})
    made = DpoTrainer(config).train(job)
    assert made.details["data"]["mined pairs"] == {"no-call": 3}  # type: ignore[index, call-overload]
    rows = lines(tmp_path / "out" / "pairs.jsonl")
    assert {row["source"] for row in rows} == {one.id for one in known[1:]}
    assert {row["rejected"] for row in rows} == {
        f"The answer is {place}.<|im_end|>" for place in (1, 2, 3)
    }
    assert not (tmp_path / "out" / "rewards.jsonl").exists()


def test_the_anchor_keeps_the_chosen_completions_probable(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    def chosen(anchor: float) -> float:
        output = tmp_path / f"anchor-{anchor}"
        job = models.job(qwen3_base, output, tasks=sums(12), dev=[])
        dpo(max_steps=10, pairs=EASY, anchor=anchor).train(job)
        return float(lines(output / "rewards.jsonl")[-1]["chosen"])

    assert chosen(2.0) > chosen(0.0)


def test_long_pairs_are_left_out_and_listed(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    long = models.call_task("long", "Add 1 and 2. " + "Please! " * 200, "add", a=1, b=2)
    output = tmp_path / "out"
    job = models.job(qwen3_base, output, tasks=[*sums(6), long], dev=[])
    dpo(max_length=700).train(job)
    refused = lines(output / "refused.jsonl")
    assert {one["id"] for one in refused} == {"long"}
    assert "more than max_length (700)" in refused[0]["reason"]
    assert "long" not in {one["source"] for one in lines(output / "pairs.jsonl")}


BLIND = Task(id="blind", messages=(Message(role="user", content="Hm."),))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"verifiers": {}}, "verifiers: there is no verifier"),
        ({"tasks": [BLIND]}, r"traces: there are no pairs to train on; .*nothing to learn"),
        ({"tasks": []}, r"traces: there are no pairs to train on; .*Left out: nothing"),
    ],
)
def test_what_cannot_be_trained_on(
    changes: dict[str, Any], line: str, qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    job = models.job(qwen3_base, tmp_path / "out", **{"dev": [], **changes})
    with pytest.raises(ConfigError, match=line) as caught:
        dpo().train(job)
    assert "\n" not in str(caught.value)


def test_the_catalog_builds_it() -> None:
    from callsmith_trl.dpo import DpoTrainer

    trainer = load().build("trainer", "dpo", {"beta": 0.3})
    assert isinstance(trainer, DpoTrainer)
    assert trainer.config.beta == 0.3
