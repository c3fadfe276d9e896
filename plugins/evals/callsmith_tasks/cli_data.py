"""`callsmith data`: look at training data, and convert it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from callsmith import Catalog, ConfigError, JsonValue, PromptTokens, Template, load, to_json
from callsmith_tasks.data.checking import VERIFIERS, RowChecker
from callsmith_tasks.data.cleaning import SPLITS
from callsmith_tasks.data.contamination import (
    DEFAULT_NGRAM,
    ContaminationIndex,
    Question,
    question_of,
)
from callsmith_tasks.data.files import read_rows, records
from callsmith_tasks.data.options import AUGMENTATIONS
from callsmith_tasks.data.output import (
    check_seal,
    check_sources,
    rejected_lines,
    task_line,
    write_folder,
)
from callsmith_tasks.data.preparing import Plan, counts, prepare, render_all, without_equal_texts
from callsmith_tasks.data.readers import READERS
from callsmith_tasks.data.rendering import as_tokens
from callsmith_tasks.data.row import Rejected, Row, RowError, row_to_json, row_to_task
from callsmith_tasks.data.run_folder import rows_of_run
from callsmith_tasks.data.view import print_counts, print_lengths, print_rows, token_counter

FILES = (*(f"{name}.jsonl" for name in SPLITS), "quarantine.jsonl", "removed.jsonl")
FORMATS = ("auto", *READERS, "traces")

format_option = click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="The shape of the records; `traces` is a run folder.",
)
hub_split_option = click.option(
    "--hub-split", default="train", show_default=True, help="Of a hub data set: which split."
)
hub_config_option = click.option("--hub-config", help="Of a hub data set: which configuration.")
require_option = click.option(
    "--require",
    multiple=True,
    default=("calls-match",),
    show_default=True,
    help="Of traces: verifiers that an episode must have passed.",
)


@click.group()
def data() -> None:
    """Training data: look at it, check it, convert it."""


@data.command()
@click.argument("source")
@format_option
@hub_split_option
@hub_config_option
@require_option
@click.option("--template", help="Render through this template: what is really trained.")
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path),
    help="A tokenizer.json; without it, lengths are in characters.",
)
@click.option("--max-length", type=click.IntRange(min=1), help="Say what this limit would cut.")
@click.option(
    "--rows",
    "shown",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="How many.",
)
def inspect(
    source: str,
    format: str,
    hub_split: str,
    hub_config: str | None,
    require: tuple[str, ...],
    template: str | None,
    tokenizer: Path | None,
    max_length: int | None,
    shown: int,
) -> None:
    """Show what SOURCE (a file, a hub data set or a run folder) would train.

    Counts per source and reason, lengths, what a length limit would cut, and a few rows as they
    are trained: the prompt dim, the completion bright; with --template and --tokenizer both are
    decoded from the token ids, the completion from the labels.
    """
    catalog = load()
    count = token_counter(tokenizer)
    renderer: Template | None = catalog.build("template", template) if template else None
    rows, unread = _read(source, format, hub_split, hub_config, require, catalog)
    checked = _checker(catalog).check(rows)
    done, refused = render_all(checked.rows, renderer) if renderer else (None, [])
    rejected = [*unread, *checked.rejected, *refused]
    kept = checked.rows if done is None else tuple(row for row, _ in done)
    print_counts(kept, rejected)
    texts = None if done is None else [item for _, item in done]
    print_lengths(kept, texts, count, "tokens" if tokenizer else "characters", max_length)
    if renderer and tokenizer:
        tokens = PromptTokens.read(tokenizer)
        texts = [as_tokens(row, renderer, tokens) for row in kept[:shown]]
    print_rows(kept, texts, shown)


@data.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder."
)
@format_option
@hub_split_option
@hub_config_option
@require_option
@click.option(
    "--as",
    "form",
    type=click.Choice(("rows", "trl", "tasks")),
    default="rows",
    show_default=True,
    help="rows; prompt and completion as text (needs --template); or tasks to evaluate on.",
)
@click.option("--template", help="The template that renders prompt and completion.")
@click.option("--dev", type=click.FloatRange(0, 1), default=0.0, help="Share of the dev split.")
@click.option("--test", type=click.FloatRange(0, 1), default=0.0, help="Share of the test split.")
@click.option("--salt", default="", help="Another salt gives another split.")
@click.option("--reseal", is_flag=True, help="Replace dev and test splits that are sealed.")
@click.option(
    "--augment",
    "augmentations",
    multiple=True,
    metavar="NAME[=SHARE]",
    help=f"For training rows, share 0 to 1: {', '.join(AUGMENTATIONS)}.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the augmentations.")
@click.option(
    "--questions",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Benchmark questions (JSON or JSON lines) that must not be trained on.",
)
@click.option(
    "--ngram",
    type=click.IntRange(min=2),
    default=DEFAULT_NGRAM,
    show_default=True,
    help="Words in common that count as a question's.",
)
def convert(
    sources: tuple[str, ...],
    out: Path,
    format: str,
    hub_split: str,
    hub_config: str | None,
    require: tuple[str, ...],
    form: str,
    template: str | None,
    dev: float,
    test: float,
    salt: str,
    reseal: bool,
    augmentations: tuple[str, ...],
    seed: int,
    questions: tuple[Path, ...],
    ngram: int,
) -> None:
    """Check and clean SOURCEs, split them, and write them to a folder.

    What fails a check goes to quarantine.jsonl, what repeats another row or stands in a benchmark
    to removed.jsonl, each with its reason.
    """
    if form == "trl" and not template:
        raise ConfigError("--as trl needs --template: prompts are rendered as they are served")
    if not dev + test < 1:  # NaN included
        raise ConfigError(f"--dev {dev} and --test {test} leave no rows to train on")
    plan = Plan(
        fractions={"dev": dev, "test": test},
        salt=salt,
        ngram=ngram,
        shares=_shares(augmentations),
        seed=seed,
    )
    check_sources(out, FILES, [*sources, *map(str, questions)])
    catalog = load()
    renderer: Template | None = catalog.build("template", template) if template else None
    index = _index(questions, ngram) if questions else None
    rows: list[Row] = []
    unread: list[Rejected] = []
    for source in sources:
        more, bad = _read(source, format, hub_split, hub_config, require, catalog)
        rows += more
        unread += bad
    prepared = prepare(rows, unread, plan, _checker(catalog), index)
    summary = prepared.summary()
    files: dict[str, list[JsonValue]] = {}
    quarantine, removed = list(prepared.quarantine), list(prepared.removed)
    for name, items in prepared.splits.items():
        if form == "trl" and renderer is not None:
            done, refused = render_all(items, renderer)
            quarantine += refused
            done, repeated = without_equal_texts(done)
            removed += repeated
            files[f"{name}.jsonl"] = [to_json(text) for _, text in done]
        elif form == "tasks":
            files[f"{name}.jsonl"] = [task_line(row_to_task(row)) for row in items]
        else:
            files[f"{name}.jsonl"] = [row_to_json(row) for row in items]
    files["quarantine.jsonl"] = rejected_lines(quarantine)
    files["removed.jsonl"] = rejected_lines(removed)
    splits = summary["splits"]
    assert isinstance(splits, dict)
    if not reseal:
        check_seal(out, splits)
    described: dict[str, JsonValue] = {
        "sources": list(sources),
        "form": form,
        "template": renderer.digest if renderer else None,
        "plan": to_json(plan),
        "questions": [str(path) for path in questions],
    }
    described["quarantine"] = counts(quarantine)
    described["removed"] = counts(removed)
    described["lines"] = {name: len(lines) for name, lines in files.items()}
    write_folder(out, files, {**summary, **described})
    left_out = {item.id for item in (*quarantine, *removed)}
    kept = [r for items in prepared.splits.values() for r in items if r.id not in left_out]
    print_counts(kept, [*quarantine, *removed])
    sizes = ", ".join(f"{name} {len(files[f'{name}.jsonl'])}" for name in prepared.splits)
    click.echo(f"{out}: {sizes}; {len(quarantine)} in quarantine, {len(removed)} removed")
    if not files["train.jsonl"]:
        raise ConfigError(
            f"no row is left to train on; {out / 'quarantine.jsonl'} and removed.jsonl say why"
        )


def _checker(catalog: Catalog) -> RowChecker:
    return RowChecker({name: catalog.build("verifier", name) for name in VERIFIERS})


def _read(
    source: str,
    format: str,
    split: str,
    config: str | None,
    require: tuple[str, ...],
    catalog: Catalog,
) -> tuple[list[Row], list[Rejected]]:
    path = Path(source)
    if format == "traces" or (format == "auto" and os.path.isfile(path / "run.json")):
        return rows_of_run(path, catalog, require)
    try:
        rows, rejected, _ = read_rows(records(source, split=split, config=config), format)
    except ConfigError as error:
        raise error if error.path else error.at(source) from None
    if not rows and not rejected:
        raise ConfigError("holds no records", path=source)
    if not rows and all(item.reason == "not-json" for item in rejected):
        raise ConfigError(
            f"no line of it is JSON ({rejected[0].detail}); "
            "name a .json, .jsonl or .parquet file, JSON in UTF-8",
            path=source,
        )
    return rows, rejected


def _shares(given: tuple[str, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in given:
        name, _, share = text.partition("=")
        if name not in AUGMENTATIONS:
            raise ConfigError(
                f"--augment {text}: there is no {name!r}; there are: {', '.join(AUGMENTATIONS)}"
            )
        try:
            found[name] = float(share or 1)
        except ValueError:
            found[name] = -1.0
        if not 0 <= found[name] <= 1:
            raise ConfigError(f"--augment {text}: the share is a number from 0 to 1")
    return found


def _index(paths: tuple[Path, ...], ngram: int) -> ContaminationIndex:
    """An index of question files. A line that cannot be read is an error, never left out."""
    questions: list[Question] = []
    for path in paths:
        before = len(questions)
        for item in records(str(path)):
            if isinstance(item, Rejected):
                raise ConfigError(item.detail, path=str(path))
            name, record = item
            try:
                questions.append(question_of(record, name))
            except RowError as error:
                raise ConfigError(f"{name}: {error.detail}", path=str(path)) from None
        if len(questions) == before:
            raise ConfigError("holds no questions", path=str(path))
    return ContaminationIndex(questions, ngram)
