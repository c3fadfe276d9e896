"""Finding control tokens in a text that is still arriving.

No control token holds a second `<`, so only the last `<` of a piece of text can be the start of a
token whose rest has not come yet.
"""

from __future__ import annotations

import re
from typing import Final

from callsmith_gemma4.control_tokens import CONTROL_TOKENS, QUOTE

MARKERS: Final = (*sorted(CONTROL_TOKENS.tokens), "<pad>")
"""Every token that a decoder never passes on as text."""

LONGEST: Final = max(len(marker) for marker in MARKERS)

_TAILS: Final = "|".join(re.escape(marker[1:]) for marker in MARKERS)
_NOT_QUOTE: Final = "|".join(re.escape(marker[1:]) for marker in MARKERS if marker != QUOTE)

MARKER: Final = re.compile(f"<(?:{_TAILS})")
"""Any of `MARKERS`."""

STRUCTURE: Final = re.compile(f"<(?:{_NOT_QUOTE})")
"""Any of `MARKERS` but the string delimiter."""

MARKER_OR_LINE: Final = re.compile(rf"<(?:{_TAILS})|\n(?=c)")
"""Any of `MARKERS`, or a line break before what may be `call:` without control tokens."""

MARKER_OR_BRACE: Final = re.compile(rf"<(?:{_TAILS})|[{{}}]")
"""Any of `MARKERS`, or a brace."""

PADDING: Final = re.compile(r"(?:\s|<eos>|<turn\|>|<pad>)*+")
"""What may stand behind the end of a turn."""

WHOLE_BLOCK: Final = re.compile(
    # Outside strings: anything but a control token.
    r"(?:[^<]++"
    # A string opens where a value or a key may stand, and ends where something may follow it.
    r'|(?<=[\[{(,:=])<\|"\|>[^<]*+(?:<(?!\|"\|>)[^<]*+)*+<\|"\|>(?=[,}\]):=])'
    rf"|<(?!{_TAILS}))*+"
    r"<tool_call\|>"
)
"""A block from just behind `<|tool_call>` to its end, where all its strings are well delimited.

Possessive, so that a failure costs no more than one pass."""

_ENDS: Final = r"(?:<tool_call\|>|<turn\|>|<eos>|<\|tool_response>)"
_AFTER_END: Final = (
    r"<\|(?:tool_call|tool_response|channel|turn)>|<(?:tool_call|turn|channel)\|>|<eos>"
)

LOST_END: Final = re.compile(rf"{_ENDS}(?=\s*+(?:{_AFTER_END}))")
"""The end of a call inside what looks like a string: the string's own end is missing."""

LOST_END_AT_LAST: Final = re.compile(rf"{_ENDS}(?=\s*+(?:\Z|{_AFTER_END}))")
"""As `LOST_END`, in text after which nothing comes any more."""

_PREFIXES: Final = frozenset(marker[:n] for marker in MARKERS for n in range(1, len(marker)))


def held_from(text: str, at: int) -> int:
    """Where the longest suffix of `text[at:]` starts that may still become a control token.

    `len(text)` if there is none.
    """
    start = text.rfind("<", max(at, len(text) - LONGEST + 1))
    if start >= 0 and text[start:] in _PREFIXES:
        return start
    return len(text)
