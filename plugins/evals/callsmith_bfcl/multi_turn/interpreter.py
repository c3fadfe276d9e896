"""Carries out one call: a walk over its syntax tree. No text is ever compiled or evaluated.

What is understood: literals, list, tuple, set and dict displays, operators, comparisons,
`and`/`or`/`not`, conditional expressions, subscripts, calls of the entry's API methods (nested
too), the builtins and methods of `operations`. Everything else (attributes, lambdas, assignments,
f-strings, comprehensions, every other name) raises, and so is scored as the official scorer scores
a call that raises. The walk goes in Python's order of evaluation, so that what was called before
the error has happened, as it has there.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from callsmith_bfcl.multi_turn.budget import Budget, CallError, duplicate
from callsmith_bfcl.multi_turn.operations import (
    BUILTINS,
    call_builtin,
    call_method,
    combine,
    compare,
    has_method,
    unary,
)


class Instances(Protocol):
    """The simulated APIs of one side of one episode."""

    def class_of(self, name: str) -> str | None:
        """The class whose instance a rewritten call names so."""
        ...

    def owner(self, method: str) -> str | None:
        """The class of a method that is called by its own name: where calls are not rewritten."""
        ...

    def bound(self, class_name: str, method: str) -> Callable[..., Any] | None:
        """A public method of an instance, guarded; None if there is no such method."""
        ...


class Interpreter:
    """Evaluates expressions against the instances of one side of one episode."""

    __slots__ = ("_budget", "_instances")

    def __init__(self, instances: Instances, budget: Budget) -> None:
        self._instances = instances
        self._budget = budget

    def evaluate(self, node: ast.expr) -> Any:
        """The value of an expression that `parsing.parse_call` let through.

        Raises whatever the APIs raise, what Python raises for such an operation, and `CallError`
        for what is not understood or would be too large.
        """
        kind = type(node)
        if kind is ast.Constant:
            return node.value  # type: ignore[attr-defined]
        handler = _HANDLERS.get(kind)
        if handler is None:
            raise CallError(f"{_PLAIN_NAMES.get(kind, kind.__name__)} is not evaluated")
        return handler(self, node)

    def _name(self, node: ast.Name) -> Any:
        raise NameError(f"name '{node.id}' is not defined")

    def _attribute(self, node: ast.Attribute) -> Any:
        value = self.evaluate(node.value)  # the calls in front of the dot are made
        raise AttributeError(f"'{type(value).__name__}' object has no attribute '{node.attr}'")

    def _call(self, node: ast.Call) -> Any:
        function = node.func
        if type(function) is ast.Attribute:
            owner, method = function.value, function.attr
            class_name = self._instances.class_of(owner.id) if type(owner) is ast.Name else None
            if class_name is not None:
                return self._call_api(class_name, method, node)
            value = self.evaluate(owner)
            if not has_method(value, method):
                raise AttributeError(f"'{type(value).__name__}' object has no attribute '{method}'")
            args, kwargs = self._arguments(node)
            return call_method(value, method, args, kwargs, self._budget)
        if type(function) is not ast.Name:
            value = self.evaluate(function)
            raise TypeError(f"'{type(value).__name__}' object is not callable")
        name = function.id
        class_name = self._instances.owner(name)
        if class_name is not None:
            return self._call_api(class_name, name, node)
        if name not in BUILTINS:
            raise NameError(f"name '{name}' is not defined")
        args, kwargs = self._arguments(node)
        return call_builtin(name, args, kwargs, self._budget)

    def _call_api(self, class_name: str, method: str, node: ast.Call) -> Any:
        call = self._instances.bound(class_name, method)
        if call is None:
            raise AttributeError(f"'{class_name}' object has no attribute '{method}'")
        args, kwargs = self._arguments(node, hand_over=True)
        return call(*args, **kwargs)

    def _arguments(
        self, node: ast.Call, *, hand_over: bool = False
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of a call, from left to right.

        What is handed over to an API is a value of its own: a container that another call returned
        is copied, so that no API holds a part of another's state and nothing can contain itself.
        """
        args: list[Any] = []
        for item in node.args:
            if type(item) is ast.Starred:
                values = self.evaluate(item.value)
                self._budget.admit(values)
                args.extend(self._owned(value) if hand_over else value for value in values)
            elif hand_over and type(item) is not ast.Constant:
                args.append(self._owned(self.evaluate(item)))
            else:
                args.append(self.evaluate(item))
        kwargs: dict[str, Any] = {}
        for word in node.keywords:
            value = self.evaluate(word.value)
            if hand_over and type(word.value) is not ast.Constant:
                value = self._owned(value)
            if word.arg is not None:
                if word.arg in kwargs:
                    raise TypeError(f"got multiple values for keyword argument '{word.arg}'")
                kwargs[word.arg] = value
                continue
            if type(value) is not dict:
                raise TypeError("argument after ** must be a mapping")
            for key, item in value.items():
                if type(key) is not str:
                    raise TypeError("keywords must be strings")
                if key in kwargs:
                    raise TypeError(f"got multiple values for keyword argument '{key}'")
                kwargs[key] = item
        return args, kwargs

    def _owned(self, value: Any) -> Any:
        kind = type(value)
        if kind in (int, float, bool) or value is None:
            return value
        self._budget.admit(value)
        return duplicate(value)

    def _list(self, node: ast.List) -> list[Any]:
        return self._elements(node.elts)

    def _tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self._elements(node.elts))

    def _set(self, node: ast.Set) -> set[Any]:
        return set(self._elements(node.elts))

    def _elements(self, nodes: list[ast.expr]) -> list[Any]:
        values: list[Any] = []
        for node in nodes:
            if type(node) is ast.Starred:
                inner = self.evaluate(node.value)
                self._budget.admit(inner)
                values.extend(inner)
            else:
                values.append(self.evaluate(node))
        return values

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                inner = self.evaluate(value)
                if type(inner) is not dict:
                    raise TypeError(f"'{type(inner).__name__}' object is not a mapping")
                self._budget.admit(inner)
                found.update(inner)
            else:
                name = self.evaluate(key)
                found[name] = self.evaluate(value)
        return found

    def _unary(self, node: ast.UnaryOp) -> Any:
        return unary(node.op, self.evaluate(node.operand))

    def _binary(self, node: ast.BinOp) -> Any:
        left = self.evaluate(node.left)
        return combine(node.op, left, self.evaluate(node.right), self._budget)

    def _boolean(self, node: ast.BoolOp) -> Any:
        stops_at = type(node.op) is ast.Or
        value: Any = None
        for item in node.values:
            value = self.evaluate(item)
            if bool(value) is stops_at:
                break
        return value

    def _compare(self, node: ast.Compare) -> Any:
        left = self.evaluate(node.left)
        result: Any = True
        for operation, item in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(item)
            result = compare(operation, left, right, self._budget)
            if not result:
                break
            left = right
        return result

    def _conditional(self, node: ast.IfExp) -> Any:
        return self.evaluate(node.body if self.evaluate(node.test) else node.orelse)

    def _subscript(self, node: ast.Subscript) -> Any:
        value = self.evaluate(node.value)
        if type(node.slice) is ast.Slice:
            parts = (node.slice.lower, node.slice.upper, node.slice.step)
            key: Any = slice(*(None if part is None else self.evaluate(part) for part in parts))
        else:
            key = self.evaluate(node.slice)
        if type(value) not in (str, bytes, list, tuple, dict, range):
            raise TypeError(f"'{type(value).__name__}' object is not subscriptable")
        found = value[key]
        if type(key) is slice:
            self._budget.admit(found)
        return found


_HANDLERS: Mapping[type[ast.expr], Callable[[Interpreter, Any], Any]] = {
    ast.Name: Interpreter._name,
    ast.Attribute: Interpreter._attribute,
    ast.Call: Interpreter._call,
    ast.List: Interpreter._list,
    ast.Tuple: Interpreter._tuple,
    ast.Set: Interpreter._set,
    ast.Dict: Interpreter._dict,
    ast.UnaryOp: Interpreter._unary,
    ast.BinOp: Interpreter._binary,
    ast.BoolOp: Interpreter._boolean,
    ast.Compare: Interpreter._compare,
    ast.IfExp: Interpreter._conditional,
    ast.Subscript: Interpreter._subscript,
}
_PLAIN_NAMES: Mapping[type[ast.expr], str] = {
    ast.JoinedStr: "an f-string",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a generator",
    ast.NamedExpr: "an assignment",
}
