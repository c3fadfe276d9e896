"""Folders of base models and adapters: whether they are any, and whose. Imports no PyTorch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from callsmith import ConfigError

SAMPLE = 1 << 16
"""Bytes of a file's beginning, middle and end that go into a fingerprint."""
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


def check_owner(adapter: Path, mark: str, base: str) -> None:
    """Raises `ConfigError` for an adapter that was trained on other weights.

    `mark` is the base's fingerprint. Adapters that Callsmith did not write say nothing about it.
    """
    file = adapter / "callsmith.json"
    if not file.is_file():
        return
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        trained = said["base_fingerprint"]
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{file} is damaged; save the adapter again", path="base") from None
    if trained != mark:
        raise ConfigError(
            f"{adapter} was trained on other weights ({said.get('base')}) than those of {base}; "
            "name the base that it belongs to",
            path="base",
        )


def weight_files(folder: Path) -> list[Path]:
    """The files that hold weights, sorted by name; safetensors alone where there are any."""
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))


def fingerprint(folder: Path) -> str:
    """Identifies the weights of a folder without reading gigabytes.

    A hash of sizes, and of the beginning (with every tensor's name and shape), the middle and the
    end of every file of weights. Not a checksum: it tells models apart, not damage.
    """
    whole = hashlib.sha256()
    for file in weight_files(folder):
        size = file.stat().st_size
        whole.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as source:
            for place in (0, size // 2, max(0, size - SAMPLE)):
                source.seek(place)
                whole.update(source.read(SAMPLE))
    return f"sample-sha256:{whole.hexdigest()[:32]}"


def last_whole(folder: Path) -> Path | None:
    """The trainer's newest checkpoint that was written to its end; None without one."""
    found = [
        (int(number), one)
        for one in folder.glob("checkpoint-*")
        if (number := one.name.rpartition("-")[2]).isdigit() and (one / WHOLE).is_file()
    ]
    return max(found)[1] if found else None
