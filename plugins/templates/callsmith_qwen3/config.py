"""Options of the Qwen3 template. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from callsmith import ControlTextPolicy

RepairPolicy = Literal["off", "unambiguous"]
Variant = Literal["hybrid", "instruct-2507"]


class Qwen3Config(BaseModel):
    """How prompts are rendered and how replies are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: Variant = Field(
        default="hybrid",
        description="Which published template: `hybrid` (the first Qwen3 models, that think or "
        "not as asked), or `instruct-2507` (the Instruct-2507 models, that never think).",
    )
    thinking: bool = Field(
        default=True,
        description="Let the model think first, where the request does not say; without it an "
        "empty thought opens the answer (`hybrid` only).",
    )
    structured_content: Literal["refuse", "inline"] = Field(
        default="refuse",
        description="Content that is no text, which the official template loses: `refuse`, or "
        "`inline`: text parts are joined, a tool's result becomes JSON text.",
    )
    control_text: ControlTextPolicy = Field(
        default="refuse",
        description="Control tokens inside content: `refuse`, `neutralise` by a space, or `allow`.",
    )
    repair: RepairPolicy = Field(
        default="unambiguous",
        description="Which malformed calls are mended: none (`off`), or those with one reading "
        "(`unambiguous`).",
    )
    max_depth: int = Field(
        default=128, ge=1, le=256, description="Deepest nesting of arguments that is read."
    )
