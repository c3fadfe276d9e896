"""The benchmark as an eval: tasks for any arm, the official verdict, and the table by category."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from callsmith import (
    ConfigError,
    FollowUp,
    JsonValue,
    Message,
    Task,
    ToolSpec,
    Trace,
    UnknownNameError,
    Verdict,
)
from callsmith_bfcl.categories import CATEGORIES, select_categories
from callsmith_bfcl.config import BfclConfig
from callsmith_bfcl.data import ChatMessage, Entry, load_entries
from callsmith_bfcl.metrics import METRICS, CallMetrics, measure
from callsmith_bfcl.multi_turn import MultiTurnChecker
from callsmith_bfcl.outcome import Outcome
from callsmith_bfcl.prompts import chat_messages, later_turns, load_templates, tools
from callsmith_bfcl.run_table import NOT_ASKED, OFFICIALLY, VERDICT, metric_verifier, run_rows
from callsmith_bfcl.scoring import Handler, decode_calls, score_entry
from callsmith_bfcl.strict import STRICT_FIXES, deciding_fixes
from callsmith_bfcl.traces import result_of
from callsmith_bfcl.wheel import open_wheel

TOOLBOX = "bfcl/bfcl"


class BfclEval:
    """BFCL V4. Raises `MissingDataError` when the wheel is not there."""

    def __init__(self, config: BfclConfig) -> None:
        self._config = config
        self._wheel = open_wheel(Path(config.wheel) if config.wheel else None)
        self._categories = select_categories(config.categories)
        for name in self._categories:
            _check_mode(name, config.mode)
        self._entries: dict[str, Entry] | None = None

    def entries(self) -> Mapping[str, Entry]:
        """The chosen entries by id. Raises `UnknownNameError` for an id that is not among them."""
        if self._entries is None:
            found: dict[str, Entry] = {}
            for name in self._categories:
                chosen = load_entries(self._wheel, name)
                if not self._config.ids:
                    chosen = chosen[: self._config.per_category]
                found.update((entry.id, entry) for entry in chosen)
            for wanted in self._config.ids:
                if wanted not in found:
                    raise UnknownNameError(
                        f"there is no entry {wanted!r} in {', '.join(self._categories)}"
                    )
            if self._config.ids:
                found = {wanted: found[wanted] for wanted in self._config.ids}
            self._entries = found
        return self._entries

    def tasks(self) -> Iterator[Task]:
        """One task for each entry, in official order."""
        templates = load_templates(self._wheel)
        mode = self._config.mode
        for entry in self.entries().values():
            category = CATEGORIES[entry.category]
            offered = tools(entry, templates) if mode == "fc" else []
            later = later_turns(entry, mode, templates)
            yield Task(
                id=entry.id,
                messages=_messages(chat_messages(entry, mode, templates)),
                tools=_specs(offered),
                follow_ups=tuple(
                    FollowUp(
                        messages=_messages(turn.messages),
                        tools=None if turn.tools is None else _specs(turn.tools),
                    )
                    for turn in later
                ),
                toolbox=TOOLBOX if category.kind == "multi_turn" else None,
                tags=(entry.category, category.group),
            )

    def verifiers(self) -> Mapping[str, BfclVerifier | MetricVerifier]:
        """`bfcl` is the verdict; the metrics of single-turn calls stand beside it."""
        fixes = STRICT_FIXES if self._config.strict else frozenset()
        handler = Handler(
            mode=self._config.mode,
            # Tools are shown with `_` for `.`, as the official conversion does.
            underscore_to_dot=self._config.mode == "fc",
            fixes=fixes,
            multi_turn=MultiTurnChecker(self._wheel),
        )
        judge = BfclVerifier(self, handler)
        kinds = {CATEGORIES[name].kind for name in self._categories}
        if "single" not in kinds:
            return {VERDICT: judge}
        # Right arguments, given right names, are the verdict itself.
        names = [name for name in METRICS if name != "right_arguments"]
        return {VERDICT: judge, **{metric_verifier(n): MetricVerifier(judge, n) for n in names}}

    def summarize(
        self, verdicts: Sequence[tuple[Task, Verdict]]
    ) -> Sequence[Mapping[str, JsonValue]]:
        """Categories, official groups and metrics, each with its interval; see `run_rows`."""
        return run_rows(verdicts, strict=self._config.strict)


class BfclVerifier:
    """The official verdict on an entry, or the strict one."""

    def __init__(self, benchmark: BfclEval, handler: Handler) -> None:
        self._benchmark = benchmark
        self._handler = handler

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Passed or not, with the official error type as the first reason.

        Under `strict: true` the last reason names the official verdict, if it is another one.
        """
        entry = self._benchmark.entries()[task.id]
        result = self.result(entry, trace)
        outcome = score_entry(entry, result, self._handler)
        reasons = (str(outcome.error_type), *outcome.messages) if not outcome.valid else ()
        if self._handler.fixes:
            reasons += self._official(entry, result, outcome)
        return Verdict(
            verifier=VERDICT,
            passed=outcome.valid,
            score=float(outcome.valid),
            reasons=reasons,
        )

    def _official(self, entry: Entry, result: Any, strict: Outcome) -> tuple[str, ...]:
        def check(fixes: frozenset[str]) -> Outcome:
            return score_entry(entry, result, replace(self._handler, fixes=fixes))

        official = check(frozenset())
        if official.valid == strict.valid:
            return ()
        said = "right" if official.valid else official.error_type
        return (f"{OFFICIALLY}{said} ({', '.join(deciding_fixes(check))})",)

    def result(self, entry: Entry, trace: Trace) -> Any:
        """The episode as an official result."""
        return result_of(entry, trace, self._handler.mode)

    def measure(self, task: Task, trace: Trace) -> CallMetrics:
        """The metrics of a single-turn entry; all of them None for the others."""
        entry = self._benchmark.entries()[task.id]
        category = CATEGORIES[entry.category]
        if category.kind != "single":
            return CallMetrics()
        result = self.result(entry, trace)
        try:
            decoded = decode_calls(entry, result, self._handler)
        except ValueError:
            decoded = None
        calls = None
        if isinstance(decoded, list) and all(isinstance(c, dict) and c for c in decoded):
            calls = decoded
        return measure(
            entry.functions,
            calls,
            valid=score_entry(entry, result, self._handler).valid,
            ground_truth=entry.ground_truth,
            call_due=category.checker != "irrelevance",
            underscore_to_dot=self._handler.underscore_to_dot,
            source_text=category.language != "python",
        )


