"""A base model and its adapter, loaded to be trained. Importing this imports PyTorch and PEFT."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoTokenizer

from callsmith import (
    CallsmithError,
    Checkpoint,
    ConfigError,
    JsonValue,
    PromptTokens,
    Task,
    Template,
    TrainJob,
    weights_fingerprint,
)
from callsmith_trl.adapters import continued_adapter, new_adapter
from callsmith_trl.base_models import is_under_fsdp, read_base, ready_device, register
from callsmith_trl.config import TrainerConfig
from callsmith_trl.failures import OutOfMemoryError, is_memory, one_line
from callsmith_trl.folders import check_base
from callsmith_trl.formats import end_ids, format_tokens
from callsmith_trl.memory import Method
from callsmith_trl.memory_plan import memory_before_loading
from callsmith_trl.recipe import Recipe, recipe_of
from callsmith_trl.token_rows import read_model
from callsmith_trl.weights import write_weights


@dataclass(kw_only=True)
class Loaded:
    """A model that is ready to be trained.

    `ends` are the ids that end a completion; `token_rows` the ids whose rows in embedding and head
    are trained. `base` is what was loaded, `fingerprint` identifies its weights; `settings` are
    the generation config as it stood in the checkpoint, which trainers change.
    """

    model: Any
    tokenizer: Any
    tokens: PromptTokens
    ends: frozenset[int]
    base: Checkpoint
    device: str = "cpu"
    quantization: str = ""
    dtype: str = "float32"
    token_rows: tuple[int, ...] = ()
    fingerprint: str = ""
    settings: Any = None
    recipe: Recipe = field(default_factory=Recipe)

    @property
    def network(self) -> Any:
        """The model of transformers, below the adapter."""
        return self.model.get_base_model() if self.adapted else self.model

    @property
    def adapted(self) -> bool:
        """Whether an adapter is trained, and not all weights."""
        return hasattr(self.model, "peft_config")

    @property
    def trainable(self) -> int:
        """Parameters that are trained."""
        return sum(one.numel() for one in self.model.parameters() if one.requires_grad)


def load_for_training(
    config: TrainerConfig,
    base: Checkpoint,
    template: Template,
    *,
    tasks: Sequence[Task] = (),
    seed: int = 0,
    method: Method | None = None,
    template_reference: Mapping[str, JsonValue] | None = None,
    dequantise: bool = False,
    frozen: bool = False,
) -> Loaded:
    """Reads the base, quantises it, and puts a new adapter on it or the base's own, trainable.

    What is trained is in float32, whatever the rest is in. `tasks` are what will be learnt, for
    the option `token_rows: auto`. `seed` decides a new adapter's numbers. `method` is the training
    that follows, whose memory is estimated in case that it does not suffice; `template_reference`
    says what the template was made from, for the recipe. `dequantise` puts the values that 4 bits
    stand for back into plain layers before the adapter comes on top, which is how it can be merged
    without loss. `frozen` puts no adapter on it and leaves all weights as they are stored, for a
    model that is only looked at. Raises `ConfigError` for folders and options that do not fit each
    other, `OutOfMemoryError` for memory that does not suffice.
    """
    folder = Path(base.path).expanduser()
    check_base(folder)
    _check_options(config, base)
    register(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    tokens = PromptTokens.read(folder / "tokenizer.json", config.control_tokens)
    device = ready_device(config)
    transformers.set_seed(seed)
    rows: tuple[int, ...] = ()
    mark = weights_fingerprint(folder)
    # Before, because there may be no memory for it afterwards.
    needed = memory_before_loading(config, base, device, method) if method else ""
    try:
        with known_warnings():
            model = read_base(config, folder, device)
            model = model.dequantize() if dequantise else model
            if frozen:
                pass
            elif config.adapter == "none":
                model.requires_grad_(True)
            elif base.adapter:
                model, rows = continued_adapter(
                    model, Path(base.adapter).expanduser(), config, tokens, mark
                )
            else:
                rows = _token_rows(config, model, template, tokens, tasks)
                model = new_adapter(model, config, rows)
    except CallsmithError:
        raise
    except Exception as error:
        if is_memory(error):
            raise OutOfMemoryError(
                f"loading {folder} ran out of memory ({one_line(error).partition('. ')[0]}); "
                + (needed or "set quantization: nf4, use a smaller dtype or a smaller model")
            ) from None
        raise ConfigError(
            f"{folder} could not be loaded: {one_line(error)}", path="base"
        ) from error
    if rows and is_under_fsdp():
        raise ConfigError(
            "FSDP cannot share out the matrix that the rows of tokens stand in; set token_rows: "
            "off, or train with DDP",
            path="token_rows",
        )
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    network = model.get_base_model() if hasattr(model, "peft_config") else model
    return Loaded(
        model=model,
        tokenizer=_tokenizer(folder),
        tokens=tokens,
        ends=end_ids(network, tokens, template),
        base=base,
        device=device,
        quantization=config.quantization,
        dtype=str(network.dtype).removeprefix("torch."),
        token_rows=rows,
        fingerprint=mark,
        settings=network.generation_config.to_dict(),
        recipe=recipe_of(config, template, template_reference),
    )


def save_checkpoint(
    loaded: Loaded,
    config: TrainerConfig,
    job: TrainJob,
    details: Mapping[str, JsonValue],
    state: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Writes what was trained into `job.output` and returns it.

    `state` are the weights where the model itself has only a share of them.

    An adapter goes to OUTPUT/adapter, and `path` stays the base's folder; a model that was trained
    as a whole goes to OUTPUT/model. Written beside and renamed, so that a folder is whole or not
    there.
    """
    output = Path(job.output)
    if loaded.adapted:
        folder = write_weights(loaded, output / "adapter", state=state)
        return Checkpoint(
            path=loaded.base.path, base=loaded.base.base, adapter=str(folder), details=details
        )
    folder = write_weights(loaded, output / "model", state=state)
    return Checkpoint(path=str(folder), base=loaded.base.base, details=details)


