"""The objects of a file of JSON lines, quickly.

Loading is a large part of the time that scoring takes, so the text of a question file is cut
before it is parsed: most live entries repeat the function documents of their neighbours, and each
distinct list of documents is parsed once and shared between the objects.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

_BEFORE_FUNCTIONS = '], "function": ['


def read_records(data: bytes) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    # Lines end with a line feed alone: JSON text may hold other characters that end lines.
    lines = [line for line in data.decode("utf-8").split("\n") if line.strip()]
    return _sharing_functions(lines) or _together(lines)


def _together(values: Sequence[str]) -> list[Any]:
    # One call for all: the parser then keeps one copy of each key.
    parsed: list[Any] = json.loads(f"[{','.join(values)}]")
    return parsed


def _sharing_functions(lines: Sequence[str]) -> list[dict[str, Any]] | None:
    """The lines with each distinct list of functions parsed once; None if they cannot be cut.

    Inside JSON strings every quote is escaped, so the cut is between two keys or values; that
    both sides are whole is seen from their parsing, and the caller parses whole lines otherwise.
    """
    heads: list[str] = []
    tails: list[str] = []
    for line in lines:
        head, cut, tail = line.partition(_BEFORE_FUNCTIONS)
        if not cut or not tail.rstrip().endswith("]}"):
            return None
        heads.append(head + "]}")
        tails.append("[" + tail.rstrip()[:-1])
    places = {text: place for place, text in enumerate(dict.fromkeys(tails))}
    try:
        records, documents = _together(heads), _together(list(places))
    except ValueError:
        return None
    if len(records) != len(lines) or len(documents) != len(places):
        return None
    for record, text in zip(records, tails, strict=True):
        record["function"] = documents[places[text]]
    return records
