"""A result folder scored: per category the verdicts, and per model what the tables need.

A category is loaded, scored and let go before the next, so that a whole folder takes little
memory. Nothing here prints; `callsmith_bfcl.cli_score` does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from callsmith_bfcl.aggregate import Score, format_statistics
from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.checking.calls import is_call_list
from callsmith_bfcl.costs import Usage
from callsmith_bfcl.data import Entry, load_entries
from callsmith_bfcl.metrics import CallMetrics, Share, measure, summarize_metrics
from callsmith_bfcl.outcome import Outcome
from callsmith_bfcl.registry import ModelEntry
from callsmith_bfcl.result_folders import ModelFolder
from callsmith_bfcl.results import Problem, ResultRow, read_results, sample_results
from callsmith_bfcl.score_files import score_path, write_score_file
from callsmith_bfcl.scoring import MISSING_RESULT, Handler, Mode, score_and_decode, score_entry
from callsmith_bfcl.wheel import Wheel, open_wheel

INFERENCE_ERROR = "Error during inference:"
"""With this the official generation begins the result of an entry on which it failed."""

_OPENAI_HANDLERS = frozenset({"OpenAICompletionsHandler", "OpenAIResponsesHandler"})
_MISSING = Outcome(False, MISSING_RESULT, ("there is no result for this entry",), MISSING_RESULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a folder is scored.

    - `mode`, `underscore_to_dot`: how results are read; None: as the registry or the results say.
    - `strict`: the verdict without the official behaviours that are bugs.
    - `partial`: only entries with a result count. Otherwise an entry without one is wrong.
    - `out`: where score files go, if anywhere.
    """

    mode: Mode | None = None
    underscore_to_dot: bool | None = None
    strict: bool = False
    partial: bool = False
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """An entry on which the official and the strict verdict differ.

    `fixes` are the official behaviours behind it, by their identifiers in `callsmith_bfcl.strict`.
    """

    id: str
    official: Outcome
    strict: Outcome
    fixes: tuple[str, ...]


@dataclass(slots=True)
class CategoryReport:
    """What scoring one category found. `verdicts` are in the data's order.

    With `strict`: the entries on which the official and the strict verdict differ, and those that
    no output can satisfy officially.
    """

    category: str
    verdicts: dict[str, bool]
    score: Score
    error_types: Counter[str]
    metrics: Mapping[str, Share]
    usage: Usage
    problems: list[Problem]
    missing: list[str]
    strict: bool = False
    differences: list[Difference] = field(default_factory=list)
    unsatisfiable: list[str] = field(default_factory=list)
    failed_generations: int = 0


@dataclass(slots=True)
class ModelReport:
    """The categories of one model, and how its results were read."""

    name: str
    handler: Handler
    registered: ModelEntry | None
    notes: list[str]
    categories: dict[str, CategoryReport] = field(default_factory=dict)

    @property
    def scores(self) -> dict[str, Score]:
        """The score of each category that has any entries to count."""
        return {name: item.score for name, item in self.categories.items() if item.verdicts}

    @property
    def usage(self) -> Usage:
        """Tokens and seconds of all categories."""
        total = Usage()
        for report in self.categories.values():
            total.input_tokens += report.usage.input_tokens
            total.output_tokens += report.usage.output_tokens
            total.seconds += report.usage.seconds
        return total


def choose_handler(
    model: ModelFolder, models: Mapping[str, ModelEntry], options: Options
) -> tuple[Handler, ModelEntry | None, list[str]]:
    """How a model's results are read, its entry of the registry, and what a reader should know.

    `models` are the registered ones by folder name.
    """
    registered = models.get(model.name)
    notes: list[str] = []
    mode = options.mode
    if registered is not None:
        mode = mode or ("fc" if registered.is_fc_model else "prompting")
        dots = registered.underscore_to_dot
        if registered.handler not in _OPENAI_HANDLERS:
            form = "OpenAI's form" if mode == "fc" else "the default prompting form"
            notes.append(
                f"the official tool reads this model's results with {registered.handler}; "
                f"they are read in {form} here"
            )
    else:
        if mode is None:
            mode = _guess_mode(model)
            notes.append(
                f"not in the benchmark's registry; its results look like {mode} results and are "
                "read so (--handler says otherwise)"
            )
        # Tools in function-calling form have no dots in their names.
        dots = mode == "fc"
    if options.underscore_to_dot is not None:
        dots = options.underscore_to_dot
    return Handler(mode=mode, underscore_to_dot=dots), registered, notes


