"""`callsmith preflight`: what a training step would stumble over, before any step of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml
from rich.console import Console

from callsmith import Catalog, Checkpoint, ConfigError, TaskSet, Template, TrainJob, load
from callsmith_trl.checks import Example
from callsmith_trl.config import TrainerConfig
from callsmith_trl.memory import Method
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
    from callsmith_trl.loading import load_for_training

    loaded = load_for_training(found.config, found.base, found.template)
    job = TrainJob(
        output="", base=found.base, tasks=tuple(found.tasks.tasks()), template=found.template
    )
    checked = check_job(found.config, job, loaded, found.method)
    Console().print(checked.table())
    return 1 if checked.errors else 0


def check_job(config: TrainerConfig, job: TrainJob, loaded: Loaded, method: Method) -> Preflight:
    """The preflight of a step of which only the tasks are there yet (no pairs, no completions)."""
    assert job.template is not None
    rows, refused = training_rows(job.tasks, job.template, loaded.tokens, thinking=config.thinking)
    examples = examples_of(rows)
    group, new_tokens = 1, 0
    if method == "grpo":
        numbers = config.model_dump()
        group = numbers["completions_at_once"] or config.batch_size * config.accumulation
        new_tokens = numbers["max_new_tokens"]
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
    data = _read(file)
    steps = data.get("steps")
    if not isinstance(steps, Mapping) or name not in steps:
        there = ", ".join(steps) if isinstance(steps, Mapping) else "none"
        raise ConfigError(f"there is no step {name!r}; there are: {there}", path=str(file))
    place = f"{file}: steps.{name}"
    train = _train(steps[name])
    if train is None:
        raise ConfigError("it trains nothing, so there is nothing to check", path=place)
    try:
        use, options = _reference(train)
        resolved = catalog.resolve("trainer", use, options)
        method = METHODS.get(resolved.offer.component.name)
        if not isinstance(resolved.config, TrainerConfig) or method is None:
            raise ConfigError(f"{use} is not a trainer of this plugin ({', '.join(METHODS)})")
        if "tasks" not in train:
            raise ConfigError("it has no tasks to look at", path="tasks")
        template = train.get("template") or data.get("template")
        if template is None:
            raise ConfigError("name one, here or in the pipeline", path="template")
        return Step(
            method=method,
            config=resolved.config,
            base=given or _base(train, steps, seen=(name,)),
            tasks=catalog.build("taskset", *_reference(train["tasks"])),
            template=catalog.build("template", *_reference(template)),
        )
    except ConfigError as error:
        raise error.at(place) from None


def _read(file: Path) -> Mapping[str, Any]:
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", path=str(file)) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        problem = getattr(error, "problem", None) or "is not YAML"
        raise ConfigError(str(problem), path=str(file)) from None
    if not isinstance(data, Mapping) or data.get("kind") != "pipeline":
        raise ConfigError("is no run file of the kind pipeline", path=str(file))
    return data


def _train(step: object) -> Mapping[str, Any] | None:
    train = step.get("train") if isinstance(step, Mapping) else None
    if isinstance(train, str):
        return {"use": train}
    return train if isinstance(train, Mapping) else None


def _reference(value: object) -> tuple[str, Mapping[str, Any]]:
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping) and isinstance(value.get("use"), str):
        return value["use"], value.get("options") or {}
    raise ConfigError(f"a component is named with `use`, got {value!r:.60}")


def _base(train: Mapping[str, Any], steps: Mapping[str, Any], seen: tuple[str, ...]) -> Checkpoint:
    """The folder that a step starts from, itself or through the steps before it."""
    base = train.get("base")
    if isinstance(base, Mapping) and isinstance(base.get("path"), str):
        path = str(Path(base["path"]).expanduser())
        return Checkpoint(path=path, base=base.get("model"), adapter=base.get("adapter"))
    if isinstance(base, str) and base in steps and base not in seen:
        before = _train(steps[base])
        if before is not None and before.get("base") is not None:
            return _base(before, steps, (*seen, base))
    raise ConfigError(
        f"starts from {base!r}, whose folder is not known here; name it with --base", path="base"
    )
