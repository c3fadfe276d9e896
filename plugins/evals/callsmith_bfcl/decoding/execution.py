"""Calls of a multi-turn step, written back as the source of one call each.

The official way back is lossy (D5): an argument `{}` spoils the whole step, and an object whose
values are all objects is written as a call. With the fix D5 values are written as what they are.
"""

from __future__ import annotations

from callsmith_bfcl.decoding.errors import DecodeError
from callsmith_bfcl.decoding.python_text import NestedCall, PythonCalls


def execution_calls(text: str, fixes: frozenset[str] = frozenset()) -> list[str]:
    """The calls of a text in the Python return format. Raises `DecodeError`."""
    faithful = "D5" in fixes
    calls = []
    for call in PythonCalls(fixes).decode(text):
        for name, arguments in call.items():
            try:
                calls.append(_source(name, arguments, faithful))
            except (ValueError, RecursionError) as error:
                raise DecodeError(f"a call of {name!r} cannot be written back: {error}") from None
    return calls


def _source(name: object, arguments: dict[str | None, object], faithful: bool) -> str:
    inside = ", ".join([f"{key}={_value(value, faithful)}" for key, value in arguments.items()])
    return f"{name}({inside})"


def _value(value: object, faithful: bool) -> str:
    if faithful:
        return _faithful(value)
    if not isinstance(value, dict):
        return repr(value)
    if not value:
        raise DecodeError("an argument is an empty object")
    if all(isinstance(item, dict) for item in value.values()):
        name, arguments = next(iter(value.items()))
        return _source(name, arguments, faithful)
    return "{" + ", ".join([f"'{key}': {_value(item, False)}" for key, item in value.items()]) + "}"


def _faithful(value: object) -> str:
    if isinstance(value, NestedCall):
        return ", ".join(_source(name, arguments, True) for name, arguments in value.items())
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_faithful(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_faithful, value)) + "]"
    return repr(value)
