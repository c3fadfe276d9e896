"""Folders of base models and adapters: whether they are any, and whose. Imports no PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from callsmith import ConfigError

WHOLE = "callsmith-whole"
"""The file that a checkpoint gets when all of it has been written."""


def check_base(folder: Path) -> None:
    """Raises `ConfigError` for a folder that holds no model with its tokenizer."""
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; name one with a checkpoint", path="base")
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise ConfigError(
            f"{folder} is an adapter; name its base's folder, with this one as the adapter on it",
            path="base",
        )
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise ConfigError(
                f"{folder} has no {name}; name a folder that save_pretrained of model and "
                "tokenizer wrote",
                path="base",
            )
    if not weight_files(folder):
        raise ConfigError(
            f"{folder} has no weights (*.safetensors); save the model again", path="base"
        )


def read_adapter_config(folder: Path) -> Mapping[str, Any]:
    """An adapter's config. Raises `ConfigError` when the folder holds no adapter."""
    file = folder / "adapter_config.json"
    if not file.is_file():
        raise ConfigError(f"{folder} holds no adapter (no {file.name})", path="base")
    if not weight_files(folder):
        raise ConfigError(f"{folder} has no weights; save the adapter again", path="base")
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file} is not JSON: {error}", path="base") from None
    if not isinstance(data, dict) or "peft_type" not in data:
        raise ConfigError(f"{file} names no peft_type; save the adapter again", path="base")
    return data


def weight_files(folder: Path) -> list[Path]:
    """The files that hold weights, sorted by name; safetensors alone where there are any."""
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))


def last_whole(folder: Path) -> Path | None:
    """The trainer's newest checkpoint that was written to its end; None without one."""
    found = [
        (int(number), one)
        for one in folder.glob("checkpoint-*")
        if (number := one.name.rpartition("-")[2]).isdigit() and (one / WHOLE).is_file()
    ]
    return max(found)[1] if found else None


def last_step(checkpoint: Path | None) -> int:
    """The number of the training's last step, if this is its checkpoint; 0 otherwise.

    The trainer itself would take another step from there.
    """
    if checkpoint is None:
        return 0
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    step = int(state["global_step"])
    return step if step >= int(state["max_steps"]) else 0