def _guess_mode(model: ModelFolder) -> Mode:
    """fc when some result of a single turn or step is a list of calls, else prompting."""
    for category, paths in model.files.items():
        results = [result for path in paths for result in sample_results(path)]
        if CATEGORIES[category].kind in ("multi_turn", "agentic"):
            turns = [turn for result in results if isinstance(result, list) for turn in result]
            results = [step for turn in turns if isinstance(turn, list) for step in turn]
        if any(isinstance(result, list) for result in results):
            return "fc"
    return "prompting"


class FolderScorer:
    """Scores the categories of one model."""

    def __init__(self, wheel: Wheel, handler: Handler, model_name: str, options: Options) -> None:
        self._wheel = wheel
        self._model_name = model_name
        self._options = options
        self._official = handler
        self._strict: Handler | None = None
        self._unsatisfiable: frozenset[str] = frozenset()
        if options.strict:
            from callsmith_bfcl.strict import STRICT_FIXES, UNSATISFIABLE

            self._strict = dataclasses.replace(handler, fixes=STRICT_FIXES)
            self._unsatisfiable = frozenset(UNSATISFIABLE)

    def score(self, category: str, paths: list[Path]) -> CategoryReport:
        """The verdicts on one category. Its score file is written if there is an `out`."""
        self._prepare(category)
        entries = load_entries(self._wheel, category)
        found = read_results(paths, category, [entry.id for entry in entries])
        usage = Usage()
        outcomes: list[tuple[Entry, ResultRow | None, Outcome]] = []
        differences: list[Difference] = []
        metrics: list[CallMetrics] = []
        single = CATEGORIES[category].kind == "single"
        for entry in entries:
            row = found.rows.get(entry.id)
            if row is None:
                if not self._options.partial:
                    outcomes.append((entry, None, _MISSING))
                continue
            usage.add(row.record)
            outcome, decoded = score_and_decode(entry, row.result, self._official)
            if self._strict is not None:
                strict, decoded = score_and_decode(entry, row.result, self._strict)
                if strict.valid != outcome.valid:
                    fixes = self._deciding(entry, row.result)
                    differences.append(Difference(entry.id, outcome, strict, fixes))
                outcome = strict
            outcomes.append((entry, row, outcome))
            if single:
                metrics.append(_measure(entry, decoded, outcome.valid, self._official))
        problems = found.problems
        if self._options.partial:
            problems = [problem for problem in problems if not problem.is_missing]
        verdicts = {entry.id: outcome.valid for entry, _, outcome in outcomes}
        extra = {}
        if category == "format_sensitivity":
            pairs = [(entry.prompt_format, outcome.valid) for entry, _, outcome in outcomes]
            extra = format_statistics(pairs)
        score = Score(sum(verdicts.values()), len(verdicts), extra)
        if self._options.out is not None and verdicts:
            handler = self._strict or self._official
            path = score_path(self._options.out, self._model_name, category)
            write_score_file(path, self._model_name, score, outcomes, handler)
        return CategoryReport(
            category=category,
            verdicts=verdicts,
            score=score,
            error_types=Counter(o.error_type for _, _, o in outcomes if o.error_type),
            metrics=summarize_metrics(metrics) if metrics else {},
            usage=usage,
            problems=problems,
            missing=found.missing,
            strict=self._strict is not None,
            differences=differences,
            unsatisfiable=[entry for entry in verdicts if entry in self._unsatisfiable],
            failed_generations=sum(_failed(row.result) for row in found.rows.values()),
        )

    def _deciding(self, entry: Entry, result: object) -> tuple[str, ...]:
        from callsmith_bfcl.strict import deciding_fixes

        def check(fixes: frozenset[str]) -> Outcome:
            return score_entry(entry, result, dataclasses.replace(self._official, fixes=fixes))

        return deciding_fixes(check)

    def _prepare(self, category: str) -> None:
        if CATEGORIES[category].kind != "multi_turn" or self._official.multi_turn is not None:
            return
        from callsmith_bfcl.multi_turn import MultiTurnChecker

        checker = MultiTurnChecker(self._wheel, model_name=self._model_name, cached_entries=1)
        self._official = dataclasses.replace(self._official, multi_turn=checker)
        if self._strict is not None:
            self._strict = dataclasses.replace(self._strict, multi_turn=checker)


