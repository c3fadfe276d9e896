"""What is known about how the two arms run their model."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, Literal

from callsmith import Fidelity, JsonValue
from callsmith_jax.config import SamplerConfig
from callsmith_jax.environment import differences
from callsmith_jax.worker_pool import Answer

APPLIED: Literal["applied"] = "applied"

_NUMBERS = ("temperature", "top_p", "top_k", "max_tokens", "seed", "stop")

LOOP_DEVIATIONS = (
    "between the turns of a tool loop the kept state is continued: the token that ended a turn was "
    "never run through the model, its place in the cache is attended to unwritten, and the "
    "positions of what follows begin on it, one lower per turn than in the full prompt",
    "a tool's result is written as {result: …}, a failed call's too; the canonical template "
    "writes {value: …}",
    "declarations are the library's: fields in alphabetical order, types in capitals, "
    "descriptions of parameters where the schema has them",
    "max_tokens holds for every turn; the library by itself passes it to the first turn only",
    "calls are read by the library: what it cannot read, and a call that does not end the turn, "
    "is a fault and ends the loop",
)
"""How the library's loop differs from the full prompt at every step, found by running it."""


def unknown(config: SamplerConfig, warning: str) -> Fidelity:
    """What is known without a worker's answer."""
    return Fidelity(
        runtime="gemma-jax",
        model=PurePath(config.checkpoint).name,
        context_length=config.cache_length,
        warnings=(warning,),
    )


def known(config: SamplerConfig, answer: Answer, *, loop: bool) -> Fidelity:
    """What a worker told; `loop` for the library's own tool loop."""
    facts, versions = answer.body, answer.hello.versions
    details: dict[str, JsonValue] = {
        "python": answer.hello.python,
        "versions": dict(versions),
        "checkpoint": facts["checkpoint"],
        "parameters": facts["parameters"],
        "vocabulary": facts["vocabulary"],
        "devices": facts["devices"],
        "pad_lengths": list(config.pad_lengths),
        "max_out_length": config.max_out_length,
        "logprobs": config.logprobs,
    }
    own: dict[str, Any] = {"history": "prompt"}
    sampling = dict.fromkeys(_NUMBERS, APPLIED)
    if loop:
        dialog = f"gemma dialog {versions.get('dialog')}"
        own = {
            "history": "continuation",
            "renderer": dialog,
            "parser": dialog,
            "deviations": LOOP_DEVIATIONS,
        }
        sampling["thinking"] = APPLIED
    problems = differences(versions)
    warnings = (f"not the tested versions: {'; '.join(problems)}",) if problems else ()
    return Fidelity(
        runtime="gemma-jax",
        runtime_version=f"gemma {versions.get('gemma')}, jax {versions.get('jax')}",
        model=_model_name(config, facts["model"]),
        model_digest=facts["model_digest"],
        quantization=facts["dtype"],
        context_length=config.cache_length,
        tokenizer_digest=facts["tokenizer_digest"],
        sampling=sampling,
        warnings=warnings,
        details=details,
        **own,
    )


def _model_name(config: SamplerConfig, model: str) -> str:
    """The library's name of the checkpoint, or the class, or the folder that holds it."""
    if "/" not in config.checkpoint:
        return config.checkpoint
    folder = PurePath(config.checkpoint)
    return model if model.startswith("Gemma4_") else f"{folder.parent.name}/{folder.name}"
