"""Loads a checkpoint, in 4 bits if asked. Importing this imports PyTorch and transformers."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

from callsmith import ArmError, CallsmithError, ConfigError, PromptTokens
from callsmith_hf.adapters import apply_adapter
from callsmith_hf.checkpoint import (
    TOKENIZER,
    check_base,
    check_folder,
    local_folder,
    weight_bytes,
)
from callsmith_hf.config import HfConfig
from callsmith_hf.failures import is_memory, one_line, out_of_memory
from callsmith_hf.network import Network
from callsmith_hf.prefill import padding_of

GIB = 1 << 30
_LOADING = threading.Lock()
"""transformers changes settings of the whole process while it loads: two arms that load at once
would each miss weights of their models."""
NEEDED = ("*.json", "*.safetensors", "*.model")
"""The files of a model in the hub that are downloaded when `offline` is off."""
TURN_ENDS = {"gemma4": ("<turn|>", "<|tool_response>")}
"""By the beginning of a config's `model_type`: what ends a turn, also where a checkpoint's
generation config forgot it, as those saved after a fine-tuning often do. A turn of Gemma 4 that
calls tools ends with the second."""

INSIDE = {r"^model\.language_model\.": "model.", r"^language_model\.": ""}
"""What the weights of a text model are called inside a model with images, and alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model that is ready. `context` is in tokens, `dtype` what is computed in."""

    network: Network
    folder: Path
    tokens: PromptTokens
    ends: frozenset[int]
    context: int
    quantization: str
    dtype: str
    attention: str


def version() -> str:
    """The installed transformers."""
    return str(transformers.__version__)


def versions() -> dict[str, str]:
    """The other libraries that decide what is computed."""
    found = {"torch": str(torch.__version__)}
    for name in ("peft", "bitsandbytes"):
        if importlib.util.find_spec(name) is not None:
            found[name] = importlib.metadata.version(name)
    return found


def load(config: HfConfig) -> Loaded:
    """Reads the checkpoint, quantises it and puts the adapter on. Blocks for long.

    Raises `ConfigError` for folders and options that do not fit each other, `ArmError` for
    memory that does not suffice.
    """
    _register(config)
    folder = _folder(config)
    check_folder(folder, "path" if config.path else "model")
    check_base(folder, config)
    tokens = PromptTokens.read(folder / TOKENIZER, config.control_tokens)
    device = _device(config.device)
    _limit(config, folder, device)
    failure = ""
    try:
        with _LOADING:
            model = _model(config, folder, device)
            if config.adapter:
                model = apply_adapter(model, Path(config.adapter).expanduser())
    except CallsmithError:
        raise
    except Exception as error:
        if is_memory(error):
            failure = out_of_memory("loading the model", error)
        else:
            failure = f"{folder} could not be loaded: {one_line(error)}"
    if failure:
        raise ArmError(failure)
    return _loaded(config, folder, tokens, device, model.eval())


def release() -> None:
    """Gives cached memory of the GPU back."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _register(config: HfConfig) -> None:
    """Imports the module that makes an architecture known."""
    if not config.module:
        return
    try:
        importlib.import_module(config.module)
    except ImportError as error:
        raise ConfigError(
            f"the module {config.module} cannot be imported ({one_line(error)}); name one that is "
            "installed here",
            path="register",
        ) from error


def _folder(config: HfConfig) -> Path:
    folder = local_folder(config)
    if folder is not None:
        return folder
    try:
        return Path(
            snapshot_download(
                config.model,
                revision=config.revision or None,
                local_files_only=config.offline,
                allow_patterns=list(NEEDED),
            )
        )
    except Exception as error:  # its own classes, and those of its HTTP client
        advice = "name its folder in `path`" + (
            ", or set offline: false to download it" if config.offline else ""
        )
        raise ConfigError(
            f"{config.model} is neither a folder nor in the local cache; {advice} "
            f"({one_line(error)})",
            path="model",
        ) from None


def _device(asked: str) -> str:
    if asked == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if asked == "cpu":
        return asked
    number = int(asked.partition(":")[2] or 0)
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= there:
        raise ConfigError(
            f"PyTorch sees {there} GPUs, so there is no {asked}; use cpu or auto", path="device"
        )
    return f"cuda:{number}"


def _limit(config: HfConfig, folder: Path, device: str) -> None:
    if config.memory_gib is None:
        return
    if device != "cpu":
        total = torch.cuda.get_device_properties(device).total_memory
        share = min(1.0, config.memory_gib * GIB / total)
        torch.cuda.set_per_process_memory_fraction(share, device)
    needed = weight_bytes(folder, config)
    if needed is not None and needed > config.memory_gib * GIB:
        raise ConfigError(
            f"the weights alone take about {needed / GIB:.3g} GiB, and {config.memory_gib:g} are "
            "allowed; use quantization: nf4, a smaller dtype or a smaller model",
            path="memory_gib",
        )


