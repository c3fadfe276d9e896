"""What a training will need of memory: of a loaded model, and before one is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from callsmith import Checkpoint
from callsmith_trl.config import TrainerConfig
from callsmith_trl.folders import read_adapter_config
from callsmith_trl.memory import GIB, Method, Recipe, estimate, weights
from callsmith_trl.savings import savings, weight_savings
from callsmith_trl.shapes import Shape, shape_of

if TYPE_CHECKING:
    from callsmith_trl.loading import Loaded

HELPS = 3
"""How many changes a line names."""


def recipe_of(
    config: TrainerConfig, loaded: Loaded, *, method: Method, group: int = 1, new_tokens: int = 0
) -> Recipe:
    """The recipe in the words of `memory`: what the options come to for this model."""
    model = loaded.model
    device = str(model.device)
    trained = [one for one in model.parameters() if one.requires_grad]
    adapted = hasattr(model, "peft_config")
    ranks = [one.r for one in getattr(model, "peft_config", {}).values() if hasattr(one, "r")]
    return Recipe(
        method=method,
        length=config.max_length,
        batch=config.batch_size,
        quantization=config.quantization if adapted else "",
        double_quant=config.double_quant,
        dtype=model.dtype.itemsize,
        adapter_dtype=max((one.dtype.itemsize for one in trained), default=4),
        lora_rank=max(ranks, default=config.rank) if adapted else 0,
        token_rows=_count_rows(model),
        narrow_rows=True,
        optimizer=config.optimizer_on(device, adapted=adapted),
        checkpointing=config.recomputes_on(device),
        group=group,
        new_tokens=new_tokens,
        # DPO computes its reference before the first step, and keeps numbers alone.
        reference_adapter=adapted and method == "grpo" and bool(getattr(config, "beta", 0)),
        ple_on_cpu=_table_on_cpu(model) and device != "cpu",
        context=device != "cpu",
    )


def memory_before_loading(
    config: TrainerConfig, base: Checkpoint, device: str, method: Method
) -> str:
    """One line for a model that may not fit: the peak, the weights, and what helps most.

    From the numbers of its config.json. "" where they do not say enough.
    """
    try:
        shape, recipe = _planned(config, base, device, method)
    except Exception:  # whatever is wrong with the folder, loading it says so
        return ""
    of_weights = weight_savings(shape, recipe)
    changed = {one.change for one in of_weights}
    later = [one for one in savings(shape, recipe) if one.change not in changed]
    helps = [one.text() for one in of_weights[:HELPS]]
    helps += [f"{one.text()} in training" for one in later[: HELPS - len(helps)]]
    if not of_weights:
        helps.insert(0, "a smaller base (no option makes these weights smaller)")
    there = memory_limit(config, device)
    room = "" if there is None else f", and there are {there / GIB:.1f}"
    return (
        f"the weights take about {weights(shape, recipe) / GIB:.1f} GiB and the training "
        f"{estimate(shape, recipe).text()}{room}; what helps most: {'; '.join(helps)}"
    )


def generation_of(config: TrainerConfig, method: Method) -> tuple[int, int]:
    """Completions that are written at once at the most, and the tokens of each: GRPO's."""
    if method != "grpo":
        return 1, 0
    numbers = config.model_dump()
    at_once = numbers["completions_at_once"] or config.batch_size * config.accumulation
    return at_once, numbers["max_new_tokens"]


def memory_limit(config: TrainerConfig, device: str) -> int | None:
    """The memory that there is, in bytes: the cap, or the GPU's; None for the machine's own."""
    if config.memory_gib is not None:
        return round(config.memory_gib * GIB)
    if device == "cpu":
        return None
    import torch

    return int(torch.cuda.get_device_properties(device).total_memory)


def _planned(
    config: TrainerConfig, base: Checkpoint, device: str, method: Method
) -> tuple[Shape, Recipe]:
    import torch
    from transformers import AutoConfig

    whole = AutoConfig.from_pretrained(Path(base.path).expanduser(), local_files_only=True)
    stored = getattr(whole.get_text_config(), "dtype", None) or torch.float32
    dtype = stored if config.dtype == "auto" else getattr(torch, config.dtype)
    adapted = config.adapter == "lora"
    rank = config.rank
    # Which rows `auto` trains is only seen in the weights; they take next to nothing.
    rows = len(config.token_rows) if isinstance(config.token_rows, tuple) else 0
    if base.adapter:
        rank = int(read_adapter_config(Path(base.adapter).expanduser())["r"])
    group, new_tokens = generation_of(config, method)
    return shape_of(whole), Recipe(
        method=method,
        length=config.max_length,
        batch=config.batch_size,
        quantization=config.quantization if adapted else "",
        double_quant=config.double_quant,
        dtype=dtype.itemsize if adapted else 4,
        adapter_dtype=4,
        lora_rank=rank if adapted else 0,
        token_rows=rows,
        narrow_rows=True,
        optimizer=config.optimizer_on(device, adapted=adapted),
        checkpointing=config.recomputes_on(device),
        group=group,
        new_tokens=new_tokens,
        reference_adapter=adapted and method == "grpo" and bool(getattr(config, "beta", 0)),
        ple_on_cpu=config.keeps_table_apart_on(device) and device != "cpu",
        context=device != "cpu",
    )


def _count_rows(model: Any) -> int:
    adapter = getattr(model.get_input_embeddings(), "token_adapter", None)
    if adapter is None:
        return 0
    return max((len(ids) for ids in adapter.token_indices.values()), default=0)


def _table_on_cpu(model: Any) -> bool:
    from callsmith_trl.offload import has_table_on_cpu

    return has_table_on_cpu(model)
