"""What `callsmith parity` and `callsmith merge` need, from their options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from callsmith import (
    Catalog,
    Checkpoint,
    ConfigError,
    MissingExtraError,
    Task,
    Verifier,
    load,
)
from callsmith_trl.comparing import Limits
from callsmith_trl.folders import check_base
from callsmith_trl.recipe import Recipe, find_checkpoint, read_recipe
from callsmith_trl.template_choice import chosen_template

if TYPE_CHECKING:
    from callsmith_trl.parity import Probes


class Setup:
    """What both commands need, from their options."""

    def __init__(self, folder: Path, given: dict[str, Any]) -> None:
        catalog = load()
        checkpoint = find_checkpoint(folder.expanduser())
        if given["base"]:
            checkpoint = replace(checkpoint, path=str(given["base"]))
        if not checkpoint.path:
            raise ConfigError(f"{folder} is an adapter alone; name its base's folder: --base")
        if given["base"]:
            check_folder(given["base"], "--base")
        recipe = _recipe(checkpoint, given)
        self.checkpoint = checkpoint
        self.config = recipe.trainer_config()
        self.template = chosen_template(
            catalog, recipe, given["template"], given["template_options"], _note
        )
        self.verifier: Verifier = catalog.build("verifier", given["verifier"])
        self.limits = Limits(agreement=given["min_agreement"], divergence=given["max_kl"])
        tasks = self._tasks(catalog, given["file"], given["limit"])
        self.probes = self._probes(tasks, given["max_new_tokens"])

    @staticmethod
    def _tasks(catalog: Catalog, file: Path, limit: int) -> Sequence[Task]:
        tasks = catalog.build("taskset", "jsonl", {"path": str(file)}).tasks()
        return list(tasks)[:limit]

    def _probes(self, tasks: Sequence[Task], max_new_tokens: int) -> Probes:
        try:
            from callsmith_trl.parity import Probes
        except ImportError as error:
            raise MissingExtraError(
                f"{error.name} is not installed: pip install 'callsmith[train]'"
            ) from None
        from callsmith import PromptTokens
        from callsmith_trl.rows import training_rows

        tokens = PromptTokens.read(
            Path(self.checkpoint.path) / "tokenizer.json", self.config.control_tokens
        )
        rows, refused = training_rows(tasks, self.template, tokens, thinking=self.config.thinking)
        if not rows:
            said = f"no task can be rendered: {refused[0][1]}" if refused else "there are no tasks"
            raise ConfigError(said, path="--tasks")
        if refused:
            _note(
                f"{len(refused)} of {len(tasks)} tasks are left out; the first, "
                f"{refused[0][0].id}: {refused[0][1]}"
            )
        return Probes(
            rows=tuple(rows),
            template=self.template,
            verifier=self.verifier,
            max_new_tokens=max_new_tokens,
        )


def check_folder(folder: Path, option: str) -> None:
    """Raises `ConfigError`, placed at the option, for a folder that holds no whole model."""
    try:
        check_base(folder.expanduser())
    except ConfigError as error:
        raise ConfigError(error.message, path=option) from None


def _recipe(checkpoint: Checkpoint, given: dict[str, Any]) -> Recipe:
    recipe = read_recipe(Path(checkpoint.adapter or checkpoint.path))
    if recipe is None and given["quantization"] is None:
        raise ConfigError(
            f"nothing in {checkpoint.adapter or checkpoint.path} says in what it was trained; say "
            "it: --quantization nf4 or none"
        )
    changes: dict[str, Any] = {}
    if given["quantization"]:
        changes["quantization"] = given["quantization"].replace("none", "")
    if given["register"]:
        changes["register"] = given["register"]
    return replace(recipe or Recipe(), **changes)


def _note(text: str) -> None:
    click.echo(f"note: {text}", err=True)
