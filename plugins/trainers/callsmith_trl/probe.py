"""Generation during training: what the model really writes, judged by the job's verifiers."""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from callsmith import CallsmithError, JsonValue, Prompt, Task, TrainJob
from callsmith_trl.config import TrainerConfig
from callsmith_trl.rates import judge, rates
from callsmith_trl.reading import trace_of, trace_of_ids
from callsmith_trl.rows import TrainRow, prompt_of, training_rows

if TYPE_CHECKING:
    from callsmith_trl.loading import Loaded

__all__ = ["Probe", "completion_loss", "generate", "trace_of"]

LOGITS = 1 << 26
"""Numbers of logits that are made at once: 256 MiB in float32."""


def generate(
    loaded: Loaded,
    prompts_ids: Sequence[Sequence[int]],
    max_new_tokens: int,
    batch_size: int,
    temperature: float = 0.0,
) -> list[list[int]]:
    """What the model writes after each prompt, as ids; greedy at temperature 0.

    Prompts are padded on the left, in batches of about the same length. A completion ends with
    one of `loaded.ends`, which is kept, or has `max_new_tokens`. The model's mode (training or
    not) is left as it was.
    """
    import torch
    from transformers import GenerationConfig

    model, network = loaded.model, loaded.network
    pad = int(loaded.tokenizer.pad_token_id or 0)
    settings = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=temperature > 0,
        eos_token_id=sorted(loaded.ends),
        pad_token_id=pad,
        use_cache=True,
    )
    if temperature > 0:
        settings.temperature, settings.top_k, settings.top_p = temperature, 0, 1.0
    found: list[list[int]] = [[] for _ in prompts_ids]
    order = sorted(range(len(prompts_ids)), key=lambda index: len(prompts_ids[index]))
    training = model.training
    kept = network.generation_config
    # Options that are left open are filled from the model's own, which may sample.
    network.generation_config = GenerationConfig()
    model.eval()
    try:
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            longest = max(len(prompts_ids[index]) for index in batch)
            padding = [longest - len(prompts_ids[index]) for index in batch]
            given = [
                [pad] * gap + list(prompts_ids[index])
                for gap, index in zip(padding, batch, strict=True)
            ]
            mask = [[0] * gap + [1] * (longest - gap) for gap in padding]
            with torch.inference_mode():
                out = model.generate(
                    input_ids=torch.tensor(given, device=loaded.device),
                    attention_mask=torch.tensor(mask, device=loaded.device),
                    generation_config=settings,
                )
            for index, row in zip(batch, out[:, longest:].tolist(), strict=True):
                found[index] = _ended(row, loaded.ends)
    finally:
        network.generation_config = kept
        model.train(training)
    return found


def _ended(row: Sequence[int], ends: frozenset[int]) -> list[int]:
    """Up to and including the first end; what follows is padding."""
    for place, number in enumerate(row):
        if number in ends:
            return list(row[: place + 1])
    return list(row)


def completion_loss(loaded: Loaded, rows: Sequence[TrainRow], batch_size: int) -> float | None:
    """The mean loss (nats per token) of the completions of `rows`; None without any.

    Sequences are padded on the left, so that only the logits of the completions are made.
    """
    import torch
    from torch.nn.functional import cross_entropy

    if not rows:
        return None
    model, network = loaded.model, loaded.network
    keeps = "logits_to_keep" in inspect.signature(network.forward).parameters
    places = "position_ids" in inspect.signature(network.forward).parameters
    vocabulary = network.get_input_embeddings().weight.shape[0]
    longest = max(len(row.completion_ids) for row in rows)
    batch_size = max(1, min(batch_size, LOGITS // (vocabulary * (longest + 1))))
    total, count = 0.0, 0
    training = model.training
    model.eval()
    try:
        ordered = sorted(rows, key=len)
        for start in range(0, len(ordered), batch_size):
            batch = ordered[start : start + batch_size]
            width, tail = len(batch[-1]), max(len(row.completion_ids) for row in batch)
            gaps = [width - len(row) for row in batch]
            ids = torch.tensor(
                [
                    [0] * gap + row.prompt_ids + row.completion_ids
                    for gap, row in zip(gaps, batch, strict=True)
                ],
                device=loaded.device,
            )
            mask = torch.tensor(
                [[0] * gap + [1] * (width - gap) for gap in gaps], device=loaded.device
            )
            labels = torch.tensor(
                [[-100] * (tail - len(row.completion_ids)) + row.completion_ids for row in batch],
                device=loaded.device,
            )
            given: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
            if places:
                given["position_ids"] = (mask.cumsum(dim=-1) - 1).clamp(min=0)
            if keeps:
                given["logits_to_keep"] = tail + 1
            with torch.inference_mode():
                logits = model(**given).logits[:, -tail - 1 : -1].float()
                total += float(
                    cross_entropy(
                        logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), reduction="sum"
                    )
                )
            count += sum(len(row.completion_ids) for row in batch)
    finally:
        model.train(training)
    return total / count


class Probe:
    """A fixed sample of dev tasks, and what the model makes of it at any step."""

    def __init__(self, config: TrainerConfig, job: TrainJob, loaded: Loaded) -> None:
        """Draws the sample by the job's seed. Tasks that cannot be rendered are left out."""
        assert job.template is not None
        self.config, self.job, self.loaded, self.template = config, job, loaded, job.template
        dev = list(job.dev)
        Random(f"callsmith-trl probe {job.seed}").shuffle(dev)
        self.prompts: list[tuple[Task, Prompt, list[int]]] = []
        for task in dev:
            if len(self.prompts) >= config.probe.samples:
                break
            try:
                prompt = prompt_of(task, self.template, thinking=config.thinking)
                ids = loaded.tokens.encode(prompt)
            except CallsmithError:
                continue
            if len(ids) < config.max_length:
                self.prompts.append((task, prompt, ids))
        rows, _ = training_rows(
            [task for task, _, _ in self.prompts],
            self.template,
            loaded.tokens,
            thinking=config.thinking,
        )
        self.rows = [row for row in rows if len(row) <= config.max_length]

    def __bool__(self) -> bool:
        return bool(self.prompts)

    def run(self, step: int) -> dict[str, JsonValue]:
        """Generates, judges and counts; see `rates`. `loss` is that of the gold completions."""
        import torch

        began = time.perf_counter()
        settings = self.config.probe
        # The same draws at every step, and none taken from the training's.
        with torch.random.fork_rng(_devices(self.loaded.device)):
            torch.manual_seed(self.job.seed)
            written = generate(
                self.loaded,
                [ids for _, _, ids in self.prompts],
                settings.max_new_tokens,
                settings.batch_size,
                settings.temperature,
            )
        judged = []
        for (task, prompt, _), ids in zip(self.prompts, written, strict=True):
            trace = trace_of_ids(
                task, self.template, self.loaded.tokens, ids, self.loaded.ends, prompt=prompt
            )
            judged.append(judge(task, trace, ids, self.job.verifiers, settings.verifier))
        loss = completion_loss(self.loaded, self.rows, settings.batch_size)
        return {
            "step": step,
            **rates(judged, list(self.job.verifiers)),
            "loss": None if loss is None or loss != loss else round(loss, 6),
            "seconds": round(time.perf_counter() - began, 3),
        }


def _devices(device: str) -> list[str]:
    """The devices, beside the CPU, whose random numbers generation takes."""
    return [] if device == "cpu" else [device]
