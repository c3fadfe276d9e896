"""Calls written as Python text: `[get_weather(city="Paris", days=2), news.top()]` (ToolACE).

Nothing is executed: arguments are read as literals. Function names may hold spaces and any
character but a bracket, which is how the data set writes them.
"""

from __future__ import annotations

import ast
import warnings

from callsmith import JsonValue, ToolCall
from callsmith_tasks.data.row import RowError

NAMES: dict[str, JsonValue] = {"true": True, "false": False, "null": None, "none": None}
MAX_LENGTH = 100_000


def calls_from_text(text: str) -> tuple[ToolCall, ...]:
    """The calls of a bracketed list. Raises `RowError` (`unreadable-call`) for anything else."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        raise RowError("unreadable-call", f"expected [name(…), …], got {text!r:.80}")
    if len(text) > MAX_LENGTH:
        raise RowError("unreadable-call", f"{len(text)} characters of calls are too many")
    calls: list[ToolCall] = []
    at, end = 1, len(text) - 1
    while at < end:
        opened = text.find("(", at, end)
        name = text[at:opened].strip() if opened > 0 else ""
        if opened < 0 or not name or set(name) & set("[]{}\"',="):
            raise RowError("unreadable-call", f"expected name(…) at {text[at:]!r:.60}")
        closed = _close(text, opened, end)
        calls.append(ToolCall(name=name, arguments=_arguments(text[opened + 1 : closed], name)))
        rest = text[closed + 1 : end].lstrip()
        if rest and not rest.startswith(","):
            raise RowError("unreadable-call", f"expected a comma before {rest!r:.60}")
        at = end - len(rest) + 1 if rest else end
    return tuple(calls)


def _close(text: str, opened: int, end: int) -> int:
    """The index of the bracket that closes the one at `opened`; quotes are skipped over."""
    depth, quote, at = 0, "", opened
    while at < end:
        char = text[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise RowError("unreadable-call", f"the bracket of {text[:opened]!r:.60} is never closed")


def _arguments(text: str, name: str) -> dict[str, JsonValue]:
    try:
        tree = _parse(f"f({text})")
        if not isinstance(tree, ast.Call) or tree.args:
            raise RowError("unreadable-call", f"{name}: an argument has no name")
        found: dict[str, JsonValue] = {}
        for keyword in tree.keywords:
            if keyword.arg is None:
                raise RowError("unreadable-call", f"{name}: ** is no argument")
            found[keyword.arg] = _value(keyword.value, name)
        return found
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, RowError):
            raise
        what = getattr(error, "msg", None) or str(error)
        raise RowError("unreadable-call", f"{name}: {what}: {text!r:.60}") from None


def _parse(text: str) -> ast.expr:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a data set's "\\d" is not our warning
        return ast.parse(text, mode="eval").body


def _value(node: ast.expr, name: str) -> JsonValue:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.Name(id=word) if word.casefold() in NAMES:
            return NAMES[word.casefold()]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item, name) for item in items]
        case ast.Dict(keys=keys, values=values):
            out: dict[str, JsonValue] = {}
            for key, item in zip(keys, values, strict=True):
                if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                    raise RowError("unreadable-call", f"{name}: a key is no text")
                out[key.value] = _value(item, name)
            return out
    raise RowError("unreadable-call", f"{name}: no literal: {ast.unparse(node)!r:.60}")


def loose_json(text: str) -> JsonValue:
    """A Python literal with JSON's meaning (Hermes writes some calls so). Raises `ValueError`."""
    try:
        return _value(_parse(text.strip()), "a value")
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from None
