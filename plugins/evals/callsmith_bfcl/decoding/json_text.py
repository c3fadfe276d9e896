"""The JSON return format: an array of objects with the keys "function" and "parameters"."""

from __future__ import annotations

import json
import re

from callsmith_bfcl.decoding.errors import DecodeError

_OPENING = re.compile(r"\[\s*\{")
_CLOSING = re.compile(r"\}\s*\]")


def decode_json(text: str) -> list[dict[str, object]]:
    """The calls of the first array of objects in the text; [] where there is no JSON at all.

    Items that are no objects are passed over. Raises `DecodeError` for an object without
    "function" or "parameters", and for JSON that cannot be gone through.
    """
    try:
        value = json.loads(_array_of_objects(text))
    except json.JSONDecodeError:
        return []
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"the JSON cannot be read: {error}") from None
    if not isinstance(value, list | dict | str):
        raise DecodeError(f"the JSON is no array but {type(value).__name__}")
    try:
        return [{item["function"]: item["parameters"]} for item in value if isinstance(item, dict)]
    except (KeyError, TypeError) as error:
        raise DecodeError(f"an object has no usable {error}") from None


def _array_of_objects(text: str) -> str:
    """What the benchmark's search for `[ {...}, {...} ]` finds, in linear time.

    It starts at the first bracket before a brace and ends at the first brace before a bracket
    that follows; inside, anything may stand. Everything from the first `[` to the last `]` where
    there is no such array, and the whole text where there are no brackets.
    """
    first, last = text.find("["), text.rfind("]")
    if 0 <= first < last:
        text = text[first : last + 1]
    opening = _OPENING.search(text)
    closing = _CLOSING.search(text, opening.end()) if opening else None
    return text[opening.start() : closing.end()] if opening and closing else text
