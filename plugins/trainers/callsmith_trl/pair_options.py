"""Where pairs come from, and how many of each kind are kept. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

NAMES = (
    "wrong-tool",
    "hallucinated-tool",
    "missing-argument",
    "extra-argument",
    "wrong-type",
    "swapped-arguments",
    "wrong-value",
    "missing-call",
    "extra-call",
    "call-not-due",
    "no-call",
    "stray-text",
    "damaged-call",
    "lost-markers",
)
"""The corruptions of `callsmith_trl.corruptions`; options are read where its imports may lack."""


class PairOptions(BaseModel):
    """Pairs of a right and a plausibly wrong completion."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mined: bool = Field(
        default=True,
        description="near misses: completions in `traces` that a verifier refused",
    )
    corrections: bool = Field(
        default=True,
        description="calls in `traces` that a tool or a guard refused, with the successor that "
        "passed",
    )
    corruptions: PositiveInt | Literal[0] = Field(
        default=2, description="gold messages made wrong on purpose, per task; 0: none"
    )
    kinds: tuple[str, ...] = Field(
        default=NAMES, description="the corruptions that may be used", min_length=1
    )
    chosen: Literal["gold", "sample"] = Field(
        default="gold",
        description="the right completion of a mined pair: the gold, as the template writes it, "
        "or the model's own right sample of the task where there is one",
    )
    per_task: PositiveInt = Field(default=6, description="pairs of one task, at most")
    balance: Literal["median", "rarest", "off"] = Field(
        default="median",
        description="no reason has more pairs than `balance_factor` times the reason in the "
        "middle, or the rarest one",
    )
    balance_factor: PositiveFloat = Field(default=2.0, ge=1, description="see `balance`")
    limit: NonNegativeInt = Field(default=0, description="pairs in all, at most; 0: no limit")
    held_out: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="the share of the tasks whose pairs are not trained on; rewards are measured "
        "on them",
    )

    @field_validator("kinds")
    @classmethod
    def _known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for name in given:
            if name not in NAMES:
                raise ValueError(f"there is no corruption {name!r}; they are: {', '.join(NAMES)}")
        return given
