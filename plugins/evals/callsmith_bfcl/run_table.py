"""What a run's verdicts come to: the rows of the benchmark's own table, with an interval on each.

Categories first, then the official groups, the metrics of all single-turn calls together, and
under `strict: true` the entries on which the official verdict is another one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from callsmith import JsonValue, Task, Verdict
from callsmith_bfcl.aggregate import Score, aggregate
from callsmith_bfcl.categories import CATEGORIES, category_of
from callsmith_bfcl.intervals import share_intervals
from callsmith_bfcl.metrics import METRICS, Share
from callsmith_bfcl.strict import UNSATISFIABLE
from callsmith_bfcl.wilson import wilson_interval

VERDICT = "bfcl"
"""The verifier that gives the verdict."""
NOT_ASKED = "does not apply"
"""The reason of a metric that says nothing about an entry."""
OFFICIALLY = "officially "
"""With this the reason begins that names a differing official verdict."""

Row = Mapping[str, JsonValue]


def metric_verifier(metric: str) -> str:
    """The name of the verifier of a metric."""
    return f"{VERDICT}-{metric.replace('_', '-')}"


def run_rows(verdicts: Sequence[tuple[Task, Verdict]], *, strict: bool) -> list[Row]:
    """The table. A group is there only when all its categories were run.

    The official number of any other group counts what is missing as wrong. An entry with several
    samples counts with its share, and its samples are not counted as independent.
    """
    passed: dict[str, dict[str, list[bool]]] = {}
    for task, verdict in verdicts:
        if verdict.verifier == VERDICT:
            entries = passed.setdefault(category_of(task.id), {})
            entries.setdefault(task.id, []).append(verdict.passed)
    rows = _number_rows(passed)
    rows += _metric_rows(verdicts, passed)
    return rows + _strict_rows(verdicts, passed) if strict else rows


def _number_rows(passed: Mapping[str, Mapping[str, Sequence[bool]]]) -> list[Row]:
    shares: dict[str, dict[str, float]] = {}
    scores: dict[str, Score] = {}
    repeated = set()
    for name, entries in passed.items():
        said = [valid for samples in entries.values() for valid in samples]
        scores[name] = Score(sum(said), len(said))
        shares[name] = {entry: sum(all_) / len(all_) for entry, all_ in entries.items()}
        if len(said) > len(entries) or CATEGORIES[name].kind == "format_sensitivity":
            repeated.add(name)
    numbers = aggregate(scores)
    sizes = {name: numbers[name].total for name in CATEGORIES}
    intervals = share_intervals(shares, sizes, sorted(repeated))
    rows: list[Row] = []
    for name, score in scores.items():
        low, high = wilson_interval(score.correct, score.total)
        if name in repeated:
            low, high = intervals[name].low, intervals[name].high
        rows.append(
            {
                "category": name,
                "right": score.correct,
                "total": score.total,
                "share": score.accuracy,
                "interval": [low, high],
                "complete": len(passed[name]) == CATEGORIES[name].count,
            }
        )
    for name, number in numbers.items():
        if name not in CATEGORIES and number.complete:
            ends: list[JsonValue] = [intervals[name].low, intervals[name].high]
            rows.append({"category": name, "share": number.accuracy, "interval": ends})
    return rows


def _metric_rows(
    verdicts: Iterable[tuple[Task, Verdict]],
    passed: Mapping[str, Mapping[str, Sequence[bool]]],
) -> list[Row]:
    """Each metric over the entries that it is about; verifiers pass the others."""
    counts: dict[str, list[bool]] = defaultdict(list)
    for _, verdict in verdicts:
        if NOT_ASKED not in verdict.reasons:
            counts[verdict.verifier].append(verdict.passed)
    shares = {
        metric: Share(sum(counts[name]), len(counts[name]))
        for metric in METRICS
        if (name := metric_verifier(metric)) in counts
    }
    if "right_names" in shares:
        # Of the calls with right names; a right verdict on calls has them.
        right = sum(
            sum(map(sum, entries.values()))
            for name, entries in passed.items()
            if CATEGORIES[name].kind == "single" and CATEGORIES[name].checker == "ast"
        )
        shares["right_arguments"] = Share(right, shares["right_names"].count)
    rows: list[Row] = []
    for metric, share in shares.items():
        title = f"calls: {metric.replace('_', ' ')}"
        row: dict[str, JsonValue] = {"category": title, "right": share.count, "total": share.total}
        if share.interval is not None:
            row |= {"share": share.rate, "interval": list(share.interval)}
        rows.append(row)
    return rows


def _strict_rows(
    verdicts: Iterable[tuple[Task, Verdict]],
    passed: Mapping[str, Mapping[str, Sequence[bool]]],
) -> list[Row]:
    notes: dict[tuple[str, str], None] = {}
    for task, verdict in verdicts:
        if verdict.verifier != VERDICT or not verdict.reasons:
            continue
        said = verdict.reasons[-1]
        if said.startswith(OFFICIALLY):
            strictly = "right" if verdict.passed else verdict.reasons[0]
            notes[task.id, f"strictly {strictly}, {said}"] = None
    for entries in passed.values():
        for entry in entries:
            if entry in UNSATISFIABLE:
                notes[entry, f"no output can satisfy: {UNSATISFIABLE[entry]}"] = None
    return [{"category": entry, "note": note} for entry, note in notes]
