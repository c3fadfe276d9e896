"""The options of `dpo`. Imports nothing heavy."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveFloat

from callsmith_trl.config import TrainerConfig
from callsmith_trl.pair_options import PairOptions


class DpoConfig(TrainerConfig):
    """The options of `dpo`."""

    learning_rate: PositiveFloat = Field(default=1e-5, description="the highest learning rate")
    beta: PositiveFloat = Field(
        default=0.1,
        description="how much a step away from the reference costs; the reference is what the "
        "stage starts from",
    )
    anchor: NonNegativeFloat = Field(
        default=0.2,
        description="the weight of the loss on the chosen completions beside the loss on pairs, "
        "against forgetting; 0: none",
    )
    pairs: PairOptions = Field(
        default=PairOptions(), description="where pairs come from, and how many are kept"
    )
