"""`callsmith bfcl compare`: two result folders, entry by entry."""

from __future__ import annotations

import json
from pathlib import Path

import click

from callsmith import ConfigError
from callsmith_bfcl.comparison import Comparison, compare_verdicts, comparison_json
from callsmith_bfcl.folder_report import TITLES, all_problems
from callsmith_bfcl.registry import registry
from callsmith_bfcl.result_folders import ModelFolder, find_result_files
from callsmith_bfcl.score_folder import ModelReport, Options, score_models
from callsmith_bfcl.text_table import aligned, percent
from callsmith_bfcl.wheel import open_wheel

_LEVEL = 0.05


@click.command()
@click.argument("first", metavar="DIR_A", type=click.Path(path_type=Path))
@click.argument("second", metavar="DIR_B", type=click.Path(path_type=Path))
@click.option("--model-a", help="The model of DIR_A, where there are several.")
@click.option("--model-b", help="The model of DIR_B, where there are several.")
@click.option("--strict", is_flag=True, help="Compare the verdicts without official bugs.")
@click.option("--flips", is_flag=True, help="List the entries that only one of the two got right.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with all entries that flipped.")
def compare(
    first: Path,
    second: Path,
    model_a: str | None,
    model_b: str | None,
    strict: bool,
    flips: bool,
    as_json: bool,
) -> None:
    """Compare the results in DIR_B with those in DIR_A, over the entries that both have.

    Each category has McNemar's test (mid-p), adjusted for the number of categories by Holm's
    method, and each difference a 95 % interval from a paired bootstrap.
    """
    models = [_only_model(first, model_a, "--model-a"), _only_model(second, model_b, "--model-b")]
    wheel = open_wheel()
    registered = {entry.folder: entry for entry in registry(wheel).values()}
    reports = score_models(wheel, models, registered, Options(strict=strict, partial=True))
    # A category of which no line can be used has no verdicts, and is in neither.
    verdicts = [
        {name: item.verdicts for name, item in report.categories.items() if item.verdicts}
        for report in reports
    ]
    comparison = compare_verdicts(*verdicts)
    if not comparison.categories:
        raise ConfigError(f"{first} and {second} have no entry in common")
    if as_json:
        names = {"first": reports[0].name, "second": reports[1].name}
        click.echo(json.dumps({**names, **comparison_json(comparison)}, indent=2))
    else:
        click.echo("\n".join(comparison_lines(reports, comparison, flips=flips)))
    for problem in all_problems(reports):
        click.echo(str(problem), err=True)


def _only_model(folder: Path, name: str | None, option: str) -> ModelFolder:
    models, problems = find_result_files(folder)
    for problem in problems:
        click.echo(str(problem), err=True)
    known = ", ".join(model.name for model in models) or "none"
    if name is not None:
        wanted = name.replace("/", "_")
        models = [model for model in models if model.name == wanted]
        if not models:
            raise ConfigError(f"has no model {name!r}; there are: {known}", path=str(folder))
    if len(models) != 1:
        raise ConfigError(f"choose one model with {option}; there are: {known}", path=str(folder))
    return models[0]


def comparison_lines(
    reports: list[ModelReport], comparison: Comparison, *, flips: bool = False
) -> list[str]:
    """What `callsmith bfcl compare` prints."""
    lines = [f"A: {reports[0].name}   B: {reports[1].name}   (difference: B minus A)", ""]
    rows = [["category", "pairs", "A", "B", "diff", "95 %", "only A", "only B", "p", "p (Holm)"]]
    for item in comparison.categories:
        low, high = item.interval.low, item.interval.high
        rows.append(
            [
                item.category,
                str(item.test.pairs),
                percent(item.first.accuracy),
                percent(item.second.accuracy),
                _points(item.second.accuracy - item.first.accuracy),
                f"{_points(low)} … {_points(high)}",
                str(item.test.only_first),
                str(item.test.only_second),
                _p_value(item.test.mid_p),
                _p_value(item.adjusted) + (" *" if item.adjusted < _LEVEL else "  "),
            ]
        )
    rows.append([])
    for group in comparison.groups:
        low, high = group.interval.low, group.interval.high
        title = TITLES[group.group] + ("" if group.complete else " †")
        values = [percent(group.first), percent(group.second), _points(group.second - group.first)]
        rows.append([title, "", *values, f"{_points(low)} … {_points(high)}"])
    lines += aligned(rows)
    lines += ["", "p: McNemar's mid-p; * below 0.05 after Holm's adjustment"]
    if any(not group.complete for group in comparison.groups):
        lines.append("† some of its categories are not in both, and count as 0 in both")
    unpaired = sum(item.unpaired for item in comparison.categories)
    if unpaired:
        lines.append(f"{unpaired} entries have a result in only one of the two, and are left out")
    if comparison.unpaired_categories:
        lines.append(f"only one of the two has {', '.join(comparison.unpaired_categories)}")
    if flips:
        for item in comparison.categories:
            lines += [f"only A: {entry}" for entry in item.lost]
            lines += [f"only B: {entry}" for entry in item.gained]
    return lines


def _points(share: float) -> str:
    """A difference of shares, in points with a sign."""
    text = f"{share * 100:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def _p_value(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"
