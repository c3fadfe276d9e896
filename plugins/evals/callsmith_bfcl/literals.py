"""Constants of a Python source file, read from its syntax tree. Nothing is imported or run.

The benchmark keeps prompt texts, type tables and its model registry as literals in `.py` files.
A text that the source builds with an f-string becomes a format template: `{}` stands for each
value, and literal braces are doubled, so `text.format(value, ...)` gives what the source gives.
"""

from __future__ import annotations

import ast
from typing import Any

from callsmith_bfcl.wheel import MissingDataError, Wheel


class Literals:
    """The constants of one file. `place` is what messages call it."""

    def __init__(self, source: bytes, *, place: str) -> None:
        self.place = place
        try:
            self.tree = ast.parse(source)
        except (SyntaxError, ValueError) as error:
            raise MissingDataError(f"is not Python source: {error}", path=place) from None
        self._assigned = {
            target.id: node.value
            for node in self.tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    @classmethod
    def of(cls, wheel: Wheel, name: str) -> Literals:
        """Those of one file of the wheel."""
        return cls(wheel.read(name), place=f"{wheel.place}/{name}")

    def expression(self, name: str) -> ast.expr:
        """What the module assigns to `name`. Raises `MissingDataError`."""
        try:
            return self._assigned[name]
        except KeyError:
            raise self._changed(f"assigns nothing to {name}") from None

    def value(self, name: str) -> Any:
        """The constant of that name: text, numbers, tables, and sums of texts.

        Raises `MissingDataError` when it is not there or is no constant.
        """
        return self.evaluate(self.expression(name))

    def evaluate(self, node: ast.expr) -> Any:
        """The value of a constant expression, which may use other constants of the module."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self.value(node.id)
        if isinstance(node, ast.List | ast.Tuple):
            return [self.evaluate(item) for item in node.elts]
        if isinstance(node, ast.Dict):
            table: dict[Any, Any] = {}
            for key, item in zip(node.keys, node.values, strict=True):
                if key is None:
                    table |= self.evaluate(item)
                else:
                    table[self.evaluate(key)] = self.evaluate(item)
            return table
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.evaluate(node.left), self.evaluate(node.right)
            if isinstance(left, str) and isinstance(right, str):
                return left + right
        if isinstance(node, ast.JoinedStr):
            return "".join(str(self.evaluate(part)) for part in node.values)
        if isinstance(node, ast.FormattedValue) and node.format_spec is None:
            return self.evaluate(node.value)
        raise self._changed(f"has no constant in line {node.lineno}")

    def added_texts(self, function: str) -> list[str]:
        """The texts that `function` adds with `+=`, in the file's order, as format templates."""
        found = [
            node
            for node in ast.walk(self._function(function))
            if isinstance(node, ast.AugAssign)
            and isinstance(node.op, ast.Add)
            and isinstance(node.value, ast.Constant | ast.JoinedStr)
        ]
        found.sort(key=lambda node: node.lineno)
        return [_format_template(node.value) for node in found]

    def returned_texts(self, function: str) -> list[str]:
        """The constant texts that `function` returns, in the file's order."""
        found = [
            (node.lineno, node.value.value)
            for node in ast.walk(self._function(function))
            if isinstance(node, ast.Return)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ]
        return [text for _, text in sorted(found)]

    def _function(self, name: str) -> ast.FunctionDef:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return node
        raise self._changed(f"defines no function {name}")

    def _changed(self, what: str) -> MissingDataError:
        return MissingDataError(f"{what}; this is not the expected release", path=self.place)


def _format_template(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value).replace("{", "{{").replace("}", "}}")
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_format_template, node.values))
    return "{}"
