"""How a checkpoint was trained, as far as serving has to know it: written beside the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from callsmith import Checkpoint, ConfigError, JsonValue, Template, from_json
from callsmith_trl.config import TrainerConfig

FILE = "callsmith.json"
"""Stands in the folder of an adapter, or of a model that was trained as a whole."""

INSIDE = "$run/"
"""Begins a path inside of a pipeline's run folder, in a step's result.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What must be equal in serving and training.

    `template` is the template's digest; `template_reference` says what it was made from, as a run
    file does (`use`, `options`, `parser`), and is empty in recipes that do not know it.
    """

    template: str = ""
    template_reference: Mapping[str, JsonValue] = field(default_factory=dict)
    quantization: str = ""
    double_quant: bool = True
    dtype: str = "auto"
    register: str = ""
    control_tokens: tuple[str, ...] = ()
    thinking: bool = False

    def as_json(self) -> dict[str, JsonValue]:
        """The recipe as an object."""
        return {**asdict(self), "control_tokens": list(self.control_tokens)}

    def trainer_config(self) -> TrainerConfig:
        """Options that load the model as it was trained."""
        return TrainerConfig.model_validate(
            {
                "quantization": self.quantization,
                "double_quant": self.double_quant,
                "dtype": self.dtype,
                "register": self.register,
                "control_tokens": self.control_tokens,
                "thinking": self.thinking,
            }
        )


def recipe_of(
    config: TrainerConfig, template: Template, reference: Mapping[str, JsonValue] | None = None
) -> Recipe:
    """The recipe of a training; `reference` says what the template was made from."""
    return Recipe(
        template=template.digest,
        template_reference=dict(reference or {}),
        quantization=config.quantization,
        double_quant=config.double_quant,
        dtype=config.dtype,
        register=config.module,
        control_tokens=config.control_tokens,
        thinking=config.thinking,
    )


def read_recipe(folder: Path) -> Recipe | None:
    """What stands beside the weights of a folder; None when it was not written by a trainer.

    Raises `ConfigError` for a damaged file.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        said = json.loads(file.read_text(encoding="utf-8")).get("recipe")
        if said is None:
            return None
        found = Recipe(**{**said, "control_tokens": tuple(said["control_tokens"])})
        reference: Mapping[str, Any] = found.template_reference
        for part in (reference, reference.get("parser")):
            if part and not (isinstance(part["use"], str) and isinstance(part["options"], dict)):
                raise TypeError("template_reference names no template")
        return found
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is damaged: {error!r}; save the checkpoint again") from None


def find_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint of a pipeline's step folder, of an adapter's folder, or of a model's.

    An adapter alone does not know where its base lies: `path` is "" then. Raises `ConfigError`.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; name what a training step wrote")
    if (folder / "result.json").is_file():
        return _of_step(folder)
    for place in (folder, folder / "adapter"):
        if (place / "adapter_config.json").is_file():
            return Checkpoint(path="", adapter=str(place))
    for place in (folder, folder / "model"):
        if (place / "config.json").is_file():
            return Checkpoint(path=str(place))
    raise ConfigError(
        f"{folder} holds no checkpoint; name a pipeline's step folder, or an adapter's folder"
    )


def _of_step(folder: Path) -> Checkpoint:
    file = folder / "result.json"
    try:
        data: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        found = from_json(data["checkpoint"], Checkpoint)
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
    run = f"{folder.resolve().parent.parent}/"

    def moved(path: str) -> str:
        return run + path.removeprefix(INSIDE) if path.startswith(INSIDE) else path

    return Checkpoint(
        path=moved(found.path),
        base=found.base,
        adapter=found.adapter and moved(found.adapter),
        details=found.details,
    )
