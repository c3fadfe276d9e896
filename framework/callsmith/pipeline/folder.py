"""The run folder of a pipeline: `pipeline.json`, and a folder for each step and key.

    pipeline.json              the steps of the last run of the file, with their keys and inputs
    lock                       held while a process works on the pipeline
    steps/NAME-KEY/            KEY is the beginning of the step's key
        job.json               what the step's process was told
        progress.jsonl         what it reported, one line each
        log.txt                what it printed
        result.json            that it is done, and what came of it
        output/                what a trainer wrote
        run.json, traces.jsonl, verdicts.jsonl    of a score step: an ordinary run folder

`result.json` appears at once and as a whole: a step is done when it is there. Nothing is ever
deleted; a step whose inputs changed gets another folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from callsmith.codec import from_json, to_json
from callsmith.errors import ConfigError, StoreError
from callsmith.runs.store import lines_of, replace_json
from callsmith.types import Checkpoint

FORMAT = 1
HEADER = "pipeline.json"
RESULT = "result.json"
PROGRESS = "progress.jsonl"
LOG = "log.txt"
KEY_DIGITS = 8
INSIDE = "$run/"
"""Begins a path inside of the run folder, which may be moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a finished step left behind.

    `seconds` is the time of all its attempts (of one that was killed: up to its last report).
    `checkpoint` is a train step's; `benchmark` are a benchmark's own rows by arm.
    """

    seconds: float
    attempts: int
    finished: str
    checkpoint: Checkpoint | None = None
    benchmark: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step of the last run of a pipeline. `use` is the trainer, or "" in a score step."""

    name: str
    kind: str
    key: str
    use: str
    uses: tuple[str, ...]
    inputs: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """The step's folder inside of the run folder."""
        return f"steps/{self.name}-{self.key[:KEY_DIGITS]}"


class PipelineFolder:
    """The run folder of a pipeline, for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether this is a pipeline's folder."""
        return (self.path / HEADER).is_file()

    @property
    def header(self) -> dict[str, Any]:
        """The contents of `pipeline.json`. Raises `StoreError`."""
        file = self.path / HEADER
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StoreError(f"{self.path} is no pipeline's folder: it has no {HEADER}") from None
        except (OSError, ValueError) as error:
            raise StoreError(f"{file} cannot be read: {error}") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise StoreError(
                f"{file} is not a pipeline of format {FORMAT}; use a matching callsmith"
            )
        return found

    def steps(self) -> tuple[StepRecord, ...]:
        """The steps of the last run, in the order in which they run."""
        try:
            return tuple(
                StepRecord(
                    name=str(item["name"]),
                    kind=str(item["kind"]),
                    key=str(item["key"]),
                    use=str(item["use"]),
                    uses=tuple(item["uses"]),
                    inputs=dict(item["inputs"]),
                )
                for item in self.header["steps"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{self.path / HEADER} is damaged: {error}") from None

    def step_path(self, step: StepRecord) -> Path:
        """The folder of a step."""
        return self.path / step.folder

    def result(self, step: StepRecord) -> StepResult | None:
        """What a step left behind; None when it is not done. Raises `StoreError`."""
        return read_result(self.step_path(step), self.path)

    def progress(self, step: StepRecord) -> Iterator[dict[str, Any]]:
        """What a step's processes reported, as `{"attempt", "seconds", "progress"}`."""
        for _, line in lines_of(self.step_path(step) / PROGRESS):
            yield line

    def write_header(self, header: Mapping[str, Any]) -> None:
        """Replaces `pipeline.json` atomically."""
        replace_json(self.path / HEADER, {"format": FORMAT, **header})


def write_result(step: Path, run: Path, result: StepResult) -> None:
    """Marks a step as done, at once and as a whole."""
    checkpoint = result.checkpoint
    data = {
        "format": FORMAT,
        "seconds": round(result.seconds, 3),
        "attempts": result.attempts,
        "finished": result.finished,
        "checkpoint": checkpoint and to_json(_moved(checkpoint, f"{run}/", INSIDE)),
        "benchmark": dict(result.benchmark),
    }
    replace_json(step / RESULT, data)


def read_result(step: Path, run: Path) -> StepResult | None:
    """The result in a step's folder, with the paths of where the run folder is now."""
    file = step / RESULT
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        checkpoint = data["checkpoint"]
        if checkpoint is not None:
            checkpoint = _moved(from_json(checkpoint, Checkpoint), INSIDE, f"{run.absolute()}/")
        return StepResult(
            seconds=float(data["seconds"]),
            attempts=int(data["attempts"]),
            finished=str(data["finished"]),
            checkpoint=checkpoint,
            benchmark=dict(data["benchmark"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise StoreError(f"{file} is damaged: {error}; delete it to run the step again") from None


def _moved(checkpoint: Checkpoint, old: str, new: str) -> Checkpoint:
    def moved(path: str) -> str:
        return new + path.removeprefix(old) if path.startswith(old) else path

    adapter = checkpoint.adapter and moved(checkpoint.adapter)
    return replace(checkpoint, path=moved(checkpoint.path), adapter=adapter)
