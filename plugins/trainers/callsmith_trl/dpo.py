"""`dpo`: pairs of a right and a plausibly wrong completion, with TRL's DPOTrainer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from datasets import disable_progress_bars
from trl import DPOConfig as TrlConfig

from callsmith import Checkpoint, ConfigError, JsonValue, TrainJob
from callsmith_trl.checks import Example
from callsmith_trl.dpo_config import DpoConfig
from callsmith_trl.dpo_reference import PairTrainer, dataset
from callsmith_trl.dpo_rewards import RewardCallback
from callsmith_trl.loading import Loaded
from callsmith_trl.pair_building import build_pairs
from callsmith_trl.pairs import Dropped, PairRow, as_json, counts, encoded, table
from callsmith_trl.preflight import preflight
from callsmith_trl.stage import Stage, digest

PAIRS = "pairs.jsonl"
REFERENCE = "reference.json"


class DpoTrainer:
    """A `Trainer`: pairs from the job's traces and tasks, judged by the job's verifiers.

    What is trained is written to OUTPUT/pairs.jsonl before the first step. The reference is what
    the stage starts from. Killed and started again with the same job, it goes on from its last
    checkpoint. Raises `ConfigError` for options and data that cannot be trained, `TrainingError`
    for what happens on the way.
    """

    def __init__(self, config: DpoConfig | None = None) -> None:
        self.config = config or DpoConfig()

    def train(self, job: TrainJob) -> Checkpoint:
        """Trains on pairs and returns the best checkpoint by the probe on `job.dev`."""
        if not job.verifiers:
            raise ConfigError(
                "there is no verifier to tell right from wrong; name at least one", path="verifiers"
            )
        stage = Stage("dpo", self.config, job)
        with stage.failures():
            done = stage.finished()
            if done is not None:
                return done
            loaded = stage.load()
            train, held, data = self._rows(stage, loaded)
            return stage.run(lambda: self._build(stage, loaded, train, held, data), data)

    def _rows(
        self, stage: Stage, loaded: Loaded
    ) -> tuple[list[PairRow], list[PairRow], dict[str, JsonValue]]:
        """The rows to train on, those that are held out, and what the card says about them."""
        job, config, dropped = stage.job, self.config, Dropped()
        selection = build_pairs(
            job, stage.template, config.pairs, dropped, thinking=config.thinking
        )
        train = encoded(selection.train, loaded.tokens, loaded.ends, dropped)
        held = encoded(selection.held_out, loaded.tokens, loaded.ends, dropped)
        if not train:
            listed = ", ".join(f"{name} ({len(ids)})" for name, ids in dropped.ids.items())
            raise ConfigError(
                "there are no pairs to train on; give tasks with gold calls, or traces of a run "
                f"over them. Left out: {listed or 'nothing'}",
                path="traces",
            )
        stage.preflight(
            preflight(config, job, loaded, method="dpo", examples=_examples([*train, *held]))
        )
        train, held = self._fitting(stage, train, dropped), self._fitting(stage, held, dropped)
        if not train:
            raise ConfigError(
                f"no pair has room in max_length ({config.max_length}); raise it", path="max_length"
            )
        data: dict[str, JsonValue] = {
            "pairs": len(train),
            "held-out pairs": len(held),
            "tokens": sum(
                2 * len(row.prompt_ids) + len(row.chosen_ids) + len(row.rejected_ids)
                for row in train
            ),
            **{f"{name} pairs": said for name, said in counts(_pairs(train)).items()},
            "left out": dropped.counts(),
            "digest": digest([row.pair.key for row in train]),
        }
        if stage.main:
            _write(stage, train, held)
            job.report(
                {
                    "event": "pairs",
                    "stage": "dpo",
                    "pairs": len(train),
                    "held_out": len(held),
                    "counts": counts(_pairs([*train, *held])),
                    "left_out": dropped.counts(),
                    "text": table(counts(_pairs([*train, *held]))),
                }
            )
        return train, held, data

    def _fitting(self, stage: Stage, rows: Sequence[PairRow], dropped: Dropped) -> list[PairRow]:
        """Without the rows that are too long: they are left out as a whole, and listed."""
        limit = self.config.max_length
        long = [row for row in rows if len(row) > limit]
        for row in long:
            dropped.add("longer than max_length", row.pair.source)
        if long:
            stage.refuse(
                [
                    (
                        row.pair.task,
                        f"a pair ({row.pair.reason}) has {len(row)} tokens, more than max_length "
                        f"({limit})",
                    )
                    for row in long
                ]
            )
        return [row for row in rows if len(row) <= limit]

    def _build(
        self,
        stage: Stage,
        loaded: Loaded,
        train: Sequence[PairRow],
        held: Sequence[PairRow],
        data: dict[str, JsonValue],
    ) -> Any:
        config = self.config
        disable_progress_bars()
        arguments = TrlConfig(
            **stage.arguments(),
            per_device_eval_batch_size=config.batch_size,
            max_length=None,  # what is too long was left out
            beta=config.beta,
            loss_type=["sigmoid", "sft"] if config.anchor else ["sigmoid"],
            loss_weights=[1.0, config.anchor] if config.anchor else [1.0],
            precompute_ref_log_probs=True,
        )
        trainer = PairTrainer(
            reference=stage.output / REFERENCE,
            model=loaded.model,
            args=arguments,
            train_dataset=dataset(train),
            eval_dataset=dataset(held) if held else None,
            processing_class=loaded.tokenizer,
        )
        if held and stage.main and not trainer.is_fsdp_enabled:
            trainer.add_callback(
                RewardCallback(
                    trainer, held, stage.output, config.probe.every, stage.job.report, data
                )
            )
        return trainer


def _pairs(rows: Sequence[PairRow]) -> list[Any]:
    return [row.pair for row in rows]


def _examples(rows: Sequence[PairRow]) -> list[Example]:
    return [
        Example(
            id=row.pair.source,
            prompt_ids=row.prompt_ids,
            completions=(row.chosen_ids, row.rejected_ids),
        )
        for row in rows
    ]


def _write(stage: Stage, train: Sequence[PairRow], held: Sequence[PairRow]) -> None:
    """What is trained, to be read by a person."""
    lines = [
        json.dumps(as_json(row.pair, part), ensure_ascii=False) + "\n"
        for part, rows in (("train", train), ("held-out", held))
        for row in rows
    ]
    text = "".join(lines).encode("utf-8", "replace")
    (stage.output / PAIRS).write_bytes(text)
