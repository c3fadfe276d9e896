"""Numbers and words: the values that stand without delimiters."""

from __future__ import annotations

import re
from typing import Final

from callsmith import JsonValue

LONGEST_INTEGER: Final = 100_000
"""Digits up to which a whole number is read as one; longer ones are kept as text, exactly.

The conversion is by halves, about n^1.6 in the digits, so the bound keeps reading linear."""

SHORT_INTEGER: Final = 600
"""Characters up to which `int` itself may be used: Python's own limit is never below 640."""

WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
"""The words of the format."""

FOREIGN_WORDS: Final[dict[str, bool | None]] = {
    "True": True,
    "False": False,
    "None": None,
    "TRUE": True,
    "FALSE": False,
    "NULL": None,
}
"""Words of other notations; older published templates print Python's."""

NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
"""A number as the format and the canonical template (which prints exponents) write it."""

LOOSE_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""A number as people write it: `+5`, `007`, `108.`, `.5`."""


class OutOfRangeError(ValueError):
    """A number that neither a float nor a whole number of bounded size can hold."""


def read_number(text: str) -> int | float:
    """The number that `text` (of `NUMBER` or `LOOSE_NUMBER`) says.

    Whole numbers are exact up to `LONGEST_INTEGER` digits. Raises `OutOfRangeError` beyond, and
    for floats that would be infinite.
    """
    if "." in text or "e" in text or "E" in text:
        value = float(text)
        if value - value != 0.0:
            raise OutOfRangeError("beyond the range of a float")
        return value
    return read_integer(text)


def read_integer(text: str) -> int:
    """A whole number of any size up to `LONGEST_INTEGER` digits; `OutOfRangeError` beyond."""
    if len(text) <= SHORT_INTEGER:
        return int(text)
    if len(text) > LONGEST_INTEGER:
        raise OutOfRangeError(f"a whole number of more than {LONGEST_INTEGER} characters")
    if text[0] in "+-":
        value = _digits(text[1:])
        return -value if text[0] == "-" else value
    return _digits(text)


def _digits(text: str) -> int:
    if len(text) <= SHORT_INTEGER:
        return int(text)
    low = len(text) // 2
    return int(_digits(text[:-low]) * 10**low + _digits(text[-low:]))


def read_word(text: str) -> tuple[bool, JsonValue]:
    """Whether `text` is one of the format's words, and its value."""
    if text in WORDS:
        return True, WORDS[text]
    return False, None
