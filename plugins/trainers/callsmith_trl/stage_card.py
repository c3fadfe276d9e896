"""What the model card says of a stage, gathered from what it was given, trained and found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from callsmith import JsonValue, TrainJob
from callsmith_trl.card import Card
from callsmith_trl.config import TrainerConfig
from callsmith_trl.identity import versions

if TYPE_CHECKING:
    from callsmith_trl.best import BestKeeper
    from callsmith_trl.loading import Loaded


def card_of(
    method: str,
    config: TrainerConfig,
    job: TrainJob,
    loaded: Loaded,
    keeper: BestKeeper,
    results: Mapping[str, JsonValue],
    data: Mapping[str, JsonValue],
    refused: int,
) -> Card:
    """What is said about a stage that is done; `refused` rows were left out of its data."""
    notes = []
    if loaded.token_rows:
        shown = " ".join(f"`{piece}`" for piece in loaded.tokens.pieces(loaded.token_rows))
        notes.append(f"The rows of these tokens were trained in embedding and head: {shown}")
    if refused:
        notes.append(f"{refused} rows were left out; refused.jsonl of the step says why.")
    if keeper.best is not None and keeper.best["step"] == 0:
        notes.append("No step was better than the start: these are the weights of the start.")
    options = config.model_dump(mode="json", by_alias=True)
    return Card(
        method=method,
        base=loaded.base.base or Path(loaded.base.path).name,
        adapter=loaded.adapted,
        template=loaded.recipe.template,
        seed=job.seed,
        data={**data, "rows left out": refused, "dev": len(job.dev)},
        options=options,
        results=results,
        versions=versions(),
        history=keeper.history,
        best=None if keeper.best is None else int(str(keeper.best["step"])),
        notes=notes,
    )
