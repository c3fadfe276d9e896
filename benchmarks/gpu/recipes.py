"""One stage on a model with random weights: by our trainers, and by TRL as its docs have it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import random_models

from callsmith import Checkpoint, JsonValue, Task, Template, Trace, TrainJob, Verdict, load

WARM = 3
"""Steps that are not timed: kernels are chosen and memory is laid out in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is measured. Lengths are in tokens; `new_tokens` is part of `length` (GRPO)."""

    model: str
    method: str
    recipe: str
    steps: int
    length: int
    completion: int
    group: int = 4
    new_tokens: int = 0
    cap_gib: float = 10.0
    device: str = "cuda:0"
    shrink: bool = False


@dataclass(slots=True)
class Clock:
    """When steps ended, and how many tokens they had."""

    ends: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)

    def step(self, tokens: float) -> None:
        """One more step."""
        self.ends.append(time.perf_counter())
        self.tokens.append(tokens)

    def rate(self) -> float | None:
        """Tokens per second after the warm-up; None where nothing is left of it."""
        start = min(WARM, len(self.ends) - 1)
        if start < 1:
            return None
        return sum(self.tokens[start:]) / (self.ends[-1] - self.ends[start - 1])


class Coin:
    """A `Verifier` that is not: a score from what was written, so that groups differ."""

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Half of all completions pass."""
        passed = sum(map(ord, trace.answer)) % 2 == 0
        return Verdict(verifier="coin", passed=passed, score=float(passed))


