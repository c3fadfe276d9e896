"""Rewards on pairs that are not trained on, per reason, while DPO runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from callsmith import JsonValue
from callsmith_trl.best import PROBES, RESULT
from callsmith_trl.dpo_reference import COLUMNS, PairTrainer
from callsmith_trl.pairs import PairRow
from callsmith_trl.progress import ProgressCallback, Report

FILE = "rewards.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """One held-out pair at one step.

    `chosen` and `rejected` are rewards: beta times the log-probability over the reference's.
    `preferred` says that the model itself finds the chosen completion more probable.
    """

    reason: str
    chosen: float
    rejected: float
    preferred: bool


def summary(rewards: Sequence[Reward]) -> dict[str, JsonValue]:
    """Means over pairs: `accuracy` is the share whose chosen reward is the higher one, `margin`
    the difference of the rewards, `preferred` the share that needs no reference to be right."""
    count = len(rewards)
    if not count:
        return {"pairs": 0}
    return {
        "pairs": count,
        "accuracy": round(sum(one.chosen > one.rejected for one in rewards) / count, 4),
        "margin": round(sum(one.chosen - one.rejected for one in rewards) / count, 5),
        "chosen": round(sum(one.chosen for one in rewards) / count, 5),
        "rejected": round(sum(one.rejected for one in rewards) / count, 5),
        "preferred": round(sum(one.preferred for one in rewards) / count, 4),
    }


def by_reason(rewards: Iterable[Reward]) -> dict[str, JsonValue]:
    """The same for every reason that has a pair."""
    grouped: dict[str, list[Reward]] = {}
    for one in rewards:
        grouped.setdefault(one.reason, []).append(one)
    return {reason: summary(grouped[reason]) for reason in sorted(grouped)}


class RewardCallback(TrainerCallback):  # type: ignore[misc]
    """OUTPUT/rewards.jsonl: one line per measurement, at the steps of the probe.

    At the end, the line of the step whose weights are the result goes into `data`, the numbers of
    the model card.
    """

    def __init__(
        self,
        trainer: PairTrainer,
        rows: Sequence[PairRow],
        output: Path,
        every: int,
        report: Report,
        data: dict[str, JsonValue],
    ) -> None:
        self._trainer, self._rows, self._output = trainer, rows, output
        self._every, self._report, self._data = every, report, data
        # A job that was killed behind its last step is not trained any more.
        self._history = self._kept()
        self._choose()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Reads back what a job that was killed had measured, and measures the start."""
        self._every = self._every or max(1, -(-state.max_steps // PROBES))
        self._history = [one for one in self._kept() if int(str(one["step"])) <= state.global_step]
        if state.global_step == 0:
            self._measure(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measures at the steps at which the probe runs."""
        if state.global_step % self._every == 0 or state.global_step >= state.max_steps:
            self._measure(state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Chooses the line of the result."""
        self._choose()

    def _choose(self) -> None:
        if not self._history:
            return
        line = dict(self._history[-1])
        for folder in ("best", "adapter", "model"):
            best = self._output / folder / RESULT
            if best.is_file():
                step = json.loads(best.read_text(encoding="utf-8"))["step"]
                line = dict(next((one for one in self._history if one["step"] == step), line))
                break
        reasons = line.pop("reasons")
        self._data["held-out rewards"] = line
        if isinstance(reasons, Mapping):
            self._data["held-out margins"] = {
                reason: one["margin"] for reason, one in reasons.items() if isinstance(one, Mapping)
            }

    def measure(self) -> list[Reward]:
        """The rewards of all held-out pairs, with the model as it is."""
        trainer, beta = self._trainer, self._trainer.beta
        data = trainer.eval_dataset
        size = trainer.args.per_device_eval_batch_size
        found: list[Reward] = []
        for start in range(0, len(self._rows), size):
            rows = self._rows[start : start + size]
            batch = [data[place] for place in range(start, start + len(rows))]
            chosen, rejected = trainer.logps(trainer.model, trainer.data_collator(batch))
            for place, row in enumerate(rows):
                better, worse = float(chosen[place]), float(rejected[place])
                found.append(
                    Reward(
                        reason=row.pair.reason,
                        chosen=beta * (better - batch[place][COLUMNS[0]]),
                        rejected=beta * (worse - batch[place][COLUMNS[1]]),
                        preferred=better > worse,
                    )
                )
        return found

    def _measure(self, step: int) -> None:
        if any(one["step"] == step for one in self._history):
            return
        began = time.perf_counter()
        rewards = self.measure()
        line: dict[str, JsonValue] = {
            "step": step,
            **summary(rewards),
            "reasons": by_reason(rewards),
        }
        self._history.append(line)
        unfinished = self._output / f".{FILE}.unfinished"
        unfinished.write_text(
            "".join(json.dumps(one) + "\n" for one in self._history), encoding="utf-8"
        )
        unfinished.replace(self._output / FILE)
        self._report({"event": "rewards", "stage": "dpo", **line})
        for callback in self._trainer.callback_handler.callbacks:
            if isinstance(callback, ProgressCallback):
                callback.pause(time.perf_counter() - began)

    def _kept(self) -> list[dict[str, JsonValue]]:
        file = self._output / FILE
        if not file.is_file():
            return []
        found: list[dict[str, JsonValue]] = []
        for line in file.read_text(encoding="utf-8").splitlines():
            entry: Mapping[str, JsonValue] = json.loads(line)
            found.append(dict(entry))
        return found
