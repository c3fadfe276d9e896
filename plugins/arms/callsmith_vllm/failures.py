"""One line for whatever vLLM raises."""

from __future__ import annotations

import re

from callsmith import ArmError

LENGTH = 400

SMALL_CARD = (
    "; if it is memory: lower max_model_len or max_num_seqs, quantise the model, set "
    "enforce_eager, or raise gpu_memory_utilization if nothing else uses the card"
)


def one_line(error: BaseException) -> str:
    """What an exception says, shortened. vLLM wraps some without a word of their own."""
    text = " ".join(str(error).split())
    if not text and error.__cause__ is not None:
        return one_line(error.__cause__)
    text = re.sub(r" \[type=.*| For further information visit .*", "", text)  # pydantic's
    text = re.sub(r"^\d+ validation errors? for \w+ ", "", text)
    text = text if len(text) <= LENGTH else text[:LENGTH] + "…"
    return text or type(error).__name__


def start_failure(error: BaseException, what: str) -> ArmError:
    """The engine for `what` did not start."""
    text = one_line(error)
    if "ngine core" in text and "failed" in text:  # the cause is in another process's log
        text = f"its process failed, and its log lines above say why{SMALL_CARD}"
    return ArmError(f"vLLM's engine for {what} did not start: {text}")


def death(what: str, *, again: bool) -> ArmError:
    """The engine died; `again` says whether it will be started again."""
    then = "the next request starts it again" if again else "it is not started again (restarts)"
    return ArmError(
        f"vLLM's engine for {what} died, and its log lines above say why; {then}{SMALL_CARD}"
    )


def request_failure(error: BaseException) -> ArmError:
    """One request failed, and the engine lives."""
    return ArmError(f"vLLM refused or lost the request: {one_line(error)}")
