"""`tiny-shipped`: the embedded model's weights as a pipeline's first checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path

from callsmith import Checkpoint, TrainJob

from .checkpoint import PACKAGE, to_transformers
from .shipped_config import TinyShippedConfig

NAME = "callsmith/tiny"


class TinyShipped:
    """A `Trainer` that trains nothing: it writes the weights so that trainers can go on.

    The folder needs `register: callsmith_tiny.training.huggingface` wherever it is loaded.
    Raises `ConfigError` when the option `path` names a folder without a model.
    """

    def __init__(self, config: TinyShippedConfig | None = None) -> None:
        self.config = config or TinyShippedConfig()

    def train(self, job: TrainJob) -> Checkpoint:
        """Writes OUTPUT/model, whole or not at all."""
        source = Path(self.config.path).expanduser() if self.config.path else PACKAGE
        folder = Path(job.output) / "model"
        unfinished = folder.with_name(".model.unfinished")
        for one in (unfinished, folder):
            if one.exists():
                shutil.rmtree(one)
        facts = to_transformers(unfinished, source, dtype=self.config.dtype)
        unfinished.rename(folder)
        return Checkpoint(path=str(folder), base=NAME, details={"trainer": "tiny-shipped", **facts})
