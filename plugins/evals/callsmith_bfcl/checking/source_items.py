"""Splitting the source text of a collection at its commas, for Java and JavaScript alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

MAX_SOURCE_LENGTH: Final = 4_000
"""Characters of one argument's source text that are converted; a longer one stays text.

The patterns that find collections take quadratic time on text made to be slow; the longest
accepted answer in these languages has 160 characters.
"""

_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")
_QUOTES = frozenset("\"'")


def split_items(text: str, separator: str = ",", limit: int = -1) -> list[str]:
    """The parts between separators that stand outside quotes and brackets, without blanks around.

    At most `limit` separators count, -1 for all. The text without any part but blanks has none.
    """
    parts: list[str] = []
    start = 0
    for position in _separators(text, separator):
        if limit >= 0 and len(parts) == limit:
            break
        parts.append(text[start:position].strip())
        start = position + 1
    rest = text[start:].strip()
    return [*parts, rest] if parts or rest else []


def _separators(text: str, separator: str) -> Iterator[int]:
    quote = ""
    depth = 0
    escaped = False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == separator and depth == 0:
            yield position
