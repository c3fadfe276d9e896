"""The reading of a well-formed call: the format's own grammar, nothing to mend.

    call   = "call:" name object
    object = "{" [ key ":" value { "," key ":" value } ] "}"
    array  = "[" [ value { "," value } ] "]"
    value  = object | array | string | number | "true" | "false" | "null"
    string = "<|\"|>" text without the delimiter "<|\"|>"        (no escapes at all)

Google's reference grammar, with the names and keys that tools really have (dots, dashes, colons,
slashes, letters of any script, single spaces inside) and exponents, which the canonical template
prints. White space between tokens is not part of it. One regular expression cuts the text into
members in C; the loop below only assembles them, on a stack of its own.
"""

from __future__ import annotations

import re
from typing import Final

from callsmith import JsonValue
from callsmith_gemma4.scalars import (
    NUMBER,
    SHORT_INTEGER,
    WORDS,
    OutOfRangeError,
    read_number,
)

_KEY_START: Final = r"""[^\s{}\[\]:,<="'()]"""
_KEY_REST: Final = r"[^\s{}\[\]:,<=]"
KEY: Final = rf"{_KEY_START}{_KEY_REST}*+(?:[ ]{_KEY_REST}++)*+"
"""A bare key. It cannot begin with a quote or a parenthesis, nor hold structure or `<`."""

_NAME_START: Final = r"""[^\s{}\[\],<>"'=|():]"""
_NAME_REST: Final = r"[^\s{}\[\],<>=|()]"
NAME: Final = rf"{_NAME_START}{_NAME_REST}*+(?:[ ]{_NAME_REST}++)*+"
"""A tool's name. It cannot begin with a colon or a quote, nor hold structure or parentheses."""

HEAD: Final = re.compile(rf"call:({NAME})\{{")

# key, string, scalar, opener (or all the rest, where nothing fits), closers and comma
_MEMBER: Final = re.compile(
    rf"(?:({KEY}):)?+"
    r'(?:<\|"\|>([^<]*+(?:<(?!\|"\|>)[^<]*+)*+)<\|"\|>'
    rf"|({NUMBER.pattern}|true|false|null)(?=[,}}\]])"
    r"|([{\[]|[\s\S]++))"
    r"([}\]]*+,?)"
)


class TooDeepError(ValueError):
    """Containers are nested deeper than the reader's bound."""


def read_object(text: str, at: int, max_depth: int) -> tuple[dict[str, JsonValue], bool] | None:
    """The object whose `{` is just before `text[at]` and whose `}` is the end of `text`.

    Returns it and whether it holds any number or word, at any level; None if the text is not
    well-formed, repeats a key, or holds a number that is out of range. Raises `TooDeepError` where
    containers inside the object are nested deeper than `max_depth`.
    """
    root: dict[str, JsonValue] = {}
    if at == len(text) - 1 and text[at] == "}":
        return root, False
    container: dict[str, JsonValue] | list[JsonValue] = root
    stack: list[dict[str, JsonValue] | list[JsonValue]] = []
    is_object = True
    scalars = False
    value: JsonValue
    # Split, not findall: one flat list of strings, which the garbage collector need not visit.
    # Every character belongs to some member, so there is nothing between two of them.
    pieces = iter(_MEMBER.split(text[at:]))
    for _, key, string, scalar, opener, tail in zip(*[pieces] * 6, strict=False):
        if string is not None:
            value = string
        elif scalar is not None:
            scalars = True
            if scalar in WORDS:
                value = WORDS[scalar]
            elif len(scalar) <= SHORT_INTEGER:
                try:
                    value = int(scalar)
                except ValueError:
                    value = float(scalar)
                    if value - value != 0.0:
                        return None
            else:
                try:
                    value = read_number(scalar)
                except OutOfRangeError:
                    return None
        elif opener == "{":
            value = {}
        elif opener == "[":
            value = []
        else:
            return None
        if is_object:
            if key is None or key in container:
                return None
            container[key] = value
        elif key is None:
            container.append(value)  # type: ignore[union-attr]
        else:
            return None
        if opener is None:
            if tail == ",":
                continue
        else:
            stack.append(container)
            if len(stack) > max_depth:
                raise TooDeepError(f"containers are nested more than {max_depth} deep")
            container = value  # type: ignore[assignment]
            is_object = opener == "{"
            if not tail:
                continue
            if tail == ",":
                return None
        for position, mark in enumerate(tail, 1):
            if mark == ",":
                break
            if mark != ("}" if is_object else "]"):
                return None
            if not stack:
                # The outermost object ends: the text has to end as well.
                ended = position == len(tail) and list(pieces) == [""]
                return (root, scalars) if ended else None
            container = stack.pop()
            is_object = type(container) is dict
        else:
            return None
    return None
