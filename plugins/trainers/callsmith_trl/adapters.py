"""Adapters to train: a new LoRA, or one that goes on from where a stage before left it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open

from callsmith import ConfigError, PromptTokens, check_adapter_base
from callsmith_trl.config import TrainerConfig
from callsmith_trl.failures import is_memory, one_line
from callsmith_trl.folders import read_adapter_config, weight_files


def new_adapter(model: Any, config: TrainerConfig, rows: Sequence[int]) -> Any:
    """The model with a new LoRA on its linear layers, and the token `rows` trainable.

    Rows are named for embedding and head alike: with an untied head, rows of the embedding alone
    would leave what the model writes as it was. Where the two are one matrix, PEFT keeps one set.
    """
    targets: Any = list(config.targets) if config.targets != ("all-linear",) else "all-linear"
    made = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
        trainable_token_indices=(
            {place: list(rows) for place in embedding_names(model)} if rows else None
        ),
    )
    try:
        adapted = get_peft_model(model, made)
    except ValueError as error:
        raise ConfigError(
            f"no adapter can be put there: {one_line(error)}", path="targets"
        ) from None
    ready_head(adapted)
    return adapted


def continued_adapter(
    model: Any, folder: Path, config: TrainerConfig, tokens: PromptTokens, mark: str
) -> tuple[Any, tuple[int, ...]]:
    """The model with an adapter that is trained further, and the ids of its token rows.

    Raises `ConfigError` for a folder without an adapter, for one of another base, and for one
    that does not train the rows that the options name.
    """
    said = read_adapter_config(folder)
    if said["peft_type"] != "LORA":
        raise ConfigError(
            f"{folder} is an adapter of the kind {said['peft_type']}; only LoRA is trained further",
            path="base",
        )
    place = str(model.config.name_or_path or "the base")
    check_adapter_base(folder, mark, place, path="base")
    try:
        adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=True)
        wanted = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    except Exception as error:
        if is_memory(error):
            raise
        raise ConfigError(
            f"{folder} does not fit this base: {one_line(error)}; was it trained on another one?",
            path="base",
        ) from error
    strange = sorted(_names(folder) ^ wanted)
    if strange:
        raise ConfigError(
            f"{folder} does not fit this base: {strange[0]} is in one of them only; was it trained "
            "on another one?",
            path="base",
        )
    rows = _rows(said)
    if isinstance(config.token_rows, tuple):
        lacking = [name for name in config.token_rows if tokens.added.get(name) not in rows]
        if lacking:
            raise ConfigError(
                f"the adapter that is trained further has no row for {lacking[0]!r}; name it in "
                "the first stage",
                path="token_rows",
            )
    # What it was called where it was trained; while it trains, its base is this one.
    adapted.peft_config["default"].base_model_name_or_path = model.config.name_or_path
    ready_head(adapted)
    return adapted, rows


def embedding_names(model: Any) -> list[str]:
    """The names of the embedding and of the head, as PEFT finds modules: by the ends."""
    found = []
    for wanted in (model.get_input_embeddings(), model.get_output_embeddings()):
        for name, module in model.named_modules():
            if wanted is not None and module is wanted:
                found.append(name.rpartition(".")[2])
    return list(dict.fromkeys(found))


def ready_head(model: Any) -> None:
    """Gives a wrapped head the bias that TRL 1.16 asks it for.

    PEFT 0.21's wrapper of trained token rows forwards `.weight` and not `.bias`.
    """
    head = model.get_output_embeddings()
    if head is not None and not hasattr(head, "bias"):
        head.bias = None


def _rows(said: Any) -> tuple[int, ...]:
    given = said.get("trainable_token_indices") or ()
    lists = given.values() if isinstance(given, dict) else [given]
    return tuple(sorted({int(number) for one in lists for number in one}))


def _names(folder: Path) -> set[str]:
    found: set[str] = set()
    for file in weight_files(folder):
        if file.suffix != ".safetensors":
            raise ConfigError(f"{file} is no safetensors file; save the adapter again", path="base")
        with safe_open(str(file), framework="pt") as opened:
            found.update(opened.keys())
    return found
