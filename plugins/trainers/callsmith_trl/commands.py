"""`callsmith parity` and `callsmith merge`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from callsmith import load, plan_bakeoff, read_run_file, wilson_interval
from callsmith_trl.command_setup import Setup, check_folder
from callsmith_trl.comparing import Likeness, Limits
from callsmith_trl.served import ask_arms

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
        check_folder(merged, "--merged")
    setup = Setup(checkpoint, given)
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
    # Before the trained model is in memory, which an arm may need as a whole.
    served = ask_arms(asked, setup.probes, thinking=config.thinking) if asked else []
    found = compare(
        lambda: variants.as_trained(config, trained, template),
        others,
        setup.probes,
        variants.released,
        lambda one: click.echo(f"measured: {one.name}", err=True),
        served,
    )
    _print(found, setup.limits)
    judged = found[-len(served) - bool(merged) :] if served or merged else []
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
    setup = Setup(checkpoint, given)
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


def _print(found: Sequence[Likeness], limits: Limits) -> None:
    table = Table(title="Is it the model that was trained?")
    for name in ("", "same next token", "KL", "right [95 %]", "same answers", "the same model"):
        table.add_column(name, justify="left" if not name else "right")
    for one in found:
        low, high = wilson_interval(one.right, one.tasks)
        table.add_row(
            one.name,
            "not shown" if one.agreement is None else f"{one.agreement:.2%} of {one.positions}",
            _divergence(one),
            f"{one.right}/{one.tasks} [{low:.1%}, {high:.1%}]",
            f"{one.same}/{one.tasks}",
            "yes" if one.is_the_trained_model(limits) else "no",
        )
    console = Console(width=None if Console().is_terminal else 140)
    console.print(table)
    for one in found:
        if one.note:
            click.echo(f"{one.name}: {one.note}")


def _divergence(one: Likeness) -> str:
    if one.divergence is None:
        return "not shown"
    return f"{one.divergence:.2g}" + ("" if one.error is None else f" ± {one.error:.1g}")
