"""How the steps of a pipeline refer to each other: names checked, an order found. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from callsmith.catalog import did_you_mean
from callsmith.errors import ConfigError
from callsmith.pipeline.frames import BaseFolder, PipelineFile, StepFrame, TrainFrame

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a train step starts from: a step, a model of the hub, or a folder (one of them)."""

    step: str = ""
    hub: str = ""
    folder: BaseFolder | None = None

    def describe(self) -> Any:
        """As in the file."""
        return self.folder.model_dump() if self.folder else self.step or self.hub


def base_of(frame: TrainFrame, steps: Mapping[str, StepFrame]) -> Base | None:
    """What a train step starts from; None when it makes a model."""
    if frame.base is None:
        return None
    if isinstance(frame.base, BaseFolder):
        return Base(folder=frame.base)
    return Base(step=frame.base) if frame.base in steps else Base(hub=frame.base)


def order_of(pipeline: PipelineFile) -> tuple[str, ...]:
    """The steps in an order in which they can run, as near to the file's as possible.

    Raises `ConfigError` for names that are no steps, steps of the wrong kind, and circles.
    """
    uses = {
        name: tuple(dict.fromkeys(_uses(name, step, pipeline.steps)))
        for name, step in pipeline.steps.items()
    }
    ordered: list[str] = []

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " -> ".join((*way[way.index(name) :], name))
            raise ConfigError(f"steps wait for each other: {circle}", path="steps")
        if name not in ordered:
            for used in uses[name]:
                visit(used, (*way, name))
            ordered.append(name)

    for name in uses:
        visit(name, ())
    return tuple(ordered)


def models_of(pipeline: PipelineFile) -> dict[str, str]:
    """The model's name for every train step: that of the root of its bases.

    A hub's model has its own name, a folder the one that is given or the folder's, and a model
    that a step makes has the step's. There must be no circles.
    """
    found: dict[str, str] = {}
    for name in order_of(pipeline):
        frame = pipeline.steps[name].train
        if frame is None:
            continue
        base = base_of(frame, pipeline.steps)
        if base is None:
            found[name] = name
        elif base.folder:
            found[name] = base.folder.model or PurePath(base.folder.path).name or name
        else:
            found[name] = found[base.step] if base.step else base.hub
    return found


def _uses(name: str, step: StepFrame, steps: Mapping[str, StepFrame]) -> Iterator[str]:
    """The steps that a step names, each checked to be of the right kind."""
    if step.train is not None:
        path = f"steps.{name}.train"
        base = base_of(step.train, steps)
        if base is not None and base.step:
            yield _step(base.step, "train", steps, f"{path}.base")
        elif base is not None and base.hub and not HUB_NAME.fullmatch(base.hub):
            hint = did_you_mean(base.hub, _of_kind("train", steps)) or (
                "; a folder is written {path: FOLDER}"
            )
            raise ConfigError(
                f"{base.hub!r} is neither a step of this file nor a model's name on the hub "
                f"(owner/model){hint}",
                path=f"{path}.base",
            )
        for index, source in enumerate(step.train.traces):
            if isinstance(source, str):
                more = "; a run folder is written {path: FOLDER}"
                yield _step(source, "score", steps, f"{path}.traces[{index}]", more)
    if step.score is not None:
        for arm, frame in step.score.arms.items():
            if frame.checkpoint is not None:
                place = f"steps.{name}.score.arms.{arm}.checkpoint"
                yield _step(frame.checkpoint, "train", steps, place)


def _step(
    name: str, kind: str, steps: Mapping[str, StepFrame], path: str, otherwise: str = ""
) -> str:
    fitting = _of_kind(kind, steps)
    if name in fitting:
        return name
    if name in steps:
        makes = "makes no model" if kind == "train" else "has no episodes"
        other = "score" if kind == "train" else "train"
        raise ConfigError(f"{name!r} is a {other} step, which {makes}", path=path)
    hint = did_you_mean(name, fitting) or otherwise
    known = f"; there are: {', '.join(fitting)}" if fitting and not hint else ""
    raise ConfigError(f"there is no {kind} step {name!r}{hint or known}", path=path)


def _of_kind(kind: str, steps: Mapping[str, StepFrame]) -> list[str]:
    return [name for name, step in steps.items() if getattr(step, kind) is not None]
