"""The text of a call's result, as the official scorer makes it.

Long contexts put the same lists of a thousand prices into one result after the other. Their JSON is
most of what such calls cost, so that of each long list is kept.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from operator import is_
from typing import Any

LONG = 256
"""Items of a list whose JSON is kept."""
KEPT = 16
"""Lists of which it is kept."""

_ATOMS = frozenset({str, int, float, bool, type(None)})
_kept: OrderedDict[int, tuple[list[Any], str]] = OrderedDict()


def result_text(value: object) -> str:
    """A text as it is, a dict as JSON (its `repr` if it has none), anything else as `str`."""
    if type(value) is str:
        return value
    if type(value) is not dict:
        return str(value)
    try:
        long = [item for item in value.values() if type(item) is list and len(item) >= LONG]
        if not long or any(type(key) is not str for key in value):
            return json.dumps(value)
        parts = [f"{json.dumps(key)}: {_part(item)}" for key, item in value.items()]
        return "{" + ", ".join(parts) + "}"
    except Exception:
        return str(value)


def _part(value: object) -> str:
    if type(value) is not list or len(value) < LONG:
        return json.dumps(value)
    found = _kept.get(id(value))
    # The very same items, which cannot change: then the text is the same, whatever list this is.
    if found is not None and len(found[0]) == len(value) and all(map(is_, found[0], value)):
        return found[1]
    text = json.dumps(value)
    if all(type(item) in _ATOMS for item in value):
        _kept[id(value)] = (value.copy(), text)
        if len(_kept) > KEPT:
            _kept.popitem(last=False)
    return text
