"""From the text of one call to a syntax tree that is fit to be walked. Nothing is executed.

The official scorer hands the text to `eval`. Two things happen before, and both are part of its
behaviour:

- a regular expression puts the instance's name in front of every method name that is followed by
  an opening bracket, and removes the blanks before any such bracket, **inside string literals
  too** (M3 of the specification). The instance's name holds the model's name and the entry's id;
- a call whose text in front of the first bracket names one of eight functions is refused.
"""

from __future__ import annotations

import ast
import re
import unicodedata  # noqa: F401 - the parser imports it at the first name that is not ASCII
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache

from callsmith_bfcl.multi_turn.budget import MAX_DEPTH, MAX_TEXT, CallError

PARSED_AS = "<model call>"
"""The file name that `ast.parse` reports in its audit event; the text is parsed, never compiled."""

REFUSED = frozenset({"kill", "exit", "quit", "remove", "unlink", "popen", "Popen", "run"})

_METHOD = re.compile(r"\b([a-zA-Z_]\w*)\s*(?=\()")
_UNUSUAL = re.compile(r"\\|\d[a-zA-Z]")
"""Text on which the parser may warn: an unknown escape, a digit that runs into a word."""


def rewrite(text: str, prefixes: Mapping[str, str]) -> str:
    """The text as the official scorer evaluates it. `prefixes`: instance name by method name."""

    def replaced(match: re.Match[str]) -> str:
        name = match.group(1)
        prefix = prefixes.get(name)
        return name if prefix is None else f"{prefix}.{name}"

    return _METHOD.sub(replaced, text)


def is_refused(rewritten: str) -> str | None:
    """The function's name, if the official scorer refuses to evaluate the text."""
    name = rewritten.partition("(")[0]
    if "." in name:
        name = name.split(".")[1]
    return name if name in REFUSED else None


def parse_call(text: str, prefixes: Mapping[str, str] | None) -> ast.expr:
    """The expression of one call, rewritten unless `prefixes` is None.

    Raises `CallError` or `SyntaxError`.
    """
    if len(text) > MAX_TEXT:
        raise CallError(f"the call has more than {MAX_TEXT} characters")
    rewritten = text if prefixes is None else rewrite(text, prefixes)
    refused = is_refused(rewritten)
    if refused is not None:
        raise CallError(f"Function call {refused} is not allowed.")
    # As `eval` does, and `ast.parse` does not.
    source = rewritten.lstrip(" \t")
    try:
        if _UNUSUAL.search(source) is None:
            tree = ast.parse(source, PARSED_AS, "eval")
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(source, PARSED_AS, "eval")
        _check(tree.body)
    except SyntaxError as error:
        error.filename = "<string>"  # as the official result text has it
        raise
    return tree.body


def _check(body: ast.expr) -> None:
    """What Python's compiler refuses after parsing, so that no call is made before the error.

    Also bounds the depth. Raises `SyntaxError` or `CallError`.
    """
    if type(body) is ast.Starred:
        raise SyntaxError("can't use starred expression here")
    level: Sequence[ast.AST] = [body]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise CallError(f"the call is nested more than {MAX_DEPTH} levels deep")
        below: list[ast.AST] = []
        for node in level:
            if isinstance(node, _LEAVES):
                continue
            # The two usual kinds by hand, the others with the slower generic walk.
            if isinstance(node, ast.Call):
                below.append(node.func)
                below += node.args
                if node.keywords:
                    _check_keywords(node.keywords)
                    below += [word.value for word in node.keywords]
            elif isinstance(node, ast.List):
                below += node.elts
            elif isinstance(node, _OUTSIDE_FUNCTION):
                raise SyntaxError(f"'{type(node).__name__.lower()}' outside function")
            else:
                below.extend(ast.iter_child_nodes(node))
        level = below


_LEAVES = (ast.Constant, ast.Name)
_OUTSIDE_FUNCTION = (ast.Yield, ast.YieldFrom, ast.Await)


def _check_keywords(keywords: list[ast.keyword]) -> None:
    seen: set[str] = set()
    for word in keywords:
        if word.arg is None:
            continue
        if word.arg in seen:
            at = (PARSED_AS, word.lineno, word.col_offset + 1, None)
            raise SyntaxError(f"keyword argument repeated: {word.arg}", at)
        seen.add(word.arg)


class CallParser:
    """Parses calls for the entries with one set of classes; used by all their sides.

    The instance's name differs from side to side, but is seen by nobody as long as it stands
    in front of calls only. So a text is parsed once with general names, `m_` and the class; only a
    text whose strings were rewritten too is parsed anew, with the names of the side.
    """

    def __init__(self, methods: Mapping[str, str], *, verbatim: bool) -> None:
        """`methods`: the class by method. `verbatim`: nothing is rewritten."""
        self.owners = methods
        self.names: Mapping[str, str] = {f"m_{owner}": owner for owner in methods.values()}
        self._prefixes = None if verbatim else {name: f"m_{methods[name]}" for name in methods}
        self._parsed = lru_cache(maxsize=REMEMBERED_CALLS)(self._parse)

    def parse(self, text: str) -> ast.expr | None:
        """The expression of a call; None if only `parse_named` will do.

        Raises as `parse_call` does.
        """
        return (self._parsed if len(text) <= REMEMBERED_LENGTH else self._parse)(text)

    def parse_named(self, text: str, instances: Mapping[str, str]) -> ast.expr:
        """The expression of a call with the instance names of a side, by class. Raises as above."""
        names = {method: instances[owner] for method, owner in self.owners.items()}
        return parse_call(text, names)

    def _parse(self, text: str) -> ast.expr | None:
        """The expression with general names; None if they stand in more than calls."""
        body = parse_call(text, self._prefixes)
        if self._prefixes is not None:
            rewritten = sum(name in self._prefixes for name in _METHOD.findall(text))
            if rewritten != self._named_calls(body):
                return None
        return body

    def _named_calls(self, body: ast.expr) -> int:
        """How many calls are made on general names. A call without nested calls is counted fast."""
        return sum(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in self.names
            for node in _calls(body)
        )

    def forget(self) -> None:
        """Empties the memory of parsed calls, for measuring."""
        self._parsed.cache_clear()


REMEMBERED_CALLS = 2048
REMEMBERED_LENGTH = 1000


def _calls(body: ast.expr) -> list[ast.AST]:
    """The nodes in which calls may be, and more; those of the usual flat call are itself alone."""
    if isinstance(body, ast.Call) and all(
        isinstance(item, ast.Constant) for item in (*body.args, *(k.value for k in body.keywords))
    ):
        return [body]
    return list(ast.walk(body))
