"""What is known about a running engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callsmith import Fidelity, JsonValue
from callsmith_vllm.adapters import Adapter
from callsmith_vllm.checkpoint import (
    CONFIGS,
    digest,
    file_digest,
    local_folder,
    tokenizer_file,
    weight_files,
)
from callsmith_vllm.config import VllmConfig
from callsmith_vllm.interface import Engine

SAMPLED = ("temperature", "top_p", "top_k", "max_tokens", "seed", "stop")


def describe(
    config: VllmConfig, adapter: Adapter | None, engine: Engine | None, version: str, problem: str
) -> Fidelity:
    """The fidelity; reads the whole checkpoint for its digest, if it is a folder.

    Without an engine, `problem` says why, and only what the options say is known.
    """
    warnings = [f"the model could not be probed: {problem}"] if problem else []
    if config.prompt_as == "text":
        warnings.append(
            "prompts go to vLLM as text (prompt_as), so control tokens in content are read as such"
        )
    details: dict[str, JsonValue] = {
        "prompt_as": config.prompt_as,
        "adapter": config.adapter or None,
        "adapters": dict(config.adapters),
    }
    if adapter is not None:
        weights = weight_files(Path(adapter.path))
        details["adapter_digest"] = digest([Path(adapter.path) / "adapter_config.json", *weights])
    known = _of_engine(config, engine) if engine is not None else {}
    if engine is not None:
        details.update(_settings(engine))
    return Fidelity(
        runtime="vllm",
        runtime_version=version,
        model=config.model,
        history="prompt",
        sampling=dict.fromkeys(SAMPLED, "applied") if engine is not None else {},
        warnings=tuple(warnings),
        details=details,
        **known,
    )


def _of_engine(config: VllmConfig, engine: Engine) -> dict[str, Any]:
    model = engine.model_config
    quantization = getattr(model, "quantization", None)
    name = str(getattr(engine.get_tokenizer(), "name_or_path", "") or "")
    file = tokenizer_file(name, config.revision) if name else None
    return {
        "model_digest": _model_digest(config, model),
        "quantization": str(quantization or _type_name(getattr(model, "dtype", None))),
        "context_length": int(model.max_model_len),
        "tokenizer_digest": None if file is None else file_digest(file),
    }


def _model_digest(config: VllmConfig, model: Any) -> str | None:
    """Of a folder, its weights and config; of a model from the hub, its commit."""
    folder = local_folder(config)
    if folder is not None:
        configs = [folder / name for name in CONFIGS if (folder / name).is_file()]
        return digest([*configs, *weight_files(folder)])
    commit = getattr(getattr(model, "hf_config", None), "_commit_hash", None)
    return f"commit:{commit}" if commit else None


def _settings(engine: Engine) -> dict[str, JsonValue]:
    """What is in force, which vLLM may have decided by itself."""
    model, whole = engine.model_config, engine.vllm_config
    cache = getattr(whole, "cache_config", None)
    scheduler = getattr(whole, "scheduler_config", None)
    found: dict[str, Any] = {
        "dtype": _type_name(getattr(model, "dtype", None)),
        "enforce_eager": getattr(model, "enforce_eager", None),
        "kv_cache_dtype": getattr(cache, "cache_dtype", None),
        "prefix_caching": getattr(cache, "enable_prefix_caching", None),
        "kv_cache_blocks": getattr(cache, "num_gpu_blocks", None),
        "block_size": getattr(cache, "block_size", None),
        "max_num_seqs": getattr(scheduler, "max_num_seqs", None),
    }
    plain = (str, int, float, bool)
    return {name: value for name, value in found.items() if isinstance(value, plain)}


def _type_name(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")
