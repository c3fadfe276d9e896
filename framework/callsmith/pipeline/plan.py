"""From a pipeline file to steps: every reference of every step resolved, before anything runs.

`plan_pipeline` needs no GPU, no server and no extra, and looks at no folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callsmith.catalog import Catalog, Resolved
from callsmith.config import BakeoffFile, TemplateReference
from callsmith.errors import ConfigError
from callsmith.pipeline.checkpoints import bakeoff_frame
from callsmith.pipeline.frames import PipelineFile, ScoreFrame, TrainFrame
from callsmith.pipeline.references import Base, base_of, models_of, order_of
from callsmith.types import Checkpoint
from callsmith.wiring import (
    Plan,
    TemplatePlan,
    plan_bakeoff,
    plan_template,
    plan_verifiers,
    resolve_reference,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """A train step, resolved. `model` is the name of the model at the root of its bases."""

    name: str
    frame: TrainFrame
    trainer: Resolved
    model: str
    base: Base | None
    tasks: Resolved | None
    dev: Resolved | None
    template: TemplatePlan | None
    verifiers: tuple[tuple[str, Resolved], ...]
    seed: int

    @property
    def uses(self) -> tuple[str, ...]:
        """The steps whose results it needs."""
        base = (self.base.step,) if self.base and self.base.step else ()
        return tuple(dict.fromkeys((*base, *(t for t in self.frame.traces if isinstance(t, str)))))

    def describe(self) -> dict[str, Any]:
        """All of it as JSON, defaults included."""
        return self.deciding() | {"options": self.trainer.options()}

    def deciding(self) -> dict[str, Any]:
        """What decides the result: without the trainer's options that change none."""
        return {
            "use": self.trainer.offer.full_name,
            "options": self.trainer.deciding_options(),
            "base": self.base and self.base.describe(),
            "tasks": _describe(self.tasks),
            "dev": _describe(self.dev),
            "traces": [t if isinstance(t, str) else t.model_dump() for t in self.frame.traces],
            **(self.template.describe() if self.template else {}),
            "verifiers": {name: _describe(item) for name, item in self.verifiers},
            "seed": self.seed,
            "launch": list(self.frame.launch),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePlan:
    """A score step, resolved; the folders of its checkpoints (arm to step) are left open."""

    name: str
    plan: Plan
    checkpoints: Mapping[str, str]

    @property
    def uses(self) -> tuple[str, ...]:
        """The steps whose results it needs."""
        return tuple(dict.fromkeys(self.checkpoints.values()))

    def describe(self) -> dict[str, Any]:
        """What decides the result, as JSON, defaults included."""
        out = self.plan.describe()
        for arm, step in self.checkpoints.items():
            out["arms"][arm]["checkpoint"] = step
        return {key: value for key, value in out.items() if key not in ("kind", "name")}


StepPlan = TrainPlan | ScorePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelinePlan:
    """A pipeline, resolved; `steps` are in an order in which they can run."""

    catalog: Catalog
    frame: PipelineFile
    steps: tuple[StepPlan, ...]

    def describe(self) -> dict[str, Any]:
        """The resolved configuration as JSON, defaults included."""
        steps = {step.name: {kind_of(step): step.describe()} for step in self.steps}
        return {"kind": "pipeline", "name": self.frame.name, "steps": steps}

    def score_frame(self, name: str, checkpoints: Mapping[str, Checkpoint]) -> BakeoffFile:
        """The bake-off of a score step, with the checkpoints (by step) that its arms run."""
        return _score_frame(name, self.frame, self.catalog, checkpoints)


def _describe(resolved: Resolved | None) -> dict[str, Any] | None:
    if resolved is None:
        return None
    return {"use": resolved.offer.full_name, "options": resolved.options()}


def kind_of(step: StepPlan) -> str:
    """The word for the kind of step, as in the file."""
    return "train" if isinstance(step, TrainPlan) else "score"


def plan_pipeline(frame: PipelineFile, catalog: Catalog) -> PipelinePlan:
    """Resolves every reference of a pipeline. Raises `ConfigError` with the path in the file."""
    ordered = order_of(frame)
    if frame.template is not None:
        resolve_reference(catalog, "template", frame.template, "template")
    steps: list[StepPlan] = []
    for name in ordered:
        step = frame.steps[name]
        if step.train is not None:
            steps.append(_plan_train(name, step.train, frame, catalog))
        elif step.score is not None:
            steps.append(_plan_score(name, step.score, frame, catalog))
    return PipelinePlan(catalog=catalog, frame=frame, steps=tuple(steps))


def _plan_train(
    name: str, frame: TrainFrame, pipeline: PipelineFile, catalog: Catalog
) -> TrainPlan:
    path = f"steps.{name}.train"
    trainer = resolve_reference(catalog, "trainer", frame, path)
    model = models_of(pipeline)[name]
    try:
        verifiers = plan_verifiers(frame.verifiers, catalog)
    except ConfigError as error:
        raise error.at(path) from None

    def tasks(key: str) -> Resolved | None:
        reference = getattr(frame, key)
        return reference and resolve_reference(catalog, "taskset", reference, f"{path}.{key}")

    return TrainPlan(
        name=name,
        frame=frame,
        trainer=trainer,
        model=model,
        base=base_of(frame, pipeline.steps),
        tasks=tasks("tasks"),
        dev=tasks("dev"),
        template=_plan_template(frame.template or pipeline.template, catalog, model, path),
        verifiers=verifiers,
        seed=pipeline.seed if frame.seed is None else frame.seed,
    )


def _plan_template(
    reference: TemplateReference | None, catalog: Catalog, model: str, path: str
) -> TemplatePlan | None:
    """The template of a train step, told the model's name as an arm of that model tells it."""
    if reference is None:
        return None
    plan = plan_template(catalog, None, reference, path)
    config = plan.template.config
    if config is None or "model" not in type(config).model_fields or reference.options.get("model"):
        return plan
    told = reference.model_copy(update={"options": {**reference.options, "model": model}})
    return plan_template(catalog, None, told, path)


def _plan_score(
    name: str, frame: ScoreFrame, pipeline: PipelineFile, catalog: Catalog
) -> ScorePlan:
    try:
        plan = plan_bakeoff(_score_frame(name, pipeline, catalog, {}), catalog)
    except ConfigError as error:
        raise error.at(f"steps.{name}.score") from None
    checkpoints = {arm: item.checkpoint for arm, item in frame.arms.items() if item.checkpoint}
    return ScorePlan(name=name, plan=plan, checkpoints=checkpoints)


def _score_frame(
    name: str, pipeline: PipelineFile, catalog: Catalog, checkpoints: Mapping[str, Checkpoint]
) -> BakeoffFile:
    frame = pipeline.steps[name].score
    assert frame is not None  # who asks knows the kind
    return bakeoff_frame(name, frame, pipeline, catalog, models_of(pipeline), checkpoints)
