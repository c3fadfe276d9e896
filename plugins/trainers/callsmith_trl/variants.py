"""The ways in which a trained adapter can be served, each loaded when it is asked for."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callsmith import Checkpoint, ConfigError, Template
from callsmith_trl.config import TrainerConfig
from callsmith_trl.failures import is_memory, one_line
from callsmith_trl.loading import Loaded, load_for_training

TRAINED = "as trained"
ORIGINAL = "merged into the original weights"
DEQUANTISED = "merged into the dequantised weights"


def as_trained(config: TrainerConfig, checkpoint: Checkpoint, template: Template) -> Loaded:
    """The adapter beside the base in the precision that it was trained on."""
    alone = not checkpoint.adapter
    return _evaluated(load_for_training(config, checkpoint, template, frozen=alone))


def merged(
    config: TrainerConfig, checkpoint: Checkpoint, template: Template, *, dequantise: bool
) -> Loaded:
    """The adapter merged into the base: its original weights, or what 4 bits left of them.

    Raises `ConfigError` where there is nothing to merge, or PEFT cannot.
    """
    if not checkpoint.adapter:
        raise ConfigError("the checkpoint has no adapter, so there is nothing to merge")
    if dequantise and not config.quantization:
        raise ConfigError("it was not trained in 4 bits, so there is nothing to dequantise")
    if not dequantise:
        config = config.model_copy(update={"quantization": ""})
    loaded = load_for_training(config, checkpoint, template, dequantise=dequantise)
    try:
        network = loaded.model.merge_and_unload()
    except Exception as error:
        if is_memory(error):
            raise
        raise ConfigError(f"the adapter cannot be merged: {one_line(error)}") from error
    loaded.model = network
    loaded.quantization = ""
    return _evaluated(loaded)


def saved(
    config: TrainerConfig, checkpoint: Checkpoint, template: Template, folder: Path
) -> Loaded:
    """A merged model read back from its folder.

    On a GPU in the precision in which it stands there, as it will be served: in float32 a model of
    4 B parameters takes 15 GiB. On the CPU in float32.
    """
    import torch

    on_gpu = torch.cuda.is_available() and config.device != "cpu"
    dtype = "auto" if on_gpu else "float32"
    plain = config.model_copy(update={"quantization": "", "dtype": dtype})
    alone = Checkpoint(path=str(folder), base=checkpoint.base)
    return _evaluated(load_for_training(plain, alone, template, frozen=True))


def released(load: Callable[[], Loaded], use: Callable[[Loaded], Any]) -> Any:
    """Loads one model, uses it, and gives its memory back before the next one is loaded."""
    import torch

    loaded = load()
    try:
        return use(loaded)
    finally:
        del loaded
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _evaluated(loaded: Loaded) -> Loaded:
    loaded.model.eval()
    loaded.model.requires_grad_(False)
    return loaded
