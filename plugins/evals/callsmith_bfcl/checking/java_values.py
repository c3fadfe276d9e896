"""Java source text of one argument to the Python value that is compared.

Text that does not have the form of its declared type stays text, and normally fails the type
test. The patterns are the official scorer's, with what they misread: an item of an `Array` of
`String` keeps its quotes (D9), and a comma inside a string splits the item (D10).
"""

from __future__ import annotations

import re
from typing import Any, Final

from callsmith_bfcl.checking.source_items import MAX_SOURCE_LENGTH, split_items
from callsmith_bfcl.checking.values import Types

JAVA_TYPES: Final[Types] = {
    "byte": int,
    "short": int,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": bool,
    "char": str,
    "String": str,
    "any": str,
    "Array": list,
    "ArrayList": list,
    "HashMap": dict,
}
"""Declared types by their Python type. The official table has four more (Set, Hashtable, Queue,
Stack), on which the official scorer stops and which the data does not have."""

_NUMBERS: Final = {
    "byte": re.compile(r"^-?\d+$"),
    "short": re.compile(r"^-?\d+$"),
    "integer": re.compile(r"^-?\d+$"),
    "long": re.compile(r"^-?\d+[lL]$"),
    "float": re.compile(r"^-?\d+(\.\d+)?([eE][+-]?\d+)?[fF]$"),
    "double": re.compile(r"^-?\d+(\.\d+)?([eE][+-]?\d+)?$"),
}
_BOOLEANS: Final = {"true": True, "false": False}

_AS_LIST = re.compile(r"new\s+ArrayList<\w*>\(Arrays\.asList\((.+?)\)\)")
_DOUBLE_BRACES = re.compile(r"new\s+ArrayList<\w*>\(\)\s*\{\{\s*")
_ADD = re.compile(r"add\((.+?)\)")
_EMPTY_LIST = re.compile(r"new\s+ArrayList<\w*>\(\)")
_ARRAY = re.compile(r"new\s+\w+\[\]\s*\{(.*?)\}")
_MAP = re.compile(r"new\s+HashMap<")
_MAP_BODY = re.compile(r">\s*\(\)\s*\{\s*\{?\s*")
_EMPTY_MAP = re.compile(r"new\s+HashMap<.*?>\s*\(\)")
_BLANKS = re.compile(r"\s*")


def convert_java(
    text: str,
    declared: str,
    item_declared: str | None = None,
    fixes: frozenset[str] = frozenset(),
) -> Any:
    """The value of a source text by its declared type, or the text itself.

    `item_declared` is the type of a list's items. Raises `ValueError` for a declared type on
    which the official scorer stops.
    """
    if declared in ("String", "any", "char") or len(text) > MAX_SOURCE_LENGTH:
        return text
    if declared == "boolean":
        return _BOOLEANS.get(text, text)
    pattern = _NUMBERS.get(declared)
    if pattern is not None:
        if not pattern.match(text):
            return text
        number = text.rstrip("\n").rstrip("lLfF")
        return float(number) if declared in ("float", "double") else int(number)
    if declared == "ArrayList":
        return _array_list(text, item_declared, fixes)
    if declared == "Array":
        return _array(text, item_declared, fixes)
    if declared == "HashMap":
        return _hash_map(text)
    raise ValueError(f"{declared!r} is no type of the benchmark's Java")


def untyped(text: str) -> Any:
    """The value of a source text by its own form: what stands in a map, or in a list of any."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text.startswith('"') and text.endswith('"'):
        return text[1:-1]
    if _NUMBERS["long"].match(text):
        return int(text[:-1])
    if _NUMBERS["float"].match(text):
        return float(text.rstrip("\n").rstrip("fF"))
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _array_list(text: str, item_declared: str | None, fixes: frozenset[str]) -> Any:
    found = _AS_LIST.search(text)
    if found:
        inside = found.group(1)
        items = split_items(inside) if "D10" in fixes else inside.split(",")
        return [_list_item(item.strip(), item_declared) for item in items]
    found = _DOUBLE_BRACES.search(text)
    if found:
        # At least one character, so that braces without anything in them are not found.
        end = text.find("}}", found.end() + 1)
        if end >= 0:
            added = _ADD.findall(text, found.end(), end)
            return [_list_item(item.strip(), item_declared) for item in added]
    return [] if _EMPTY_LIST.search(text) else text


def _list_item(text: str, declared: str | None) -> Any:
    if declared in ("String", "char"):
        return text[1:-1]
    return convert_java(text, declared) if declared else untyped(text)


def _array(text: str, item_declared: str | None, fixes: frozenset[str]) -> Any:
    found = _ARRAY.search(text)
    if not found:
        return text
    inside = found.group(1)
    parts = split_items(inside) if "D10" in fixes else [part.strip() for part in inside.split(",")]
    items = [
        convert_java(part, item_declared) if item_declared else untyped(part)
        for part in parts
        if part
    ]
    if "D9" in fixes and item_declared == "String":
        return [_unquoted(item) for item in items]
    return items


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _hash_map(text: str) -> Any:
    start = _MAP.search(text)
    if not start:
        return text
    body = _MAP_BODY.search(text, start.end())
    end = text.find("}", body.end()) if body else -1
    if body and end >= 0:
        return {key: untyped(value.strip()) for key, value in _puts(text[body.end() : end])}
    return {} if _EMPTY_MAP.search(text) else text


def _puts(body: str) -> list[tuple[str, str]]:
    """Keys and values of the `put("key", value)` of a map's body.

    A key ends at the first `",` after which a value and its bracket follow on one line; key and
    value themselves hold no line break.
    """
    found = []
    start = body.find('put("')
    while start >= 0:
        start += len('put("')
        line_end = body.find("\n", start)
        line_end = len(body) if line_end < 0 else line_end
        # Behind the first `",`, or behind the last one if only blanks separate it from the line's
        # end: every other one is followed by the same rest of the line as the first.
        after = start
        for key_end in (body.find('",', start, line_end), body.rfind('",', start, line_end)):
            value = _value_at(body, key_end + 2) if key_end >= 0 else None
            if value is not None:
                found.append((body[start:key_end], body[value[0] : value[1]]))
                after = value[1]
                break
        start = body.find('put("', after)
    return found


def _value_at(body: str, position: int) -> tuple[int, int] | None:
    """Where the value that begins there, behind blanks, starts and ends; None if it does not."""
    blanks = _BLANKS.match(body, position)
    start = blanks.end() if blanks else position
    end = body.find(")", start)
    return (start, end) if end >= 0 and body.find("\n", start, end) < 0 else None
