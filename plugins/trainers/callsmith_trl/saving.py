"""Checkpoints to resume from, marked once they are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from callsmith_trl.folders import WHOLE


class SavingCallback(TrainerCallback):  # type: ignore[misc]
    """Marks each of the trainer's checkpoints when everything in it has been written.

    A training that is killed while it saves leaves a folder that looks like a checkpoint and is
    none; only marked ones are resumed from.
    """

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Called behind the last write of a checkpoint."""
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            if folder.is_dir():
                (folder / WHOLE).touch()
