"""Options of the Gemma 4 template. Imports nothing heavy."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from callsmith import ControlTextPolicy

Variant = Literal["small", "large"]
RepairPolicy = Literal["off", "unambiguous", "schema"]

LARGE_FROM = 12.0
"""Billions of parameters from which on a model speaks the large variant (12B, 26B, 27B, 31B)."""

# `e4b`, `31b`, `0.9b`; not `a4b` (active parameters) and not `4bit` (quantisation).
_SIZE = re.compile(r"(?<![a-z0-9.])e?(\d+(?:\.\d+)?)b(?![a-z0-9])")


class Gemma4Config(BaseModel):
    """How prompts are rendered and how replies are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: Literal["auto", "small", "large"] = Field(
        default="auto",
        description="Which published template: `small` (E2B, E4B), `large` (12B and more: an "
        "empty thought opens the turn when thinking is off), or `auto`: by the model's name, "
        "`small` where the name does not say.",
    )
    model: str | None = Field(
        default=None, description="The model's name, for `auto`; the arm's model if left out."
    )
    thinking: bool = Field(
        default=False, description="Ask for a thought first, where the request does not say."
    )
    preserve_thinking: bool = Field(
        default=False,
        description="Keep the thoughts that came with calls of earlier turns in the prompt.",
    )
    call_text: Literal["after", "before", "drop"] = Field(
        default="after",
        description="Where an assistant's text stands that came with calls: `after` the results, "
        "as the canonical template has it, which closes the turn; `before` the calls, where the "
        "model wrote it; `drop` leaves it out once there are results. The last two keep the turn "
        "open for the continuation.",
    )
    structured_results: Literal["refuse", "inline"] = Field(
        default="refuse",
        description="Tool results that are objects or lists instead of text: `refuse`, as the "
        "canonical template does, or `inline`: an object's members stand in the result's braces.",
    )
    argument_order: Literal["sorted", "given"] = Field(
        default="sorted",
        description="The arguments of calls in a conversation's last message, which is what "
        "training teaches: `sorted`, as the canonical template writes every call, or as `given`, "
        "for models that were taught so. Earlier calls are always sorted.",
    )
    control_text: ControlTextPolicy = Field(
        default="refuse",
        description="Control tokens inside content: `refuse`, `neutralise` by a space, or `allow`.",
    )
    repair: RepairPolicy = Field(
        default="schema",
        description="Which malformed calls are mended: none (`off`), those with one reading "
        "(`unambiguous`), or also those that the tool's schema decides (`schema`).",
    )
    max_depth: int = Field(
        default=128, ge=1, le=256, description="Deepest nesting of arguments that is read."
    )

    @property
    def resolved_variant(self) -> Variant:
        """The variant that `variant` and `model` mean together."""
        return variant_of(self.model) if self.variant == "auto" else self.variant


def variant_of(model: str | None) -> Variant:
    """The variant that a model's name says: by its first size, `small` without any."""
    size = _SIZE.search(model.lower()) if model else None
    return "large" if size and float(size.group(1)) >= LARGE_FROM else "small"
