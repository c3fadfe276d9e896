"""`grpo`: the model's own completions, rewarded by verifiers, with TRL's GRPOTrainer.

TRL is given prompts as token ids, and gives completions back as token ids: it neither renders,
tokenises nor decodes anything that counts; see `group_trainer`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset, disable_progress_bars
from trl import GRPOConfig as TrlConfig

from callsmith import Checkpoint, ConfigError, JsonValue, TrainJob
from callsmith_trl.checks import Example
from callsmith_trl.group_trainer import GroupTrainer
from callsmith_trl.grpo_config import GrpoConfig
from callsmith_trl.loading import Loaded
from callsmith_trl.memory import GIB, estimate
from callsmith_trl.memory_plan import memory_limit, recipe_of
from callsmith_trl.preflight import preflight
from callsmith_trl.rewards import (
    PromptRow,
    Rewards,
    prompt_rows,
    undecided,
    weights_of,
)
from callsmith_trl.savings import savings
from callsmith_trl.shapes import shape_of
from callsmith_trl.stage import Stage, tasks_digest


class GrpoTrainer:
    """A `Trainer`: what the verifiers reward becomes more likely.

    Killed and started again with the same job, it goes on from its last checkpoint. Raises
    `ConfigError` for options and data that cannot be trained, `TrainingError` for what happens
    on the way.
    """

    def __init__(self, config: GrpoConfig | None = None) -> None:
        self.config = config or GrpoConfig()

    def train(self, job: TrainJob) -> Checkpoint:
        """Trains on the prompts of `job.tasks`, rewarded by `job.verifiers`.

        Returns the best checkpoint by the probe on `job.dev`.
        """
        config = self.config
        stage = Stage("grpo", config, job)
        with stage.failures():
            done = stage.finished()
            if done is not None:
                return done
            weights = weights_of(job.verifiers, config.weights)
            tasks, counted = _chosen(config, job, weights)
            loaded = stage.load()
            _check(config, loaded)
            rows, refused = prompt_rows(
                tasks,
                stage.template,
                loaded.tokens,
                room=config.max_length - config.max_new_tokens,
                thinking=config.thinking,
            )
            at_once = _at_once(config, loaded)
            stage.preflight(
                preflight(
                    config,
                    job,
                    loaded,
                    method="grpo",
                    examples=[Example(id=row.task.id, prompt_ids=row.prompt_ids) for row in rows],
                    refused=refused,
                    group=at_once,
                    new_tokens=config.max_new_tokens,
                )
            )
            stage.refuse(refused)
            _check_rows(config, rows)
            rewards = Rewards(
                rows,
                stage.template,
                loaded.tokens,
                loaded.ends,
                job.verifiers,
                thinking=config.thinking,
            )
            data: dict[str, JsonValue] = {
                "prompts": len(rows),
                "prompt tokens": sum(len(row.prompt_ids) for row in rows),
                "rewards": dict(zip(job.verifiers, weights, strict=True)),
                "digest": tasks_digest([row.task for row in rows]),
                **counted,
            }
            return stage.run(
                lambda: build_trainer(
                    stage, config, loaded, rows, rewards, weights, at_once=at_once, totals=data
                ),
                data,
            )


def reward_functions(rewards: Rewards, names: Sequence[str]) -> list[Callable[..., list[float]]]:
    """One function per verifier, as TRL calls them; logged by its name."""

    def function(name: str) -> Callable[..., list[float]]:
        def reward(
            *, completion_ids: Sequence[Sequence[int]], row: Sequence[int], **_: Any
        ) -> list[float]:
            return rewards.scores(name, row, completion_ids)

        reward.__name__ = name
        return reward

    return [function(name) for name in names]


def build_trainer(
    stage: Stage,
    config: GrpoConfig,
    loaded: Loaded,
    rows: Sequence[PromptRow],
    rewards: Rewards,
    weights: Sequence[float],
    *,
    at_once: int = 0,
    totals: dict[str, JsonValue] | None = None,
) -> GroupTrainer:
    """TRL's trainer for the rows of a stage; `weights` are in the order of the verifiers.

    `at_once` is how many completions are written together (0: all), `totals` takes what the
    training comes to.
    """
    disable_progress_bars()
    trainer = GroupTrainer(
        model=loaded.model,
        args=TrlConfig(
            **stage.arguments(),
            num_generations=config.group,
            max_completion_length=config.max_new_tokens,
            temperature=config.temperature,
            reward_weights=list(weights),
            scale_rewards=config.scale_rewards,
            loss_type=config.loss,
            num_iterations=config.iterations,
            epsilon=config.epsilon,
            epsilon_high=config.epsilon_high,
            disable_dropout=True,
            **_vllm_arguments(config, loaded),
        ),
        # A list of ids is no conversation, so TRL hands it on as it is.
        train_dataset=Dataset.from_dict(
            {"prompt": [row.prompt_ids for row in rows], "row": list(range(len(rows)))}
        ),
        reward_funcs=reward_functions(rewards, list(stage.job.verifiers)),
        processing_class=loaded.tokenizer,
    )
    trainer.prepare(config, loaded, at_once=at_once, totals={} if totals is None else totals)
    return trainer


def _vllm_arguments(config: GrpoConfig, loaded: Loaded) -> dict[str, Any]:
    if not config.vllm:
        return {}
    return {
        "use_vllm": True,
        "vllm_mode": config.vllm,
        "vllm_gpu_memory_utilization": config.vllm_memory,
        "vllm_max_model_length": config.max_length,
        "generation_kwargs": {"stop_token_ids": sorted(loaded.ends)},
    }


def _chosen(
    config: GrpoConfig, job: TrainJob, weights: Sequence[float]
) -> tuple[Sequence[Any], Mapping[str, JsonValue]]:
    """The tasks to train on, and what is said about those that are left out."""
    if not config.only_undecided:
        return job.tasks, {}
    if not job.traces:
        raise ConfigError(
            "there are no samples to say which tasks are undecided; name a run folder or a score "
            "step in `traces`, or set only_undecided: false",
            path="only_undecided",
        )
    found = undecided(job.tasks, job.traces, job.verifiers, weights)
    counts = found.counts
    left_out: dict[str, JsonValue] = {
        "solved": counts.solved,
        "hopeless": counts.hopeless,
        "equal otherwise": counts.equal - counts.solved - counts.hopeless,
        "kept without samples": found.unknown,
    }
    job.report({"event": "undecided", "stage": "grpo", "tasks": len(found.kept), **left_out})
    if not found.kept:
        raise ConfigError(
            f"of {len(job.tasks)} tasks none is undecided ({counts.solved} solved, "
            f"{counts.hopeless} hopeless): there is nothing to learn from these",
            path="only_undecided",
        )
    return found.kept, {"left out beforehand": left_out}


def _check(config: GrpoConfig, loaded: Loaded) -> None:
    if not loaded.ends:
        raise ConfigError(
            "nothing ends a completion: neither the template nor the checkpoint names an end token",
            path="template",
        )
    if loaded.tokenizer.eos_token_id is None:
        loaded.tokenizer.eos_token = loaded.tokenizer.convert_ids_to_tokens(min(loaded.ends))
    if not config.vllm:
        return
    if importlib.util.find_spec("vllm") is None:
        raise ConfigError("vLLM is not installed: pip install vllm, or set vllm: ''", path="vllm")
    if loaded.device == "cpu":
        raise ConfigError("vLLM needs a GPU here; set vllm: ''", path="vllm")
    if loaded.quantization:
        raise ConfigError(
            "vLLM would be sent the adapter merged into 4-bit weights, which is another model than "
            "the one that is trained; set vllm: '' or quantization: ''",
            path="vllm",
        )


def _check_rows(config: GrpoConfig, rows: Sequence[PromptRow]) -> None:
    # `accelerate launch` starts as many processes as it says here.
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    needed = config.batch_size * config.accumulation * processes // config.group
    if len(rows) < needed:
        raise ConfigError(
            f"a step takes {needed} prompts (batch_size x accumulation / group) and there are "
            f"{len(rows)}; lower accumulation, or give more tasks",
            path="accumulation",
        )


def _at_once(config: GrpoConfig, loaded: Loaded) -> int:
    """Completions that are written together; see the option.

    Raises `ConfigError` where a memory that the options name does not suffice by the estimate.
    """
    most = config.batch_size * config.accumulation
    if config.completions_at_once:
        most = min(most, config.completions_at_once)
    limit = memory_limit(config, loaded.device)
    try:
        shape = shape_of(loaded.network.config)
    except ConfigError:
        return most  # nothing is known about such a model; the preflight says so
    if limit is None:
        return most

    def peak(count: int) -> Any:
        recipe = recipe_of(
            config, loaded, method="grpo", group=count, new_tokens=config.max_new_tokens
        )
        return estimate(shape, recipe), recipe

    choices = [most] if config.completions_at_once else _halved(most)
    for count in choices:
        found, recipe = peak(count)
        if found.size <= limit:
            return count
    if config.memory_gib is None:
        return choices[-1]  # the estimate may be wrong: the preflight warns
    helps = "; ".join(one.text() for one in savings(shape, recipe)[:3])
    raise ConfigError(
        f"{found.text()}, more than memory_gib ({limit / GIB:g}); {helps}", path="memory_gib"
    )


def _halved(most: int) -> list[int]:
    found = [most]
    while found[-1] > 1:
        found.append(found[-1] // 2)
    return found
