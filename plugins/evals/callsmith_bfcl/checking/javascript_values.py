"""JavaScript source text of one argument to the Python value that is compared.

Text that does not have the form of its declared type stays text. The patterns are the official
scorer's, with what they misread: a comma inside a string splits the item of a list, and
`", key:"` inside one begins a new key of an object (D10).
"""

from __future__ import annotations

import re
from typing import Any, Final

from callsmith_bfcl.checking.source_items import MAX_SOURCE_LENGTH, split_items
from callsmith_bfcl.checking.values import Types

JAVASCRIPT_TYPES: Final[Types] = {
    "String": str,
    "integer": int,
    "float": float,
    "Bigint": int,
    "Boolean": bool,
    "dict": dict,
    "array": list,
    "any": str,
}

_NUMBERS: Final = {
    "integer": re.compile(r"^-?\d+$"),
    "float": re.compile(r"^-?\d+(\.\d+)?$"),
    "Bigint": re.compile(r"^-?\d+n$"),
}
_BOOLEANS: Final = {"true": True, "false": False}

_ARRAY = re.compile(r"\[(.*?)\]|\bnew\s+Array\((.*?)\)")
_ROWS = re.compile(r"(\[|\bnew\s+Array\()\s*(?=\[)")
_ROW = re.compile(r"\[(.*?)\]")
_BETWEEN_ROWS = re.compile(r"\s*(,\s*\[)?")
_OBJECT = re.compile(r"\{(.*?)\}")
_PAIRS = re.compile(r"([^:]+):\s*(.*?)(?:,\s*(?=[^,]+:)|$)")


def convert_javascript(
    text: str,
    declared: str,
    item_declared: str | None = None,
    fixes: frozenset[str] = frozenset(),
) -> Any:
    """The value of a source text by its declared type, or the text itself.

    `item_declared` is the type of a list's items. Raises `ValueError` for a declared type on
    which the official scorer stops.
    """
    if declared == "any" or len(text) > MAX_SOURCE_LENGTH:
        return text
    if declared == "String":
        return text[1:-1] if _is_quoted(text) else text
    if declared == "Boolean":
        return _BOOLEANS.get(text, text)
    pattern = _NUMBERS.get(declared)
    if pattern is not None:
        if not pattern.match(text):
            return text
        number = text.rstrip("\n").rstrip("n")
        return float(number) if declared == "float" else int(number)
    if declared == "array":
        return _array(text.strip(), item_declared, fixes)
    if declared == "dict":
        return _object(text.strip(), fixes)
    raise ValueError(f"{declared!r} is no type of the benchmark's JavaScript")


def untyped(text: str) -> Any:
    """The value of a source text by its own form."""
    text = text.strip()
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _is_quoted(text):
        return text[1:-1]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _is_quoted(text: str) -> bool:
    """Whether a text begins and ends with the same quote, which may be the same character."""
    return text != "" and text[0] == text[-1] and text[0] in "\"'"


def _array(code: str, item_declared: str | None, fixes: frozenset[str]) -> Any:
    try:
        if "D10" in fixes and code.startswith("[") and code.endswith("]"):
            return [_item(part, item_declared, fixes) for part in split_items(code[1:-1])]
        rows = _rows(code)
        if rows is not None:
            return [[untyped(item) for item in row.split(",")] for row in rows]
        found = _ARRAY.match(code)
        if not found:
            return code
        inside = (found.group(1) if found.group(1) is not None else found.group(2)).strip()
        parts = inside.split(",") if inside else []
        return [_item(part.strip(), item_declared, fixes) for part in parts]
    except ValueError:  # the official scorer, too, takes the text where an item cannot be read
        return code


def _item(text: str, declared: str | None, fixes: frozenset[str]) -> Any:
    if not declared:
        if "D10" in fixes and text[:1] == "[":
            return _array(text, None, fixes)
        return _object(text, fixes) if "D10" in fixes and text[:1] == "{" else untyped(text)
    quoted = text.startswith(("'", '"'))
    return convert_javascript(text, declared, "String" if quoted else None, fixes)


def _rows(code: str) -> list[str] | None:
    """The insides of the rows of an array of arrays, each stripped; None if it is none.

    Rows are texts in brackets on one line, separated by commas, up to the bracket that closes the
    array; a row may go beyond its first closing bracket if the array closes only behind another.
    """
    opening = _ROWS.match(code)
    if not opening:
        return None
    end = _end_of_rows(code, opening.end(), "]" if opening.group(1) == "[" else ")")
    if end is None:
        return None
    rows = [inside.strip() for inside in _ROW.findall(code[:end])]
    if rows and rows[0].startswith("["):
        rows[0] = rows[0][1:]
    return rows


def _end_of_rows(code: str, start: int, closing: str) -> int | None:
    """Where the array of arrays ends whose first row opens at `start`.

    One pass over the closing brackets is enough: where a row that opens behind one comes to
    nothing, no longer reading of the row before it can help, as the rest of its line was the same.
    """
    while True:
        line_end = code.find("\n", start)
        end = code.find("]", start + 1, line_end if line_end >= 0 else len(code)) + 1
        if not end:
            return None
        between = _BETWEEN_ROWS.match(code, end)
        start = end - 1
        if between is not None and between.group(1):
            start = between.end() - 1
        elif between is not None and code.startswith(closing, between.end()):
            return between.end() + 1


def _object(code: str, fixes: frozenset[str]) -> Any:
    if code == "{}":
        return {}
    if "D10" in fixes and code.startswith("{") and code.endswith("}"):
        return _object_by_commas(code, fixes)
    found = _OBJECT.match(code)
    if not found:
        return code
    result: dict[str, Any] = {}
    for key, value in _PAIRS.findall(found.group(1)):
        result[key.strip().strip("'\"")] = _member(value.strip(), fixes)
    return result


def _object_by_commas(code: str, fixes: frozenset[str]) -> Any:
    """An object whose strings may hold commas and colons, or the text if it is none."""
    result: dict[str, Any] = {}
    for part in split_items(code[1:-1]):
        pair = split_items(part, ":", 1)
        if len(pair) != 2:
            return code
        result[pair[0].strip("'\"")] = _member(pair[1], fixes)
    return result


def _member(value: str, fixes: frozenset[str]) -> Any:
    if value.startswith("[") and value.endswith("]"):
        return _array(value, None, fixes)
    if value.startswith("{") and value.endswith("}"):
        return _object(value, fixes)
    return untyped(value.strip("'\""))
