"""TRL's DPO trainer on token ids that were made here, against what the stage started from.

The reference is not a second set of weights: its log-probabilities are computed once, before the
first step, with the model as it was loaded. TRL's own way, a copy of the adapter named "ref",
is another model where rows of tokens are trained: TRL 1.16 copies parameters whose names hold
`.default.`, and PEFT's `trainable_tokens_delta.default` does not, so that the copy has the rows of
the base. It would take memory besides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from trl import DPOTrainer as Trl
from trl.models.utils import disable_gradient_checkpointing

from callsmith_trl.pairs import PairRow

COLUMNS = ("ref_chosen_logps", "ref_rejected_logps")


class PairTrainer(Trl):  # type: ignore[misc]
    """Trains on `dataset(rows)` as it is.

    `reference` is the file in which the reference's log-probabilities are kept, so that a job that
    was killed does not compute them again.
    """

    train_dataset: Any
    eval_dataset: Any

    def __init__(self, *, reference: Path, **given: Any) -> None:
        self._reference_file = reference
        super().__init__(**given)
        adapters = getattr(self.model, "peft_config", {})
        if "ref" in adapters:
            self.model.delete_adapter("ref")

    def logps(self, model: Any, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """The log-probabilities (nats, float32, shape [pairs]) of chosen and rejected.

        `batch` is what the collator gives: the chosen ones of all pairs, then the rejected ones.
        """
        inputs = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
        mask = batch["completion_mask"].to(model.device)
        labels = inputs["input_ids"].masked_fill(mask == 0, -100)
        training = model.training
        model.eval()
        try:
            with (
                torch.no_grad(),
                disable_gradient_checkpointing(model, self.args.gradient_checkpointing_kwargs),
                self.accelerator.autocast(),
            ):
                found = model(**inputs, labels=labels, use_cache=False, fused_lm_head=True)
        finally:
            model.train(training)
        chosen, rejected = found.log_probs.float().sum(dim=1).chunk(2, dim=0)
        return chosen, rejected

    def train(self, *given: Any, **named: Any) -> Any:
        """Computes the reference where it is not known yet, and trains.

        Not before: TRL casts the adapter of a 4-bit model while it is built, and whoever built it
        may put the exact numbers back. Not later: a checkpoint to resume from is read after this.
        """
        size = self.args.per_device_eval_batch_size
        self.train_dataset = self._with_reference(self.train_dataset, "train", size)
        if self.eval_dataset is not None:
            self.eval_dataset = self._with_reference(self.eval_dataset, "eval", size)
        return super().train(*given, **named)

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def _precompute_ref_logps(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def _with_reference(self, dataset: Any, name: str, batch_size: int) -> Any:
        kept = _read(self._reference_file, name, dataset)
        if kept is None:
            kept = self._reference(dataset, batch_size)
            if self.accelerator.is_main_process:
                _write(self._reference_file, name, dataset, kept)
        for column, values in zip(COLUMNS, kept, strict=True):
            dataset = dataset.add_column(column, values)
        return dataset

    def _reference(self, dataset: Any, batch_size: int) -> list[list[float]]:
        """The log-probabilities under the model as it is now: before the first step."""
        loader = self.accelerator.prepare(
            DataLoader(dataset, batch_size=batch_size, collate_fn=self.data_collator)
        )
        found: list[list[float]] = [[], []]
        for batch in loader:
            sides = self.accelerator.gather_for_metrics(
                self.logps(self.ref_model or self.model, batch)
            )
            for values, side in zip(found, sides, strict=True):
                values += side.tolist()
        return found

    def _send_telemetry(self) -> None:
        """Nobody is told what is trained here."""


def dataset(rows: Sequence[PairRow]) -> Any:
    """Ids only: there is nothing in them that a data-set library could unify."""
    return Dataset.from_dict(
        {
            "prompt_ids": [row.prompt_ids for row in rows],
            "chosen_ids": [row.chosen_ids for row in rows],
            "rejected_ids": [row.rejected_ids for row in rows],
        }
    )


def _digest(data: Any) -> str:
    text = json.dumps([list(data[name]) for name in ("prompt_ids", "chosen_ids", "rejected_ids")])
    return hashlib.sha256(text.encode()).hexdigest()


def _read(file: Path, name: str, data: Any) -> list[list[float]] | None:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))[name]
        found = [list(map(float, said[column])) for column in COLUMNS]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if said.get("pairs") == _digest(data) else None


def _write(file: Path, name: str, data: Any, values: Sequence[Sequence[float]]) -> None:
    try:
        whole = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        whole = {}
    whole[name] = {
        "pairs": _digest(data),
        **{column: list(one) for column, one in zip(COLUMNS, values, strict=True)},
    }
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_text(json.dumps(whole), encoding="utf-8")
    unfinished.replace(file)
