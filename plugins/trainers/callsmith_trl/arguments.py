"""Our options in the words of transformers' and TRL's training arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callsmith import ConfigError
from callsmith_trl.config import TrainerConfig

if TYPE_CHECKING:
    from callsmith_trl.loading import Loaded


def training_arguments(
    config: TrainerConfig, loaded: Loaded, method: str, output: Path, seed: int
) -> dict[str, Any]:
    """What all of TRL's configurations take; `output` is the stage's folder."""
    on_gpu = loaded.device != "cpu"
    low = loaded.dtype if config.adapter == "lora" else "bfloat16"
    return {
        "output_dir": str(output / "trainer"),
        "per_device_train_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.accumulation,
        "num_train_epochs": config.epochs,
        "max_steps": config.max_steps or -1,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": {"constant": "constant_with_warmup"}.get(
            config.schedule, config.schedule
        ),
        "warmup_steps": config.warmup,  # below 1: a share of all steps
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "optim": config.optimizer_on(loaded.device, adapted=loaded.adapted),
        # The old name, which TRL reads, follows the new one.
        "activation_checkpointing": config.recomputes_on(loaded.device),
        "bf16": on_gpu and low == "bfloat16",
        "fp16": on_gpu and low == "float16",
        "use_cpu": not on_gpu,
        "dataloader_pin_memory": on_gpu,
        "seed": seed,
        "data_seed": seed,
        "save_strategy": "steps",
        "save_steps": config.save_every or 0.1,  # below 1: a share of all steps
        "save_total_limit": 2,
        "logging_steps": config.log_every,
        "logging_nan_inf_filter": False,
        "report_to": list(config.report_to) or "none",
        "run_name": f"{method}-{output.name}",
        "disable_tqdm": True,
        "remove_unused_columns": False,
    }


def check_trackers(names: Sequence[str]) -> None:
    """Raises `ConfigError` for a tracker that transformers does not know or find installed."""
    from transformers.integrations import get_reporting_integration_callbacks

    try:
        get_reporting_integration_callbacks(list(names))
    except ValueError as error:
        raise ConfigError(" ".join(str(error).split()), path="report_to") from None
