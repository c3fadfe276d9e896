"""Pipelines: train and score steps, each run when its inputs changed."""

from callsmith.pipeline.folder import PipelineFolder, StepRecord, StepResult
from callsmith.pipeline.frames import PipelineFile, read_any_run_file, read_pipeline_file
from callsmith.pipeline.plan import PipelinePlan, plan_pipeline
from callsmith.pipeline.runner import StepEvent, run_pipeline

__all__ = [
    "PipelineFile",
    "PipelineFolder",
    "PipelinePlan",
    "StepEvent",
    "StepRecord",
    "StepResult",
    "plan_pipeline",
    "read_any_run_file",
    "read_pipeline_file",
    "run_pipeline",
]
