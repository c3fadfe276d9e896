"""TRL's GRPOTrainer on token ids. What is different from TRL's own way, and why:

- It knows nothing of a row's tools, and strips control tokens before rewards see a completion.
  Here our template renders each row's tools, and rewards are made from ids (`rewards`).
- A completion ends at any of `loaded.ends`, and only there does it count as whole.
- A prompt is read once for its whole group (`group_generation`).
- Completions with advantage 0 are left out of the update, and the others are sorted by length and
  padded no further than their batch needs (`group_batches`). The gradient is the same.
- The order of prompts depends on seed and epoch alone, so that a killed job goes on as it was.
- The reference is a copy of the weights that are trained, as the stage found them, put in place for
  a moment. TRL's own copy of an adapter (1.16) lacks the rows of trained tokens, and its copy of a
  whole model is loaded by a name that only transformers' own architectures have.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import torch
from torch.utils.data import Sampler
from trl import GRPOTrainer as Trl
from trl.models.utils import disable_gradient_checkpointing

from callsmith import ConfigError, JsonValue
from callsmith_trl.group_batches import Batch, batches, mask_rows, rows_of
from callsmith_trl.group_generation import UnshareableError, write_groups
from callsmith_trl.grpo_config import GrpoConfig
from callsmith_trl.loading import Loaded
from callsmith_trl.rewards import GroupCounts, count_groups


class GroupTrainer(Trl):  # type: ignore[misc]
    """TRL's trainer on token ids. `prepare` comes between building and training."""

    _buffered_inputs: list[Batch] | None

    def prepare(
        self,
        config: GrpoConfig,
        loaded: Loaded,
        *,
        at_once: int,
        totals: dict[str, JsonValue],
    ) -> None:
        """`totals` is kept up to date with what the whole training came to."""
        self.config, self.loaded, self.at_once, self.totals = config, loaded, at_once, totals
        self.counts = GroupCounts()
        self.spent = {"generation": 0.0, "rewards": 0.0, "update": 0.0}
        self.cut = self.completions = self.updated = 0
        self.most = float(self.reward_weights.sum())
        ends = sorted(loaded.ends)
        # Otherwise the tokenizer's own end would be one of them, and none of the template's.
        self.eos_token_ids = ends
        if not self.use_vllm:
            self.generation_config.eos_token_id = ends
            self.generation_kwargs["eos_token_id"] = ends
        self.alone = self.accelerator.num_processes == 1
        self.sharing = self.alone and not self.use_vllm
        self.reference: list[tuple[Any, torch.Tensor]] = []
        if config.beta:
            if self.is_fsdp_enabled or self.is_deepspeed_enabled:
                raise ConfigError(
                    "no process has the whole of the weights to compare with; set beta: 0",
                    path="beta",
                )
            self.reference = [
                (one, one.detach().clone()) for one in self.model.parameters() if one.requires_grad
            ]

    def _send_telemetry(self) -> None:
        """Nobody is told what is trained here."""

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        args = self.args
        return GroupSampler(
            len(self.train_dataset),
            prompts=args.generation_batch_size // self.num_generations,
            group=self.num_generations,
            times=self.num_iterations * args.steps_per_generation,
            seed=args.seed,
        )

    def _tokenize_prompts(self, prompts: list[list[int]]) -> Any:
        """Prompts are token ids already."""
        return prompts, None, {}

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, fields: Any, num_generations: int, **_: Any
    ) -> Any:
        began = time.perf_counter()
        try:
            if self.sharing:
                try:
                    return self._write(prompt_ids, num_generations), None
                except UnshareableError:
                    self.sharing = False
            return super()._generate_single_turn(prompt_ids, images, fields, num_generations)
        finally:
            self._spend("generation", time.perf_counter() - began)

    def _write(self, prompt_ids: list[list[int]], group: int) -> list[list[int]]:
        return write_groups(
            self.accelerator.unwrap_model(self.model),
            prompt_ids[::group],
            group,
            max_new_tokens=self.max_completion_length,
            temperature=self.temperature,
            ends=self.loaded.ends,
            pad=int(self._tokenizer.pad_token_id),
            at_once=self.at_once,
        )

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        found = super()._calculate_rewards(*args, **kwargs)
        self._spend("rewards", time.perf_counter() - began)
        whole = (found * self.reward_weights.to(found.device)).sum(dim=1).tolist()
        counts = count_groups(whole, self.num_generations, self.most)
        self.counts += counts
        metrics = self._metrics["train"]
        metrics["reward_groups/equal"].append(counts.equal)
        metrics["reward_groups/solved"].append(counts.solved)
        metrics["reward_groups/hopeless"].append(counts.hopeless)
        return found

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Batch:
        with warnings.catch_warnings():
            # TRL 1.16 calls transformers 5.23 by names that are on their way out.
            warnings.filterwarnings("ignore", ".*gradient_checkpointing_.*able", FutureWarning)
            made = self._scored(inputs)
        if self.config.mask_cut:
            made["num_items_in_batch"] = self.accelerator.gather(
                made["completion_mask"].sum()
            ).sum()
        return made

    def _scored(self, inputs: list[dict[str, Any]]) -> Batch:
        made: Batch = super()._generate_and_score_completions(inputs)
        # TRL takes padding that the model wrote itself for an end.
        ends = torch.tensor(sorted(self.loaded.ends), device=made["completion_ids"].device)
        last = made["completion_mask"].sum(1).clamp_min(1) - 1
        whole = torch.isin(made["completion_ids"].gather(1, last[:, None])[:, 0], ends)
        self.cut += int((~whole).sum())
        self.completions += len(whole)
        self._metrics["train"]["completions/clipped_ratio"][-1] = (~whole).float().mean().item()
        if self.reference:
            made["ref_per_token_logps"] = self._reference_logps(made)
        return mask_rows(made, whole) if self.config.mask_cut else made

    def _reference_logps(self, made: Batch) -> Any:
        """What the completions' tokens were worth to the model that the stage began with."""
        ids = torch.cat((made["prompt_ids"], made["completion_ids"]), dim=1)
        mask = torch.cat((made["prompt_mask"], made["completion_mask"]), dim=1)
        with (
            torch.no_grad(),
            disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs),
            swapped(self.reference),
        ):
            found, _, _ = self._get_per_token_logps_and_entropies(
                self.model,
                ids,
                mask,
                made["completion_ids"].size(1),
                batch_size=self.args.per_device_train_batch_size,
            )
        return found

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        if not self.model.training:
            return super()._prepare_inputs(generation_batch)
        steps = self.args.steps_per_generation
        if self._step % (steps * self.num_iterations) == 0 or self._buffered_inputs is None:
            whole = self._generate_and_score_completions(generation_batch)
            # With a reference every token counts, and several processes step together.
            self._buffered_inputs = batches(
                whole,
                size=self.args.per_device_train_batch_size,
                count=steps,
                drop=self.alone and not self.reference,
            )
        return self._buffered_inputs[self._step % steps]

    def _compute_loss(self, model: Any, inputs: Batch) -> Any:
        count = rows_of(inputs)
        self.updated += count
        if not count:  # nothing here to learn from
            return torch.zeros((), device=self.accelerator.device, requires_grad=True)
        # TRL is told of the reference only where it is used: it would make one of its own.
        self.beta = self.config.beta
        try:
            loss = super()._compute_loss(model, inputs)
        finally:
            self.beta = 0.0
        if self.loss_type == "dapo":
            return loss
        # The others are means over the rows of a batch, and rows were left out.
        return loss * (count / self.args.per_device_train_batch_size)

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """One forward and backward pass; what is not generation and rewards is the update."""
        before = self.spent["generation"] + self.spent["rewards"]
        began = time.perf_counter()
        loss = super().training_step(*args, **kwargs)
        inside = self.spent["generation"] + self.spent["rewards"] - before
        self._spend("update", time.perf_counter() - began - inside)
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs, and brings the totals up to date."""
        for name in self.spent:
            values = self._metrics["train"].get(f"seconds/{name}")
            if values:  # a step has many passes: their sum, not their mean
                self._metrics["train"][f"seconds/{name}"] = [sum(values)]
        super().log(logs, start_time)
        counts, all_of_them = self.counts, max(1, self.completions)
        self.totals |= {
            "groups": {
                "all": counts.groups,
                "equal rewards": counts.equal,
                "solved": counts.solved,
                "hopeless": counts.hopeless,
            },
            "completions": {
                "all": self.completions,
                "cut by the limit": self.cut,
                "share in updates": round(self.updated / all_of_them / self.num_iterations, 4),
            },
            "seconds": {name: round(value, 1) for name, value in self.spent.items()},
        }

    def _spend(self, name: str, seconds: float) -> None:
        self.spent[name] += seconds
        self._metrics["train"][f"seconds/{name}"].append(seconds)


@contextmanager
def swapped(weights: list[tuple[Any, torch.Tensor]]) -> Iterator[None]:
    """Puts other numbers into parameters until it is left."""
    own = [parameter.data for parameter, _ in weights]
    try:
        for parameter, other in weights:
            parameter.data = other
        yield
    finally:
        for (parameter, _), data in zip(weights, own, strict=True):
            parameter.data = data


class GroupSampler(Sampler[int]):  # type: ignore[misc]
    """TRL's order of prompts, made from seed and epoch alone.

    TRL's own sampler goes on from the epoch before: a job that was killed in the third epoch would
    begin with the order of the first. `prompts` are those of one generation, each `group` times in
    a row; all of it comes `times`, once for each pass that it serves. What is left over at the
    end of an epoch has no part in it.
    """

    def __init__(self, rows: int, *, prompts: int, group: int, times: int, seed: int) -> None:
        self._rows, self._prompts, self._group, self._times = rows, prompts, group, times
        self._seed, self._epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the loader when an epoch begins."""
        self._epoch = epoch

    def __len__(self) -> int:
        whole = self._rows // self._prompts * self._prompts
        return whole * self._group * self._times

    def __iter__(self) -> Iterator[int]:
        order = list(range(self._rows))
        Random(f"{self._seed} {self._epoch}").shuffle(order)
        for start in range(0, self._rows - self._prompts + 1, self._prompts):
            for _ in range(self._times):
                for row in order[start : start + self._prompts]:
                    yield from [row] * self._group