@contextmanager
def known_warnings() -> Iterator[None]:
    """Keeps silent about what PEFT 0.21 asks transformers 5.23 for by a name on its way out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
        yield


def _check_options(config: TrainerConfig, base: Checkpoint) -> None:
    if config.adapter == "none" and config.quantization:
        raise ConfigError(
            "all weights cannot be trained in 4 bits; set quantization: '' or adapter: lora",
            path="quantization",
        )
    if config.adapter == "none" and base.adapter:
        raise ConfigError(
            "the base has an adapter, and all weights are to be trained; merge it first "
            "(callsmith merge), or set adapter: lora",
            path="adapter",
        )
    if config.adapter == "none" and isinstance(config.token_rows, tuple) and config.token_rows:
        raise ConfigError("all weights are trained, so no rows apart; remove it", path="token_rows")


def _token_rows(
    config: TrainerConfig,
    model: Any,
    template: Template,
    tokens: PromptTokens,
    tasks: Sequence[Task],
) -> tuple[int, ...]:
    """The ids whose rows are to be trained; see the option."""
    if config.token_rows == "off":
        return ()
    if config.token_rows == "auto":
        wanted = format_tokens(template, tokens, tasks, thinking=config.thinking)
        if not wanted:
            return ()
        found = read_model(model, [(number, name) for name, number in wanted.items()])
        return tuple(sorted({row.id for row in (*found.embedding, *found.head) if row.dead}))
    strange = [name for name in config.token_rows if name not in tokens.added]
    if strange:
        raise ConfigError(
            f"the tokenizer has no added token {strange[0]!r}; only tokens that are one id can be "
            "named",
            path="token_rows",
        )
    return tuple(sorted(tokens.find(config.token_rows)))


def _tokenizer(folder: Path) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token is None:
        # Padding is masked everywhere, so any token will do; TRL only asks for one.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer
