"""A pipeline: steps one after the other, each in a process of its own, finished ones skipped."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import filelock

from callsmith.catalog import Catalog, did_you_mean
from callsmith.errors import ConfigError, StepError, StoreError
from callsmith.pipeline.folder import PipelineFolder, StepRecord, StepResult
from callsmith.pipeline.job import Job
from callsmith.pipeline.keys import StepInputs
from callsmith.pipeline.plan import PipelinePlan, StepPlan, TrainPlan, kind_of
from callsmith.pipeline.process import run_process
from callsmith.runs import RunFolder
from callsmith.runs.bakeoff import first_difference
from callsmith.types import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent:
    """What happens in a run: a step is skipped, starts, reports, or is done.

    `number` of `total` counts the steps of this run. `reason` says why a step starts that has
    been done before with other inputs. `report` is what it reported, `seconds` since it started.
    """

    step: str
    what: Literal["skipped", "started", "report", "done"]
    number: int
    total: int
    reason: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def run_pipeline(
    plan: PipelinePlan,
    path: Path,
    progress: Callable[[StepEvent], None] | None = None,
    *,
    only: str = "",
    until: str = "",
    retry_errors: bool = False,
) -> PipelineFolder:
    """Runs what is missing of `plan` in the run folder `path` and returns the folder.

    `until` leaves out the steps that the named one does not need; `only` leaves out all others,
    which must be done where it needs them. With `retry_errors`, score steps that are done but
    have episodes that ended with an error run those again; nothing that was learnt from them is.

    Raises `ConfigError` for what is wrong with the file or what it names, before any step runs;
    `StepError`, with the step's place in the file, when a step fails; `StoreError` for a folder
    that cannot be used.
    """
    chosen = _chosen(plan, only, until)
    folder = PipelineFolder(path.absolute())
    try:
        with _locked(folder):
            before = _earlier(folder)
            inputs = StepInputs(plan)
            records = {
                step.name: StepRecord(
                    name=step.name,
                    kind=kind_of(step),
                    key=inputs.keys[step.name],
                    use=step.trainer.offer.full_name if isinstance(step, TrainPlan) else "",
                    uses=step.uses,
                    inputs=inputs.inputs[step.name],
                )
                for step in plan.steps
            }
            _write_header(plan, folder, records)
            run = _Run(plan, folder, records, inputs.bases, before, retry_errors)
            for number, step in enumerate(chosen, start=1):
                run.step(step, number, len(chosen), progress)
    except OSError as error:
        raise StoreError(f"{folder.path} cannot be written: {error.strerror or error}") from None
    return folder


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a pipeline, with what its steps need to know."""

    plan: PipelinePlan
    folder: PipelineFolder
    records: Mapping[str, StepRecord]
    bases: Mapping[str, Checkpoint]
    before: Mapping[str, StepRecord]
    retry_errors: bool

    def step(
        self,
        step: StepPlan,
        number: int,
        total: int,
        progress: Callable[[StepEvent], None] | None,
    ) -> None:
        """Runs one step if it is not done."""

        def say(what: Literal["skipped", "started", "report", "done"], **more: Any) -> None:
            if progress is not None:
                progress(StepEvent(step=step.name, what=what, number=number, total=total, **more))

        record = self.records[step.name]
        path = self.folder.step_path(record)
        result = self.folder.result(record)
        if result is not None and not (self.retry_errors and _has_errors(path, record)):
            say("skipped", seconds=result.seconds)
            return
        job = self._job(step, path)
        path.mkdir(parents=True, exist_ok=True)
        file = job.write()
        say("started", reason=self._reason(record))
        launch = step.frame.launch if isinstance(step, TrainPlan) else ()
        try:
            run_process(
                file,
                launch,
                lambda report: say("report", report=report["progress"], seconds=report["seconds"]),
            )
        except StepError as error:
            raise StepError(f"steps.{step.name}: {error}") from None
        result = self.folder.result(record)
        if result is None:
            raise StepError(
                f"steps.{step.name}: its process ended without a result; its log is {path}/log.txt"
            )
        say("done", seconds=result.seconds)

    def _job(self, step: StepPlan, path: Path) -> Job:
        """What the step's process is told. Raises `StepError` when a step it needs is not done."""
        results: dict[str, StepResult] = {}
        for name in step.uses:
            found = self.folder.result(self.records[name])
            if found is None:
                raise StepError(
                    f"steps.{step.name}: needs the step {name!r}, which is not done; "
                    f"--until {step.name} runs it too"
                )
            results[name] = found
        made = {name: item.checkpoint for name, item in results.items() if item.checkpoint}
        base = self.bases.get(step.name)
        traces: tuple[Path, ...] = ()
        if isinstance(step, TrainPlan):
            if step.base is not None and step.base.step:
                base = made[step.base.step]
            traces = tuple(
                self.folder.step_path(self.records[source])
                if isinstance(source, str)
                else Path(source.path).expanduser().absolute()
                for source in step.frame.traces
            )
        return Job(
            pipeline=self.plan.frame,
            step=step.name,
            run=self.folder.path,
            folder=path,
            inputs=self.records[step.name].inputs,
            checkpoints=made,
            base=base,
            traces=traces,
            retry_errors=self.retry_errors,
        )

    def _reason(self, record: StepRecord) -> str:
        """What changed since the step was last done, or nothing."""
        old = self.before.get(record.name)
        if old is None or old.key == record.key or self.folder.result(old) is None:
            return ""
        for name, key in record.inputs["uses"].items():
            if old.inputs.get("uses", {}).get(name) not in (None, key):
                return f"{name} changed"
        found = first_difference(
            old.inputs.get(record.kind), record.inputs[record.kind], words=("before", "now")
        )
        others = [key for key in record.inputs if old.inputs.get(key) != record.inputs[key]]
        return found or f"{', '.join(others)} changed"


