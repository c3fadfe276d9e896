"""Where a completion ends, and why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ended:
    """A completion without what ended it.

    `reason`: "end_of_turn", "tool_response" (the model asks for results), "eos", "stop" (a stop
    string), "length" (`max_tokens`), "cache_full" (the cache before `max_tokens`). `ids` has the
    tokens of `text`, without the token that ended the turn; of a text that was cut at a stop
    string, all tokens that were needed to see the string.
    """

    text: str
    ids: tuple[int, ...]
    reason: str


def ended(
    ids: Sequence[int],
    *,
    ends: Mapping[int, str],
    stops: Sequence[str],
    max_tokens: int,
    decode: Callable[[Sequence[int]], str],
) -> Ended:
    """What `ids` amount to.

    `ids` are the tokens that were drawn, the ending one included; `ends` names the reason for each
    ending token. The earliest stop string wins over whatever ended the tokens.
    """
    if ids and ids[-1] in ends:
        reason, body = ends[ids[-1]], tuple(ids[:-1])
    else:
        reason, body = ("length" if len(ids) >= max_tokens else "cache_full"), tuple(ids)
    text = decode(body)
    at = first_stop(text, stops)
    if at is None:
        return Ended(text, body, reason)
    needed = _tokens_until(body, decode, stops)
    return Ended(text[:at], body[:needed], "stop")


def first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Where the first stop string begins; None if there is none."""
    found = [at for at in (text.find(stop) for stop in stops if stop) if at >= 0]
    return min(found, default=None)


def _tokens_until(
    ids: tuple[int, ...], decode: Callable[[Sequence[int]], str], stops: Sequence[str]
) -> int:
    """The least number of tokens whose text holds a stop string. The whole text has one."""
    low, high = 1, len(ids)
    while low < high:
        middle = (low + high) // 2
        if first_stop(decode(ids[:middle]), stops) is None:
            low = middle + 1
        else:
            high = middle
    return low
