"""The frames of a pipeline file: train steps, score steps, and how they refer to each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import BeforeValidator, Field

from callsmith.config import (
    ArmFrame,
    Bakeoff,
    BakeoffFile,
    Frame,
    Name,
    Ref,
    Reference,
    SamplingFrame,
    TemplateRef,
    as_reference,
    parse_frame,
    read_text,
)

Text = Annotated[str, Field(min_length=1)]


class BaseFolder(Frame):
    """A model to start from that no step makes: a folder in the layout of transformers."""

    path: Text = Field(description="the folder; relative paths start at the current folder")
    adapter: Text | None = Field(
        default=None, description="folder of an adapter in PEFT's format, on top of the model"
    )
    model: Text | None = Field(
        default=None, description="the model's name, for templates; the folder's when left out"
    )


class TracesFolder(Frame):
    """Episodes to learn from that no step makes: a run folder."""

    path: Text = Field(description="the run folder; relative paths start at the current folder")


class TrainFrame(Reference):
    """A train step: a trainer with its options, and what it is given. A bare name is a trainer."""

    base: str | BaseFolder | None = Field(
        default=None,
        description="what to start from: a train step, `owner/model` in the hub's local cache, or "
        "a folder",
    )
    tasks: Ref | None = Field(default=None, description="the training rows: a task set")
    dev: Ref | None = Field(default=None, description="rows that are never trained on: a task set")
    traces: tuple[str | TracesFolder, ...] = Field(
        default=(), description="episodes to learn from: score steps or run folders"
    )
    template: TemplateRef | None = Field(
        default=None, description="instead of the pipeline's template"
    )
    verifiers: tuple[Ref, ...] = Field(default=(), description="judges, for the trainer to use")
    seed: int | None = Field(default=None, description="instead of the pipeline's seed")
    launch: tuple[Text, ...] = Field(
        default=(),
        description="command that starts the step in place of Python, for several GPUs or "
        "machines: `[accelerate, launch, --num_processes, '2']`",
    )


class ScoreArmFrame(ArmFrame):
    """An arm of a score step, which may run what a train step made."""

    checkpoint: str | None = Field(
        default=None,
        description="a train step: the arm's options `path`, `adapter` and, if not given, `model` "
        "are that step's",
    )


class ScoreFrame(Bakeoff):
    """A score step: a bake-off without `kind` and `name`."""

    arms: Mapping[Name, Annotated[ScoreArmFrame, BeforeValidator(as_reference)]] = Field(
        min_length=1, description="what is compared"
    )
    together: bool = Field(
        default=False,
        description="true: all arms at once; false: one after the other, each closed before the "
        "next is loaded",
    )


class StepFrame(Frame):
    """One step: it trains or it scores."""

    train: Annotated[TrainFrame, BeforeValidator(as_reference)] | None = Field(
        default=None, description="make a model"
    )
    score: ScoreFrame | None = Field(default=None, description="run arms on tasks")

    @pydantic.model_validator(mode="after")
    def _one_of_both(self) -> StepFrame:
        if (self.train is None) == (self.score is None):
            raise ValueError("a step has either `train` or `score`")
        return self


class PipelineFile(Frame):
    """A run file of kind `pipeline`: train and score steps, each run when its inputs changed."""

    kind: Literal["pipeline"] = Field(description="what the file is")
    name: Name = Field(description="also the run folder's name")
    seed: int = Field(default=0, description="of train steps, and of sampling in score steps")
    template: TemplateRef | None = Field(
        default=None,
        description="of train steps, of arms with a checkpoint, and of arms for whose `model` no "
        "template is known",
    )
    sampling: SamplingFrame = Field(
        default=SamplingFrame(), description="how tokens are drawn, in all score steps"
    )
    steps: Mapping[Name, StepFrame] = Field(
        min_length=1, description="the steps; their order follows from what they use"
    )


KINDS: Mapping[str, type[BakeoffFile | PipelineFile]] = {
    "bakeoff": BakeoffFile,
    "pipeline": PipelineFile,
}
"""The kinds of run file, by the word in the file."""


def read_pipeline_file(path: Path) -> PipelineFile:
    """Reads and validates a run file of kind `pipeline`. Raises `ConfigError` with one line."""
    return parse_frame(read_text(path), str(path), {"pipeline": PipelineFile})


def read_any_run_file(path: Path) -> BakeoffFile | PipelineFile:
    """Reads and validates a run file of any kind. Raises `ConfigError` with one line."""
    return parse_any_run_file(read_text(path), str(path))


def parse_any_run_file(text: str, source: str = "run file") -> BakeoffFile | PipelineFile:
    """Validates the text of a run file of any kind; `source` names it in errors."""
    return parse_frame(text, source, KINDS)