def _has_errors(path: Path, record: StepRecord) -> bool:
    return record.kind == "score" and any(t.halt == "error" for t in RunFolder(path).traces())


def _chosen(plan: PipelinePlan, only: str, until: str) -> tuple[StepPlan, ...]:
    if not only and not until:
        return plan.steps
    if only and until:
        raise ConfigError("--only and --until exclude each other")
    by_name = {step.name: step for step in plan.steps}
    name = only or until
    if name not in by_name:
        hint = did_you_mean(name, by_name) or f"; there are: {', '.join(by_name)}"
        raise ConfigError(f"there is no step {name!r}{hint}", path="steps")
    wanted = {name}
    if until:
        for step in reversed(plan.steps):
            if step.name in wanted:
                wanted |= set(step.uses)
    return tuple(step for step in plan.steps if step.name in wanted)


@contextlib.contextmanager
def _locked(folder: PipelineFolder) -> Iterator[None]:
    path = folder.path
    if (path / "run.json").exists():
        raise StoreError(f"{path} holds a bake-off; name another folder with --out")
    path.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path / "lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise StoreError(f"{path} is being worked on by another process") from None
    try:
        yield
    finally:
        lock.release()


def _earlier(folder: PipelineFolder) -> dict[str, StepRecord]:
    """The steps of the run before, by name."""
    return {step.name: step for step in folder.steps()} if folder.exists() else {}


def _write_header(
    plan: PipelinePlan, folder: PipelineFolder, records: Mapping[str, StepRecord]
) -> None:
    sessions = folder.header.get("sessions", []) if folder.exists() else []
    steps = [
        {
            "name": record.name,
            "kind": record.kind,
            "key": record.key,
            "folder": record.folder,
            "use": record.use,
            "uses": list(record.uses),
            "inputs": dict(record.inputs),
        }
        for record in records.values()
    ]
    folder.write_header(
        {
            "kind": "pipeline",
            "name": plan.frame.name,
            "steps": steps,
            "sessions": [*sessions, _session(plan.catalog)],
        }
    )


def _session(catalog: Catalog) -> dict[str, Any]:
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "callsmith": version("callsmith"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "plugins": {
            plugin.name: f"{plugin.distribution} {plugin.version}"
            for plugin in catalog.plugins
            if plugin.components
        },
        "pid": os.getpid(),
    }
