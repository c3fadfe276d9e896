"""Stop strings on our side, for servers that let them through: pure.

The contract is that a stop string and what follows it is not part of the text. Some servers end
the text behind the string (`transformers serve`), so the text is cut here as well.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Takes text in pieces; holds back only what may be the beginning of a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.cut = False
        """Whether a stop string was found."""

    def feed(self, text: str) -> str:
        """The text that became certain."""
        if self.cut:
            return ""
        if not self._stops:
            return text
        held = self._held + text
        # The one that is complete first counts, as for a server that looks after every token.
        found = [(at + len(stop), at) for stop in self._stops if (at := held.find(stop)) >= 0]
        if found:
            self.cut, self._held = True, ""
            return held[: min(found)[1]]
        keep = max(_overlap(held, stop) for stop in self._stops)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def close(self) -> str:
        """The text is over: what was held back belongs to it."""
        rest, self._held = self._held, ""
        return rest


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
