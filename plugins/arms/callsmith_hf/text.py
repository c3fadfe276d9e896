"""From token ids to text, piece by piece, and the strings that end it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

UNFINISHED = "\ufffd"
"""What a tokenizer decodes the beginning of a character to."""
CONTEXT = 4
"""Tokens of the prompt that a decoder sees before the completion's first: some decoders strip the
space in front of the first word of what they are given."""


class TextStream:
    """Decodes one completion as its tokens come.

    A character of several tokens is given out whole. Bytes that never become a character come
    out as U+FFFD, at the latest by `rest`.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], prompt: Sequence[int]) -> None:
        """`decode` gives the text of ids, special tokens included."""
        self._decode = decode
        self._ids = list(prompt[-CONTEXT:])
        self._known = 0  # from here on ids are decoded again, so that spaces come out right
        self._read = len(self._ids)  # up to here they were given out

    def take(self, number: int) -> str:
        """The text that became certain with one more token."""
        self._ids.append(number)
        piece = self._open()
        if not piece or piece.endswith(UNFINISHED):
            return ""
        self._known, self._read = self._read, len(self._ids)
        return piece

    def rest(self) -> str:
        """What was held back, at the end."""
        piece = self._open()
        self._read = len(self._ids)
        return piece

    def _open(self) -> str:
        shown = self._decode(self._ids[self._known : self._read])
        return self._decode(self._ids[self._known :])[len(shown) :]


class StopStrings:
    """Finds the first stop string in a text that comes in pieces, and never shows a part of it.

    The first is the one that ends first, the longest of those that end together: where the pieces
    are cut then makes no difference.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """`stops` are not empty strings."""
        self._stops = tuple(stops)
        self._held = ""

    def take(self, piece: str) -> tuple[str, str | None]:
        """What can be shown, and the stop string that was found, behind it."""
        if not self._stops:
            return piece, None
        text = self._held + piece
        places = [(text.find(stop), stop) for stop in self._stops]
        found = [(place + len(stop), place, stop) for place, stop in places if place >= 0]
        if found:
            _, place, stop = min(found)
            self._held = ""
            return text[:place], stop
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], None

    def rest(self) -> str:
        """What was held back, at the end."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that `stop` begins with."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
