"""The Python return format: `[name(parameter=value, ...), ...]`.

The text is parsed, never compiled or run. The behaviours of the official decoder that contradict
Python, or the format it asks for, are kept: every unary operator negates (D1), arithmetic is
computed (D2), positional arguments vanish (D4). `fixes` turns those off.
"""

from __future__ import annotations

import ast
import re
import warnings
from contextlib import AbstractContextManager, nullcontext

from callsmith_bfcl.decoding.constants import Arithmetic, ConstantError
from callsmith_bfcl.decoding.errors import DecodeError

Calls = list[dict[str, dict[str | None, object]]]


class NestedCall(dict[str, dict[str | None, object]]):
    """A call with arguments that stands as a value; to the checker it is the object it looks like.

    Only readers that write calls back as source ask for the difference.
    """


def decode_python(text: str, fixes: frozenset[str] = frozenset()) -> Calls:
    """The calls of a flat list of calls, or of one call. Raises `DecodeError`."""
    return PythonCalls(fixes).decode(text)


class PythonCalls:
    """Reads the calls of one text; `fixes` as in `callsmith_bfcl.strict`."""

    def __init__(self, fixes: frozenset[str] = frozenset()) -> None:
        self._signed = "D1" in fixes
        self._named = "D4" in fixes
        self._nested: type[dict[str, dict[str | None, object]]] = (
            NestedCall if "D5" in fixes else dict
        )
        self._arithmetic = Arithmetic()

    def decode(self, text: str) -> Calls:
        """The calls of the text. Raises `DecodeError` and nothing else."""
        try:
            with quiet(text):
                body = ast.parse(text.strip().strip("'"), mode="eval").body
            if type(body) is ast.Call:
                return [self._call(body)]
            if not isinstance(body, ast.List | ast.Tuple | ast.Set):
                raise DecodeError("the answer is no list of calls")
            calls = []
            for element in body.elts:
                if type(element) is not ast.Call:
                    raise DecodeError("an element of the list is no call")
                calls.append(self._call(element))
            return calls
        except (DecodeError, ConstantError) as error:
            raise DecodeError(str(error)) from None
        except (SyntaxError, ValueError, TypeError, OverflowError) as error:
            raise DecodeError(f"the answer is no Python: {error}") from None
        except (RecursionError, MemoryError):
            # The parser reports a text nested too deeply as either, without having used much.
            raise DecodeError("the answer is nested too deeply") from None

    def _call(self, node: ast.Call) -> dict[str, dict[str | None, object]]:
        if self._named and (node.args or not _is_dotted_name(node.func)):
            raise DecodeError("a call has a positional argument, or no plain name")
        return {
            _name(node.func): {keyword.arg: self._value(keyword.value) for keyword in node.keywords}
        }

    def _value(self, node: ast.expr | None) -> object:
        kind = type(node)
        if isinstance(node, ast.Constant):
            return "..." if node.value is Ellipsis else node.value
        if isinstance(node, ast.List):
            return [self._value(item) for item in node.elts]
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.UnaryOp):
            return self._arithmetic.evaluate(node) if self._signed else _negated(node.operand)
        if isinstance(node, ast.Dict):
            return {
                self._value(key): self._value(value)
                for key, value in zip(node.keys, node.values, strict=True)
            }
        if isinstance(node, ast.BinOp):
            return self._arithmetic.evaluate(node)
        if isinstance(node, ast.Call):
            return self._nested(self._call(node)) if node.keywords else ast.unparse(node)
        if isinstance(node, ast.Tuple):
            return tuple(self._value(item) for item in node.elts)
        if isinstance(node, ast.Subscript):
            return f"{ast.unparse(node.value)}[{ast.unparse(node.slice)}]"
        raise DecodeError(f"{kind.__name__} is no value of an argument")


def _name(node: ast.expr) -> str:
    """The dotted path of a function; whatever its first part hangs on is dropped (D4)."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))


def _is_dotted_name(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _negated(operand: ast.expr) -> object:
    """The negative of a constant number, whichever unary operator stands before it (D1)."""
    if isinstance(operand, ast.Constant) and isinstance(operand.value, int | float | complex):
        return -operand.value
    raise DecodeError("a sign stands before something that is no number")


_WARNS = re.compile(r"\\|[\da-fA-FjJ_.](?:and|else|for|if|in|is|not|or)\b")


def quiet(text: str) -> AbstractContextManager[object]:
    """A context in which the parser's warnings about a model's text are not shown.

    The parser warns about unknown escapes and about numbers that run into a keyword; switching
    warnings off costs as much as parsing a short text, so it is done only where one can come.
    """
    return warnings.catch_warnings(action="ignore") if _WARNS.search(text) else nullcontext()
