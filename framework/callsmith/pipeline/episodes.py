"""Episodes to learn from: the traces of run folders, each with its task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callsmith.catalog import Catalog
from callsmith.codec import to_json
from callsmith.component import Kind
from callsmith.config import ArmFrame, BakeoffFile, Reference
from callsmith.errors import StoreError, UnknownNameError
from callsmith.runs import RunFolder
from callsmith.runs.bakeoff import with_tools
from callsmith.runs.store import digest
from callsmith.types import Task, Trace
from callsmith.wiring import Plan, resolve_reference


def episodes_of(path: Path, catalog: Catalog) -> list[tuple[Task, Trace]]:
    """Every episode of a run folder with its task, in the order in which they finished.

    A run folder names its tasks and does not hold them: they are built again, with the tools of
    their toolboxes. Raises `StoreError` when they are not those of the run any more.
    """
    folder = RunFolder(path)
    header = folder.header
    tasks = {task.id: task for task in _tasks(header["config"], path, catalog)}
    if header.get("tasks_digest") != digest(to_json(tuple(tasks.values()))):
        raise StoreError(
            f"the tasks of {path} are not those of the run any more; run it again, or put back "
            "what it was run on"
        )
    return [(tasks[trace.task], trace) for trace in folder.traces() if trace.task in tasks]


def _tasks(config: Any, path: Path, catalog: Catalog) -> tuple[Task, ...]:
    source = config.get("tasks")
    if not isinstance(source, dict) or "use" not in source:
        raise StoreError(f"{path}: run.json names no tasks; run it again with this version")
    reference = Reference(use=source["use"], options=source.get("options") or {})
    box = config.get("toolbox")
    frame = BakeoffFile(
        kind="bakeoff",
        name="traces",
        tasks=reference,
        limit=config.get("limit"),
        arms={"any": ArmFrame(use="any")},  # not run
    )
    plan = Plan(
        catalog=catalog,
        frame=frame,
        arms=(),
        source=resolve_reference(catalog, _kind(catalog, reference.use), reference, str(path)),
        verifiers=(),
        toolbox=box and resolve_reference(catalog, "toolbox", Reference(**box), str(path)),
    )
    tasks, _ = plan.build_tasks()
    boxes = plan.build_toolboxes(tasks)
    return tuple(with_tools(task, boxes.get(task.toolbox or "")) for task in tasks)


def _kind(catalog: Catalog, name: str) -> Kind:
    try:
        catalog.find("taskset", name)
    except UnknownNameError:
        return "eval"
    return "taskset"
