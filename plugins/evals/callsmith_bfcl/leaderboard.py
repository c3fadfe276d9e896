"""The six CSV tables of the official leaderboard.

Fields are joined by commas without quoting, percentages have two decimals, and each table is
ranked by its own first number. A model that the benchmark's registry does not know stands under
the name of its folder, with N/A where only the registry would know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from callsmith_bfcl.aggregate import Number, Score, aggregate
from callsmith_bfcl.costs import CostAndLatency
from callsmith_bfcl.data import format_configurations

NOT_AVAILABLE = "N/A"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the tables say about a model beside its numbers; the registry of the benchmark knows."""

    display_name: str
    url: str = NOT_AVAILABLE
    org: str = NOT_AVAILABLE
    license: str = NOT_AVAILABLE


@dataclass(slots=True)
class Standing:
    """One model of the tables: its scores by category, and its cost."""

    model: ModelCard
    scores: Mapping[str, Score]
    cost: CostAndLatency = field(default_factory=CostAndLatency)
    numbers: Mapping[str, Number] = field(init=False)

    def __post_init__(self) -> None:
        self.numbers = aggregate(self.scores)


Cell = float | str
_Reader = Callable[[Standing], Cell]


def _percent(name: str) -> _Reader:
    def read(standing: Standing) -> Cell:
        number = standing.numbers[name]
        return number.accuracy if number.shown else NOT_AVAILABLE

    return read


def _summary(group: str) -> _Reader:
    """A group that a table shows only when every category below it was scored."""

    def read(standing: Standing) -> Cell:
        number = standing.numbers[group]
        return number.accuracy if number.complete else NOT_AVAILABLE

    return read


def _plain(read: Callable[[Standing], float | str | None]) -> _Reader:
    """A value that is shown as it is, and not as a percentage."""

    def text(standing: Standing) -> Cell:
        value = read(standing)
        return NOT_AVAILABLE if value is None else str(value)

    return text


def _format_header(key: str) -> Callable[[Standing], float | None]:
    def read(standing: Standing) -> float | None:
        score = standing.scores.get("format_sensitivity")
        return score.extra.get(key) if score else None

    return read


def _format_accuracy(configuration: str) -> _Reader:
    def read(standing: Standing) -> Cell:
        score = standing.scores.get("format_sensitivity")
        counts: Mapping[str, Any] = score.extra.get(configuration, {}) if score else {}
        accuracy: Cell = counts.get("accuracy", NOT_AVAILABLE)
        return accuracy

    return read


