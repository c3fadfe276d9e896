"""The options of the arm `hf`. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
)

Name = Annotated[str, Field(min_length=1)]


class HfConfig(BaseModel):
    """Which model, in which precision, on what, and how many requests at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Name = Field(
        description="the model's name, such as google/gemma-4-E2B-it; also what a template is "
        "chosen by and what the run folder records"
    )
    path: str = Field(
        default="",
        description="the checkpoint's folder; empty: `model` is a folder, or a name in the hub's "
        "local cache",
    )
    revision: str = Field(default="", description="branch, tag or commit of a model from the hub")
    register_: str = Field(
        default="",
        alias="register",
        description="an installed Python module to import before the model is loaded, which "
        "registers an architecture of its own with transformers",
    )
    offline: bool = Field(
        default=True, description="false: a model that is not in the local cache is downloaded"
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto",
        description="precision of weights and activations, and with nf4 of what is computed; "
        "auto: the checkpoint's",
    )
    quantization: Literal["", "nf4"] = Field(
        default="", description="nf4: linear layers in 4 bits, by bitsandbytes, while loading"
    )
    double_quant: bool = Field(
        default=True, description="with nf4: the constants of the quantisation are quantised too"
    )
    adapter: str = Field(
        default="", description="folder of an adapter in PEFT's format, applied and never merged"
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="cpu, cuda or cuda:1; auto: the first GPU if there is one",
    )
    memory_gib: float | None = Field(
        default=None,
        gt=0,
        description="the memory that the model may take. On a GPU a hard cap of this process; on "
        "the CPU the weights are estimated and refused before they are loaded",
    )
    context_length: PositiveInt | None = Field(
        default=None,
        description="tokens of prompt and completion together, at most what the checkpoint says, "
        "which is the default; a longer prompt is an error",
    )
    batch_size: PositiveInt = Field(
        default=8, description="requests that are decoded together; 1: one after the other"
    )
    batch_wait: NonNegativeFloat = Field(
        default=0.01, description="seconds that a batch waits for further requests"
    )
    attention: Literal["auto", "eager", "sdpa"] = Field(
        default="auto", description="the implementation of attention, in transformers' words"
    )
    text_only: bool = Field(
        default=True,
        description="leave out the parts for images and audio, which a text arm never uses; "
        "false for an adapter that was trained on the whole model",
    )
    logprobs: bool = Field(
        default=True, description="the logarithm of each token's probability in the completion"
    )
    stop_token_ids: tuple[NonNegativeInt, ...] = Field(
        default=(),
        description="further tokens that end a completion. Not needed for the model's own end "
        "tokens, nor for stop strings that are one special token",
    )
    control_tokens: tuple[Name, ...] = Field(
        default=(),
        description="tokens that content must not form although the tokenizer does not call them "
        "special, such as <tool_call> of Qwen 3",
    )

    @property
    def module(self) -> str:
        """The module of the option `register`; the field's name would hide a method of classes."""
        return self.register_
