"""The options of both replay arms."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ReplayConfig(BaseModel):
    """What is replayed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        min_length=1,
        description="a run folder, or a file of recordings (JSON lines: traces, or records)",
    )
    arm: str = Field(
        default="", description="which arm of the recorded run; may be left out if there is one"
    )
    sampling: Literal["same", "any"] = Field(
        default="same",
        description="`same` refuses to answer a request that draws tokens in another way",
    )
