"""LoRA adapters by name: which folder, which number, how much room."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsmith import ConfigError

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM can make room for (`vllm.config.lora.MaxLoRARanks`)."""
FILE = "adapter_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """One adapter. `number` identifies it in the engine, `room` is the rank it needs."""

    name: str
    path: str
    number: int
    room: int


def choose(adapters: Mapping[str, str], name: str) -> Adapter | None:
    """The adapter called `name`, None for "".

    Numbers follow the order of the names, so that they do not change when a run file is
    rearranged. Raises `ConfigError` when the folder holds no adapter that vLLM could load.
    """
    if not name:
        return None
    folder = Path(adapters[name]).expanduser()
    place = f"adapters.{name}"
    if not (folder / FILE).is_file():
        raise ConfigError(
            f"{folder} has no {FILE}; name the folder that PEFT's save_pretrained wrote", path=place
        )
    if not any((folder / f"adapter_model.{kind}").is_file() for kind in ("safetensors", "bin")):
        raise ConfigError(
            f"{folder} has no weights (adapter_model.safetensors); save the adapter again",
            path=place,
        )
    return Adapter(
        name=name,
        path=str(folder.resolve()),
        number=sorted(adapters).index(name) + 1,
        room=_room(_read(folder / FILE, place), folder, place),
    )


def _read(file: Path, place: str) -> Mapping[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file} is not JSON: {error}", path=place) from None
    if not isinstance(data, dict):
        raise ConfigError(f"{file} is not an object", path=place)
    return data


def _room(data: Mapping[str, Any], folder: Path, place: str) -> int:
    patterns = data.get("rank_pattern")
    ranks = [data.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    if not all(type(rank) is int and rank > 0 for rank in ranks):
        raise ConfigError(
            f"{folder / FILE} names no rank `r`; vLLM loads LoRA adapters only", path=place
        )
    needed = max(ranks)
    fitting = [rank for rank in RANKS if rank >= needed]
    if not fitting:
        raise ConfigError(
            f"{folder} has rank {needed}, and vLLM takes {RANKS[-1]} at most; train a smaller one",
            path=place,
        )
    return fitting[0]
