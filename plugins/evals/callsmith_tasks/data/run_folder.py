"""Rows from a run folder: its traces, its verdicts, and the tasks that its header names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from callsmith import Catalog, ConfigError, RunFolder, Task, Toolbox, UnknownNameError
from callsmith_tasks.data.row import Rejected, Row
from callsmith_tasks.data.traces import rows_of_traces


def rows_of_run(
    path: Path, catalog: Catalog, required: tuple[str, ...] = ("calls-match",)
) -> tuple[list[Row], list[Rejected]]:
    """Rows of the episodes that passed `required`; see `rows_of_traces`.

    Raises `StoreError` for what is no run folder, and `ConfigError` when its tasks cannot be
    built here (the traces do not hold the tools).
    """
    folder = RunFolder(path)
    config: Any = folder.header["config"]
    found = config.get("tasks")
    if not isinstance(found, dict) or "use" not in found:
        raise ConfigError("run.json names no tasks; run it again with this version", path=str(path))
    built = catalog.build(_kind(catalog, found["use"]), found["use"], found.get("options"))
    tasks: dict[str, Task] = {task.id: task for task in built.tasks()}
    names = {task.toolbox or "" for task in tasks.values()}
    forced = config.get("toolbox")
    if isinstance(forced, dict):
        box: Toolbox = catalog.build("toolbox", forced["use"], forced.get("options"))
        boxes = dict.fromkeys(names, box)
    else:
        boxes = {name: catalog.build("toolbox", name) for name in sorted(names - {""})}
    return rows_of_traces(folder.traces(), tasks, boxes, folder.verdicts(), required)


def _kind(catalog: Catalog, name: str) -> Literal["taskset", "eval"]:
    try:
        catalog.find("taskset", name)
    except UnknownNameError:
        return "eval"
    return "taskset"
