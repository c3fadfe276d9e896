"""A benchmark's own table over a run: what its `summarize` says about each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from callsmith.protocols import Eval
from callsmith.runs.store import RunFolder
from callsmith.types import JsonValue, Task, Verdict
from callsmith.wiring import Plan

Rows = Sequence[Mapping[str, JsonValue]]


def benchmark_rows(plan: Plan, folder: RunFolder) -> dict[str, Rows]:
    """The rows by arm; nothing when the run's tasks come from a task set."""
    if plan.source.offer.kind != "eval":
        return {}
    benchmark: Eval = plan.catalog.construct(plan.source)
    tasks = {task.id: task for task in benchmark.tasks()}
    judged: dict[str, list[tuple[Task, Verdict]]] = {arm.name: [] for arm in plan.arms}
    for (arm, task, _), verdicts in folder.verdicts().items():
        if arm in judged and task in tasks:
            judged[arm] += [(tasks[task], verdict) for verdict in verdicts]
    return {arm: list(benchmark.summarize(verdicts)) for arm, verdicts in judged.items()}
