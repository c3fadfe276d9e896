"""What each kind of server takes: one table, from the servers' documentation and source.

What a server takes silently without using it is the trap of this API, so a field is sent only
where it is known to be taken, and `sampling` says only what is documented; what a probe measures
wins over it. Servers have sampling defaults of their own (of the model's `generation_config`, or
fixed ones such as llama.cpp's min_p 0.05), so what a run does not ask for is switched off
explicitly where there is a field for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from callsmith import JsonValue

Use = Literal["applied", "ignored"]

STANDARD = ("temperature", "top_p", "max_tokens", "seed", "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of server.

    `top_k_off` is the value that means "off" (None: the field is not sent, -1 and 0 as the server
    spells it). `neutral` switches off what the run does not ask for. `visible` keeps special
    tokens in the text of a completion, `plain_prompt` keeps the server from adding some to the
    prompt, `ids_out` asks for token ids. `tokenize` is the field of `/tokenize` that takes text.
    `generation_config` says that top_k goes into a field of that name, as JSON text.
    `adds_bos` says whether a prompt sent as text gets a BOS, where that is documented.
    """

    name: str
    title: str
    top_k_off: int | None = None
    neutral: Mapping[str, JsonValue] = field(default_factory=dict)
    visible: Mapping[str, JsonValue] = field(default_factory=dict)
    plain_prompt: Mapping[str, JsonValue] = field(default_factory=dict)
    ids_out: Mapping[str, JsonValue] = field(default_factory=dict)
    tokenize: Literal["prompt", "content"] | None = None
    stream_options: bool = True
    preserves_tokens: bool = False
    adds_bos: bool | None = None
    generation_config: bool = False
    thinking: Literal["enable_thinking", "reasoning_effort"] | None = None
    reasoning_field: str | None = None
    sampling: Mapping[str, Use] = field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    completions_deviations: tuple[str, ...] = ()


_APPLIED: dict[str, Use] = dict.fromkeys(STANDARD, "applied")
_PENALTIES: dict[str, JsonValue] = {"presence_penalty": 0.0, "frequency_penalty": 0.0}
_KEEP: dict[str, JsonValue] = {
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
}

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="vllm",
            title="vLLM",
            top_k_off=-1,
            neutral={"min_p": 0.0, "repetition_penalty": 1.0, **_PENALTIES},
            visible=_KEEP,
            plain_prompt={"add_special_tokens": False},
            ids_out={"return_token_ids": True},
            tokenize="prompt",
            adds_bos=False,
            thinking="enable_thinking",
            reasoning_field="reasoning",
            sampling={**_APPLIED, "top_k": "applied"},
        ),
        Kind(
            name="sglang",
            title="SGLang",
            top_k_off=-1,
            neutral={"min_p": 0.0, "repetition_penalty": 1.0, **_PENALTIES},
            visible={"skip_special_tokens": False},
            tokenize="prompt",
            thinking="enable_thinking",
            reasoning_field="reasoning_content",
            sampling={**_APPLIED, "top_k": "applied"},
        ),
        Kind(
            name="llama.cpp",
            title="llama.cpp",
            top_k_off=0,
            neutral={
                "min_p": 0.0,
                "typical_p": 1.0,
                "repeat_penalty": 1.0,
                "repeat_last_n": 0,
                **_PENALTIES,
            },
            tokenize="content",
            preserves_tokens=True,
            adds_bos=True,
            thinking="enable_thinking",
            reasoning_field="reasoning_content",
            sampling={**_APPLIED, "top_k": "applied"},
        ),
        Kind(
            name="lmstudio",
            title="LM Studio",
            top_k_off=0,
            neutral={"repeat_penalty": 1.0, **_PENALTIES},
            sampling=_APPLIED,
        ),
        Kind(
            name="ollama",
            title="Ollama",
            thinking="reasoning_effort",
            reasoning_field="reasoning",
            sampling={**_APPLIED, "top_k": "ignored"},
            deviations=(
                "Ollama's /v1 has no field for the context length and cuts a prompt that does not "
                "fit without a sign; ollama-chat says the length and refuses to cut",
            ),
            completions_deviations=(
                "Ollama's /v1/completions puts the prompt into the model's own template as a "
                "user's message; use ollama-raw",
            ),
        ),
        Kind(
            name="transformers",
            title="transformers serve",
            stream_options=False,
            generation_config=True,
            adds_bos=True,
            thinking="enable_thinking",
            sampling={**_APPLIED, "top_k": "applied"},
            deviations=(
                "transformers serve ends the text behind a stop string, or in the middle of it, "
                "not before it",
            ),
            completions_deviations=(
                "transformers serve leaves special tokens out of the text of /v1/completions",
            ),
        ),
        Kind(name="openai", title="OpenAI", sampling={"top_k": "ignored"}),
        Kind(name="other", title="an OpenAI-compatible server"),
    )
}
