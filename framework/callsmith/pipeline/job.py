"""What the process of a step is told: `job.json` in the step's folder.

The frame of the step goes along as it stands in the file; the process resolves it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsmith.codec import from_json, to_json
from callsmith.pipeline.frames import PipelineFile
from callsmith.runs.store import replace_json
from callsmith.types import Checkpoint

JOB = "job.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One step to be done in `folder`. All paths are absolute.

    `inputs` are what the step's key was made of. `checkpoints` are what the steps made that it
    uses; `base` is a train step's base, wherever it is from; `traces` are run folders.
    """

    pipeline: PipelineFile
    step: str
    run: Path
    folder: Path
    inputs: Mapping[str, Any]
    checkpoints: Mapping[str, Checkpoint]
    base: Checkpoint | None = None
    traces: tuple[Path, ...] = ()
    retry_errors: bool = False

    def write(self) -> Path:
        """Writes the job into its folder and returns the file."""
        file = self.folder / JOB
        data = {
            "pipeline": self.pipeline.model_dump(mode="json"),
            "step": self.step,
            "run": str(self.run),
            "folder": str(self.folder),
            "inputs": dict(self.inputs),
            "checkpoints": to_json(self.checkpoints),
            "base": self.base and to_json(self.base),
            "traces": [str(path) for path in self.traces],
            "retry_errors": self.retry_errors,
        }
        replace_json(file, data)
        return file


def read_job(file: Path) -> Job:
    """The job that `Job.write` wrote."""
    data = json.loads(file.read_text(encoding="utf-8"))
    checkpoints = {name: from_json(item, Checkpoint) for name, item in data["checkpoints"].items()}
    return Job(
        pipeline=PipelineFile.model_validate(data["pipeline"]),
        step=data["step"],
        run=Path(data["run"]),
        folder=Path(data["folder"]),
        inputs=data["inputs"],
        checkpoints=checkpoints,
        base=from_json(data["base"], Checkpoint) if data["base"] else None,
        traces=tuple(Path(path) for path in data["traces"]),
        retry_errors=data["retry_errors"],
    )
