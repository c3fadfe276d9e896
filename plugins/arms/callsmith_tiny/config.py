"""The options of the arm `tiny`. Imports nothing heavy."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TinyConfig(BaseModel):
    """Which weights, and how long a text may be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        default="callsmith/tiny",
        min_length=1,
        description="the name that the run folder records; Gemma 4's template is meant for it",
    )
    path: str = Field(
        default="",
        description=(
            "a folder with model.safetensors and tokenizer.json, as the training writes them; "
            "empty: the ones that ship with the package"
        ),
    )
    constrain: bool = Field(
        default=False,
        description=(
            "allow only tokens after which the text can still become a valid call of a declared "
            "tool; off: the model writes what it writes"
        ),
    )
    context_length: int = Field(
        default=2048,
        ge=16,
        le=8192,
        description="tokens of prompt and completion together; a longer prompt is an error",
    )
