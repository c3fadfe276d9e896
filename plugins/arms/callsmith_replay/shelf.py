"""Handing out recorded answers: by key, the seed's own first, then in recorded order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Generic, TypeVar

from callsmith import ArmError, Fidelity, Sampling
from callsmith_replay.recordings import Recordings

A = TypeVar("A")


class Shelf(Generic[A]):
    """Answers by key. An answer is given once; `what` names the key in messages."""

    def __init__(
        self, recordings: Recordings, what: str, items: Iterable[tuple[str, int | None, str, A]]
    ) -> None:
        self._recordings = recordings
        self._what = what
        self._sources: dict[str, str] = {}
        self._left: dict[str, list[tuple[int | None, A]]] = {}
        self._given: dict[str, int] = {}
        for key, seed, source, answer in items:
            self._left.setdefault(key, []).append((seed, answer))
            self._sources.setdefault(key, source)

    def take(self, key: str, sampling: Sampling, *, any_sampling: bool) -> A:
        """The recorded answer to `key`. Raises `ArmError` if there is none, or none is left."""
        if not any_sampling:
            self._check(sampling)
        left = self._left.get(key)
        if left is None:
            raise ArmError(self._missing(key))
        if not left:
            raise ArmError(
                f"{self._place} has {self._given[key]} answers to this {self._what} "
                f"({self._sources[key]}) and all of them were given; replay no more samples than "
                "were recorded"
            )
        seeds = [seed for seed, _ in left]
        at = seeds.index(sampling.seed) if sampling.seed in seeds else 0
        self._given[key] = self._given.get(key, 0) + 1
        return left.pop(at)[1]

    @property
    def _place(self) -> str:
        arm = f", arm {self._recordings.arm!r}," if self._recordings.arm else ""
        return f"the recording {self._recordings.path}{arm}"

    def _check(self, sampling: Sampling) -> None:
        """A recorded answer is the answer to a request only if tokens are drawn in the same way.

        Seed and stop strings are not compared: samples have seeds of their own, and a template
        adds stop strings that `run.json` does not list.
        """
        recorded = self._recordings.sampling
        if recorded is None:
            return
        for name in ("temperature", "top_p", "top_k", "max_tokens", "thinking"):
            was, now = getattr(recorded, name), getattr(sampling, name)
            if was != now:
                raise ArmError(
                    f"{self._place} was made with {name} {was}, and {now} is asked for; use the "
                    "recorded run's sampling, or set the option `sampling` to 'any'"
                )

    def _missing(self, key: str) -> str:
        if not self._left:
            return f"{self._place} keeps no {self._what} (was it made with `record: replies`?)"
        shared = {known: _shared(known, key) for known in self._left}
        nearest = max(shared, key=lambda known: shared[known])
        at = shared[nearest]
        return (
            f"{self._place} has no answer to this {self._what}; the nearest is that of "
            f"{self._sources[nearest]}, which differs first at character {at}: recorded "
            f"{_excerpt(nearest, at)}, asked {_excerpt(key, at)}"
        )


def _shared(one: str, other: str) -> int:
    """The length of the longest common beginning, by bisection."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _excerpt(text: str, at: int) -> str:
    piece = text[max(0, at - 20) : at + 20]
    return repr(piece) if at < len(text) else f"{piece!r} and its end"


def replayed(recordings: Recordings) -> Fidelity:
    """The recorded run's fidelity, with `replay` as the runtime."""
    known = recordings.fidelity or Fidelity(runtime="replay")
    details = {**known.details, "replays": recordings.path, "recorded_arm": recordings.arm}
    if recordings.fidelity is not None:
        details["recorded_runtime"] = known.runtime
    return replace(known, runtime="replay", details=details)
