"""Which sampling fields a server honours, found by short requests.

Servers take many fields without using them, so the only proof is what comes back: with high
temperature two seeds must give two texts, and one seed the same text twice; a field that makes
drawing deterministic (top_k 1, a tiny top_p, temperature 0) must make two seeds agree. What the
texts do not show is left out: then it is unknown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from callsmith import Sampling
from callsmith_openai.kinds import Use

HOT = Sampling(temperature=1.5, max_tokens=8, seed=1)
"""Eight tokens drawn with a temperature at which two seeds hardly agree."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What came back: everything visible, in one string, and how it ended."""

    text: str
    finish_reason: str | None = None
    completion_tokens: int | None = None


Ask = Callable[[Sampling], Awaitable[Sample | None]]
"""One short request; None when it failed."""


async def check_sampling(ask: Ask, *, top_k: bool) -> dict[str, Use]:
    """What was shown, by field of `Sampling`. `top_k` says whether that field is sent at all."""
    one, again = await ask(HOT), await ask(HOT)
    other = await ask(replace(HOT, seed=2))
    if one is None or again is None or other is None:
        return {}
    found: dict[str, Use] = {}
    varied = one.text != other.text
    if one.text != again.text:
        found["seed"] = "ignored"
    elif varied:
        found["seed"] = "applied"
    limit = _limit(one)
    if limit:
        found["max_tokens"] = limit
    narrow = {"temperature": replace(HOT, temperature=0.0), "top_p": replace(HOT, top_p=0.001)}
    if top_k:
        narrow["top_k"] = replace(HOT, top_k=1)
    greedy: Sample | None = None
    for name, sampling in narrow.items():
        first, second = await ask(sampling), await ask(replace(sampling, seed=2))
        if first is None or second is None:
            continue
        if first.text != second.text:
            found[name] = "ignored"
        elif varied:
            found[name] = "applied"
        if name == "temperature" and first.text == second.text:
            greedy = first
    stop = await _stop(ask, greedy) if greedy else None
    if stop:
        found["stop"] = stop
    return found


def _limit(sample: Sample) -> Use | None:
    count = sample.completion_tokens
    if count is None:
        return None
    if count > HOT.max_tokens:
        return "ignored"
    return "applied" if sample.finish_reason == "length" else None


async def _stop(ask: Ask, greedy: Sample) -> Use | None:
    """Whether a string from the middle of a repeatable answer ends it."""
    text = greedy.text
    stop = text[len(text) // 2 : len(text) // 2 + 2]
    if len(stop.strip()) < 2 or not text[: text.index(stop)]:
        return None
    cut = await ask(replace(HOT, temperature=0.0, stop=(stop,)))
    if cut is None:
        return None
    if cut.text == text and cut.finish_reason == greedy.finish_reason:
        return "ignored" if not text.endswith(stop) else None
    return "applied" if len(cut.text) < len(text) else None
