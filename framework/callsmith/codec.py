"""Values to JSON and back.

`to_json` leaves out fields that have their default, so run folders stay readable and small;
`from_json` restores them. `loads(dumps(x), type(x)) == x` holds for every value.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from callsmith import types as values
from callsmith.errors import ConfigError
from callsmith.types import JsonValue

T = TypeVar("T")

INTEGER = "$integer"
"""Marks an integer that is too long for Python to read or write in digits: `{"$integer": "0x…"}`.
An object that has only such a key itself gets one more `$` there, and loses it again."""
LARGEST_BITS = 14_000
"""Integers of more bits are marked; Python's own limit is 4,300 digits (14,284 bits)."""


def to_json(value: object) -> JsonValue:
    """A value (or tuple, list, mapping of values) as JSON; defaults are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out: dict[str, JsonValue] = {}
        for name, default in _fields(type(value)):
            item = getattr(value, name)
            if (
                default is not dataclasses.MISSING
                and item == default
                and type(item) is type(default)
            ):
                continue
            out[name] = to_json(item)
        return out
    if isinstance(value, Mapping):
        if len(value) == 1 and _is_mark(key := next(iter(value))):
            return {f"${key}": to_json(value[key])}
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        return {INTEGER: hex(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _is_mark(key: object) -> bool:
    return isinstance(key, str) and key.startswith("$") and key.lstrip("$") == INTEGER[1:]


def _restore(data: object) -> object:
    """JSON data with the marks of `to_json` read back."""
    if isinstance(data, dict):
        if len(data) == 1 and _is_mark(key := next(iter(data))):
            if key == INTEGER and isinstance(data[key], str):
                return int(data[key], 16)
            return {key[1:]: _restore(data[key])}
        return {key: _restore(item) for key, item in data.items()}
    if isinstance(data, list):
        return [_restore(item) for item in data]
    return data


@functools.cache
def _fields(kind: type) -> tuple[tuple[str, object], ...]:
    rows: list[tuple[str, object]] = []
    for item in dataclasses.fields(cast(Any, kind)):
        default: object = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        rows.append((item.name, default))
    return tuple(rows)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, vars(values))


def from_json(data: object, kind: type[T]) -> T:
    """The value of type `kind` that `data` describes. Raises `ConfigError` where it does not."""
    return cast(T, _decode(data, kind, ""))


def _decode(data: object, kind: Any, path: str) -> object:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(data, Mapping):
            raise ConfigError(
                f"expected an object for {kind.__name__}, got {data!r:.80}", path=path
            )
        hints = _hints(kind)
        unknown = [key for key in data if key not in hints]
        if unknown:
            known = ", ".join(hints)
            raise ConfigError(
                f"{kind.__name__} has no field {unknown[0]!r}; it has: {known}", path=path
            )
        items = {
            key: _decode(item, hints[key], f"{path}.{key}" if path else key)
            for key, item in data.items()
        }
        try:
            return kind(**items)
        except TypeError as error:
            raise ConfigError(f"{kind.__name__}: {error}", path=path) from error
    origin = typing.get_origin(kind)
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise ConfigError(f"expected a list, got {data!r:.80}", path=path)
        arguments = typing.get_args(kind)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_decode(x, arguments[0], f"{path}[{i}]") for i, x in enumerate(data))
        if len(data) != len(arguments):
            raise ConfigError(f"expected {len(arguments)} items, got {len(data)}", path=path)
        pairs = zip(data, arguments, strict=True)
        return tuple(_decode(x, kind, f"{path}[{i}]") for i, (x, kind) in enumerate(pairs))
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        if data is None:
            return None
        if len(options) == 1:
            return _decode(data, options[0], path)
        return _restore(data)  # a JsonValue: whatever it is
    if origin is typing.Literal:
        if data not in typing.get_args(kind):
            allowed = ", ".join(map(str, typing.get_args(kind)))
            raise ConfigError(f"{data!r:.80} is not one of: {allowed}", path=path)
        return data
    if kind is float and type(data) is int:
        return float(data)
    if kind in (str, int, float, bool) and type(data) is not kind:
        raise ConfigError(f"expected {kind.__name__}, got {data!r:.80}", path=path)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, Mapping):
            raise ConfigError(f"expected an object, got {data!r:.80}", path=path)
        return _restore(data)
    return data


def dumps(value: object) -> str:
    """A value as one line of JSON (UTF-8 text, no line break inside)."""
    return json.dumps(to_json(value), ensure_ascii=False, separators=(",", ":"))


def loads(text: str, kind: type[T]) -> T:
    """The inverse of `dumps`."""
    return from_json(json.loads(text), kind)
