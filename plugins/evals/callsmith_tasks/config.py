"""Options of the task sets."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class JsonlConfig(BaseModel):
    """Where the tasks are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(
        description="File with one task per line; relative paths start at the current folder."
    )
    toolbox: str | None = Field(
        default=None, description="Toolbox of the tasks that name none themselves."
    )
