"""Finding control tokens in a text that is still arriving.

No control token holds a second `<`, so only the last `<` of a piece of text can be the start of a
token whose rest has not come yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from callsmith_qwen3.control_tokens import (
    CALL_CLOSE,
    CALL_OPEN,
    END_OF_TEXT,
    OTHERS,
    RESPONSE_CLOSE,
    RESPONSE_OPEN,
    STRUCTURE,
    THINK_CLOSE,
    THINK_OPEN,
    TURN_CLOSE,
    TURN_OPEN,
)

ENDS: Final = (TURN_CLOSE, END_OF_TEXT, TURN_OPEN)
"""The tokens behind which nothing of the reply comes any more."""

MARKERS: Final = (*STRUCTURE, *OTHERS)
"""Every token that a decoder never passes on as content."""


def _either(tokens: Iterable[str]) -> str:
    return "|".join(map(re.escape, tokens))


MARKER: Final = re.compile(_either(MARKERS))
"""Any of `MARKERS`."""

_CALL_ENDS: Final = _either((CALL_CLOSE, CALL_OPEN, RESPONSE_OPEN, *ENDS))

IN_CALL: Final = re.compile(rf"\\[\s\S]|[\"']|[{{\[,:]\s*+|{_CALL_ENDS}")
"""What matters inside a block, outside of strings: an escape, a quote, what a string may follow,
or a token that ends the block."""

IN_STRING: Final = {quote: re.compile(rf"\\[\s\S]|{quote}|{_CALL_ENDS}") for quote in ('"', "'")}
"""What matters inside a string, by its quote."""

IN_THOUGHT: Final = re.compile(_either((THINK_CLOSE, THINK_OPEN, CALL_OPEN, *ENDS)))
"""What matters inside a thought."""

THOUGHT_END: Final = re.compile(_either((THINK_CLOSE, *ENDS)))
"""What ends a thought for certain."""

IN_RESPONSE: Final = re.compile(_either((RESPONSE_CLOSE, *ENDS)))
"""What ends a result."""

PADDING: Final = re.compile(rf"(?:\s|{_either((TURN_CLOSE, END_OF_TEXT))})*+")
"""What may stand behind the end of a turn."""

_LONGEST: Final = max(len(marker) for marker in MARKERS)
_PREFIXES: Final = frozenset(marker[:n] for marker in MARKERS for n in range(1, len(marker)))


def held_from(text: str, at: int) -> int:
    """Where the longest suffix of `text[at:]` starts that may still become a control token.

    `len(text)` if there is none.
    """
    start = text.rfind("<", max(at, len(text) - _LONGEST + 1))
    if start >= 0 and text[start:] in _PREFIXES:
        return start
    return len(text)
