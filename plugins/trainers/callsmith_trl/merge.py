"""Writes an adapter into its base, and proves on the written folder that nothing was lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callsmith import Checkpoint, ConfigError, Template
from callsmith_trl.comparing import Likeness, Limits
from callsmith_trl.config import TrainerConfig
from callsmith_trl.failures import clear_failures
from callsmith_trl.loading import Loaded
from callsmith_trl.offload import table_of
from callsmith_trl.parity import Probes, compare
from callsmith_trl.variants import DEQUANTISED, ORIGINAL, as_trained, merged, released, saved
from callsmith_trl.weights import TOKENIZER

KEPT = (*TOKENIZER, "generation_config.json")
"""What is taken from the base's folder as it is, byte for byte."""


class LossyMergeError(ConfigError):
    """The merged model is not the one that was trained."""


def merge(
    config: TrainerConfig,
    checkpoint: Checkpoint,
    template: Template,
    folder: Path,
    *,
    original: bool = False,
    dtype: str = "",
    probes: Probes,
    limits: Limits,
    allow_lossy: bool = False,
    done: Callable[[Likeness], None] = lambda likeness: None,
) -> list[Likeness]:
    """Merges, writes `folder`, reads it back, and compares it with the trained model.

    Trained in 4 bits, the adapter goes into the dequantised weights unless `original` is given.
    The folder is written under another name and renamed when it has passed; a folder that exists
    is not touched. Raises `LossyMergeError` (and keeps nothing) where the probe set tells the two
    apart, unless `allow_lossy`.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists; name a folder that does not")
    dequantise = bool(config.quantization) and not original
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with clear_failures("merging", folder):
        unfinished.mkdir(parents=True)
        try:
            released(
                lambda: merged(config, checkpoint, template, dequantise=dequantise),
                lambda loaded: write(loaded, unfinished, Path(checkpoint.path), dtype),
            )
            name = DEQUANTISED if dequantise else ORIGINAL
            found = compare(
                lambda: as_trained(config, checkpoint, template),
                [(name, lambda: saved(config, checkpoint, template, unfinished))],
                probes,
                released,
                done,
            )
            _judge(found[-1], limits, allow_lossy=allow_lossy)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return found


def write(loaded: Loaded, folder: Path, base: Path, dtype: str = "") -> None:
    """The merged model as safetensors, with the base's tokenizer and chat template."""
    import torch

    network: Any = loaded.model
    if dtype:
        network = network.to(getattr(torch, dtype))
    if hasattr(network.config, "quantization_config"):
        del network.config.quantization_config
    # A table that stays on the CPU is no parameter, and would be missing.
    table = table_of(network)
    state = {**network.state_dict(), **table} if table else None
    network.save_pretrained(folder, state_dict=state)
    for name in KEPT:
        if (base.expanduser() / name).is_file():
            shutil.copyfile(base.expanduser() / name, folder / name)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if "quantization_config" in config:
        raise ConfigError(f"{folder} still says that it is quantised; it would not load")


def _judge(found: Likeness, limits: Limits, *, allow_lossy: bool) -> None:
    if found.is_the_trained_model(limits) or allow_lossy:
        return
    raise LossyMergeError(
        f"{found.name}, the model is not the one that was trained: the next token is the same at "
        f"{found.agreement:.1%} of {found.positions} positions, KL divergence "
        f"{found.divergence:.2g}, {found.right} of {found.tasks} right; nothing was written. "
        "Merge into the dequantised weights, serve the adapter unmerged (the arm hf), or say "
        "--allow-lossy"
    )
