"""What is reported about a scored folder: numbers with intervals, as values and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsmith_bfcl.aggregate import GROUPS, Number, Score, aggregate
from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.costs import CostAndLatency, Price, cost_and_latency
from callsmith_bfcl.intervals import Interval, category_intervals, group_intervals
from callsmith_bfcl.leaderboard import ModelCard, Standing, write_tables
from callsmith_bfcl.metrics import Share
from callsmith_bfcl.outcome import Outcome
from callsmith_bfcl.registry import ModelEntry
from callsmith_bfcl.results import Problem
from callsmith_bfcl.score_files import read_scores
from callsmith_bfcl.score_folder import CategoryReport, ModelReport
from callsmith_bfcl.wilson import wilson_interval

TITLES: Mapping[str, str] = {
    "simple": "Simple (Python, Java, JavaScript)",
    "non_live": "Non-Live",
    "live": "Live",
    "all_irrelevance": "Irrelevance",
    "multi_turn": "Multi Turn",
    "web_search": "Web Search",
    "memory": "Memory",
    "agentic": "Agentic",
    "overall": "Overall",
}
"""What the groups are called."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of one model: of each category with results, and of each group."""

    scores: Mapping[str, Score]
    numbers: Mapping[str, Number]
    intervals: Mapping[str, Interval]
    cost: CostAndLatency


def summarize_model(report: ModelReport) -> Summary:
    """The official numbers of a model, with an interval wherever something was scored."""
    scores = report.scores
    numbers = aggregate(scores)
    verdicts = {name: item.verdicts for name, item in report.categories.items()}
    sizes = {name: numbers[name].total for name in CATEGORIES}
    intervals = {**category_intervals(verdicts), **group_intervals(verdicts, sizes)}
    price = Price()
    if report.registered is not None:
        price = Price(report.registered.input_price, report.registered.output_price)
    return Summary(scores, numbers, intervals, cost_and_latency(report.usage, price))


def group_names(numbers: Mapping[str, Number]) -> list[str]:
    """The groups of which some category was scored, in order, the Overall last."""
    present = {name for name in CATEGORIES if numbers[name].complete}
    found = []
    for name, node in GROUPS.items():
        if any(member in present for member in node.members):
            present.add(name)
            found.append(name)
    return found


def leaderboard(
    out: Path,
    reports: Sequence[tuple[ModelReport, Summary]],
    registered: Mapping[str, ModelEntry],
) -> tuple[dict[str, str], list[str], list[Problem]]:
    """The six tables of a score folder, by file name, with notes and problems.

    As the official tool does, they hold every score file that lies in the folder, also those of
    other models and earlier runs; the notes say which.
    """
    on_disk, problems = read_scores(out)
    costs = {report.name: summary.cost for report, summary in reports}
    fresh = {report.name: report.scores for report, _ in reports}
    notes = []
    standings = []
    for name in [*fresh, *(name for name in on_disk if name not in fresh)]:
        earlier = [key for key in on_disk.get(name, {}) if key not in fresh.get(name, {})]
        if earlier:
            notes.append(f"{name}: the tables also hold the scores there of {', '.join(earlier)}")
        scores = {**on_disk.get(name, {}), **fresh.get(name, {})}
        card = model_card(name, registered.get(name))
        standings.append(Standing(card, scores, costs.get(name, CostAndLatency())))
    return write_tables(standings), notes, problems


def model_card(name: str, entry: ModelEntry | None) -> ModelCard:
    """What the tables say about a model; an unknown one stands under its folder's name."""
    if entry is None:
        return ModelCard(name)
    return ModelCard(entry.display_name, entry.url, entry.org, entry.license)


def model_json(report: ModelReport, summary: Summary) -> dict[str, Any]:
    """Everything about one model, for `--json`. Accuracies and interval ends are in 0..1."""
    found: dict[str, Any] = {
        "model": report.name,
        "handler": report.handler.mode,
        "underscore_to_dot": report.handler.underscore_to_dot,
        "notes": report.notes,
        "categories": {
            name: _category_json(item, summary.intervals.get(name))
            for name, item in report.categories.items()
        },
        "groups": {
            name: {
                "accuracy": summary.numbers[name].accuracy,
                "entries": summary.numbers[name].total,
                "complete": summary.numbers[name].complete,
                "interval": _interval_json(summary.intervals.get(name)),
            }
            for name in group_names(summary.numbers)
        },
        "cost": {
            "dollars": summary.cost.dollars,
            "latency_mean_s": summary.cost.mean,
            "latency_standard_deviation_s": summary.cost.deviation,
            "latency_95th_percentile_s": summary.cost.percentile_95,
        },
    }
    return found


def _category_json(report: CategoryReport, interval: Interval | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        **{name: _with_interval(value) for name, value in report.score.header().items()},
        "interval": _interval_json(interval),
        "error_types": dict(report.error_types.most_common()),
        "metrics": {name: _share_json(share) for name, share in report.metrics.items()},
        "failed_generations": report.failed_generations,
        "missing": report.missing,
        "problems": [str(problem) for problem in report.problems],
        "wrong": [entry for entry, valid in report.verdicts.items() if not valid],
    }
    if report.strict:
        from callsmith_bfcl.strict import UNSATISFIABLE

        found["differences"] = [
            {
                "id": item.id,
                "official": outcome_json(item.official),
                "strict": outcome_json(item.strict),
                "fixes": list(item.fixes),
            }
            for item in report.differences
        ]
        found["unsatisfiable"] = {entry: UNSATISFIABLE[entry] for entry in report.unsatisfiable}
    return found


def _with_interval(value: Any) -> Any:
    """A value of a score's header; the configurations of format sensitivity get an interval.

    Each asks its questions once, so that they are independent.
    """
    if not isinstance(value, Mapping):
        return value
    low, high = wilson_interval(value["correct_count"], value["total_count"])
    return {**value, "interval": [low, high]}


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON."""
    return {
        "valid": outcome.valid,
        "error_type": outcome.error_type,
        "messages": list(outcome.messages),
        "rule": outcome.rule,
    }


def _interval_json(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _share_json(share: Share) -> dict[str, Any]:
    low_high = None if share.interval is None else list(share.interval)
    return {"count": share.count, "total": share.total, "rate": share.rate, "interval": low_high}


def all_problems(reports: Iterable[ModelReport]) -> list[Problem]:
    """The problems of all categories, in order."""
    return [
        problem
        for report in reports
        for category in report.categories.values()
        for problem in category.problems
    ]
