"""The Java return format: the first method call of the text, as the Java grammar reads it.

The official decoder reads Java with tree-sitter, whose recovery from errors decides what still
passes (a missing bracket does, a stray word does not), so the same grammar is used here. Two of
its behaviours are kept unless fixed: positions in bytes index into characters (D7), and the body
of `new X() {{ … }}` is dropped (D8).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from callsmith_bfcl.decoding.errors import MAX_GRAMMAR_LENGTH, DecodeError

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_VERBATIM = frozenset({"identifier", "class_literal", "type_identifier", "method_invocation"})
_QUOTED = frozenset({"string_literal", "character_literal"})
_PUNCTUATION = frozenset({",", "(", ")"})


@cache
def _parser() -> Parser:
    import tree_sitter_java
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_java.language()))


def decode_java(text: str, fixes: frozenset[str] = frozenset()) -> object:
    """`[{name: {parameter: text}}]` for the first call, `{}` if there is none.

    Raises `DecodeError` when the text has a syntax error, or gives a parameter twice.
    """
    source = source_bytes(text)
    root = _parser().parse(source).root_node
    if has_syntax_error(root):
        raise DecodeError("the answer has a syntax error in Java")
    call = _first_call(root)
    if call is None:
        return {}
    try:
        return [_JavaCall(text, source, fixes).read(call)]
    except RecursionError:
        raise DecodeError("the answer is nested too deeply") from None


def source_bytes(text: str) -> bytes:
    """What a grammar reads. Raises `DecodeError` for a text that is too long, or is none."""
    if len(text) > MAX_GRAMMAR_LENGTH:
        raise DecodeError(f"the answer is longer than {MAX_GRAMMAR_LENGTH} characters")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise DecodeError(f"the answer is no text: {error}") from None


def has_syntax_error(root: Node) -> bool:
    """Whether the grammar found an error; a token that is only missing is none."""
    # The flag is also set by missing tokens, and says below which nodes to look. Not by recursion:
    # the binding's own way to write a tree out overflows the stack on a deep one.
    pending = [root]
    while pending:
        node = pending.pop()
        if node.has_error:
            if node.type == "ERROR":
                return True
            pending.extend(node.children)
    return False


def _first_call(root: Node) -> Node | None:
    """The first call in the order of the text; a call inside another one is no candidate."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type == "method_invocation":
            if node.child_by_field_name("arguments") is not None:
                return node
        else:
            pending.extend(reversed(node.children))
    return None


class _JavaCall:
    """Reads one call; `text` and its bytes `source` are the whole answer."""

    def __init__(self, text: str, source: bytes, fixes: frozenset[str]) -> None:
        self._text = text
        self._source = source
        self._in_bytes = "D7" in fixes
        self._with_body = "D8" in fixes

    def read(self, call: Node) -> dict[str, dict[str | None, str]]:
        name = self._span(call.child_by_field_name("name"))
        owner = call.child_by_field_name("object")
        if owner is not None:
            name = f"{self._span(owner)}.{name}"
        given: dict[str | None, str] = {}
        arguments = call.child_by_field_name("arguments")
        for child in arguments.children if arguments is not None else ():
            if child.type == "assignment_expression":
                if child.child_count < 3:
                    raise DecodeError("an argument has no value")
                parameter, value = self._span(child.children[0]), self._value(child.children[2])
            elif child.type in ("identifier", "class_literal"):
                parameter, value = None, self._value(child)
            else:
                continue
            if parameter in given:
                raise DecodeError(f"the argument {parameter} is given twice")
            given[parameter] = value
        return {name: given}

    def _span(self, node: Node | None) -> str:
        if node is None:
            raise DecodeError("a part of the call is missing")
        if self._in_bytes:
            return self._source[node.start_byte : node.end_byte].decode()
        return self._text[node.start_byte : node.end_byte]

    def _value(self, node: Node | None, nested: bool = False) -> str:
        """The source text of a value, put together again from its parts.

        Blanks between the parts are lost, and a string that is the whole value loses its quotes.
        """
        if node is None:
            raise DecodeError("a part of a value is missing")
        kind = node.type
        if kind in _QUOTED:
            return self._span(node) if nested else self._span(node)[1:-1]
        if kind in _VERBATIM:
            return self._span(node)
        if kind == "array_creation_expression":
            item = self._value(node.child_by_field_name("type"), True)
            return f"new {item}[]{self._value(node.child_by_field_name('value'), True)}"
        if kind == "object_creation_expression":
            return self._object_creation(node)
        if node.child_count:
            return "".join([self._value(child, True) for child in node.children])
        return self._span(node)

    def _object_creation(self, node: Node) -> str:
        if self._with_body and any(child.type == "class_body" for child in node.children):
            return self._span(node)
        created = self._value(node.child_by_field_name("type"), True)
        arguments = node.child_by_field_name("arguments")
        parts = [
            self._value(child, True)
            for child in (arguments.children if arguments is not None else ())
            if child.type not in _PUNCTUATION
        ]
        return f"new {created}({', '.join(parts)})"
