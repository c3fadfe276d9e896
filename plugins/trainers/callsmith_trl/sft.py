"""`sft`: gold calls as completions, with TRL's SFTTrainer, on token ids that were made here."""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from torch.utils.data import Sampler
from trl import SFTConfig as TrlConfig
from trl import SFTTrainer as Trl

from callsmith import Checkpoint, ConfigError, JsonValue, TrainJob
from callsmith_trl.config import SftConfig
from callsmith_trl.identity import tasks_digest
from callsmith_trl.loading import Loaded
from callsmith_trl.ordering import length_order
from callsmith_trl.preflight import examples_of, preflight
from callsmith_trl.rows import TrainRow, training_rows
from callsmith_trl.stage import Stage

FLASH = ("flash_attention_2", "flash_attention_3")


class SftTrainer:
    """A `Trainer`: loss on the completions only, prompts as the arm `hf` sends them.

    Killed and started again with the same job, it goes on from its last checkpoint. Raises
    `ConfigError` for options and data that cannot be trained, `TrainingError` for what happens
    on the way.
    """

    def __init__(self, config: SftConfig | None = None) -> None:
        self.config = config or SftConfig()

    def train(self, job: TrainJob) -> Checkpoint:
        """Trains on `job.tasks` and returns the best checkpoint by the probe on `job.dev`."""
        stage = Stage("sft", self.config, job)
        with stage.failures():
            done = stage.finished()
            if done is not None:
                return done
            loaded = stage.load()
            _check_packing(self.config, loaded)
            made, refused = training_rows(
                job.tasks, stage.template, loaded.tokens, thinking=self.config.thinking
            )
            stage.preflight(
                preflight(
                    self.config,
                    job,
                    loaded,
                    method="sft",
                    examples=examples_of(made),
                    refused=refused,
                )
            )
            rows = stage.admit(made, refused)
            data: dict[str, JsonValue] = {
                "rows": len(rows),
                "tokens": sum(map(len, rows)),
                "completion tokens": sum(len(row.completion_ids) for row in rows),
                "digest": tasks_digest([row.task for row in rows]),
            }
            return stage.run(lambda: _build(stage, self.config, loaded, rows), data)


class _Trainer(Trl):  # type: ignore[misc]
    """TRL's trainer with an order of rows that depends on seed and epoch alone."""

    lengths: list[int] | None = None

    def _send_telemetry(self) -> None:
        """Tells nobody: what is trained here is nobody's business."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self.lengths is None:
            return super()._get_train_sampler(train_dataset)
        return _LengthSampler(self.lengths, self.args.train_batch_size, self.args.seed)


class _LengthSampler(Sampler[int]):  # type: ignore[misc]
    def __init__(self, lengths: list[int], batch: int, seed: int) -> None:
        self._lengths, self._batch, self._seed, self._epoch = lengths, batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the loader when an epoch begins."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Any:
        return iter(length_order(self._lengths, self._batch, self._seed, self._epoch))


def dataset(rows: list[TrainRow]) -> Any:
    """Input ids, and labels that are -100 over the prompt. Ids only: nothing can be unified."""
    return Dataset.from_dict(
        {
            "input_ids": [row.prompt_ids + row.completion_ids for row in rows],
            "labels": [[-100] * len(row.prompt_ids) + row.completion_ids for row in rows],
        }
    )


def _build(stage: Stage, config: SftConfig, loaded: Loaded, rows: list[TrainRow]) -> Any:
    disable_progress_bars()
    arguments = TrlConfig(
        **stage.arguments(),
        max_length=config.max_length,
        packing=config.packing,
        # Everything is done already, except packing.
        dataset_kwargs={} if config.packing else {"skip_prepare_dataset": True},
    )
    trainer = _Trainer(
        model=loaded.model,
        args=arguments,
        train_dataset=dataset(rows),
        processing_class=loaded.tokenizer,
    )
    if config.sort_by_length and not config.packing:
        trainer.lengths = [len(row) for row in rows]
    return trainer


def _check_packing(config: SftConfig, loaded: Loaded) -> None:
    """Packing is safe only where attention knows where a row begins."""
    if not config.packing:
        return
    used = str(getattr(loaded.network.config.get_text_config(), "_attn_implementation", ""))
    if loaded.device == "cpu" or not torch.cuda.is_available():
        raise ConfigError(
            "rows that are packed would see each other: packing needs a GPU with flash attention; "
            "set packing: false",
            path="packing",
        )
    if used not in FLASH:
        raise ConfigError(
            f"rows that are packed would see each other under the attention {used or 'unknown'}; "
            "set attention: flash_attention_2 (pip install flash-attn), or packing: false",
            path="packing",
        )
