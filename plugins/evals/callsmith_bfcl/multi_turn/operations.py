"""What a call's text may compute: operators, a few builtins, a few methods of plain values.

Only on plain values (and on the numbers that MathAPI returns), each bounded in size before it is
computed. String formatting with `%` and `format` is left out: its width takes any size.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from callsmith_bfcl.multi_turn.budget import (
    MAX_BITS,
    MAX_LENGTH,
    Budget,
    CallError,
    weigh,
)
from callsmith_bfcl.multi_turn.guards import check_digits, check_power

_SEQUENCES = (str, bytes, list, tuple)
_NUMBERS = (int, float, bool, complex)
_PLAIN = (*_SEQUENCES, *_NUMBERS, dict, set, frozenset, range, type(None))

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.BitAnd: operator.and_,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


def combine(operation: ast.operator, left: Any, right: Any, budget: Budget) -> Any:
    """A binary operation. Raises what Python raises, or `CallError` when it would be too large."""
    function = _ARITHMETIC.get(type(operation))
    if function is None:
        raise CallError("matrix products are not evaluated")
    kind = type(operation)
    if type(left) not in _PLAIN or type(right) not in _PLAIN:
        if kind not in (ast.Add, ast.Sub, ast.Mult, ast.Div):
            raise CallError("the operator is not evaluated on such values")
        if type(left) in _SEQUENCES or type(right) in _SEQUENCES:
            raise TypeError("unsupported operand types")
        return function(left, right)
    if type(left) in (str, bytes) and kind is ast.Mod:
        raise CallError("string formatting is not evaluated")
    if kind is ast.Mult:
        _bound_product(left, right, budget)
    elif kind is ast.Pow:
        check_power(left, right)
    elif kind is ast.LShift and isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right > MAX_BITS:
            raise CallError("the number is too large")
    elif kind is ast.Add and type(left) in _SEQUENCES and type(left) is type(right):
        _bound_length(len(left) + len(right), budget)
    result = function(left, right)
    if type(result) is int:
        if result.bit_length() > MAX_BITS:
            raise CallError("the number is too large")
    elif type(result) not in _NUMBERS:
        budget.admit(result)
    return result


def unary(operation: ast.unaryop, value: Any) -> Any:
    """A unary operation on any value."""
    return _UNARY[type(operation)](value)


def compare(operation: ast.cmpop, left: Any, right: Any, budget: Budget) -> Any:
    """One comparison. Long values cost what it takes to compare them."""
    if type(left) not in _NUMBERS or type(right) not in _NUMBERS:
        budget.admit(left)
        budget.admit(right)
    return _COMPARISONS[type(operation)](left, right)


def _bound_product(left: Any, right: Any, budget: Budget) -> None:
    for sequence, times in ((left, right), (right, left)):
        if type(sequence) in _SEQUENCES and isinstance(times, int) and times > 0:
            _bound_length(weigh(sequence) * times, budget)


def _bound_length(length: int, budget: Budget) -> None:
    if length > MAX_LENGTH:
        raise CallError(f"the value would have more than {MAX_LENGTH} characters or items")
    budget.charge(length)


def _items(value: Any) -> Any:
    """A value that may be iterated over: Python's own, and not too long."""
    if type(value) is range and len(value) > MAX_LENGTH:
        raise CallError("the range is too long")
    if type(value) not in (*_SEQUENCES, dict, set, frozenset, range):
        raise TypeError(f"'{type(value).__name__}' object is not iterable")
    return value


def _sum(values: Any) -> Any:
    total: Any = 0
    for value in _items(values):
        if type(value) in _SEQUENCES:
            raise TypeError(
                f"unsupported operand type(s) for +: 'int' and '{type(value).__name__}'"
            )
        total = total + value
    return total


def _round(value: Any, digits: Any = None) -> Any:
    check_digits(digits)
    return round(value) if digits is None else round(value, digits)


def _dict(value: Any = (), /, **items: Any) -> Any:
    found = {} if value == () else dict(_items(value))
    found.update(items)
    return found


def _extreme(choose: Callable[[Any], Any]) -> Callable[..., Any]:
    def chosen(*values: Any) -> Any:
        return choose(_items(values[0]) if len(values) == 1 else values)

    return chosen


def _nothing(*values: Any, **options: Any) -> None:
    """`print`: official results show what it returns; what it writes is seen by nobody."""


BUILTINS: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "bool": lambda value=False: bool(value),
    "dict": _dict,
    "float": lambda value=0.0: float(value),
    "int": lambda value=0, *base: int(value, *base),
    "len": len,
    "list": lambda value=(): list(_items(value)),
    "max": _extreme(max),
    "min": _extreme(min),
    "print": _nothing,
    "range": range,
    "repr": repr,
    "round": _round,
    "set": lambda value=(): set(_items(value)),
    "sorted": lambda value, reverse=False: sorted(_items(value), reverse=reverse),
    "str": lambda value="": str(value),
    "sum": _sum,
    "tuple": lambda value=(): tuple(_items(value)),
}
"""Builtins that a call may use. Every other name is unknown."""


def call_builtin(name: str, args: list[Any], kwargs: dict[str, Any], budget: Budget) -> Any:
    """Calls one of `BUILTINS`. Its arguments and its result are charged."""
    for value in (*args, *kwargs.values()):
        if type(value) is not range or name in ("list", "tuple", "set", "sorted", "sum"):
            budget.admit(value)
    result = BUILTINS[name](*args, **kwargs)
    if type(result) is not range:
        budget.admit(result)
    return result


_NAMES: Mapping[type[Any], str] = {
    str: "capitalize casefold count endswith find index isalpha isdigit join lower lstrip"
    " removeprefix removesuffix replace rsplit rstrip split splitlines startswith strip"
    " swapcase title upper",
    dict: "get items keys values",
    list: "count index",
    tuple: "count index",
}
_METHODS: Mapping[type[Any], Mapping[str, Callable[..., Any]]] = {
    kind: {name: vars(kind)[name] for name in names.split()} for kind, names in _NAMES.items()
}
"""Methods that read a plain value and change nothing."""


def call_method(
    value: Any, name: str, args: list[Any], kwargs: dict[str, Any], budget: Budget
) -> Any:
    """Calls a pure method of a plain value; the caller has seen to it with `has_method`."""
    weights = [weigh(item) for item in (value, *args, *kwargs.values())]
    budget.charge(sum(weights))
    if name == "replace" and len(args) >= 2 and all(type(item) is str for item in args[:2]):
        count = value.count(args[0])
        _bound_length(len(value) + count * max(0, len(args[1]) - len(args[0])), budget)
    elif name == "join" and args:
        _bound_length(len(value) * len(_items(args[0])) + weights[1], budget)
    result = _METHODS[type(value)][name](value, *args, **kwargs)
    if type(value) is dict and name != "get":
        result = list(result)
    budget.admit(result)
    return result


def has_method(value: Any, name: str) -> bool:
    """Whether a call may use this method of a value. Nothing is looked up on the value."""
    return name in _METHODS.get(type(value), {})
