"""What a step's result depends on: its inputs, resolved down to the content of files.

The key of a step is the digest of these inputs. They are the components with all their options and
their plugins' versions, the seed, the digest of the template, the tasks themselves, the keys of
the steps that are used, and the files of a folder to start from.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from callsmith.catalog import Catalog, Resolved
from callsmith.codec import to_json
from callsmith.errors import ConfigError
from callsmith.pipeline.checkpoints import folder_checkpoint, hub_checkpoint
from callsmith.pipeline.plan import PipelinePlan, ScorePlan, StepPlan, TrainPlan, kind_of
from callsmith.protocols import TaskSet
from callsmith.runs import RunFolder
from callsmith.runs.store import digest
from callsmith.types import Checkpoint, Task
from callsmith.wiring import Plan, TemplatePlan, checked

LARGE = 64 * 2**20
"""Bytes; files above this are known by size and time of change instead of by content."""


class StepInputs:
    """The inputs and keys of a pipeline's steps, in the order of the plan.

    Raises `ConfigError` when something that is read for it (a task set, a template, a folder) is
    missing or wrong; `StoreError` for a folder of traces that is no run folder.
    """

    def __init__(self, plan: PipelinePlan) -> None:
        self.plan = plan
        self.inputs: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}
        self.bases: dict[str, Checkpoint] = {}
        self._tasks: dict[str, str] = {}
        for step in plan.steps:
            try:
                inputs = self._of_train(step) if isinstance(step, TrainPlan) else self._of(step)
            except ConfigError as error:
                raise error.at(f"steps.{step.name}.{kind_of(step)}") from None
            inputs["uses"] = {name: self.keys[name] for name in step.uses}
            inputs["plugins"] = _versions(step, plan.catalog)
            self.inputs[step.name] = inputs
            self.keys[step.name] = digest(inputs)

    def _of_train(self, step: TrainPlan) -> dict[str, Any]:
        catalog = self.plan.catalog
        inputs: dict[str, Any] = {"train": step.deciding(), "model": step.model}
        if step.base is not None and not step.base.step:
            if step.base.folder is not None:
                self.bases[step.name] = base = folder_checkpoint(step.base.folder)
                folders = [base.path, *([base.adapter] if base.adapter else [])]
                inputs["base"] = [folder_digest(Path(folder)) for folder in folders]
            else:
                self.bases[step.name] = base = hub_checkpoint(step.base.hub)
                inputs["base"] = dict(base.details)
        inputs["template"] = template_digest(step.template, catalog)
        for name, resolved in (("tasks", step.tasks), ("dev", step.dev)):
            inputs[name] = resolved and self._tasks_digest(
                name,
                [resolved.offer.full_name, resolved.options()],
                lambda resolved=resolved: build_tasks(resolved, catalog),  # type: ignore[misc]
            )
        inputs["traces"] = [
            traces_digest(Path(source.path).expanduser())
            for source in step.frame.traces
            if not isinstance(source, str)
        ]
        return inputs

    def _of(self, step: ScorePlan) -> dict[str, Any]:
        plan = step.plan
        described = plan.describe()
        same = [described[key] for key in ("tasks", "limit")]
        return {
            "score": step.describe(),
            "templates": {
                arm.name: template_digest(arm.template, plan.catalog) for arm in plan.arms
            },
            "tasks": self._tasks_digest("tasks", same, lambda: plan.build_tasks()[0]),
        }

    def _tasks_digest(
        self, place: str, identity: Any, build: Callable[[], tuple[Task, ...]]
    ) -> str:
        """The digest of tasks; those of the same source and options are built only once."""
        known = digest(identity)
        if known not in self._tasks:
            with _in_place(place):
                self._tasks[known] = tasks_digest(build())
        return self._tasks[known]


@contextlib.contextmanager
def _in_place(path: str) -> Iterator[None]:
    """Puts a component's own error, which may name a file, at the component's place."""
    try:
        yield
    except ConfigError as error:
        error.message, error.path = str(error), path
        raise


def build_tasks(resolved: Resolved, catalog: Catalog) -> tuple[Task, ...]:
    """The tasks of a task set; there is at least one, and their ids are unique."""
    tasks = tuple(checked(catalog.construct(resolved), TaskSet, resolved).tasks())
    if not tasks:
        raise ConfigError(f"{resolved.offer.full_name} has no tasks")
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise ConfigError(f"{resolved.offer.full_name} has the task {task.id!r} twice")
        seen.add(task.id)
    return tasks


def tasks_digest(tasks: tuple[Task, ...]) -> str:
    """Identifies tasks by content and order."""
    return digest(to_json(tasks))


def template_digest(template: TemplatePlan | None, catalog: Catalog) -> str | None:
    """The template's own digest; the template is built for it."""
    if template is None:
        return None
    with _in_place("template"):
        return template.build(catalog).digest


def traces_digest(path: Path) -> dict[str, str]:
    """Identifies the episodes of a run folder. Raises `StoreError` when it is none."""
    header = RunFolder(path).header
    return {"run": str(header.get("digest")), "traces": _file_digest(path / "traces.jsonl")}


def folder_digest(folder: Path) -> str:
    """Identifies the files below a folder by name, size and content.

    Files of more than 64 MiB count by size and time of change: reading a large model's weights
    would take minutes.
    """
    files: list[list[Any]] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found = path.stat()
            name = path.relative_to(folder).as_posix()
            large = found.st_size > LARGE
            content = found.st_mtime_ns if large else _file_digest(path)
            files.append([name, found.st_size, content])
    return digest(files)


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", path=str(path)) from None


def _versions(step: StepPlan, catalog: Catalog) -> Mapping[str, str]:
    """The versions of the plugins whose components the step uses."""
    used = {resolved.offer.plugin for resolved in _components(step)}
    return {plugin.name: plugin.version for plugin in catalog.plugins if plugin.name in used}


def _components(step: StepPlan) -> list[Resolved]:
    if isinstance(step, TrainPlan):
        found = [step.trainer, step.tasks, step.dev, *(item for _, item in step.verifiers)]
        return [item for item in found + _parts(step.template) if item is not None]
    plan: Plan = step.plan
    arms = [part for arm in plan.arms for part in (arm.engine, *_parts(arm.template))]
    found = [plan.source, plan.toolbox, *(item for _, item in plan.verifiers), *arms]
    return [item for item in found if item is not None]


def _parts(template: TemplatePlan | None) -> list[Resolved | None]:
    return [template.template, template.parser] if template else []
