"""An adapter beside a model's weights, applied by PEFT and checked to fit."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from callsmith import ConfigError
from callsmith_hf.checkpoint import tensors, weight_files
from callsmith_hf.failures import is_memory, one_line


def apply_adapter(model: Any, folder: Path) -> Any:
    """The model with the adapter beside its weights. Raises `ConfigError` if it does not fit."""
    if importlib.util.find_spec("peft") is None:
        raise ConfigError("an adapter needs PEFT: pip install 'callsmith[train]'", path="adapter")
    from peft import PeftModel, get_peft_model_state_dict

    try:
        adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=False)
        wanted = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    except Exception as error:
        if is_memory(error):
            raise
        raise ConfigError(
            f"{folder} does not fit this model: {one_line(error)}; was it trained on another one?",
            path="adapter",
        ) from error
    kind = adapted.active_peft_config
    if kind.is_prompt_learning:
        raise ConfigError(
            f"{folder} is an adapter of the kind {kind.peft_type.value}, which puts tokens of its "
            "own before a prompt; use LoRA",
            path="adapter",
        )
    given = _names(weight_files(folder))
    strange = sorted(wanted - given) or sorted(name for name in given - wanted if "lora_" in name)
    if given and strange:
        raise ConfigError(
            f"{folder} does not fit this model: {strange[0]} is in one of them only; was it "
            "trained on another one, or on the whole of a model with images (text_only: false)?",
            path="adapter",
        )
    return adapted


def _names(files: Iterable[Path]) -> set[str]:
    return {name for file in files if file.suffix == ".safetensors" for name in tensors(file)}