def _model(config: HfConfig, folder: Path, device: str) -> Any:
    whole = AutoConfig.from_pretrained(folder, local_files_only=True)
    arguments: dict[str, Any] = {
        "local_files_only": True,
        "trust_remote_code": False,
        "dtype": config.dtype if config.dtype == "auto" else getattr(torch, config.dtype),
        "output_loading_info": True,
    }
    if config.attention != "auto":
        arguments["attn_implementation"] = config.attention
    if config.quantization:
        arguments |= _quantised(config, whole, device)
    kind = AutoModelForCausalLM
    text = whole.get_text_config()
    if config.text_only and text is not whole:
        known = transformers.MODEL_FOR_CAUSAL_LM_MAPPING
        if type(text) in known:
            kind = known[type(text)]
            arguments |= {"config": text, "key_mapping": INSIDE}
    transformers.utils.logging.disable_progress_bar()  # only a command line shows bars
    model, info = kind.from_pretrained(folder, **arguments)
    for module in model.modules():
        # On processors with AVX512-BF16, bitsandbytes would put 4-bit weights into a layout that
        # computes in bfloat16 whatever the dtype: not the model that was trained.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    missing = sorted({*info["missing_keys"], *(name[0] for name in info["mismatched_keys"])})
    if missing:
        raise ConfigError(
            f"{folder} lacks {len(missing)} weights of a {type(model).__name__}, such as "
            f"{missing[0]}; it was saved by another kind of model or cut",
            path="path" if config.path else "model",
        )
    return model if config.quantization else model.to(device)


def _quantised(config: HfConfig, whole: Any, device: str) -> dict[str, Any]:
    if getattr(whole, "quantization_config", None) is not None:
        raise ConfigError(
            "the checkpoint is quantised already; leave the option out", path="quantization"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError(
            "nf4 needs bitsandbytes: pip install 'callsmith[train]'", path="quantization"
        )
    stored = getattr(whole.get_text_config(), "dtype", None) or torch.bfloat16
    compute = stored if config.dtype == "auto" else getattr(torch, config.dtype)
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=config.double_quant,
            bnb_4bit_compute_dtype=compute,
        ),
        "device_map": {"": device},
    }


def _loaded(
    config: HfConfig, folder: Path, tokens: PromptTokens, device: str, model: Any
) -> Loaded:
    base = model.get_base_model() if config.adapter else model
    text = base.config.get_text_config()
    longest = getattr(text, "max_position_embeddings", None) or config.context_length
    if longest is None:
        raise ConfigError("the checkpoint does not say how long; set it", path="context_length")
    if config.context_length is not None and config.context_length > longest:
        raise ConfigError(
            f"the checkpoint has {longest} positions; lower it", path="context_length"
        )
    settings = base.generation_config
    quantised = getattr(base.config, "quantization_config", None)
    dtype = str(base.dtype).removeprefix("torch.")
    return Loaded(
        network=Network(
            model=model,
            device=device,
            pad=int(getattr(settings, "pad_token_id", None) or 0),
            arguments=frozenset(inspect.signature(base.forward).parameters),
            decode=tokens.decode,
            name=tokens.name,
            logprobs=config.logprobs,
            joining_padding=padding_of(model, device),
        ),
        folder=folder,
        tokens=tokens,
        ends=_ends(config, tokens, (settings, text), str(text.model_type)),
        context=config.context_length or longest,
        quantization=config.quantization or _method(quantised) or dtype,
        dtype=dtype,
        attention=str(getattr(text, "_attn_implementation", "") or "unknown"),
    )


def _ends(
    config: HfConfig, tokens: PromptTokens, places: Iterable[Any], kind: str
) -> frozenset[int]:
    found: set[int] = set(config.stop_token_ids)
    for place in places:
        value = getattr(place, "eos_token_id", None)
        found.update([] if value is None else value if isinstance(value, list) else [value])
    for beginning, names in TURN_ENDS.items():
        if kind.startswith(beginning):
            found.update(tokens.special(names))
    return frozenset(found)


def _method(quantised: Any) -> str:
    """How a checkpoint that came quantised was; "" if it was not."""
    if quantised is None:
        return ""
    said = quantised if isinstance(quantised, dict) else quantised.to_dict()
    if said.get("load_in_4bit"):
        return str(said.get("bnb_4bit_quant_type") or "4bit")
    return "int8" if said.get("load_in_8bit") else str(said.get("quant_method") or "quantised")
