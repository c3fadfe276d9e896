"""A stray thought channel at the beginning of visible text: found, and moved out of it.

With thinking off, Gemma 4 models still sometimes open a thought channel, and a server's parser
may let it through as visible text. It is a thought all the same, and it must not stand in the
content of the next prompt. Only what stands at the very beginning is moved: a channel marker
later in a text may be quoted.

The forms: `<|channel>thought\\n…<channel|>`, several of them in a row, one that is never closed
(all of the text is the thought), one that lost its opening marker (`thought\\n…<channel|>`), and
a closing marker alone.
"""

from __future__ import annotations

import re

OPEN = "<|channel>"
CLOSE = "<channel|>"
BARE = "thought\n"

_HEADING = re.compile(r"(?:<\|channel>)*(?:thought\b)?\n?")
"""What may follow an opening marker before the thought itself."""


class ThoughtFilter:
    """Takes visible text in pieces of any length; holds back only what may be a stray thought.

    The visible text is always a suffix of what went in: `removed` is the length of the rest.
    """

    def __init__(self) -> None:
        self.removed = 0
        self._thoughts: list[str] = []
        self._pending = ""  # between channels: nothing but white space and parts of markers
        self._inside: list[str] | None = None  # the pieces of the channel that is open
        self._tail = ""  # the end of those pieces, where a closing marker may have begun
        self._plain = False

    @property
    def reasoning(self) -> str:
        """The thoughts that were moved, complete after `close`."""
        return "\n".join(thought for thought in self._thoughts if thought)

    def feed(self, text: str) -> str:
        """Takes the next piece and returns the visible text that became certain."""
        while text and not self._plain:
            text = self._through_channel(text) if self._inside is not None else self._between(text)
        return text

    def close(self) -> str:
        """The text is over: what was held back is visible text, or was a thought."""
        if self._inside is not None:
            raw = "".join(self._inside)
            self._inside = None
            if raw.lstrip().startswith(BARE):
                return raw  # with neither marker it is a text that begins with that word
            self._moved(raw, end=len(raw))
            return ""
        rest, self._pending = self._pending, ""
        return rest

    def _between(self, text: str) -> str:
        """Before, between and after channels. Returns text that is still to be looked at."""
        held = self._pending + text
        begun = held.lstrip()
        self._pending = ""
        if begun.startswith(CLOSE):
            rest = begun[len(CLOSE) :]
            self.removed += len(held) - len(rest)
            return rest
        if begun.startswith((OPEN, BARE)):
            self._inside = []
            return held
        if any(marker.startswith(begun) for marker in (OPEN, CLOSE, BARE)):
            self._pending = held
            return ""
        self._plain = True
        return held

    def _through_channel(self, text: str) -> str:
        assert self._inside is not None
        self._inside.append(text)
        seen = self._tail + text
        at = seen.find(CLOSE)
        if at < 0:
            self._tail = seen[-(len(CLOSE) - 1) :]
            return ""
        raw = "".join(self._inside)
        end = len(raw) - len(seen) + at
        self._inside, self._tail = None, ""
        self._moved(raw, end)
        return raw[end + len(CLOSE) :]

    def _moved(self, raw: str, end: int) -> None:
        """Notes the thought in `raw[:end]` and that it, with its markers, was removed."""
        self._thoughts.append(_HEADING.sub("", raw[:end].lstrip(), count=1).strip("\n"))
        self.removed += min(len(raw), end + len(CLOSE))


def split_thought(text: str) -> tuple[str, str]:
    """(thought, visible text) of a whole text."""
    thoughts = ThoughtFilter()
    visible = thoughts.feed(text) + thoughts.close()
    return thoughts.reasoning, visible
