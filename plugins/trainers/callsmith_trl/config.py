"""The options that all trainers share, and those of `sft`. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)
from pydantic.config import JsonDict

Name = Annotated[str, Field(min_length=1)]

UNDECIDED: JsonDict = {"decides": False}
"""For options that change nothing of what is trained: a stage goes on when they change."""

EMBEDDINGS = ("embed_tokens", "lm_head", "wte", "embed_out")
"""What embeddings and heads are called in models of transformers."""


class ProbeConfig(BaseModel):
    """What the model writes during training, judged by the job's verifiers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: NonNegativeInt = Field(
        default=64,
        description="tasks of `dev`, the same ones every time; 0: no probe, and the last "
        "checkpoint is the result",
    )
    every: NonNegativeInt = Field(
        default=0, description="steps between two probes; 0: about ten in a whole training"
    )
    max_new_tokens: PositiveInt = Field(
        default=256, description="tokens that one completion may have"
    )
    batch_size: PositiveInt = Field(default=8, description="completions that are written together")
    temperature: NonNegativeFloat = Field(
        default=0.0,
        description="how completions are drawn, the same way every time; 0: greedy. 1 shows how "
        "sure the model is of right calls, which is what `grpo` and `dpo` change first",
    )
    verifier: str = Field(
        default="calls-match",
        description="which of the job's verifiers says that a completion is right; where the job "
        "has none of this name, all of them must pass",
    )


