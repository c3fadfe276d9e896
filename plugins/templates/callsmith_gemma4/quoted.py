"""Strings between double quotes, as JSON writes them."""

from __future__ import annotations

import re
from typing import Final

JSON_STRING: Final = re.compile(r'"(?:[^"\\]|\\[\s\S])*+"')
"""A whole string with its quotes; line breaks may stand in it."""

_ESCAPE: Final = re.compile(
    r"\\(?:([\"\\/bfnrt])"
    r"|u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u((?![dD][89a-fA-F])[0-9a-fA-F]{4}))"
)
_SHORT: Final = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}


def unescape_json(text: str) -> str:
    """The text that stands between the quotes of a JSON string.

    What is no escape of JSON (`\\s`, half of a surrogate pair) stays as it is written.
    """
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    short, high, low, code = match.groups()
    if short:
        return _SHORT[short]
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00))
    return chr(int(code, 16))
