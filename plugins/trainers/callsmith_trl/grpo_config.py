"""The options of `grpo`. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from callsmith_trl.config import TrainerConfig


class GrpoConfig(TrainerConfig):
    """The options of `grpo`. One step sees `batch_size` x `accumulation` completions."""

    learning_rate: PositiveFloat = Field(default=2e-5, description="the highest learning rate")
    accumulation: PositiveInt = Field(
        default=32,
        description="forward passes per step; with batch_size, how many completions are rewarded "
        "per step, which must be whole groups",
    )

    group: PositiveInt = Field(
        default=8, ge=2, description="completions per prompt, which are compared with each other"
    )
    max_new_tokens: PositiveInt = Field(
        default=256, description="tokens that one completion may have; part of max_length"
    )
    temperature: PositiveFloat = Field(
        default=1.0, description="how completions are drawn; nothing else narrows the choice"
    )
    completions_at_once: NonNegativeInt = Field(
        default=0,
        description="completions that are written together; 0: all of a step, or as many as fit "
        "into the memory by the estimate",
    )
    vllm: Literal["", "colocate"] = Field(
        default="",
        description="colocate: vLLM writes the completions, in the same process; needs vLLM, a "
        "GPU, and weights that are not quantised",
    )
    vllm_memory: float = Field(
        default=0.3, gt=0, lt=1, description="the share of the GPU's memory that vLLM takes"
    )

    weights: dict[str, float] = Field(
        default={},
        description="by the names of the job's verifiers: what the score of each counts in the "
        "reward; 1 where it is not named, 0 only logs it",
    )
    scale_rewards: Literal["group", "batch", "none"] = Field(
        default="group",
        description="advantages are divided by the standard deviation of the rewards of the "
        "group, of the whole batch, or not at all",
    )
    loss: Literal["dapo", "grpo", "dr_grpo"] = Field(
        default="dapo",
        description="what the loss is averaged over: all tokens of a step, the tokens of each "
        "completion, or max_new_tokens",
    )
    beta: NonNegativeFloat = Field(
        default=0.0,
        description="weight of the divergence from what the stage started from; 0: none, and no "
        "reference is computed",
    )
    iterations: PositiveInt = Field(
        default=1, description="updates with the same completions; above 1 they are clipped"
    )
    epsilon: PositiveFloat = Field(
        default=0.2, description="how far an update may go before it is clipped, downwards"
    )
    epsilon_high: PositiveFloat = Field(default=0.28, description="the same, upwards")
    mask_cut: bool = Field(
        default=False,
        description="completions that the token limit cut have no part in the loss; otherwise "
        "they have the reward that the verifiers give them",
    )
    only_undecided: bool = Field(
        default=False,
        description="leave out the tasks whose samples in `traces` all had the same reward: "
        "solved or hopeless, nothing is learnt from them",
    )

    @model_validator(mode="after")
    def _whole_groups(self) -> GrpoConfig:
        completions = self.batch_size * self.accumulation
        if completions % self.group:
            raise ValueError(
                f"batch_size x accumulation are {completions} completions, which are no whole "
                f"groups of {self.group}; change one of the three"
            )
        if self.max_new_tokens >= self.max_length:
            raise ValueError(
                f"max_new_tokens ({self.max_new_tokens}) leaves no room for a prompt in "
                f"max_length ({self.max_length})"
            )
        strange = [name for name, weight in self.weights.items() if weight < 0]
        if strange:
            raise ValueError(f"the weight of {strange[0]} is below 0; use 0 to only log it")
        return self
