"""Requests and answers as Ollama's API spells them: pure conversions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callsmith import ArmError, JsonValue, PromptTooLongError, Sampling, Usage


def options(sampling: Sampling, num_ctx: int) -> dict[str, JsonValue]:
    """The `options` of a request: everything that decides how tokens are drawn, said explicitly.

    What is left out falls back to the Modelfile's PARAMETER lines and then to Ollama's own
    defaults (temperature 0.8, top_k 40, top_p 0.9), which differ from model to model; so also
    what `Sampling` does not have is sent, switched off. `top_k` 0 is off in every runner that
    Ollama has had: the llama.cpp ones take a value below 1 as the whole vocabulary, the Go one
    keeps all tokens for it. An empty `stop` replaces the Modelfile's list.
    """
    return {
        "num_ctx": num_ctx,
        "num_predict": sampling.max_tokens,
        "seed": sampling.seed,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": 0.0,
        "typical_p": 1.0,
        "repeat_penalty": 1.0,
        "repeat_last_n": 0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "stop": list(sampling.stop),
    }


def frame(
    model: str, opts: Mapping[str, JsonValue], *, think: bool, keep_alive: str | float | None
) -> dict[str, JsonValue]:
    """The fields that every generating request has.

    `truncate` and `shift` are off: the one drops the oldest messages when a prompt does not fit,
    the other throws half of the context away when it is full, and neither leaves a sign in the
    answer. `think` is always said, because Ollama switches it on for every model that can.
    """
    body: dict[str, JsonValue] = {
        "model": model,
        "stream": True,
        "think": think,
        "truncate": False,
        "shift": False,
        "options": dict(opts),
    }
    if keep_alive is not None:
        body["keep_alive"] = keep_alive
    return body


def usage(last: Mapping[str, Any]) -> Usage:
    """Token counts of the last line. Ollama leaves out a count of 0; what is absent is None."""
    return Usage(
        prompt_tokens=_count(last.get("prompt_eval_count")),
        completion_tokens=_count(last.get("eval_count")),
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_DURATIONS = {
    "load_duration": "load",
    "prompt_eval_duration": "prompt_eval",
    "eval_duration": "eval",
    "total_duration": "total",
}


def timings(
    last: Mapping[str, Any], *, first_token: float | None, retry: float
) -> dict[str, float]:
    """Seconds by name.

    `load`, `prompt_eval` (only the part that was not cached), `eval` and `total` are the server's
    nanoseconds; `first_token` is measured here, from sending to the first piece of text, thought
    or call; `retry` is there only if attempts failed before: the seconds lost with them.
    """
    found: dict[str, float] = {}
    for key, name in _DURATIONS.items():
        value = last.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value / 1e9
    if first_token is not None:
        found["first_token"] = first_token
    if retry:
        found["retry"] = retry
    return found


def stop_reason(last: Mapping[str, Any]) -> str | None:
    """`stop` or `length`; Ollama has no reason of its own for calls."""
    reason = last.get("done_reason")
    return reason if isinstance(reason, str) else None


def check_answer(
    last: Mapping[str, Any], *, max_tokens: int, num_ctx: int, context_length: int | None
) -> None:
    """Raises `PromptTooLongError` if prompt and completion did not have the room they asked for,
    and `ArmError` if the server only loaded or unloaded the model.

    `context_length` is the effective one, if known: a server may give less than `num_ctx`. The
    rule is strict on purpose: whether an episode counts must not depend on how soon the model
    happened to stop. (Old servers count only the part of the prompt that was not cached; the sum
    is then too small, so the check may miss a case and never invents one.)
    """
    if last.get("done_reason") in ("load", "unload"):
        raise ArmError(f"the server only did a {last['done_reason']!r}: it saw an empty prompt")
    room = min(num_ctx, context_length) if context_length else num_ctx
    counted = usage(last)
    if counted.prompt_tokens is not None and counted.prompt_tokens + max_tokens > room:
        raise PromptTooLongError(
            f"the prompt has {counted.prompt_tokens} tokens and max_tokens is {max_tokens}: "
            f"together more than the context of {room}; raise num_ctx or lower max_tokens"
        )
    done = counted.completion_tokens
    # One token of slack: runners differ in whether they count the token that hit the limit.
    if last.get("done_reason") == "length" and done is not None and done < max_tokens - 1:
        raise PromptTooLongError(
            f"the answer was cut after {done} of {max_tokens} tokens because the context of "
            f"{room} was full; raise num_ctx or lower max_tokens"
        )
