"""`callsmith parity` and `callsmith merge`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml
from rich.console import Console
from rich.table import Table

from callsmith import (
    Catalog,
    ChatArm,
    Checkpoint,
    ConfigError,
    MissingExtraError,
    Paired,
    Sampling,
    Task,
    Template,
    Verifier,
    load,
    plan_bakeoff,
    read_run_file,
    run_episode,
    wilson_interval,
)
from callsmith_trl.comparing import Likeness, Limits, Said, same_answers
from callsmith_trl.folders import check_base
from callsmith_trl.recipe import Recipe, find_checkpoint, read_recipe

if TYPE_CHECKING:
    from callsmith_trl.parity import Probes

_checkpoint = click.argument("checkpoint", type=click.Path(path_type=Path))
_shared: list[Callable[..., Any]] = [
    click.option("--base", type=click.Path(path_type=Path), help="The base's folder, if moved."),
    click.option(
        "--template",
        help="Renders and parses (RENDERER+PARSER for two); as in the training if left out.",
    ),
    click.option(
        "--template-option", "template_options", multiple=True, help="KEY=VALUE, more than once."
    ),
    click.option(
        "--tasks",
        "file",
        type=click.Path(path_type=Path),
        required=True,
        help="Tasks with gold calls, one per line, that were not trained on.",
    ),
    click.option("--limit", type=click.IntRange(min=1), default=64, show_default=True),
    click.option("--verifier", default="calls-match", show_default=True, help="Judges answers."),
    click.option("--max-new-tokens", type=click.IntRange(min=1), default=256, show_default=True),
    click.option(
        "--quantization",
        type=click.Choice(("nf4", "none")),
        help="In what the adapter was trained; as recorded beside it if left out.",
    ),
    click.option("--register", help="A module that registers the architecture."),
    click.option("--max-kl", type=click.FloatRange(min=0), default=Limits().divergence),
    click.option("--min-agreement", type=click.FloatRange(0, 1), default=Limits().agreement),
]


def _with_shared(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_shared):
        command = option(command)
    return command


@click.command()
@_checkpoint
@_with_shared
@click.option("--merged", type=click.Path(path_type=Path), help="A merged folder to compare, too.")
@click.option("--arms", type=click.Path(path_type=Path), help="A run file with served arms.")
def parity(checkpoint: Path, merged: Path | None, arms: Path | None, **given: Any) -> None:
    """Is what is served the model that was trained?

    CHECKPOINT is what a training step wrote. Compares the adapter on the base that it was trained
    on with both ways of merging it, with --merged and with the arms of a run file: next tokens,
    then greedy answers. Exits with 1 if --merged or an arm is another model.
    """
    # Loading and measuring take minutes: what is wrong with a name is said before.
    asked = plan_bakeoff(read_run_file(arms), load()) if arms else None
    if merged is not None:
        _check_folder(merged, "--merged")
    setup = _Setup(checkpoint, given)
    from callsmith_trl import variants
    from callsmith_trl.parity import compare

    config, trained, template = setup.config, setup.checkpoint, setup.template
    others: list[tuple[str, Callable[[], Any]]] = []
    if trained.adapter and config.quantization:
        others.append(
            (
                variants.DEQUANTISED,
                lambda: variants.merged(config, trained, template, dequantise=True),
            )
        )
    if trained.adapter:
        others.append(
            (
                variants.ORIGINAL,
                lambda: variants.merged(config, trained, template, dequantise=False),
            )
        )
    if merged is not None:
        others.append(
            (f"the folder {merged.name}", lambda: variants.saved(config, trained, template, merged))
        )
    found, said = compare(
        lambda: variants.as_trained(config, trained, template),
        others,
        setup.probes,
        variants.released,
        lambda one: click.echo(f"measured: {one.name}", err=True),
    )
    served = _ask_arms(asked, setup, said) if asked else []
    _print([*found, *served], setup.limits)
    judged = [*served, *(found[-1:] if merged else [])]
    if not all(one.is_the_trained_model(setup.limits) for one in judged):
        raise SystemExit(1)


@click.command()
@_checkpoint
@click.argument("folder", type=click.Path(path_type=Path))
@_with_shared
@click.option("--original", is_flag=True, help="Into the original weights, not the dequantised.")
@click.option(
    "--dtype", type=click.Choice(("bfloat16", "float16", "float32")), help="Of what is written."
)
@click.option("--allow-lossy", is_flag=True, help="Write it even if it is another model then.")
def merge(
    checkpoint: Path,
    folder: Path,
    original: bool,
    dtype: str | None,
    allow_lossy: bool,
    **given: Any,
) -> None:
    """Write CHECKPOINT's adapter into its base's weights, as FOLDER.

    What was written is read back and compared with the model that was trained; a folder that is
    another model is not kept.
    """
    setup = _Setup(checkpoint, given)
    from callsmith_trl.merge import merge as run

    found = run(
        setup.config,
        setup.checkpoint,
        setup.template,
        folder,
        original=original,
        dtype=dtype or "",
        probes=setup.probes,
        limits=setup.limits,
        allow_lossy=allow_lossy,
    )
    _print(found, setup.limits)
    click.echo(f"written: {folder}")


class _Setup:
    """What both commands need, from their options."""

    def __init__(self, folder: Path, given: dict[str, Any]) -> None:
        catalog = load()
        checkpoint = find_checkpoint(folder.expanduser())
        if given["base"]:
            checkpoint = replace(checkpoint, path=str(given["base"]))
        if not checkpoint.path:
            raise ConfigError(f"{folder} is an adapter alone; name its base's folder: --base")
        if given["base"]:
            _check_folder(given["base"], "--base")
        recipe = _recipe(checkpoint, given)
        self.checkpoint = checkpoint
        self.config = recipe.trainer_config()
        self.template = _template(catalog, recipe, given["template"], given["template_options"])
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
            click.echo(
                f"note: {len(refused)} of {len(tasks)} tasks are left out; the first, "
                f"{refused[0][0].id}: {refused[0][1]}",
                err=True,
            )
        return Probes(
            rows=tuple(rows),
            template=self.template,
            verifier=self.verifier,
            max_new_tokens=max_new_tokens,
        )


def _check_folder(folder: Path, option: str) -> None:
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


def _template(catalog: Catalog, recipe: Recipe, name: str | None, given: Sequence[str]) -> Template:
    name = name or recipe.template.partition(":")[0]
    if not name:
        raise ConfigError(
            "nothing beside the weights says with which template they were trained; say it: "
            "--template"
        )
    name, _, parser = name.partition("+")
    options: dict[str, Any] = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"expected KEY=VALUE, got {text!r}", path="--template-option")
        options[key] = yaml.safe_load(value)
    built: Any = catalog.build("template", name, options)
    if parser:
        built = Paired(built, catalog.build("template", parser))
    if not isinstance(built, Template):
        raise ConfigError(f"{name} has no parser; name one: {name}+PARSER", path="--template")
    template: Template = built
    if recipe.template and template.digest != recipe.template:
        click.echo(
            f"note: trained with the template {recipe.template}, compared with {template.digest}; "
            "if it has options, name them with --template-option",
            err=True,
        )
    return template


def _ask_arms(plan: Any, setup: _Setup, said: Sequence[Said]) -> list[Likeness]:
    """The arms of a bake-off (what `plan_bakeoff` made), asked the same tasks greedily."""
    found = []
    for arm in plan.arms:
        answers, right = asyncio.run(_ask(plan.build_arm(arm), setup))
        failed = [one.problem for one in answers if one.problem]
        found.append(
            Likeness(
                name=f"arm {arm.name}",
                tasks=len(answers),
                right=right,
                same=same_answers(answers, said),
                note=f"{len(failed)} failed: {failed[0]:.80}" if failed else "",
            )
        )
    return found


async def _ask(arm: ChatArm, setup: _Setup) -> tuple[list[Said], int]:
    """An arm's greedy answers to the probe set, and how many are right."""
    sampling = Sampling(
        temperature=0.0, max_tokens=setup.probes.max_new_tokens, thinking=setup.config.thinking
    )
    answers: list[Said] = []
    right = 0
    try:
        for row in setup.probes.rows:
            trace = await run_episode(arm, row.task, None, sampling=sampling, steps=1)
            reply = trace.turns[0].reply if trace.turns else None
            if reply is None:
                answers.append(Said(problem=trace.error or "no reply"))
            else:
                answers.append(Said(calls=reply.calls, text=reply.content or ""))
            right += setup.verifier.verify(row.task, trace).passed
    finally:
        await arm.aclose()
    return answers, right


def _print(found: Sequence[Likeness], limits: Limits) -> None:
    table = Table(title="Is it the model that was trained?")
    for name in ("", "same next token", "KL", "right [95 %]", "same answers", "the same model"):
        table.add_column(name, justify="left" if not name else "right")
    for one in found:
        low, high = wilson_interval(one.right, one.tasks)
        table.add_row(
            one.name,
            "not shown" if one.agreement is None else f"{one.agreement:.2%} of {one.positions}",
            "not shown" if one.divergence is None else f"{one.divergence:.2g}",
            f"{one.right}/{one.tasks} [{low:.1%}, {high:.1%}]",
            f"{one.same}/{one.tasks}",
            "yes" if one.is_the_trained_model(limits) else "no",
        )
    console = Console(width=None if Console().is_terminal else 140)
    console.print(table)
    for one in found:
        if one.note:
            click.echo(f"{one.name}: {one.note}")
