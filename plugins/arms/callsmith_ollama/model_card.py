"""What `/api/show`, `/api/tags` and `/api/ps` say about a model: reading their answers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from callsmith import Fidelity, JsonValue
from callsmith_ollama.config import OllamaConfig

_GEMMA4 = re.compile(r"gemma[-_ ]?4(?!b)", re.IGNORECASE)


SAMPLED = ("temperature", "top_p", "top_k", "max_tokens", "seed", "stop")
"""What every request says in its `options` and every runner of Ollama takes."""


def is_gemma4(name: str) -> bool:
    """Whether a model's name or family says that it is a Gemma 4."""
    return bool(_GEMMA4.search(name))


@dataclass(slots=True)
class Findings:
    """What was found so far."""

    config: OllamaConfig
    version: str | None = None
    digest: str | None = None
    quantization: str | None = None
    renderer: str | None = None
    parser: str | None = None
    context_length: int | None = None
    template_digest: str | None = None
    history: Literal["prompt", "messages"] = "prompt"
    reached: bool = False
    warnings: list[str] = field(default_factory=list)
    details: dict[str, JsonValue] = field(default_factory=dict)

    def fidelity(self) -> Fidelity:
        """What was found, as the arm reports it."""
        return Fidelity(
            runtime="ollama",
            runtime_version=self.version,
            model=self.config.model,
            model_digest=self.digest,
            quantization=self.quantization,
            context_length=self.context_length,
            renderer=self.renderer,
            parser=self.parser,
            template_digest=self.template_digest,
            history=self.history,
            sampling=dict.fromkeys(SAMPLED, "applied") if self.reached else {},
            warnings=tuple(self.warnings),
            details=self.details,
        )


def read_card(show: Mapping[str, Any], found: Findings) -> None:
    """Takes over what the answer of `/api/show` says."""
    details = show.get("details")
    if isinstance(details, Mapping):
        level = details.get("quantization_level")
        found.quantization = level if isinstance(level, str) and level else None
        for key in ("family", "parameter_size"):
            if isinstance(details.get(key), str):
                found.details[key] = details[key]
    capabilities = show.get("capabilities")
    if isinstance(capabilities, list):
        found.details["capabilities"] = [str(item) for item in capabilities]
    template = show.get("template")
    if isinstance(template, str) and template:
        digest = hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()
        found.details["template_sha256"] = digest
    info = show.get("model_info")
    if isinstance(info, Mapping):
        trained = info.get(f"{info.get('general.architecture')}.context_length")
        if isinstance(trained, int):
            found.details["trained_context_length"] = trained
    parameters = show.get("parameters")
    stops = re.findall(r"^stop\s+(.*\S)", parameters if isinstance(parameters, str) else "", re.M)
    if stops:
        found.details["modelfile_stop"] = list(stops)
        found.warnings.append(
            f"the Modelfile stops at {', '.join(stops)}; every request says its own stop strings "
            "instead, so put those that are needed into sampling.stop"
        )


def from_modelfile(show: Mapping[str, Any], key: str) -> str | None:
    """RENDERER or PARSER: a field of the answer in some versions, a Modelfile line in all."""
    value = show.get(key)
    if isinstance(value, str) and value:
        return f"ollama {value}"
    modelfile = show.get("modelfile")
    if isinstance(modelfile, str):
        match = re.search(rf"^{key}\s+(\S+)", modelfile, re.MULTILINE | re.IGNORECASE)
        if match:
            return f"ollama {match.group(1)}"
    return None


def model_entry(models: object, model: str) -> Mapping[str, Any]:
    """The model's entry in `/api/tags` or `/api/ps`; empty if it is not there."""
    names = {model} if ":" in model.rpartition("/")[2] else {model, f"{model}:latest"}
    for item in models if isinstance(models, list) else ():
        if isinstance(item, Mapping) and {item.get("name"), item.get("model")} & names:
            return item
    return {}