class TrainerConfig(BaseModel):
    """How the model is loaded and trained. The defaults are for 4 B parameters on a 12 GB GPU."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    register_: str = Field(
        default="",
        alias="register",
        description="a Python module to import before the model is loaded, which registers an "
        "architecture of its own with transformers",
    )
    quantization: Literal["nf4", ""] = Field(
        default="nf4",
        description="nf4: the frozen linear layers in 4 bits, by bitsandbytes; needs an adapter",
    )
    double_quant: bool = Field(
        default=True, description="with nf4: the constants of the quantisation are quantised too"
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto",
        description="precision of the frozen weights and of what is computed; auto: the "
        "checkpoint's. What is trained is kept in float32",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="cpu, cuda or cuda:1; auto: the first GPU if there is one",
        json_schema_extra=UNDECIDED,
    )
    memory_gib: PositiveFloat | None = Field(
        default=None,
        description="on a GPU: a hard cap on what this process may take",
        json_schema_extra=UNDECIDED,
    )
    threads: NonNegativeInt = Field(
        default=1,
        description="PyTorch's threads on the CPU; 0 leaves them as they are. Several are slower "
        "than one for small models on a shared machine",
        json_schema_extra=UNDECIDED,
    )
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2", "flash_attention_3"] = Field(
        default="auto", description="the implementation of attention, in transformers' words"
    )
    text_only: bool = Field(
        default=True, description="leave out the parts for images and audio, and train none of them"
    )
    table_on_cpu: Literal["auto"] | bool = Field(
        default="auto",
        description="Gemma's table of per-layer embeddings stays in the machine's memory and is "
        "looked up there; auto: when training on a GPU, with an adapter",
    )

    adapter: Literal["lora", "none"] = Field(
        default="lora",
        description="lora: a LoRA adapter beside frozen weights, or the base's own adapter, which "
        "is trained further; none: all weights",
    )
    rank: PositiveInt = Field(default=16, description="the rank of a new LoRA adapter")
    alpha: PositiveFloat = Field(default=32, description="its scale is alpha / rank")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout in front of the adapter")
    targets: tuple[Name, ...] = Field(
        default=("all-linear",),
        description="the linear layers that get an adapter, by the ends of their names; "
        "all-linear: all but the head",
    )
    token_rows: Literal["auto", "off"] | tuple[Name, ...] = Field(
        default="auto",
        description="tokens whose own rows of the embedding and of the head are trained beside "
        "the adapter. auto: the control tokens of the rows to learn that look as if they had "
        "never been trained; or a list of tokens; off: none",
    )
    control_tokens: tuple[Name, ...] = Field(
        default=(),
        description="tokens that content must not form although the tokenizer does not call them "
        "special, such as <tool_call> of Qwen 3; the same as for the arm `hf`",
    )
    thinking: bool = Field(
        default=False, description="whether prompts ask the model to think, as in a run's sampling"
    )

    max_length: PositiveInt = Field(
        default=2048,
        description="tokens of prompt and completion; longer rows are left out and listed, never "
        "cut",
    )
    bad_rows: Literal["drop", "stop"] = Field(
        default="drop",
        description="rows that cannot be learnt, or are too long: leave them out and list them in "
        "refused.jsonl, or stop",
    )
    batch_size: PositiveInt = Field(default=1, description="rows per forward pass")
    accumulation: PositiveInt = Field(default=16, description="forward passes per step")
    epochs: PositiveFloat = Field(default=1.0, description="how often every row is seen")
    max_steps: NonNegativeInt = Field(
        default=0, description="steps of the whole training, in place of `epochs`; 0: by epochs"
    )
    learning_rate: PositiveFloat = Field(default=2e-4, description="the highest learning rate")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="cosine", description="how the learning rate falls after the warm-up"
    )
    warmup: float = Field(
        default=0.03, ge=0, lt=1, description="the share of the steps over which it rises"
    )
    weight_decay: NonNegativeFloat = Field(default=0.0, description="decay of the weights")
    max_grad_norm: PositiveFloat = Field(default=1.0, description="gradients are scaled to this")
    optimizer: str = Field(
        default="auto",
        description="in transformers' words; auto: paged_adamw_8bit on a GPU for an adapter, "
        "adamw_torch elsewhere",
    )
    gradient_checkpointing: Literal["auto"] | bool = Field(
        default="auto",
        description="computes activations twice instead of keeping them; auto: on a GPU",
    )

    probe: ProbeConfig = Field(
        default=ProbeConfig(),
        description="generation during training, by which the best checkpoint is chosen",
    )
    save_every: NonNegativeInt = Field(
        default=0,
        description="steps between checkpoints to resume from; 0: about ten in all",
        json_schema_extra=UNDECIDED,
    )
    log_every: PositiveInt = Field(
        default=1,
        description="steps between two progress reports",
        json_schema_extra=UNDECIDED,
    )
    report_to: tuple[Name, ...] = Field(
        default=(),
        description="trackers by transformers' names: trackio, wandb, tensorboard, …",
        json_schema_extra=UNDECIDED,
    )
    keep_checkpoints: bool = Field(
        default=False,
        description="keep the trainer's own checkpoints when all is done",
        json_schema_extra=UNDECIDED,
    )

    @field_validator("targets")
    @classmethod
    def _no_embeddings(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        """A LoRA there is ignored by TRL's fused head, or cannot be merged where it is tied."""
        for name in given:
            if name.rpartition(".")[2] in EMBEDDINGS:
                raise ValueError(
                    f"no LoRA on {name}: TRL computes the loss past it, and with a tied head it "
                    "cannot be merged; name the tokens to train in `token_rows` instead"
                )
        if "all-linear" in given and len(given) > 1:
            raise ValueError("all-linear is all of them; name it alone")
        if not given:
            raise ValueError("name at least one layer, or use adapter: none")
        return given

    @property
    def module(self) -> str:
        """The module of the option `register`."""
        return self.register_

    def optimizer_on(self, device: str, *, adapted: bool) -> str:
        """The optimizer, in transformers' words, on a `device` (cpu, cuda:0)."""
        if self.optimizer != "auto":
            return self.optimizer
        return "paged_adamw_8bit" if device != "cpu" and adapted else "adamw_torch"

    def recomputes_on(self, device: str) -> bool:
        """Whether activations are computed twice on a `device`."""
        if self.gradient_checkpointing != "auto":
            return self.gradient_checkpointing
        return device != "cpu"

    def keeps_table_apart_on(self, device: str) -> bool:
        """Whether a table of per-layer embeddings stays on the CPU, training on a `device`."""
        if self.adapter == "none":
            return False
        return device != "cpu" if self.table_on_cpu == "auto" else self.table_on_cpu


class SftConfig(TrainerConfig):
    """The options of `sft`."""

    packing: bool = Field(
        default=False,
        description="several rows in one sequence. Only where rows cannot see each other: on a "
        "GPU, with flash attention; refused elsewhere",
    )
    sort_by_length: bool = Field(
        default=True,
        description="batches of rows of about the same length, in random order: less padding",
    )
