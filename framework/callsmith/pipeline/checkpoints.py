"""Checkpoints: where a base's folder is, and how an arm is told to run one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from callsmith.catalog import Catalog
from callsmith.config import ArmFrame, BakeoffFile
from callsmith.errors import ConfigError
from callsmith.pipeline.frames import BaseFolder, PipelineFile, ScoreArmFrame, ScoreFrame
from callsmith.types import Checkpoint, Sampling

FILLED = ("path", "adapter")
"""Options of an arm that come from its checkpoint, and from nowhere else."""


def bakeoff_frame(
    name: str,
    frame: ScoreFrame,
    pipeline: PipelineFile,
    catalog: Catalog,
    models: Mapping[str, str],
    checkpoints: Mapping[str, Checkpoint],
) -> BakeoffFile:
    """A score step as a bake-off file.

    `models` are the names of models by step. `checkpoints` are what steps made; the folders of
    those that are missing are left open. Raises `ConfigError`, with the path inside of the step.
    """
    sampling = pipeline.sampling.over(Sampling(seed=pipeline.seed))
    own = frame.sampling.over(sampling)
    fields = {key: getattr(frame, key) for key in type(frame).model_fields}
    fields["sampling"] = {key: getattr(own, key) for key in own.__slots__}
    fields["arms"] = {}
    for arm, item in frame.arms.items():
        try:
            fields["arms"][arm] = _arm_frame(item, pipeline, catalog, models, checkpoints)
        except ConfigError as error:
            raise error.at(f"arms.{arm}") from None
    return BakeoffFile(kind="bakeoff", name=name, **fields)


def _arm_frame(
    frame: ScoreArmFrame,
    pipeline: PipelineFile,
    catalog: Catalog,
    models: Mapping[str, str],
    checkpoints: Mapping[str, Checkpoint],
) -> ArmFrame:
    offer = catalog.find("arm", frame.use)
    options = dict(frame.options)
    if frame.checkpoint is not None:
        model = catalog.config_model(offer)
        known = model.model_fields if model else {}
        options = _filled(frame, options, known, models, checkpoints.get(frame.checkpoint))
    template = frame.template
    if template is None and offer.component.provides == "text" and pipeline.template is not None:
        named = frame.checkpoint is None and _has_template(catalog, options.get("model"))
        template = None if named else pipeline.template
    kept = {key: getattr(frame, key) for key in ("concurrency", "timeout", "sampling")}
    return ArmFrame(use=frame.use, options=options, template=template, **kept)


def _filled(
    frame: ScoreArmFrame,
    options: dict[str, Any],
    known: Mapping[str, Any],
    models: Mapping[str, str],
    checkpoint: Checkpoint | None,
) -> dict[str, Any]:
    """The arm's options with those of the checkpoint's step."""
    step = frame.checkpoint
    assert step is not None
    if "path" not in known:
        raise ConfigError(
            f"{frame.use} has no option `path`, so it cannot run what the step {step!r} made",
            path="checkpoint",
        )
    for key in FILLED:
        if key in options:
            raise ConfigError(
                f"comes from the checkpoint of {step!r}; leave it out", path=f"options.{key}"
            )
    if "model" in known:
        options.setdefault("model", models[step])
    if checkpoint is None:
        return {**options, "path": f"steps/{step}"}
    if checkpoint.adapter and "adapter" not in known:
        raise ConfigError(
            f"the step {step!r} made an adapter, and {frame.use} has no option `adapter`; use an "
            "arm that has one, such as hf, or merge the adapter first",
            path="checkpoint",
        )
    adapter = {"adapter": checkpoint.adapter} if checkpoint.adapter else {}
    return {**options, "path": checkpoint.path, **adapter}


def _has_template(catalog: Catalog, model: object) -> bool:
    try:
        return isinstance(model, str) and bool(catalog.template_for(model))
    except ConfigError:
        return False


def folder_checkpoint(base: BaseFolder) -> Checkpoint:
    """A folder base as a checkpoint. Raises `ConfigError` when a folder is missing."""
    for key in FILLED:
        folder = getattr(base, key)
        if folder is not None and not Path(folder).expanduser().is_dir():
            raise ConfigError(f"there is no folder {folder}", path=f"base.{key}")
    adapter = str(Path(base.adapter).expanduser().absolute()) if base.adapter else None
    path = str(Path(base.path).expanduser().absolute())
    return Checkpoint(path=path, base=base.model, adapter=adapter)


def hub_checkpoint(name: str, environment: Mapping[str, str] = os.environ) -> Checkpoint:
    """A model in the hub's local cache; `details` has its commit.

    The layout of the cache is documented by the hub's client: `models--OWNER--NAME` with
    `refs/main`, which holds a commit, and `snapshots/COMMIT`. Nothing is downloaded. Raises
    `ConfigError` when the model is not there.
    """
    home = Path(environment.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    cache = Path(environment.get("HF_HUB_CACHE") or home / "hub").expanduser()
    place = cache / f"models--{name.replace('/', '--')}"
    try:
        commit = (place / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        commit = ""
    folder = place / "snapshots" / commit
    if not commit or not folder.is_dir():
        raise ConfigError(
            f"the model {name!r} is not in the hub's cache ({cache}); fetch it with "
            f"`hf download {name}`, or name a folder: {{path: FOLDER}}",
            path="base",
        )
    return Checkpoint(path=str(folder.absolute()), base=name, details={"commit": commit})
