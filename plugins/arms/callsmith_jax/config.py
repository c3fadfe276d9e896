"""The options of both arms. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from callsmith import ControlTextPolicy

GEMMA4_CONTROL_TOKENS = (
    "<bos>",
    "<eos>",
    "<|turn>",
    "<turn|>",
    "<|think|>",
    "<|channel>",
    "<channel|>",
    "<|tool>",
    "<tool|>",
    "<|tool_call>",
    "<tool_call|>",
    "<|tool_response>",
    "<tool_response|>",
    '<|"|>',
    "<|image|>",
    "<|audio|>",
    "<|video|>",
)
"""The tokens of Gemma 4's native format that only the library may write."""

Token = Annotated[str, Field(min_length=1)]


class SamplerConfig(BaseModel):
    """Options of `jax-sampler`: what is loaded, in which interpreter, with which sizes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: str = Field(
        min_length=1,
        description="a folder that the gemma library wrote, or one of its names: GEMMA4_E2B_IT",
    )
    tokenizer: str = Field(
        default="",
        description=(
            "the tokenizer.model; empty: in or beside the checkpoint's folder, or the library's own"
        ),
    )
    model: str = Field(
        default="",
        description=(
            "the library's class (Gemma4_E2B, Gemma4_E4B, Gemma4_26B_A4B, Gemma4_31B) or a JSON "
            "file with the sizes; empty: by the checkpoint's name, or its model.json"
        ),
    )
    python: str = Field(
        default="",
        description=(
            "the worker's interpreter; empty: CALLSMITH_JAX_PYTHON, and without that the "
            "environment that `callsmith jax setup` made"
        ),
    )
    platform: Literal["auto", "cpu", "gpu", "tpu"] = Field(
        default="auto", description="the device; auto: what JAX finds"
    )
    memory_fraction: float | None = Field(
        default=None, gt=0, le=1, description="share of the GPU's memory that JAX takes at once"
    )
    preallocate: bool | None = Field(
        default=None, description="false: JAX takes memory as it needs it, not all at once"
    )
    cache_length: int = Field(
        default=4096, ge=16, description="tokens of a whole conversation, the answer included"
    )
    max_out_length: PositiveInt = Field(
        default=2048, description="the most tokens of one completion; bounds max_tokens"
    )
    pad_lengths: tuple[PositiveInt, ...] = Field(
        default=(128, 256, 512, 1024, 2048),
        description=(
            "prompts are padded to the next of these, or to cache_length; each is compiled once"
        ),
    )
    logprobs: bool = Field(
        default=True, description="record the log probability of every token that was drawn"
    )
    start_timeout: PositiveFloat = Field(
        default=120.0, description="seconds until the worker says hello"
    )
    load_timeout: PositiveFloat = Field(
        default=1800.0, description="seconds to import JAX and load the model"
    )
    request_timeout: PositiveFloat = Field(
        default=900.0, description="seconds for one completion, compiling included"
    )
    probe_timeout: PositiveFloat = Field(
        default=45.0, description="seconds that probing waits for the model to be loaded"
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> SamplerConfig:
        if self.max_out_length > self.cache_length:
            object.__setattr__(self, "max_out_length", self.cache_length)
        return self


class ToolSamplerConfig(SamplerConfig):
    """Options of `jax-toolsampler`."""

    max_sessions: PositiveInt = Field(
        default=4,
        description=(
            "tool loops that may wait for results at once; each keeps a cache of cache_length"
        ),
    )
    control_text: ControlTextPolicy = Field(
        default="refuse",
        description="what to do with control tokens inside messages, tools and results",
    )
    control_tokens: tuple[Token, ...] = Field(
        default=GEMMA4_CONTROL_TOKENS, description="the model's control tokens"
    )
