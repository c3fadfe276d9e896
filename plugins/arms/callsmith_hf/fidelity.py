"""What is known about a loaded model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callsmith import Fidelity, JsonValue
from callsmith_hf.checkpoint import ADAPTER, CONFIG, TOKENIZER, digest, file_digest, weight_files
from callsmith_hf.config import HfConfig

if TYPE_CHECKING:
    from callsmith_hf.library import Loaded

SAMPLED = ("temperature", "top_p", "top_k", "max_tokens", "seed", "stop")


def describe(
    config: HfConfig,
    adapter: Mapping[str, Any] | None,
    loaded: Loaded | None,
    versions: tuple[str, Mapping[str, str]],
    problem: str,
) -> Fidelity:
    """The fidelity; reads the whole checkpoint for its digest.

    `adapter` is its config, `versions` that of transformers and those of other libraries. Where
    nothing is loaded, `problem` says why, and only what the options say is known.
    """
    warnings = [f"the model could not be probed: {problem}"] if problem else []
    details: dict[str, JsonValue] = {
        **versions[1],
        "adapter": config.adapter or None,
        "batch_size": config.batch_size,
    }
    if adapter is not None:
        folder = Path(config.adapter).expanduser()
        details["adapter_digest"] = digest([folder / ADAPTER, *weight_files(folder)])
        base = str(adapter.get("base_model_name_or_path") or "")
        details["adapter_base"] = base or None
        ours = {Path(name).name for name in (config.model, config.path) if name}
        if base and Path(base).name not in ours:
            warnings.append(f"the adapter was trained on {base}, and this is {config.model}")
    known: dict[str, Any] = {}
    if loaded is not None:
        known = _of_model(loaded)
        details |= _settings(config, loaded)
    return Fidelity(
        runtime="transformers",
        runtime_version=versions[0],
        model=config.model,
        history="prompt",
        sampling=dict.fromkeys(SAMPLED, "applied") if loaded is not None else {},
        warnings=tuple(warnings),
        details=details,
        **known,
    )


def _of_model(loaded: Loaded) -> dict[str, Any]:
    folder = loaded.folder
    return {
        "model_digest": digest([folder / CONFIG, *weight_files(folder)]),
        "quantization": loaded.quantization,
        "context_length": loaded.context,
        "tokenizer_digest": file_digest(folder / TOKENIZER),
    }


def _settings(config: HfConfig, loaded: Loaded) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {
        "dtype": loaded.dtype,
        "device": loaded.network.device,
        "attention": loaded.attention,
        "end_token_ids": [*sorted(loaded.ends)],
    }
    if config.quantization:
        found["double_quant"] = config.double_quant
    return found
