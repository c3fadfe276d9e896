"""The options of the arm `vllm`. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

Name = Annotated[str, Field(min_length=1)]

ENGINE_ARGUMENTS = {
    "path": "model",
    "revision": "revision",
    "dtype": "dtype",
    "quantization": "quantization",
    "kv_cache_dtype": "kv_cache_dtype",
    "max_model_len": "max_model_len",
    "gpu_memory_utilization": "gpu_memory_utilization",
    "max_num_seqs": "max_num_seqs",
    "tensor_parallel_size": "tensor_parallel_size",
    "enforce_eager": "enforce_eager",
    "prefix_caching": "enable_prefix_caching",
    "text_only": "language_model_only",
    "seed": "seed",
    "max_lora_rank": "max_lora_rank",
    "adapter": "enable_lora",
}
"""Options, and the engine arguments of vLLM that they decide."""


class VllmConfig(BaseModel):
    """Which model, how much of the card it may take, and how prompts reach it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Name = Field(
        description="the model's name, such as google/gemma-4-E2B-it; also what a template is "
        "chosen by and what the run folder records"
    )
    path: str = Field(
        default="", description="the checkpoint's folder; empty: `model` is loaded by its name"
    )
    revision: str = Field(default="", description="branch, tag or commit of a model from the hub")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto", description="precision of weights and activations; auto: the checkpoint's"
    )
    quantization: str = Field(
        default="",
        description="how weights are quantised while they are loaded, in vLLM's words, such as "
        "fp8_per_tensor; empty: as the checkpoint says",
    )
    kv_cache_dtype: Name = Field(
        default="auto",
        description="precision of the cache: auto (that of the model), fp8, ...; fp8 halves it "
        "and changes results",
    )
    max_model_len: PositiveInt = Field(
        default=8192,
        description="tokens of prompt and completion together; a longer prompt is an error",
    )
    gpu_memory_utilization: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="the part of the card's memory that weights, activations and cache may take",
    )
    max_num_seqs: PositiveInt | None = Field(
        default=None, description="requests that are decoded together; empty: vLLM's default"
    )
    tensor_parallel_size: PositiveInt = Field(
        default=1, description="cards that the model is split over"
    )
    enforce_eager: bool = Field(
        default=False,
        description="no CUDA graphs: starts faster, takes less memory, decodes slower",
    )
    prefix_caching: bool = Field(
        default=True,
        description="keep the cache of prompts that begin alike, as the steps of an episode do",
    )
    text_only: bool = Field(
        default=True, description="keep no memory for images and audio, which a text arm never has"
    )
    seed: int = Field(default=0, description="the engine's seed; a request's own is its sampling's")
    logprobs: bool = Field(
        default=True, description="the logarithm of each token's probability in the completion"
    )
    stop_token_ids: tuple[NonNegativeInt, ...] = Field(
        default=(),
        description="further tokens that end a completion. Not needed for the model's own end "
        "tokens, nor for stop strings that are one special token",
    )
    prompt_as: Literal["ids", "text"] = Field(
        default="ids",
        description="ids: tokenised here, content apart from control text; text: tokenised by "
        "vLLM, for tokenizers that are no tokenizer.json. Content can then forge control tokens",
    )
    control_tokens: tuple[Name, ...] = Field(
        default=(),
        description="tokens that content must not form although the tokenizer does not call them "
        "special, such as <tool_call> of Qwen 3",
    )
    adapters: dict[Name, Name] = Field(
        default_factory=dict, description="LoRA adapters: name to folder, in PEFT's format"
    )
    adapter: str = Field(
        default="", description="the name of the adapter to use, unmerged; empty: the base model"
    )
    max_lora_rank: PositiveInt | None = Field(
        default=None, description="room for adapters of this rank; empty: what `adapter` needs"
    )
    restarts: NonNegativeInt = Field(
        default=1, description="how often an engine that died is started again"
    )
    engine_args: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="further engine arguments by vLLM's own names, such as cpu_offload_gb",
    )

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.adapter and self.adapter not in self.adapters:
            known = ", ".join(self.adapters) or "none"
            raise ValueError(f"adapter {self.adapter!r} is not among the adapters ({known})")
        for option, argument in ENGINE_ARGUMENTS.items():
            if argument in self.engine_args:
                raise ValueError(f"engine_args has {argument!r}: use the option {option!r}")
        return self
