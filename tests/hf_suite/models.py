"""The models and adapters of this suite, and how transformers itself runs them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from callsmith import Prompt, Segment, Template, load
from fixtures import tiny_gemma4
from fixtures.tiny_gemma4_episodes import BY_NAME

NEEDS = ("torch", "transformers", "peft", "bitsandbytes")


def need_libraries() -> None:
    """Skips the module where a library is missing."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: make test-serve", allow_module_level=True)


def arm(folder: Path, **options: Any) -> Any:
    """The arm on a checkpoint."""
    from callsmith_hf.arm import HfArm
    from callsmith_hf.config import HfConfig

    given = {"model": "google/gemma-4-tiny", "path": str(folder), "device": "cpu", **options}
    return HfArm(HfConfig(**given))


def plain(text: str) -> Prompt:
    """A prompt that the template would have written."""
    return Prompt(segments=(Segment(text=text, origin="control"),))


def prompt(name: str) -> Prompt:
    """The prompt of an episode, up to its first answer or call."""
    template: Template = load().build("template", "gemma4")
    episode = BY_NAME[name]
    return template.render((episode.user,), episode.tools, thinking=bool(episode.reasoning))


def generate(folder: Path, text: str, count: int, adapter: Path | None = None) -> list[int]:
    """What transformers' (or PEFT's) own greedy `generate` writes, as ids."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype="auto")
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter))
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=count,
        eos_token_id=list(tiny_gemma4.END_IDS),
        pad_token_id=0,
    )
    with torch.inference_mode():
        out = model.generate(**ids, generation_config=settings)
    return list(out[0, ids["input_ids"].shape[1] :].tolist())


TARGETS = ("q_proj", "o_proj", "down_proj")


def random_adapter(folder: Path, checkpoint: Path, **options: Any) -> None:
    """Writes a LoRA adapter of random weights: it changes what the model says, to no purpose.

    `options` are further ones of PEFT's `LoraConfig`.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, lora_alpha=8, target_modules=list(TARGETS), **options)
    model = get_peft_model(_model(checkpoint), config)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
            elif "trainable_tokens_delta" in name or "modules_to_save" in name:
                weight.add_(torch.randn_like(weight) * 0.3)
    model.save_pretrained(folder)


def prompt_adapter(folder: Path, checkpoint: Path) -> None:
    """Writes an adapter that puts tokens of its own before every prompt."""
    from peft import PromptTuningConfig, get_peft_model

    config = PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    get_peft_model(_model(checkpoint), config).save_pretrained(folder)


def _model(checkpoint: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(checkpoint, local_files_only=True, dtype="auto")
