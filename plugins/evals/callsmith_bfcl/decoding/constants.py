"""A bounded evaluator of constant expressions: `1 + 2`, `'a' * 3`, `[1] * 2`.

The benchmark computes an arithmetic expression that stands as an argument while it decodes. Here
that is done over the parsed syntax tree, by this table of operations and no other: no names but
the few pure functions of `FUNCTIONS`, no attributes, and nothing that a model wrote is executed.
Every result is bounded in size, and one `Arithmetic` bounds the work of one whole text, so that
`9**9**9` and `'a' * 10**10` are errors at once.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

MAX_SIZE: Final = 100_000
"""Characters and items of one result, nested ones included; 8 bits of an integer count as one."""
MAX_WORK: Final = 5_000_000
"""The sum of the sizes of all results while one text is decoded."""

_LARGE_FORMAT = re.compile(r"%[^%a-zA-Z]*(?:\d{5}|\*)")

_LARGE_WIDTH = re.compile(r"\d{5}")

_BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
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
_UNARY: Final[Mapping[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "abs": abs,
    "bool": bool,
    "float": float,
    "int": int,
    "len": len,
    "max": max,
    "min": min,
    "round": round,
    "str": str,
    "sum": sum,
}
"""The builtin functions that a constant expression may call, with positional arguments."""


class ConstantError(ValueError):
    """The expression is no constant, fails, or is too large."""


class Arithmetic:
    """Evaluates constant expressions; all that one instance evaluates share one bound."""

    def __init__(self, work: int = MAX_WORK) -> None:
        self._work = work

    def evaluate(self, node: ast.expr) -> object:
        """The value of an expression. Raises `ConstantError`."""
        try:
            return self._value(node)
        except ConstantError:
            raise
        except RecursionError:
            raise ConstantError("the expression is nested too deeply") from None
        except Exception as error:  # whatever an operation on ill-matched operands raises
            raise ConstantError(f"the expression cannot be computed: {error}") from None

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.BinOp():
                return self._binary(node.op, self._value(node.left), self._value(node.right))
            case ast.UnaryOp():
                return self._sized(_UNARY[type(node.op)](self._value(node.operand)))
            case ast.List():
                return list(self._items(node.elts))
            case ast.Tuple():
                return tuple(self._items(node.elts))
            case ast.Set():
                return set(self._items(node.elts))
            case ast.Dict() if None not in node.keys:
                keys = self._items(key for key in node.keys if key is not None)
                return dict(zip(keys, self._items(node.values), strict=True))
            case ast.BoolOp():
                return self._boolean(node)
            case ast.Compare():
                return self._comparison(node)
            case ast.IfExp():
                return self._value(node.body if self._value(node.test) else node.orelse)
            case ast.Subscript():
                return self._sized(self._value(node.value)[self._index(node.slice)])
            case ast.JoinedStr():
                return self._sized("".join(map(self._text_part, node.values)))
            case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS:
                return self._sized(FUNCTIONS[name](*self._items(node.args)))
        raise ConstantError(f"{type(node).__name__} is no part of a constant expression")

    def _items(self, nodes: Iterable[ast.expr]) -> list[Any]:
        return [self._value(node) for node in nodes]

    def _index(self, node: ast.expr) -> Any:
        if not isinstance(node, ast.Slice):
            return self._value(node)
        parts = (node.lower, node.upper, node.step)
        return slice(*(None if part is None else self._value(part) for part in parts))

    def _text_part(self, node: ast.expr) -> str:
        """One part of an f-string: a text, or a value with its conversion and format."""
        if not isinstance(node, ast.FormattedValue):
            return str(self._value(node))
        value = self._value(node.value)
        form = "" if node.format_spec is None else str(self._value(node.format_spec))
        if _LARGE_WIDTH.search(form):
            raise ConstantError("the format asks for a very wide field")
        conversion = {-1: None, ord("s"): str, ord("r"): repr, ord("a"): ascii}[node.conversion]
        text = format(conversion(value) if conversion else value, form)
        self._spend(len(text))
        return text

    def _boolean(self, node: ast.BoolOp) -> Any:
        wanted = isinstance(node.op, ast.Or)
        value = None
        for operand in node.values:
            value = self._value(operand)
            if bool(value) is wanted:
                break
        return value

    def _comparison(self, node: ast.Compare) -> Any:
        left = self._value(node.left)
        result: Any = True
        for compare, right_node in zip(node.ops, node.comparators, strict=True):
            right = self._value(right_node)
            result = _COMPARISONS[type(compare)](left, right)
            if not result:
                break
            left = right
        return result

    def _binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        function = _BINARY.get(type(op))
        if function is None:
            raise ConstantError(f"{type(op).__name__} is no arithmetic operation")
        self._foresee(op, left, right)
        return self._sized(function(left, right))

    def _foresee(self, op: ast.operator, left: Any, right: Any) -> None:
        """Refuses what would grow beyond the bounds before it is computed."""
        if isinstance(op, ast.Mult):
            for sequence, times in ((left, right), (right, left)):
                if isinstance(times, int) and isinstance(sequence, str | bytes | list | tuple):
                    self._spend(size(sequence) * max(times, 0))
        elif isinstance(op, ast.Pow) and isinstance(left, int) and isinstance(right, int):
            self._spend(left.bit_length() * max(right, 0) // 8)
        elif isinstance(op, ast.LShift) and isinstance(left, int) and isinstance(right, int):
            self._spend((left.bit_length() + max(right, 0)) // 8)
        elif isinstance(op, ast.Mod) and isinstance(left, str | bytes):
            text = left if isinstance(left, str) else left.decode("latin-1")
            if _LARGE_FORMAT.search(text):
                raise ConstantError("the format asks for a very wide field")

    def _sized(self, value: Any) -> Any:
        self._spend(size(value))
        return value

    def _spend(self, amount: int) -> None:
        self._work -= amount + 1
        if amount > MAX_SIZE or self._work < 0:
            raise ConstantError("the expression is too large")


def size(value: object) -> int:
    """Characters, bytes of integers and items of a value, those of nested values included.

    An item that occurs twice counts twice: that is what printing or comparing the value costs.
    """
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, int):
        return value.bit_length() // 8
    if isinstance(value, list | tuple | set | frozenset):
        return len(value) + sum(map(size, value))
    if isinstance(value, dict):
        return len(value) + sum(map(size, value)) + sum(map(size, value.values()))
    return 1
