"""A base model read from its folder: device, precision, 4 bits, the table of Gemma's E-models."""

from __future__ import annotations

import importlib
import importlib.util
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

from callsmith import ConfigError
from callsmith_trl.config import TrainerConfig
from callsmith_trl.failures import one_line
from callsmith_trl.four_bits import keep_layout
from callsmith_trl.offload import fill_table, without_table

GIB = 1 << 30
INSIDE = {r"^model\.language_model\.": "model.", r"^language_model\.": ""}
"""What the weights of a text model are called inside a model with images, and alone."""


def register(config: TrainerConfig) -> None:
    """Imports the module that registers an architecture of its own, if the options name one."""
    if not config.module:
        return
    try:
        importlib.import_module(config.module)
    except ImportError as error:
        raise ConfigError(
            f"the module {config.module} cannot be imported: {one_line(error)}", path="register"
        ) from error


def ready_device(config: TrainerConfig) -> str:
    """The device (cpu, cuda:0) of this process, made current and with its cap on memory set."""
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if config.device == "auto":
        # Under `accelerate launch` every process has a GPU of its own.
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', '0'))}" if there else "cpu"
    else:
        device = config.device if config.device != "cuda" else "cuda:0"
    if device != "cpu":
        number = int(device.partition(":")[2])
        if number >= there:
            raise ConfigError(
                f"PyTorch sees {there} GPUs, so there is no {device}; use cpu or auto",
                path="device",
            )
        torch.cuda.set_device(number)
        if config.memory_gib is not None:
            total = torch.cuda.get_device_properties(number).total_memory
            share = min(1.0, config.memory_gib * GIB / total)
            torch.cuda.set_per_process_memory_fraction(share, number)
    return device


def read_base(config: TrainerConfig, folder: Path, device: str) -> Any:
    """The model of a folder on the device, in 4 bits if the options say so, with frozen weights.

    Raises `ConfigError` where the folder lacks weights of it.
    """
    whole = AutoConfig.from_pretrained(folder, local_files_only=True)
    stored = getattr(whole.get_text_config(), "dtype", None) or torch.float32
    dtype = stored if config.dtype == "auto" else getattr(torch, config.dtype)
    arguments: dict[str, Any] = {
        "local_files_only": True,
        "trust_remote_code": False,
        # What is trained is float32; loading it so spares a second copy.
        "dtype": torch.float32 if config.adapter == "none" else dtype,
        "output_loading_info": True,
    }
    if config.attention != "auto":
        arguments["attn_implementation"] = config.attention
    if config.quantization:
        arguments |= _quantised(config, whole, dtype, device)
    kind = AutoModelForCausalLM
    text = whole.get_text_config()
    if config.text_only and text is not whole:
        known = transformers.MODEL_FOR_CAUSAL_LM_MAPPING
        if type(text) in known:
            kind = known[type(text)]
            arguments |= {"config": text, "key_mapping": INSIDE}
    transformers.utils.logging.disable_progress_bar()  # only a command line shows bars
    apart = _table_apart(config, text, device)
    with without_table() if apart else nullcontext():
        model, info = kind.from_pretrained(folder, **arguments)
    keep_layout(model)
    if apart:
        fill_table(model, folder)
    missing = sorted({*info["missing_keys"], *(name[0] for name in info["mismatched_keys"])})
    if missing:
        raise ConfigError(
            f"{folder} lacks {len(missing)} weights of a {type(model).__name__}, such as "
            f"{missing[0]}; it was saved by another kind of model or cut",
            path="base",
        )
    model = model if config.quantization else model.to(device)
    return model.requires_grad_(False)


def _table_apart(config: TrainerConfig, text: Any, device: str) -> bool:
    """Whether Gemma's table of per-layer embeddings stays on the CPU."""
    has_one = bool(getattr(text, "hidden_size_per_layer_input", 0))
    return has_one and config.keeps_table_apart_on(device)


def _quantised(config: TrainerConfig, whole: Any, dtype: Any, device: str) -> dict[str, Any]:
    if getattr(whole, "quantization_config", None) is not None:
        raise ConfigError(
            "the base is quantised already; set quantization: ''", path="quantization"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError(
            "nf4 needs bitsandbytes: pip install 'callsmith[train]'", path="quantization"
        )
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=config.double_quant,
            bnb_4bit_compute_dtype=dtype,
            # The same bits, kept as numbers of this kind: FSDP shards no integers.
            bnb_4bit_quant_storage=dtype if is_under_fsdp() else None,
        ),
        "device_map": {"": device},
    }


def is_under_fsdp() -> bool:
    """Whether `accelerate launch` started this process for FSDP."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
