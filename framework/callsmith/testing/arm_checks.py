"""Checks that the contracts of text engines and of chat arms share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from callsmith.codec import dumps, loads
from callsmith.types import Completion, Fidelity, Sampling

T = TypeVar("T")

_LEAST = 8


def inner_stop(text: str) -> str:
    """A stop string from the middle of `text`."""
    assert len(text) >= _LEAST, (
        f"the contract needs an answer of at least {_LEAST} characters to cut, and the arm "
        f"answered {text!r}; override the fixture `prompts` or `conversations`"
    )
    middle = len(text) // 2
    return text[middle - 1 : middle + 2]


def check_completion(completion: Completion, sampling: Sampling) -> None:
    """Token counts are None or plausible; logprobs fit their token ids; times do not run back."""
    usage = completion.usage
    for name, count in (
        ("prompt_tokens", usage.prompt_tokens),
        ("completion_tokens", usage.completion_tokens),
    ):
        assert count is None or (type(count) is int and count >= 0), f"{name} is {count!r}"
    if usage.completion_tokens is not None:
        assert usage.completion_tokens <= sampling.max_tokens, (
            f"{usage.completion_tokens} tokens were counted and {sampling.max_tokens} allowed"
        )
        if completion.text:
            assert usage.completion_tokens > 0, "there is text, but no token was counted"
    for name, seconds in completion.timings.items():
        assert seconds >= 0, f"timing {name} is negative: {seconds}"
    if completion.logprobs is not None:
        assert completion.token_ids is not None, "logprobs without token ids"
        assert len(completion.logprobs) == len(completion.token_ids), (
            "one logprob per token id is needed"
        )
        assert all(value <= 0 for value in completion.logprobs), "a logprob is above 0"


def check_fidelity(fidelity: Fidelity) -> None:
    """A fidelity names its runtime and can be written to a run folder and read back."""
    assert isinstance(fidelity, Fidelity), f"probe returned {fidelity!r:.80}"
    assert fidelity.runtime, "the fidelity names no runtime"
    assert loads(dumps(fidelity), Fidelity) == fidelity, "the fidelity does not survive JSON"


async def gather_all(ask: Callable[[int], Awaitable[T]], count: int) -> list[T]:
    """Asks `count` times at once; the answers in the order of their numbers."""
    return list(await asyncio.gather(*(ask(index) for index in range(count))))


def check_distinct(alone: Sequence[object], fixture: str) -> None:
    """Answers differ, or a test for mixed-up requests would prove nothing."""
    assert any(item != alone[0] for item in alone), (
        "all questions have the same answer, so mixing them up would not show; "
        f"override the fixture `{fixture}`"
    )


async def abandon(stream: AsyncIterator[Any]) -> None:
    """Takes the first item and walks away, as a client does that hangs up."""
    async for _ in stream:
        break
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
