"""Everything that touches vLLM itself. Importing this module imports vLLM, which takes a while."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

# vLLM logs to standard output unless told otherwise before its import, and that is where the
# command line prints its results.
os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")

import vllm
from vllm import AsyncEngineArgs, SamplingParams, TextPrompt, TokensPrompt
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from callsmith import ArmError, ConfigError, Sampling
from callsmith_vllm.adapters import Adapter
from callsmith_vllm.config import ENGINE_ARGUMENTS, VllmConfig
from callsmith_vllm.interface import Engine

__all__ = [
    "EngineDeadError",
    "engine_arguments",
    "start",
    "to_lora",
    "to_prompt",
    "to_sampling",
    "version",
]

LOWEST_TEMPERATURE = 0.01
"""vLLM silently raises a temperature between 0 and this one to it."""


def version() -> str:
    """The installed vLLM."""
    return str(vllm.__version__)


def engine_arguments(config: VllmConfig, adapter: Adapter | None) -> dict[str, Any]:
    """The engine arguments by name. Raises `ConfigError` for names that vLLM does not have."""
    arguments: dict[str, Any] = {
        argument: getattr(config, option) for option, argument in ENGINE_ARGUMENTS.items()
    }
    arguments["model"] = config.path or config.model
    arguments["revision"] = config.revision or None
    arguments["quantization"] = config.quantization or None
    arguments["enable_lora"] = adapter is not None
    if adapter is None:
        del arguments["max_lora_rank"]
    else:
        arguments.update(max_lora_rank=config.max_lora_rank or adapter.room, max_loras=1)
    arguments["disable_log_stats"] = True  # it would write a line every ten seconds
    arguments.update(config.engine_args)
    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise ConfigError(
            f"vLLM {version()} has no engine argument {unknown[0]!r}; remove it or install a "
            "vLLM that has it",
            path="engine_args" if unknown[0] in config.engine_args else "",
        )
    return arguments


def start(arguments: Mapping[str, Any]) -> Engine:
    """The engine, with its processes started and its weights loaded. Blocks for long."""
    engine: Engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
    return engine


def to_prompt(given: Sequence[int] | str) -> Any:
    """A prompt in vLLM's shape, of token ids or of text."""
    if isinstance(given, str):
        return TextPrompt(prompt=given)
    return TokensPrompt(prompt_token_ids=list(given))


def to_sampling(sampling: Sampling, *, stop_token_ids: Sequence[int], logprobs: bool) -> Any:
    """`SamplingParams` that say everything, so that no default of vLLM's or the model's decides.

    `include_stop_str_in_output` is off: stop strings are not part of a completion's text here, and
    it would put the end tokens into the text as well. The token ids do have the end token.
    Raises `ArmError` for what vLLM refuses, and for what it would change without a word.
    """
    if 0 < sampling.temperature < LOWEST_TEMPERATURE:
        raise ArmError(
            f"vLLM would sample at temperature {LOWEST_TEMPERATURE}, not {sampling.temperature}; "
            "use 0 (greedy) or a higher one"
        )
    if sampling.seed == -1:
        raise ArmError("vLLM takes the seed -1 as none at all; use another one")
    try:
        return SamplingParams(
            n=1,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=0.0,
            presence_penalty=0.0,
            frequency_penalty=0.0,
            repetition_penalty=1.0,
            seed=sampling.seed,
            max_tokens=sampling.max_tokens,
            min_tokens=0,
            stop=list(sampling.stop),
            stop_token_ids=list(stop_token_ids),
            ignore_eos=False,
            logprobs=0 if logprobs else None,  # 0: of the sampled token alone
            detokenize=True,
            skip_special_tokens=False,
            spaces_between_special_tokens=False,
            include_stop_str_in_output=False,
            output_kind=RequestOutputKind.DELTA,
        )
    except Exception as error:  # its own classes, which differ between versions
        text = " ".join(str(error).split())
        raise ArmError(f"vLLM refuses this sampling: {text}") from error


def to_lora(adapter: Adapter) -> Any:
    """The adapter as vLLM takes it with a request."""
    return LoRARequest(lora_name=adapter.name, lora_int_id=adapter.number, lora_path=adapter.path)