def _failed(result: object) -> bool:
    return isinstance(result, str) and result.startswith(INFERENCE_ERROR)


def _measure(entry: Entry, decoded: object, valid: bool, handler: Handler) -> CallMetrics:
    category = CATEGORIES[entry.category]
    return measure(
        entry.functions,
        cast(list[dict[str, object]], decoded) if is_call_list(decoded) else None,
        valid=valid,
        ground_truth=entry.ground_truth,
        call_due=category.checker != "irrelevance",
        underscore_to_dot=handler.underscore_to_dot,
        source_text=category.language != "python",
    )


def score_model(
    wheel: Wheel,
    model: ModelFolder,
    handler: Handler,
    options: Options,
    *,
    jobs: int = 1,
) -> dict[str, CategoryReport]:
    """The report of each category of a model, in official order.

    With `jobs` above 1, categories are scored in that many processes.
    """
    files = {name: model.files[name] for name in CATEGORIES if name in model.files}
    if jobs <= 1 or len(files) < 2:
        scorer = FolderScorer(wheel, handler, model.name, options)
        with _collector_paused():
            return {category: scorer.score(category, paths) for category, paths in files.items()}
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_all_start_methods, get_context

    # The heaviest first, so that no process is left with a long one at the end.
    order = sorted(files, key=lambda name: -CATEGORIES[name].count * _WEIGHT[CATEGORIES[name].kind])
    # A fork has everything imported already; where there is none, processes start afresh.
    method = "fork" if "fork" in get_all_start_methods() else "spawn"
    with ProcessPoolExecutor(
        min(jobs, len(files)),
        get_context(method),
        _start_worker,
        (Path(wheel.place), handler, model.name, options),
    ) as pool:
        reports = pool.map(_score, order, [files[name] for name in order])
        found = dict(zip(order, reports, strict=True))
    return {name: found[name] for name in files}


def score_models(
    wheel: Wheel,
    models: Sequence[ModelFolder],
    registered: Mapping[str, ModelEntry],
    options: Options,
    *,
    jobs: int = 1,
) -> list[ModelReport]:
    """The report of each model. `registered` are the benchmark's models by folder name."""
    reports = []
    for model in models:
        handler, entry, notes = choose_handler(model, registered, options)
        found = score_model(wheel, model, handler, options, jobs=jobs)
        reports.append(ModelReport(model.name, handler, entry, notes, found))
    return reports


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Without the cyclic garbage collector: entries and results hold no cycles.

    A fifth of the time goes into looking for some.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


_WEIGHT = {"single": 1, "format_sensitivity": 1, "agentic": 1, "multi_turn": 12}
"""Roughly how long an entry takes, beside others."""

_worker: FolderScorer | None = None


def _start_worker(wheel: Path, handler: Handler, model_name: str, options: Options) -> None:
    global _worker
    gc.disable()  # see _collector_paused; the process ends with its categories
    _worker = FolderScorer(open_wheel(wheel), handler, model_name, options)


def _score(category: str, paths: list[Path]) -> CategoryReport:
    assert _worker is not None
    return _worker.score(category, paths)
