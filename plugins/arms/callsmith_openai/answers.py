"""What every answer must satisfy, and its times: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callsmith import ArmError, PromptTooLongError, Usage
from callsmith_openai.attempts import Attempts


def check_end(attempts: Attempts, finish_reason: str | None, choices: int, url: str) -> None:
    """Raises `ArmError` for an answer that was cut off: without a reason to finish and `[DONE]`.

    One of the two is enough: some servers never send `[DONE]`, some no reason.
    """
    if finish_reason is not None:
        return
    if choices == 0:
        raise ArmError(f"{url}: the answer has no choices; see the server's log")
    if not attempts.complete:
        raise ArmError(
            f"the stream from {url} ended after {attempts.events} events with neither a "
            "finish_reason nor [DONE]: the answer was cut off; see the server's log"
        )


def check_room(
    usage: Usage, finish_reason: str | None, *, max_tokens: int, context_length: int | None
) -> None:
    """Raises `PromptTooLongError` if prompt and completion did not have the room they asked for.

    The rule is strict on purpose: whether an episode counts must not depend on how soon the model
    happened to stop.
    """
    prompt, done = usage.prompt_tokens, usage.completion_tokens
    if context_length and prompt is not None and prompt + max_tokens > context_length:
        raise PromptTooLongError(
            f"the prompt has {prompt} tokens and max_tokens is {max_tokens}: together more than "
            f"the server's context of {context_length}; start it with more, or lower max_tokens"
        )
    # One token of slack: servers differ in whether they count the token that hit the limit.
    if finish_reason == "length" and done is not None and 0 < done < max_tokens - 1:
        raise PromptTooLongError(
            f"the answer was cut after {done} of {max_tokens} tokens because the server's context "
            "was full; start it with more, or lower max_tokens"
        )


def timings(
    server: Mapping[str, Any], *, first_token: float | None, total: float, retry: float
) -> dict[str, float]:
    """Seconds by name.

    `first_token` (from sending to the first text, thought or call) and `total` are measured here;
    `prompt_eval` and `eval` are llama.cpp's milliseconds; `retry` is there only if attempts
    failed before: the seconds lost with them.
    """
    found = {"total": total}
    if first_token is not None:
        found["first_token"] = first_token
    for key, name in (("prompt_ms", "prompt_eval"), ("predicted_ms", "eval")):
        value = server.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            found[name] = value / 1000
    if retry:
        found["retry"] = retry
    return found
