"""`callsmith preflight`: what a training step would stumble over, before any step of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from callsmith import (
    Catalog,
    Checkpoint,
    ConfigError,
    MissingExtraError,
    TaskSet,
    Template,
    TrainJob,
    load,
    plan_pipeline,
    read_pipeline_file,
)
from callsmith_trl.checks import Example
from callsmith_trl.config import TrainerConfig
from callsmith_trl.memory import Method
from callsmith_trl.memory_plan import generation_of
from callsmith_trl.preflight import Preflight, examples_of
from callsmith_trl.preflight import preflight as look
from callsmith_trl.rows import training_rows

if TYPE_CHECKING:
    from callsmith_trl.loading import Loaded

METHODS: Mapping[str, Method] = {"sft": "sft", "dpo": "dpo", "grpo": "grpo"}
"""Our trainers, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A train step, as far as a preflight needs it."""

    method: Method
    config: TrainerConfig
    base: Checkpoint
    tasks: TaskSet
    template: Template


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("step")
@click.option("--base", default="", help="The base's folder, in place of the step's own base.")
@click.option("--adapter", default="", help="The folder of the adapter on that base.")
def preflight(file: Path, step: str, base: str, adapter: str) -> int:
    """Check the train step STEP of the pipeline FILE: rows, token rows, templates and memory.

    Loads the base as the training would, trains nothing and writes nothing. A step that starts
    from another step is checked on the folder which that one starts from, unless --base names one.
    Exit code 1 if the training would be refused.
    """
    given = Checkpoint(path=base, adapter=adapter or None) if base else None
    if adapter and not base:
        raise ConfigError("an adapter needs its base: name the folder with --base")
    found = read_step(file, step, load(), given)
    try:
        from callsmith_trl.loading import load_for_training
    except ImportError as error:
        raise MissingExtraError(
            f"{error.name} is not installed: pip install 'callsmith[train]'"
        ) from None

    tasks = tuple(found.tasks.tasks())
    # `token_rows: auto` goes by the tasks, here as in the training.
    loaded = load_for_training(
        found.config, found.base, found.template, tasks=tasks, method=found.method
    )
    job = TrainJob(output="", base=found.base, tasks=tasks, template=found.template)
    checked = check_job(found.config, job, loaded, found.method)
    Console().print(checked.table())
    return 1 if checked.errors else 0


def check_job(config: TrainerConfig, job: TrainJob, loaded: Loaded, method: Method) -> Preflight:
    """The preflight of a step of which only the tasks are there yet (no pairs, no completions)."""
    assert job.template is not None
    rows, refused = training_rows(job.tasks, job.template, loaded.tokens, thinking=config.thinking)
    examples = examples_of(rows)
    group, new_tokens = generation_of(config, method)
    if method == "grpo":
        examples = [Example(id=one.id, prompt_ids=one.prompt_ids) for one in examples]
    return look(
        config,
        job,
        loaded,
        method=method,
        examples=examples,
        refused=refused,
        group=group,
        new_tokens=new_tokens,
    )


def read_step(file: Path, name: str, catalog: Catalog, given: Checkpoint | None = None) -> Step:
    """The train step `name` of a pipeline file, with what it refers to built.

    `given` takes the place of its base. Raises `ConfigError` with one line.
    """
    steps: dict[str, Any] = {
        step.name: step for step in plan_pipeline(read_pipeline_file(file), catalog).steps
    }
    if name not in steps:
        raise ConfigError(f"there is no step {name!r}; there are: {', '.join(steps)}")
    step = steps[name]
    trainer = getattr(step, "trainer", None)
    try:
        if trainer is None:
            raise ConfigError("it trains nothing, so there is nothing to check")
        method = METHODS.get(trainer.offer.component.name)
        if not isinstance(trainer.config, TrainerConfig) or method is None:
            raise ConfigError(
                f"{trainer.offer.full_name} is not a trainer of this plugin ({', '.join(METHODS)})"
            )
        if step.tasks is None:
            raise ConfigError("it has no tasks to look at", path="tasks")
        if step.template is None:
            raise ConfigError("name one, here or in the pipeline", path="template")
        return Step(
            method=method,
            config=trainer.config,
            base=given or _base(step, steps),
            tasks=catalog.construct(step.tasks),
            template=step.template.build(catalog),
        )
    except ConfigError as error:
        raise error.at(f"steps.{name}") from None


def _base(step: Any, steps: Mapping[str, Any]) -> Checkpoint:
    """The folder that a step starts from, itself or through the steps before it."""
    base, said = step.base, "no model"
    while base is not None and base.step:
        said = f"the step {base.step!r}, which makes a model of its own"
        base = steps[base.step].base
    if base is None or base.folder is None:
        said = base.hub if base is not None else said
        raise ConfigError(
            f"starts from {said}; its folder is not known here, name it with --base", path="base"
        )
    adapter = base.folder.adapter
    return Checkpoint(
        path=str(Path(base.folder.path).expanduser()),
        base=base.folder.model,
        adapter=adapter and str(Path(adapter).expanduser()),
    )