def tasks(case: Case, template: Template, tokens: Any) -> list[Task]:
    """One task per step (and some more), whose rows have exactly the length of the case."""
    from callsmith_trl.rows import prompt_of, training_row

    def measure(task: Task) -> int:
        if case.method == "grpo":
            return len(tokens.encode(prompt_of(task, template))) + case.new_tokens
        return len(training_row(task, template, tokens))

    # A rejected completion may be somewhat longer than the chosen one.
    length = case.length - (case.length // 16 if case.method == "dpo" else 0)
    return [
        random_models.task_of(10 * index, length, case.completion, measure)
        for index in range(case.steps + 4)
    ]


def ours(case: Case, folder: Path, output: Path) -> Clock:
    """`callsmith_trl` with the options of the shipped recipes."""
    from callsmith import PromptTokens

    kind = random_models.family(case.model)
    template = load().build("template", kind)
    clock = Clock()
    options: dict[str, Any] = {
        "token_rows": random_models.CALL_TOKENS[kind],
        "max_length": case.length,
        "max_steps": case.steps,
        "accumulation": 1,
        "save_every": 10 * case.steps,
        "device": case.device,
        "memory_gib": None if case.device == "cpu" else case.cap_gib,
        "probe": {"samples": 0},
        # On the CPU the paths of the GPU are taken too.
        "table_on_cpu": True,
        "gradient_checkpointing": True,
    }
    if case.method == "dpo":
        options |= {"pairs": {"corruptions": 1, "kinds": ["wrong-value"], "held_out": 0}}
    if case.method == "grpo":
        options |= {"group": case.group, "accumulation": case.group}
        options |= {"max_new_tokens": case.new_tokens}
    trainer = _trainer(case.method, options)
    found: dict[str, float] = {}

    def report(progress: Mapping[str, JsonValue]) -> None:
        if progress.get("event") == "pairs":
            found["pairs"] = float(str(progress["pairs"]))
        if progress.get("event") == "step":
            written = float(str(progress.get("completions/mean_length", case.new_tokens)))
            clock.step(_tokens(case, written))

    job = TrainJob(
        output=str(output),
        base=Checkpoint(path=str(folder), base=f"random/{case.model}"),
        tasks=tasks(case, template, PromptTokens.read(folder / "tokenizer.json")),
        template=template,
        verifiers={"coin": Coin()}
        if case.method == "grpo"
        else {"calls-match": load().build("verifier", "calls-match")},
        report=report,
    )
    with _random_table():
        trainer.train(job)
    return clock


def _trainer(method: str, options: Mapping[str, Any]) -> Any:
    catalog = load()
    return catalog.build("trainer", method, options)


@contextlib.contextmanager
def _random_table() -> Iterator[None]:
    """The table of per-layer embeddings is filled with random rows, where the loader reads it."""
    from callsmith_trl import base_models

    original = base_models.fill_table

    def fill(model: Any, folder: Any) -> bool:
        random_models.fill_random_table(model)
        return True

    base_models.fill_table = fill
    try:
        yield
    finally:
        base_models.fill_table = original


def plain(case: Case, folder: Path, output: Path) -> Clock:
    """TRL with PEFT and bitsandbytes, as their documentation has QLoRA; the same rows trained.

    Two things beyond the documentation, without which it does not run: rows are named for the
    head too, and the head gets the `bias` that TRL 1.16 asks PEFT's wrapper for.
    """
    import torch
    import trl
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    from callsmith import PromptTokens

    kind = random_models.family(case.model)
    template = load().build("template", kind)
    tokens = PromptTokens.read(folder / "tokenizer.json")
    made = tasks(case, template, tokens)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    on_gpu = case.device != "cpu"
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        local_files_only=True,
        dtype=torch.bfloat16,
        device_map={"": case.device},
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
    )
    rows = tokens.find(random_models.CALL_TOKENS[kind])
    adapter = LoraConfig(
        r=16,
        lora_alpha=32,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        trainable_token_indices={"embed_tokens": rows, "lm_head": rows},
    )
    arguments: dict[str, Any] = {
        "output_dir": str(output),
        "max_steps": case.steps,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": case.group if case.method == "grpo" else 1,
        "optim": "paged_adamw_8bit" if on_gpu else "adamw_torch",
        "bf16": on_gpu,
        "use_cpu": not on_gpu,
        "gradient_checkpointing": True,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    build = {"sft": _plain_sft, "dpo": _plain_dpo, "grpo": _plain_grpo}[case.method]
    trainer = build(case, trl, made, template, tokens, arguments, model, tokenizer, adapter)
    trainer.model.get_output_embeddings().bias = None
    clock = Clock()
    trainer.add_callback(_callback(case, clock))
    trainer.train()
    return clock


def _plain_sft(
    case: Case, trl: Any, made: Any, template: Any, tokens: Any, given: Any, *rest: Any
) -> Any:
    from datasets import Dataset

    from callsmith_trl.rows import training_rows

    rows, _ = training_rows(made, template, tokens)
    data = Dataset.from_dict(
        {
            "input_ids": [row.prompt_ids + row.completion_ids for row in rows],
            "completion_mask": [
                [0] * len(row.prompt_ids) + [1] * len(row.completion_ids) for row in rows
            ],
        }
    )
    arguments = trl.SFTConfig(**given, max_length=case.length)
    return _build(trl.SFTTrainer, arguments, data, *rest)


def _plain_dpo(
    case: Case, trl: Any, made: Any, template: Any, tokens: Any, given: Any, *rest: Any
) -> Any:
    from datasets import Dataset

    from callsmith_trl.rows import training_rows

    rows, _ = training_rows(made, template, tokens)
    data = Dataset.from_dict(
        {
            "prompt": [row.prompt.text for row in rows],
            "chosen": [row.completion for row in rows],
            "rejected": [row.completion.replace("a", "b") for row in rows],
        }
    )
    return _build(trl.DPOTrainer, trl.DPOConfig(**given, max_length=case.length), data, *rest)


def _plain_grpo(
    case: Case, trl: Any, made: Any, template: Any, tokens: Any, given: Any, *rest: Any
) -> Any:
    from datasets import Dataset

    from callsmith_trl.rows import prompt_of

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [float(sum(ids) % 2) for ids in completion_ids]

    data = Dataset.from_dict({"prompt": [prompt_of(task, template).text for task in made]})
    arguments = trl.GRPOConfig(
        **given, num_generations=case.group, max_completion_length=case.new_tokens
    )
    return _build(trl.GRPOTrainer, arguments, data, *rest, reward_funcs=reward)


def _build(kind: Any, arguments: Any, data: Any, *rest: Any, **more: Any) -> Any:
    model, tokenizer, adapter = rest
    return kind(
        model=model,
        args=arguments,
        train_dataset=data,
        processing_class=tokenizer,
        peft_config=adapter,
        **more,
    )


def _callback(case: Case, clock: Clock) -> Any:
    from transformers import TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                clock.step(_tokens(case, logs.get("completions/mean_length", case.new_tokens)))

    return Steps()


def _tokens(case: Case, written: float) -> float:
    """Tokens of one step: that are trained on (SFT, DPO), or that are written (GRPO)."""
    if case.method == "grpo":
        return case.group * written
    rows = 2 if case.method == "dpo" else 1
    return rows * (case.length - (case.length // 16 if case.method == "dpo" else 0))
