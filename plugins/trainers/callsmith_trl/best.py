"""The best weights so far, kept on disk, with the history of probes that decided it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from callsmith import Checkpoint, JsonValue
from callsmith_trl.identity import replace_text
from callsmith_trl.loading import Loaded
from callsmith_trl.probe import Probe
from callsmith_trl.progress import ProgressCallback, Report
from callsmith_trl.rates import better
from callsmith_trl.weights import before, remove, write_weights

HISTORY = "probe.jsonl"
RESULT = "probe.json"
PROBES = 10
"""About so many in a training, where the options do not say how often."""


class BestKeeper:
    """OUTPUT/best and OUTPUT/probe.jsonl.

    A training that resumes at `start` reads both back: probes of later steps are made again.
    """

    def __init__(
        self,
        output: Path,
        loaded: Loaded,
        progress: ProgressCallback,
        report: Report,
        stage: str,
        start: int,
    ) -> None:
        self.best: Mapping[str, JsonValue] | None = None
        self.history: list[Mapping[str, JsonValue]] = []
        self._output, self._loaded, self._progress = output, loaded, progress
        self._report, self._stage = report, stage
        if start:
            self._read(start)

    def callback(self, probe: Probe, every: int) -> TrainerCallback:
        """What asks for a probe: before the first step, every so many, and behind the last."""
        return _ProbeCallback(self, probe, every, self._progress)

    def has(self, step: int) -> bool:
        """Whether this step was probed already."""
        return any(entry["step"] == step for entry in self.history)

    def add(self, result: Mapping[str, JsonValue]) -> None:
        """Writes down one probe, and the weights if there were no better ones."""
        self.history.append(result)
        replace_text(
            self._output / HISTORY, "".join(json.dumps(one) + "\n" for one in self.history)
        )
        is_best = better(result, self.best)
        if is_best:
            text = json.dumps(result) + "\n"
            write_weights(self._loaded, self._output / "best", {RESULT: text})
            self.best = result
        self._report({"event": "probe", "stage": self._stage, **result, "best": is_best})

    def take(self, details: Mapping[str, JsonValue]) -> Checkpoint:
        """Makes the best weights the result: renames their folder."""
        loaded = self._loaded
        place = self._place()
        remove(place)
        (self._output / "best").rename(place)
        base = loaded.base
        if loaded.adapted:
            return Checkpoint(path=base.path, base=base.base, adapter=str(place), details=details)
        return Checkpoint(path=str(place), base=base.base, details=details)

    def _read(self, start: int) -> None:
        file = self._output / HISTORY
        if file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                if entry["step"] <= start:
                    self.history.append(entry)
        best = self._output / "best"
        for kept in (self._place(), before(best)):
            # It was killed behind `take`, before the stage was done, or while a better one was put
            # in the place of this one.
            if not best.exists() and (kept / RESULT).is_file():
                kept.rename(best)
        if (best / RESULT).is_file():
            self.best = json.loads((best / RESULT).read_text(encoding="utf-8"))

    def _place(self) -> Path:
        return self._output / ("adapter" if self._loaded.adapted else "model")


class _ProbeCallback(TrainerCallback):  # type: ignore[misc]
    def __init__(
        self, keeper: BestKeeper, probe: Probe, every: int, progress: ProgressCallback
    ) -> None:
        self._keeper, self._probe, self._every, self._progress = keeper, probe, every, progress

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._every = self._every or max(1, -(-state.max_steps // PROBES))
        self._progress.pauses_left = -(-(state.max_steps - state.global_step) // self._every) + 1
        if state.global_step == 0:
            self._run(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self._every == 0 or state.global_step >= state.max_steps:
            self._run(state.global_step)

    def _run(self, step: int) -> None:
        if self._keeper.has(step):
            return
        result = self._probe.run(step)
        self._keeper.add(result)
        self._progress.pause(float(str(result["seconds"])))
