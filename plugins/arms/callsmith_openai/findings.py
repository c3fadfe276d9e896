"""What a probe found, and reading it out of the servers' answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from callsmith import Fidelity, JsonValue
from callsmith_openai.config import ServerConfig
from callsmith_openai.detection import Facts
from callsmith_openai.kinds import Use

_LISTED = 20
"""Names of models that are kept: hosted services have hundreds."""


@dataclass(slots=True)
class Findings:
    """What was found so far."""

    config: ServerConfig
    history: Literal["prompt", "messages"]
    runtime: str = "openai-compatible"
    version: str | None = None
    quantization: str | None = None
    context_length: int | None = None
    renderer: str | None = None
    parser: str | None = None
    template_digest: str | None = None
    sampling: dict[str, Use] = field(default_factory=dict)
    deviations: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    details: dict[str, JsonValue] = field(default_factory=dict)

    def fidelity(self) -> Fidelity:
        """What was found, as the arm reports it."""
        return Fidelity(
            runtime=self.runtime,
            runtime_version=self.version,
            model=self.config.model,
            quantization=self.quantization,
            context_length=self.context_length,
            renderer=self.renderer,
            parser=self.parser,
            template_digest=self.template_digest,
            history=self.history,
            sampling=self.sampling,
            deviations=tuple(self.deviations),
            warnings=tuple(self.warnings),
            details=self.details,
        )


def read_facts(facts: Facts, found: Findings) -> None:
    """Takes over what the endpoints told, by kind of server."""
    kind = facts.kind
    if kind.name != "other":
        found.runtime = kind.name
    found.version = facts.version
    found.sampling = dict(kind.sampling)
    found.deviations += kind.deviations
    found.details["server"] = kind.title
    if facts.models is None:
        found.warnings.append(f"the server lists no models: {facts.problem}")
    else:
        found.details["models"] = list[JsonValue](facts.names[:_LISTED])
    entry = facts.entry(found.config.model)
    # transformers serve lists what lies in the hub's cache, not the folder that it serves.
    if facts.models and not entry and kind.name != "transformers":
        shown = ", ".join(facts.names[:_LISTED])
        found.warnings.append(
            f"the server does not list the model {found.config.model!r}; it has: {shown}"
        )
    if isinstance(entry.get("root"), str):
        found.details["root"] = entry["root"]
    readers = {
        "vllm": _vllm,
        "sglang": _sglang,
        "llama.cpp": _llama_cpp,
        "lmstudio": _lmstudio,
    }
    if kind.name in readers:
        readers[kind.name](facts, entry, found)


def _vllm(facts: Facts, entry: Mapping[str, JsonValue], found: Findings) -> None:
    found.context_length = _length(entry.get("max_model_len"))


def _sglang(facts: Facts, entry: Mapping[str, JsonValue], found: Findings) -> None:
    known = facts.info.get("context_length")
    found.context_length = _length(entry.get("max_model_len")) or _length(known)
    for key in ("quantization", "dtype"):
        value = facts.info.get(key)
        if isinstance(value, str) and value not in ("", "auto"):
            found.details[key] = value
            found.quantization = found.quantization or value


def _llama_cpp(facts: Facts, entry: Mapping[str, JsonValue], found: Findings) -> None:
    settings = facts.info.get("default_generation_settings")
    if isinstance(settings, Mapping):
        found.context_length = _length(settings.get("n_ctx"))
    path = facts.info.get("model_path")
    if isinstance(path, str):
        found.details["model_path"] = path  # its name often says the quantisation: not a fact
    meta = entry.get("meta")
    if isinstance(meta, Mapping):
        for key in ("n_ctx_train", "n_params", "size"):
            if isinstance(meta.get(key), int):
                found.details[key] = meta[key]
        quantization = meta.get("ftype")
        found.quantization = quantization if isinstance(quantization, str) else None
    template = facts.info.get("chat_template")
    if isinstance(template, str) and template:
        digest = hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()
        found.details["template_sha256"] = digest


def _lmstudio(facts: Facts, entry: Mapping[str, JsonValue], found: Findings) -> None:
    found.context_length = _length(facts.info.get("loaded_context_length"))
    quantization = facts.info.get("quantization")
    found.quantization = quantization if isinstance(quantization, str) else None
    for key in ("arch", "state", "max_context_length", "compatibility_type"):
        value = facts.info.get(key)
        if isinstance(value, str | int):
            found.details[key] = value


def _length(value: object) -> int | None:
    ok = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if ok else None  # type: ignore[return-value]  # checked in the line above
