"""From the embedded model's weights to a folder for trainers, through TRL, and back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from callsmith import ConfigError, Prompt, Sampling, Segment, TrainJob
from train_suite.models import need_libraries
from train_suite.tiny_models import TEXTS, as_transformers, expected, random_network

pytestmark = pytest.mark.train
need_libraries()

_FOURS = [[number, 9, 300 + number, 7] for number in range(20, 28)]


@pytest.fixture(scope="module")
def network() -> Any:
    return random_network()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped weights as a folder for transformers."""
    from callsmith_tiny.training.checkpoint import to_transformers

    folder = tmp_path_factory.mktemp("shipped") / "model"
    to_transformers(folder)
    return folder


def test_the_shipped_model_writes_what_the_arm_tiny_writes(shipped: Path) -> None:
    """Greedy: `generate` in a padded batch, the arm `hf` one by one and batched, and NumPy."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from callsmith_tiny.arm import TinyArm

    prompts = _prompts(6)
    numpy = TinyArm()

    async def complete(arm: Any, together: bool) -> list[str]:
        wanted = [arm.complete(_plain(text), Sampling(max_tokens=60)) for text in prompts]
        if together:
            return [done.text for done in await asyncio.gather(*wanted)]
        return [(await one).text for one in wanted]

    async def all_arms() -> list[list[str]]:
        single, batched = _arm(shipped, batch_size=1), _arm(shipped, batch_size=6, batch_wait=9.0)
        try:
            return [
                await complete(numpy, False),
                await complete(single, False),
                await complete(batched, True),
            ]
        finally:
            for arm in (numpy, single, batched):
                await arm.aclose()

    expected, one_by_one, batched = asyncio.run(all_arms())
    assert one_by_one == expected
    assert batched == expected
    assert any("<|tool_call>" in text for text in expected)

    model = AutoModelForCausalLM.from_pretrained(shipped)
    tokenizer = AutoTokenizer.from_pretrained(shipped, padding_side="left")
    batch = tokenizer(prompts, add_special_tokens=False, padding=True, return_tensors="pt")
    with torch.inference_mode():
        written = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            do_sample=False,
            max_new_tokens=60,
        )
    ends = set(model.generation_config.eos_token_id) | {tokenizer.pad_token_id}
    new = written[:, batch["input_ids"].shape[1] :].tolist()
    texts = [tokenizer.decode([n for n in row if n not in ends]) for row in new]
    assert texts == expected


def test_there_and_back_gives_the_same_bits(shipped: Path, tmp_path: Path) -> None:
    from callsmith_tiny.training.checkpoint import PACKAGE, from_transformers

    from_transformers(shipped, tmp_path / "model.safetensors")
    assert _content(tmp_path / "model.safetensors") == _content(PACKAGE / "model.safetensors")
    from_transformers(shipped, tmp_path / "more.safetensors", stages=["sft: 300 steps"])
    from callsmith_tiny.training.export import training_facts

    assert training_facts(tmp_path / "more.safetensors")["stages"][-1] == {
        "stage": "sft: 300 steps"
    }


@pytest.mark.parametrize("adapter", [False, True], ids=["all-weights", "lora"])
@pytest.mark.parametrize("stage", ["sft", "dpo", "grpo"])
def test_trls_trainers_train_it(
    network: Any, shipped: Path, tmp_path: Path, stage: str, adapter: bool
) -> None:
    """TRL's own trainers; what they leave is exported, and NumPy reads the trained numbers."""
    import numpy as np
    import torch

    from callsmith_tiny.model import TinyModel
    from callsmith_tiny.training.checkpoint import from_transformers

    base = _saved(network, shipped, tmp_path / "base")
    trainer = _trainer(stage, base, adapter, tmp_path / "run")
    trainer.train()
    trained = trainer.model.eval()
    weights = tmp_path / "w.safetensors"
    if adapter:
        trained.save_pretrained(tmp_path / "adapter")
        from_transformers(base, weights, adapter=tmp_path / "adapter")
    else:
        trained.save_pretrained(tmp_path / "model")
        from_transformers(tmp_path / "model", weights)
    with torch.no_grad():
        found = trained(torch.tensor([TEXTS[0]])).logits[0].numpy()
    exported = TinyModel(weights).logprobs(TEXTS[0])
    moved = np.abs(found - expected(network, TEXTS[0]).numpy()).max()
    assert moved > 0.1
    assert np.abs(exported - found).max() < moved / 4  # half precision, nothing more


