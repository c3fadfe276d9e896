"""`callsmith bfcl score`: a result folder scored as the official tool scores it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from callsmith import ConfigError
from callsmith_bfcl.categories import select_categories
from callsmith_bfcl.folder_report import (
    TITLES,
    Summary,
    all_problems,
    group_names,
    leaderboard,
    model_json,
    summarize_model,
)
from callsmith_bfcl.intervals import Interval
from callsmith_bfcl.metrics import METRICS, Share
from callsmith_bfcl.outcome import Outcome
from callsmith_bfcl.registry import registry
from callsmith_bfcl.result_folders import ModelFolder, find_result_files
from callsmith_bfcl.results import Problem
from callsmith_bfcl.score_folder import ModelReport, Options, score_models
from callsmith_bfcl.text_table import aligned, percent, percent_range
from callsmith_bfcl.wheel import open_wheel

_SHOWN = 40
"""Problems of one kind, and entries of one list, that are printed; --json has all of them."""


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Without official bugs; list where it matters.")
@click.option("--partial", is_flag=True, help="Count only entries that have a result.")
@click.option("--out", type=click.Path(path_type=Path), help="Write score files and tables here.")
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
@click.option(
    "--handler",
    "mode",
    type=click.Choice(["prompting", "fc"]),
    help="How results are read; otherwise as the model's name or its results say.",
)
@click.option(
    "--underscore-to-dot/--keep-dots",
    default=None,
    help="Whether the model was shown _ for each . of a function's name.",
)
@click.option("--model", "models", multiple=True, help="Only this model's folder. May be repeated.")
@click.option("--category", "categories", multiple=True, help="Only this category or collection.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, help="Processes to score in.")
def score(
    folder: Path,
    strict: bool,
    partial: bool,
    out: Path | None,
    as_json: bool,
    mode: str | None,
    underscore_to_dot: bool | None,
    models: tuple[str, ...],
    categories: tuple[str, ...],
    jobs: int,
) -> None:
    """Score the result folder DIR: verdicts and numbers as `bfcl evaluate` gives them.

    DIR is a project folder, a result folder, or one model's folder in it. Every number has a 95 %
    interval. An entry without a result is wrong, unless --partial. Lines that cannot be used are
    listed with file and line number, and the exit code is 1 then; all others are scored.
    """
    options = Options(
        mode="fc" if mode == "fc" else "prompting" if mode else None,
        underscore_to_dot=underscore_to_dot,
        strict=strict,
        partial=partial,
        out=out,
    )
    found, problems = find_result_files(folder)
    chosen = _choose(found, models, categories, folder)
    wheel = open_wheel()
    registered = {entry.folder: entry for entry in registry(wheel).values()}
    scored = score_models(wheel, chosen, registered, options, jobs=jobs)
    reports = [(report, summarize_model(report)) for report in scored]
    problems += all_problems(scored)
    notes: list[str] = []
    if out is not None:
        tables, notes, unreadable = leaderboard(out, reports, registered)
        problems += unreadable
        out.mkdir(parents=True, exist_ok=True)
        for name, text in tables.items():
            (out / name).write_text(text, encoding="utf-8")
    if as_json:
        shown = [model_json(report, summary) for report, summary in reports]
        body = {"models": shown, "notes": notes, "problems": [str(item) for item in problems]}
        text = json.dumps(body, indent=2, ensure_ascii=False)
        # A path that is no UTF-8 holds half surrogate pairs, which JSON has an escape for.
        click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))
    else:
        for report, summary in reports:
            click.echo("\n".join(report_lines(report, summary)))
            click.echo()
        for note in notes:
            click.echo(f"note: {note}")
        if out is not None:
            click.echo(f"score files and tables are in {out}")
        _print_problems(problems)
    if problems:
        sys.exit(1)


def _choose(
    found: Sequence[ModelFolder], models: Sequence[str], categories: Sequence[str], folder: Path
) -> list[ModelFolder]:
    known = [model.name for model in found]
    names = [name.replace("/", "_") for name in models]
    for name in names:
        if name not in known:
            message = f"has no model {name!r}; there are: {', '.join(known)}"
            raise ConfigError(message, path=str(folder))
    chosen = [model for model in found if not names or model.name in names]
    if categories:
        wanted = select_categories(categories)
        for model in chosen:
            model.files = {name: files for name, files in model.files.items() if name in wanted}
        chosen = [model for model in chosen if model.files]
        if not chosen:
            raise ConfigError(f"has no results of {', '.join(categories)}", path=str(folder))
    return chosen


def report_lines(report: ModelReport, summary: Summary) -> list[str]:
    """What `callsmith bfcl score` prints about one model."""
    names = "with _ for ." if report.handler.underscore_to_dot else "with names as they are"
    lines = [f"{report.name} ({report.handler.mode}, {names})"]
    lines += [f"note: {note}" for note in report.notes]
    rows = [["category", "entries", "right", "accuracy", "95 %"]]
    for name, item in report.categories.items():
        share = [str(item.score.total), str(item.score.correct), percent(item.score.accuracy)]
        rows.append([name, *share, _range(summary.intervals.get(name))])
    rows.append([])
    for name in group_names(summary.numbers):
        number = summary.numbers[name]
        title = TITLES[name] + ("" if number.complete else " *")
        row = [title, str(number.total), "", percent(number.accuracy)]
        rows.append([*row, _range(summary.intervals.get(name))])
    lines += ["", *aligned(rows)]
    if any(not summary.numbers[name].complete for name in group_names(summary.numbers)):
        lines.append("* some of its categories have no results and count as 0")
    lines += _metric_lines(report)
    failed = sum(item.failed_generations for item in report.categories.values())
    if failed:
        lines += ["", f"{failed} results are errors of the generation, scored as they stand"]
    errors = sum(item.error_types["scorer_error"] for item in report.categories.values())
    if errors:
        lines += ["", f"{errors} entries could not be scored (scorer_error) and count as wrong"]
    return lines + _strict_lines(report)


def _range(interval: Interval | None) -> str:
    return "" if interval is None else percent_range(interval.low, interval.high)


_METRIC_TITLES = {
    "parseable": "parseable",
    "known_tools": "hallucinated tool",
    "schema_valid": "schema-valid",
    "right_names": "right name",
    "right_arguments": "right arguments",
}


def _metric_lines(report: ModelReport) -> list[str]:
    rows = [["single-turn calls, 95 %", *(_METRIC_TITLES[name] for name in METRICS)]]
    for category, item in report.categories.items():
        if not item.metrics:
            continue
        shares = dict(item.metrics)
        shares["known_tools"] = shares["known_tools"].complement
        rows.append([category, *(_rate(shares[name]) for name in METRICS)])
    return ["", *aligned(rows)] if len(rows) > 1 else []


def _rate(share: Share) -> str:
    """A rate with its interval, short enough for five in a row."""
    if share.interval is None:
        return percent(None)
    low, high = (f"{end * 100:.0f}" for end in share.interval)
    return f"{percent(share.rate, 1)} {low}…{high}"


def _strict_lines(report: ModelReport) -> list[str]:
    items = [item for item in report.categories.values() if item.strict]
    if not items:
        return []
    from callsmith_bfcl.strict import FIXES, UNSATISFIABLE

    differences = [difference for item in items for difference in item.differences]
    count = "1 entry" if len(differences) == 1 else f"{len(differences)} entries"
    lines = ["", f"the numbers are strict; official and strict verdicts differ on {count}"]
    rows = [
        [item.id, _verdict(item.official), "→", _verdict(item.strict), " ".join(item.fixes)]
        for item in differences[:_SHOWN]
    ]
    lines += [f"  {line}" for line in aligned(rows, left=5)]
    if len(differences) > _SHOWN:
        lines.append(f"  and {len(differences) - _SHOWN} more (--json has all)")
    behind = {fix for item in differences for fix in item.fixes}
    lines += [f"  {fix}: {text}" for fix, text in FIXES.items() if fix in behind]
    unsatisfiable = [entry for item in items for entry in item.unsatisfiable]
    if unsatisfiable:
        lines += ["", "no output can satisfy"]
        lines += [f"  {entry}: {UNSATISFIABLE[entry]}" for entry in unsatisfiable]
    return lines


def _verdict(outcome: Outcome) -> str:
    return "right" if outcome.valid else str(outcome.error_type)


def _print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems[:_SHOWN]:
        place = os.path.relpath(problem.path)
        shown = min(place, problem.path, key=len)
        click.echo(f"{shown}:{problem.line}: {problem.message}", err=True)
    if len(problems) > _SHOWN:
        click.echo(f"and {len(problems) - _SHOWN} more problems (--json has all)", err=True)