class MetricVerifier:
    """One metric as a verifier. Where it does not apply the verdict is passed, and says so."""

    def __init__(self, judge: BfclVerifier, metric: str) -> None:
        self._judge = judge
        self._metric = metric

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Whether the metric holds."""
        found: bool | None = getattr(self._judge.measure(task, trace), self._metric)
        reasons = (NOT_ASKED,) if found is None else () if found else ("no",)
        passed = found is not False
        name = metric_verifier(self._metric)
        return Verdict(verifier=name, passed=passed, score=float(passed), reasons=reasons)


def _check_mode(category: str, mode: str) -> None:
    kind = CATEGORIES[category].kind
    if kind == "agentic":
        raise ConfigError(
            f"{category} cannot be run here: it needs web search or a memory backend with "
            "embeddings; `callsmith bfcl score` scores answers that were made elsewhere",
            path="categories",
        )
    if kind == "format_sensitivity" and mode == "fc":
        raise ConfigError(f"{category} is about prompts: it needs mode prompting", path="mode")


def _messages(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    return tuple(Message(role=_role(item["role"]), content=item["content"]) for item in messages)


def _role(role: str) -> Any:
    return role


def _specs(found: Sequence[Mapping[str, Any]]) -> tuple[ToolSpec, ...]:
    return tuple(
        ToolSpec(
            name=tool["function"]["name"],
            description=tool["function"].get("description", ""),
            parameters=tool["function"].get("parameters", {}),
        )
        for tool in found
    )
