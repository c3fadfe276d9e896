"""Whose training a folder holds, and what it was made with: digests and versions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from callsmith import ConfigError, Task, TrainJob, deciding_options, to_json, weights_fingerprint
from callsmith_trl.config import TrainerConfig

LIBRARIES = ("callsmith", "trl", "transformers", "peft", "torch", "bitsandbytes", "datasets")
BEGUN = ("trainer", "checkpoint.json")
"""What a folder has once something was trained in it."""


def identity(method: str, config: TrainerConfig, job: TrainJob) -> dict[str, str]:
    """What makes a job this one, as digests by name."""
    options = deciding_options(config)
    weights: list[str] = []
    if job.base is not None:
        weights = [
            weights_fingerprint(Path(place).expanduser())
            for place in (job.base.path, job.base.adapter)
            if place
        ]
    return {
        "method": method,
        "options": digest(options),
        "base": " ".join(weights),
        "tasks": tasks_digest(job.tasks),
        "dev": tasks_digest(job.dev),
        "traces": digest([[task.id, to_json(trace)] for task, trace in job.traces]),
        "template": job.template.digest if job.template else "",
        "seed": str(job.seed),
    }


def claim(output: Path, mine: Mapping[str, str], *, write: bool = True) -> None:
    """Writes job.json; raises `ConfigError` where another job has trained in the folder."""
    file = output / "job.json"
    if file.is_file() and any((output / name).exists() for name in BEGUN):
        try:
            theirs = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            theirs = {}
        changed = [name for name in mine if theirs.get(name) != mine[name]]
        if changed:
            raise ConfigError(
                f"{output} holds the training of another job (other {', '.join(changed)}); name "
                "another folder, or remove this one"
            )
    if write:
        replace_text(file, json.dumps(mine, indent=1, sort_keys=True) + "\n")


def tasks_digest(tasks: Sequence[Task]) -> str:
    """Identifies tasks with all that they hold, in their order."""
    return digest([to_json(task) for task in tasks])


def digest(value: Any) -> str:
    """`sha256:` of a JSON value."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def versions() -> dict[str, str]:
    """The installed libraries that decide what a training makes."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def replace_text(file: Path, text: str) -> None:
    """Writes a file beside and renames it, so that it is whole or as it was."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    with unfinished.open("w", encoding="utf-8") as target:
        target.write(text)
        target.flush()
        os.fsync(target.fileno())
    unfinished.replace(file)
