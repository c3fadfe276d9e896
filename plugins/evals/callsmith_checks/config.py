"""Options of the verifiers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class MatchConfig(BaseModel):
    """How calls are compared with the gold calls."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: Literal["any", "same"] = Field(
        default="any", description="Whether calls must come in the order of the gold calls."
    )
    arguments: Literal["exact", "subset"] = Field(
        default="exact",
        description="`exact`: the gold arguments and no others; `subset`: others may stand beside.",
    )
    extra_calls: Literal["refuse", "allow"] = Field(
        default="refuse", description="Calls beyond the gold ones; the task's target may allow it."
    )
    strings: Literal["exact", "trimmed", "casefold"] = Field(
        default="exact",
        description="`trimmed` ignores white space at both ends, `casefold` upper and lower case "
        "as well.",
    )


class WrapperConfig(BaseModel):
    """Which repairs mean that a call stood outside its format's markers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinds: tuple[str, ...] = Field(
        default=("unmarked-call", "missing-call-close"),
        description="Kinds of repair, as the template names them.",
    )


class FaultsConfig(BaseModel):
    """How strict `no-faults` is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repairs: Literal["allow", "refuse"] = Field(
        default="allow", description="Whether a mended reply passes."
    )
