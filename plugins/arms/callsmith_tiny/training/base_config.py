"""Options of the trainer `tiny-base`. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

CALL_MARKS = ("<|tool_call>", "<tool_call|>")


class TinyBaseConfig(BaseModel):
    """The size of the network, how long it learns, and what it is made to forget."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(default=128, ge=8, le=1024, description="Size of the hidden state.")
    layers: int = Field(default=4, ge=1, le=24, description="How many layers.")
    heads: int = Field(default=4, ge=1, le=32, description="Attention heads of every layer.")
    hidden: int = Field(default=320, ge=8, le=8192, description="Size inside the feed-forward.")
    tied: bool = Field(default=True, description="One matrix for embedding and head.")
    context: int = Field(
        default=1024,
        ge=256,
        le=8192,
        description="Longest text in tokens; longer conversations are not drawn.",
    )
    rope_theta: float = Field(
        default=10_000.0, gt=1, description="Base of the rotary positions' wave lengths."
    )
    steps: int = Field(
        default=800,
        ge=1,
        description="Steps of the optimiser; learning rates and curriculum depend on them, not on "
        "the clock.",
    )
    batch_tokens: int = Field(
        default=2048, ge=256, description="Tokens of one step, padding included, at most."
    )
    curriculum: Literal["quick", "full"] = Field(
        default="quick",
        description="`quick`: one or two short tools, every value behind its name; `full`: the "
        "embedded model's own, from there to all kinds of conversations (needs some ten times the "
        "steps).",
    )
    muon: float = Field(default=0.02, gt=0, description="Highest learning rate of the matrices.")
    adam: float = Field(
        default=3e-3, gt=0, description="Highest learning rate of embeddings and norms (AdamW)."
    )
    warmup: int = Field(default=40, ge=0, description="Steps in which the rates rise.")
    hold: float = Field(
        default=0.35,
        ge=0,
        lt=1,
        description="Share of the steps after which the rates fall, in a line, to zero.",
    )
    prompt_weight: float = Field(
        default=0.2,
        ge=0,
        description="Weight of the loss on the prompt beside the loss on what the model says.",
    )
    prompt_share: float = Field(
        default=0.3, ge=0, le=1, description="Share of the prompt's tokens in that loss."
    )
    untrained_tokens: Literal["calls", "none"] | tuple[str, ...] = Field(
        default="calls",
        description="Tokens whose rows are overwritten at the end, all with one short vector, as "
        "if no training had ever seen them: `calls` (all that hold <|tool_call> or <tool_call|>), "
        "`none`, or a list of tokens.",
    )
    untrained_norm: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="Length of that vector, as a share of the median row's.",
    )
    save_every: int = Field(
        default=100, ge=1, description="Steps between checkpoints, from which a killed run goes on."
    )

    @model_validator(mode="after")
    def _fits(self) -> TinyBaseConfig:
        if self.width % self.heads or self.width // self.heads % 2:
            raise ValueError(
                f"`width` {self.width} is no even multiple of `heads` {self.heads}; rotary "
                "positions need an even number of dimensions for each head"
            )
        return self