_MODEL: tuple[str, _Reader] = ("Model", lambda standing: standing.model.display_name)
_FORMAT: tuple[tuple[str, _Reader], ...] = (
    ("Format Sensitivity Max Delta", _plain(_format_header("accuracy_max_delta"))),
    ("Format Sensitivity Standard Deviation", _plain(_format_header("accuracy_std"))),
)


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file: its columns after Rank, and the one that ranks."""

    file: str
    columns: Sequence[tuple[str, _Reader]]
    ranked_by: Callable[[Standing], float]


def _by(group: str) -> Callable[[Standing], float]:
    return lambda standing: standing.numbers[group].accuracy


def _by_format(standing: Standing) -> float:
    delta = _format_header("accuracy_max_delta")(standing)
    return -1.0 if delta is None else delta


def tables() -> tuple[Table, ...]:
    """The six tables."""
    configurations = [
        (f"Config {name}", _format_accuracy(name)) for name in format_configurations()
    ]
    return (
        Table("data_non_live.csv", (_MODEL, *_NON_LIVE), _by("non_live")),
        Table("data_live.csv", (_MODEL, *_LIVE), _by("live")),
        Table("data_multi_turn.csv", (_MODEL, *_MULTI_TURN), _by("multi_turn")),
        Table("data_agentic.csv", (_MODEL, *_AGENTIC), _by("agentic")),
        Table("data_format_sensitivity.csv", (_MODEL, *_FORMAT, *configurations), _by_format),
        Table("data_overall.csv", _OVERALL, _by("overall")),
    )


_NON_LIVE = (
    ("Non-Live Overall Acc", _percent("non_live")),
    ("AST Summary", _summary("non_live")),
    ("Simple AST", _percent("simple")),
    ("Python Simple AST", _percent("simple_python")),
    ("Java Simple AST", _percent("simple_java")),
    ("JavaScript Simple AST", _percent("simple_javascript")),
    ("Multiple AST", _percent("multiple")),
    ("Parallel AST", _percent("parallel")),
    ("Parallel Multiple AST", _percent("parallel_multiple")),
    ("Irrelevance Detection", _percent("irrelevance")),
)
_LIVE = (
    ("Live Overall Acc", _percent("live")),
    ("AST Summary", _summary("live")),
    ("Python Simple AST", _percent("live_simple")),
    ("Python Multiple AST", _percent("live_multiple")),
    ("Python Parallel AST", _percent("live_parallel")),
    ("Python Parallel Multiple AST", _percent("live_parallel_multiple")),
    ("Irrelevance Detection", _percent("live_irrelevance")),
    ("Relevance Detection", _percent("live_relevance")),
)
_MULTI_TURN = (
    ("Multi Turn Overall Acc", _percent("multi_turn")),
    ("Base", _percent("multi_turn_base")),
    ("Miss Func", _percent("multi_turn_miss_func")),
    ("Miss Param", _percent("multi_turn_miss_param")),
    ("Long Context", _percent("multi_turn_long_context")),
)
_AGENTIC = (
    ("Agentic Overall Acc", _percent("agentic")),
    ("Web Search Summary", _percent("web_search")),
    ("Web Search Base", _percent("web_search_base")),
    ("Web Search No Snippet", _percent("web_search_no_snippet")),
    ("Memory Summary", _percent("memory")),
    ("Memory KV", _percent("memory_kv")),
    ("Memory Vector", _percent("memory_vector")),
    ("Memory Recursive Summarization", _percent("memory_rec_sum")),
)
_OVERALL: tuple[tuple[str, _Reader], ...] = (
    ("Overall Acc", _percent("overall")),
    _MODEL,
    ("Model Link", lambda standing: standing.model.url),
    ("Total Cost ($)", _plain(lambda standing: standing.cost.dollars)),
    ("Latency Mean (s)", _plain(lambda standing: standing.cost.mean)),
    ("Latency Standard Deviation (s)", _plain(lambda standing: standing.cost.deviation)),
    ("Latency 95th Percentile (s)", _plain(lambda standing: standing.cost.percentile_95)),
    ("Non-Live AST Acc", _summary("non_live")),
    ("Non-Live Simple AST", _percent("simple")),
    ("Non-Live Multiple AST", _percent("multiple")),
    ("Non-Live Parallel AST", _percent("parallel")),
    ("Non-Live Parallel Multiple AST", _percent("parallel_multiple")),
    ("Live Acc", _percent("live")),
    ("Live Simple AST", _percent("live_simple")),
    ("Live Multiple AST", _percent("live_multiple")),
    ("Live Parallel AST", _percent("live_parallel")),
    ("Live Parallel Multiple AST", _percent("live_parallel_multiple")),
    ("Multi Turn Acc", _percent("multi_turn")),
    ("Multi Turn Base", _percent("multi_turn_base")),
    ("Multi Turn Miss Func", _percent("multi_turn_miss_func")),
    ("Multi Turn Miss Param", _percent("multi_turn_miss_param")),
    ("Multi Turn Long Context", _percent("multi_turn_long_context")),
    ("Web Search Acc", _percent("web_search")),
    ("Web Search Base", _percent("web_search_base")),
    ("Web Search No Snippet", _percent("web_search_no_snippet")),
    ("Memory Acc", _percent("memory")),
    ("Memory KV", _percent("memory_kv")),
    ("Memory Vector", _percent("memory_vector")),
    ("Memory Recursive Summarization", _percent("memory_rec_sum")),
    ("Relevance Detection", _percent("live_relevance")),
    ("Irrelevance Detection", _percent("all_irrelevance")),
    *_FORMAT,
    ("Organization", lambda standing: standing.model.org),
    ("License", lambda standing: standing.model.license),
)


def write_tables(standings: Iterable[Standing]) -> dict[str, str]:
    """The text of each CSV file, by file name. Models of equal rank keep their order."""
    models = list(standings)
    written = {}
    for table in tables():
        lines = [",".join(["Rank", *(name for name, _ in table.columns)])]
        ranked = sorted(models, key=table.ranked_by, reverse=True)
        for rank, standing in enumerate(ranked, 1):
            cells = [_text(read(standing)) for _, read in table.columns]
            lines.append(",".join([str(rank), *cells]))
        written[table.file] = "\n".join(lines)
    return written


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else f"{cell * 100:.2f}%"
