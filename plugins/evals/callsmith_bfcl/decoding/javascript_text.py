"""The JavaScript return format: the first call that is a statement, as the grammar reads it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from callsmith_bfcl.decoding.errors import DecodeError
from callsmith_bfcl.decoding.java_text import has_syntax_error, source_bytes

if TYPE_CHECKING:
    from tree_sitter import Node, Parser


@cache
def _parser() -> Parser:
    import tree_sitter_javascript
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_javascript.language()))


def decode_javascript(text: str) -> object:
    """`[{name: {parameter: text}}]` for the first call, None if there is none.

    Raises `DecodeError` when the text has a syntax error, or gives a parameter twice.
    """
    root = _parser().parse(source_bytes(text)).root_node
    if has_syntax_error(root):
        raise DecodeError("the answer has a syntax error in JavaScript")
    if root.type != "program":
        return None
    for statement in root.children:
        if statement.type == "expression_statement":
            for expression in statement.children:
                if expression.type == "call_expression":
                    function, arguments = expression.children[:2]
                    return [{_text(function): _arguments(arguments)}]
    return None


def _arguments(node: Node) -> dict[str | None, str]:
    given: dict[str | None, str] = {}
    for child in node.children:
        if child.type == "assignment_expression":
            if child.child_count < 3:
                raise DecodeError("an argument has no value")
            parameter, value = _text(child.children[0]), _unquoted(_text(child.children[2]))
        elif child.type in ("identifier", "true"):
            parameter, value = None, _text(child)
        else:
            continue
        if parameter in given:
            raise DecodeError(f"the argument {parameter} is given twice")
        given[parameter] = value
    return given


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _unquoted(text: str) -> str:
    # A lone quote is both ends at once, and vanishes.
    quoted = text[:1] == text[-1:] and text[:1] in ('"', "'") and text != ""
    return text[1:-1] if quoted else text
