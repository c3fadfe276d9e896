"""The options of the trainer `tiny-shipped`. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TinyShippedConfig(BaseModel):
    """Which weights, and in which precision they are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        default="",
        description="a folder with model.safetensors and tokenizer.json in the embedded model's "
        "own format; empty: the ones that ship with the package",
    )
    dtype: Literal["float32", "float16"] = Field(
        default="float32",
        description="precision of the weights that are written; they ship in float16, so both "
        "are the same numbers, and float32 can be trained",
    )
