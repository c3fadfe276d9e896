"""One stage of training, around TRL's trainer: the same for `sft`, `dpo` and `grpo`.

    stage = Stage("sft", config, job)
    if (done := stage.finished()) is not None:
        return done
    with stage.failures():
        loaded = stage.load()
        rows = stage.admit(*training_rows(...))
        ...
        return stage.run(lambda: SFTTrainer(..., args=SFTConfig(**stage.arguments())), data={...})

What stands in OUTPUT: `job.json` (whose training this is), `trainer/` (TRL's checkpoints, to
resume from), `best/` (the best weights so far), `probe.jsonl`, `refused.jsonl`, `preflight.json`,
and at the end `adapter/` or `model/`, with README.md in it, and `checkpoint.json`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import PrinterCallback

from callsmith import Checkpoint, ConfigError, JsonValue, Task, Template, TrainJob
from callsmith_trl.arguments import check_trackers, training_arguments
from callsmith_trl.best import BestKeeper
from callsmith_trl.card import CARD, write_card
from callsmith_trl.config import TrainerConfig
from callsmith_trl.exact_weights import exact_weights
from callsmith_trl.failures import clear_failures
from callsmith_trl.folders import last_step, last_whole
from callsmith_trl.identity import (
    claim,
    digest,
    identity,
    replace_text,
    tasks_digest,
)
from callsmith_trl.loading import (
    Loaded,
    known_warnings,
    load_for_training,
    save_checkpoint,
)
from callsmith_trl.memory import Method
from callsmith_trl.preflight import Preflight
from callsmith_trl.probe import Probe
from callsmith_trl.progress import ProgressCallback
from callsmith_trl.row_gradients import narrow_rows
from callsmith_trl.rows import TrainRow
from callsmith_trl.saving import SavingCallback
from callsmith_trl.stage_card import card_of
from callsmith_trl.weights import read_weights, remove

__all__ = ["Stage", "digest", "tasks_digest"]

SHOWN_REFUSALS = 3


class Stage:
    """A job with a trainer's options. Raises `ConfigError` for a job that lacks base or template,
    and for an output that belongs to another job."""

    def __init__(self, method: Method, config: TrainerConfig, job: TrainJob) -> None:
        if job.base is None:
            raise ConfigError("there is no base to train; name a folder or a step", path="base")
        if job.template is None:
            raise ConfigError("there is no template to render with; name one", path="template")
        self.method, self.config, self.job = method, config, job
        self.base: Checkpoint = job.base
        self.template: Template = job.template
        self.output = Path(job.output)
        self.main = int(os.environ.get("RANK", "0")) == 0
        """Whether this process writes: one of those that `accelerate launch` starts."""
        self.memory = ""
        """What the preflight estimated, for the message when memory runs out."""
        self.loaded: Loaded | None = None
        self.refused: list[tuple[Task, str]] = []
        if not self.output.is_dir():
            raise ConfigError(f"there is no folder {self.output}; make it first")

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Whatever goes wrong inside becomes one clear line."""
        with clear_failures(f"training ({self.method})", self.output, estimate=lambda: self.memory):
            yield

    def finished(self) -> Checkpoint | None:
        """The result, if this very job was done before."""
        file = self.output / "checkpoint.json"
        if not file.is_file():
            return None
        self._claim()
        details = json.loads(file.read_text(encoding="utf-8"))
        folder = self.output / ("model" if self.config.adapter == "none" else "adapter")
        if not folder.is_dir():
            return None
        if self.config.adapter == "none":
            return Checkpoint(path=str(folder), base=self.base.base, details=details)
        return Checkpoint(
            path=self.base.path, base=self.base.base, adapter=str(folder), details=details
        )

    def load(self) -> Loaded:
        """The base, ready to be trained. From here on the output belongs to this job."""
        self._claim()
        loaded = load_for_training(
            self.config,
            self.base,
            self.template,
            tasks=self.job.tasks,
            seed=self.job.seed,
            method=self.method,
            template_reference=self.job.template_reference,
        )
        self.loaded = loaded
        self.job.report(
            {
                "event": "loaded",
                "stage": self.method,
                "trainable": loaded.trainable,
                "parameters": sum(one.numel() for one in loaded.model.parameters()),
                "token_rows": [*loaded.tokens.pieces(loaded.token_rows)],
                "device": loaded.device,
                "quantization": loaded.quantization or loaded.dtype,
            }
        )
        return loaded

    def preflight(self, found: Preflight) -> None:
        """Records what was found; raises its errors."""
        self.memory = found.memory
        if self.main:
            found.record(self.job)
        else:
            found.check()

    def admit(
        self, rows: Sequence[TrainRow], refused: Sequence[tuple[Task, str]]
    ) -> list[TrainRow]:
        """The rows that fit; what is left out is listed in refused.jsonl and reported.

        Raises `ConfigError` where nothing is left, and for the first of them with
        `bad_rows: stop`.
        """
        limit = self.config.max_length
        long = [
            (row.task, f"it has {len(row)} tokens, more than max_length ({limit})")
            for row in rows
            if len(row) > limit
        ]
        kept = [row for row in rows if len(row) <= limit]
        self.refuse([*refused, *long])
        if not kept:
            said = f"; the first: {self._said(self.refused[0])}" if self.refused else ""
            raise ConfigError(f"there is nothing to learn: 0 of {len(self.refused)} rows fit{said}")
        return kept

    def refuse(self, refused: Sequence[tuple[Task, str]]) -> None:
        """Lists rows that are left out, with the reason."""
        self.refused = [*self.refused, *refused]
        if refused and self.config.bad_rows == "stop":
            raise ConfigError(
                f"{self._said(refused[0])} (and {len(refused) - 1} more); mend it, or set "
                "bad_rows: drop"
            )
        if not self.main:
            return
        lines = [
            json.dumps({"id": task.id, "reason": why}, ensure_ascii=False) + "\n"
            for task, why in self.refused
        ]
        (self.output / "refused.jsonl").write_text("".join(lines), encoding="utf-8")
        if refused:
            shown = [self._said(one) for one in refused[:SHOWN_REFUSALS]]
            self.job.report(
                {"event": "refused", "stage": self.method, "rows": len(refused), "first": [*shown]}
            )

    def arguments(self) -> dict[str, Any]:
        """What all of TRL's configurations take."""
        return training_arguments(
            self.config, self._loaded(), self.method, self.output, self.job.seed
        )

    def run(self, build: Callable[[], Any], data: Mapping[str, JsonValue]) -> Checkpoint:
        """Builds TRL's trainer, trains (from the last checkpoint, if there is one), and writes.

        `data` are counts and digests for the model card. The result is the best checkpoint by the
        probe; without one, the last.
        """
        loaded, job, config = self._loaded(), self.job, self.config
        with known_warnings():
            check_trackers(self.config.report_to)
            with exact_weights(loaded.model):
                trainer = build()
            trainer.create_model_card = _no_card  # at every checkpoint, with paths in it
            trainer.remove_callback(PrinterCallback)
            progress = ProgressCallback(self.method, job.report, loaded.device)
            trainer.add_callback(progress)
            probe = Probe(config, job, loaded) if config.probe.samples and job.dev else None
            if probe is not None and not probe and self.main:
                job.report(
                    {
                        "stage": self.method,
                        "warnings": [
                            "no task of `dev` can be rendered within max_length: there is no "
                            "probe, and the last checkpoint is the result"
                        ],
                    }
                )
            resumed = last_whole(self.output / "trainer")
            start = int(resumed.name.rpartition("-")[2]) if resumed else 0
            keeper = BestKeeper(self.output, loaded, progress, job.report, self.method, start)
            if probe:
                if trainer.is_fsdp_enabled:
                    raise ConfigError(
                        "with FSDP no process has the whole model to write with; set samples: 0",
                        path="probe",
                    )
                if self.main:
                    trainer.add_callback(keeper.callback(probe, config.probe.every))
            trainer.add_callback(SavingCallback())
            if resumed:
                job.report({"event": "resumed", "stage": self.method, "step": start})
            began = time.perf_counter()
            steps = last_step(resumed)
            if resumed and steps:
                read_weights(loaded, resumed)
            else:
                with narrow_rows(loaded.model):
                    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
                steps = trainer.state.global_step
            seconds = time.perf_counter() - began
        results: dict[str, JsonValue] = {
            "steps": steps,
            "seconds": round(seconds, 1),
            "training_seconds": round(seconds - progress.paused, 1),
            "resumed_at": start or None,
        }
        if keeper.best is not None:
            results |= {"best_step": keeper.best["step"], "right": keeper.best.get("right")}
        made = self._write(trainer, keeper, results, data)
        # Whoever returns says that the checkpoint is there; one process writes it.
        trainer.accelerator.wait_for_everyone()
        return made

    def _write(
        self,
        trainer: Any,
        keeper: BestKeeper,
        results: dict[str, JsonValue],
        data: Mapping[str, JsonValue],
    ) -> Checkpoint:
        loaded, job = self._loaded(), self.job
        probe: dict[str, JsonValue] | None = None
        if keeper.best is not None:
            probe = {"first": dict(keeper.history[0]), "best": dict(keeper.best)}
        details: dict[str, JsonValue] = {
            "method": self.method,
            **results,
            "data": dict(data),
            "template": self.template.digest,
            "seed": job.seed,
            "token_rows": [*loaded.tokens.pieces(loaded.token_rows)],
            "quantization": loaded.quantization or loaded.dtype,
            "probe": probe,
        }
        # With FSDP every process has a share of the weights, so all of them take part.
        state = (
            trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
        )
        if not self.main:
            place = self.output / ("adapter" if loaded.adapted else "model")
            adapter = str(place) if loaded.adapted else None
            path = self.base.path if loaded.adapted else str(place)
            return Checkpoint(path=path, base=self.base.base, adapter=adapter, details=details)
        if keeper.best is not None:
            made = keeper.take(details)
        else:
            made = save_checkpoint(loaded, self.config, job, details, state)
        card = card_of(
            self.method, self.config, job, loaded, keeper, results, data, len(self.refused)
        )
        # In the folder that is copied and uploaded.
        (Path(made.adapter or made.path) / CARD).write_text(write_card(card), encoding="utf-8")
        # A stage that has it is done. Not before, and the trainer's checkpoints go afterwards: a
        # job that is killed in between has either.
        whole = json.dumps(details, ensure_ascii=False, indent=1)
        replace_text(self.output / "checkpoint.json", whole + "\n")
        if not self.config.keep_checkpoints:
            for folder in (self.output / "trainer").glob("checkpoint-*"):
                remove(folder)
        job.report({"event": "done", "stage": self.method, **results})
        return made

    def _loaded(self) -> Loaded:
        assert self.loaded is not None, "load comes first"
        return self.loaded

    def _said(self, one: tuple[Task, str]) -> str:
        return f"row {one[0].id}: {one[1]}"

    def _claim(self) -> None:
        """Writes whose training this is; raises `ConfigError` if it is another's."""
        claim(self.output, identity(self.method, self.config, self.job), write=self.main)


def _no_card(*_: Any, **__: Any) -> None:
    return None