def test_the_command(shipped: Path, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    done = _command("from-transformers", str(shipped), "--weights", str(weights))
    assert done.returncode == 0
    assert weights.stat().st_size < 8_000_000
    wrong = _command("from-transformers", str(tmp_path / "none"), "--weights", str(weights))
    assert wrong.returncode == 2
    assert "no config.json" in wrong.stderr.splitlines()[-1]


def test_another_models_folder_is_refused(tmp_path: Path) -> None:
    from callsmith_tiny.training.checkpoint import from_transformers

    (tmp_path / "config.json").write_text('{"model_type": "qwen3"}', encoding="utf-8")
    with pytest.raises(ConfigError, match="a model of the type qwen3"):
        from_transformers(tmp_path, tmp_path / "w.safetensors")


def test_weights_beyond_half_precision_are_refused(shipped: Path, tmp_path: Path) -> None:
    import torch

    from callsmith_tiny.training.checkpoint import from_transformers
    from callsmith_tiny.training.huggingface import TinyForCausalLM

    model = TinyForCausalLM.from_pretrained(shipped)
    with torch.no_grad():
        model.model.norm[0] = 1e6
    model.save_pretrained(tmp_path / "wide")
    with pytest.raises(ConfigError, match="norm has numbers beyond half precision"):
        from_transformers(tmp_path / "wide", tmp_path / "w.safetensors")
    assert not list(tmp_path.glob("*.safetensors"))


def test_tiny_shipped_gives_a_checkpoint(tmp_path: Path) -> None:
    from callsmith_tiny.training.shipped import TinyShipped
    from callsmith_tiny.training.shipped_config import TinyShippedConfig

    for _ in range(2):  # a killed job is given again with the same folder
        made = TinyShipped().train(TrainJob(output=str(tmp_path)))
    assert made.path == str(tmp_path / "model")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model"]
    with pytest.raises(ConfigError, match=r"has no model\.safetensors"):
        TinyShipped(TinyShippedConfig(path=str(tmp_path))).train(TrainJob(output=str(tmp_path)))


async def test_a_module_that_cannot_be_imported_is_one_line(shipped: Path) -> None:
    from callsmith_hf.arm import HfArm
    from callsmith_hf.config import HfConfig

    arm = HfArm(
        HfConfig.model_validate({"model": "x", "path": str(shipped), "register": "no.such"})
    )
    with pytest.raises(ConfigError, match=r"register: the module no\.such cannot be imported"):
        await arm.complete(_plain("a"), Sampling())
    await arm.aclose()


def _saved(network: Any, shipped: Path, folder: Path) -> Path:
    """The small model with the shipped tokenizer, as trainers load it."""
    as_transformers(network).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((shipped / name).read_bytes())
    return folder


def _trainer(stage: str, base: Path, adapter: bool, output: Path) -> Any:
    """A trainer of TRL for two steps."""
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    common: dict[str, Any] = {
        "output_dir": str(output),
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "learning_rate": 0.05,
        "use_cpu": True,
        "bf16": False,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "activation_checkpointing": False,
    }
    given: dict[str, Any] = {
        "model": AutoModelForCausalLM.from_pretrained(base, dtype="float32"),
        "processing_class": AutoTokenizer.from_pretrained(base),
        "peft_config": LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
        if adapter
        else None,
    }
    if stage == "sft":
        rows = [{"input_ids": text, "completion_mask": [0, 0] + [1] * 2} for text in _FOURS]
        settings = trl.SFTConfig(**common, completion_only_loss=True)
        return trl.SFTTrainer(args=settings, train_dataset=Dataset.from_list(rows), **given)
    if stage == "dpo":
        rows = [{"prompt": "a b", "chosen": "c d", "rejected": text} for text in "efgh"]
        settings = trl.DPOConfig(**common)
        return trl.DPOTrainer(args=settings, train_dataset=Dataset.from_list(rows), **given)
    rows = [{"prompt": text} for text in ("a b c", "d e f g", "h")]
    settings = trl.GRPOConfig(**common, num_generations=4, max_completion_length=6, beta=0.1)

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [float(sum(number % 2 for number in ids)) for ids in completion_ids]

    return trl.GRPOTrainer(
        args=settings, train_dataset=Dataset.from_list(rows), reward_funcs=reward, **given
    )


def _prompts(count: int) -> list[str]:
    from callsmith_tiny.training.generator import Generator
    from callsmith_tiny.training.mixes import PLAIN

    generator = Generator("heldout", 5)
    kinds = ("single", "single", "none")
    return [generator.example(i, PLAIN, kind=kinds[i % 3]).prompt for i in range(count)]


def _plain(text: str) -> Prompt:
    return Prompt(segments=(Segment(text=text, origin="control"),))


def _arm(folder: Path, **options: Any) -> Any:
    from callsmith_hf.arm import HfArm
    from callsmith_hf.config import HfConfig

    given = {
        "model": "callsmith/tiny",
        "path": str(folder),
        "register": "callsmith_tiny.training.huggingface",
        "device": "cpu",
        **options,
    }
    return HfArm(HfConfig.model_validate(given))


def _content(file: Path) -> tuple[dict[str, Any], dict[str, tuple[str, bytes]]]:
    from safetensors import safe_open

    with safe_open(str(file), framework="np") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        said = opened.metadata()
    said["training"] = json.loads(said["training"])
    return said, {name: (str(one.dtype), one.tobytes()) for name, one in tensors.items()}


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "callsmith_tiny.training.checkpoint", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)
