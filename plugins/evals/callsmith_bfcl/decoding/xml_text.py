"""The two XML return formats: `<functions><function name="…">…</function></functions>`."""

from __future__ import annotations

import ast
from xml.etree import ElementTree

from callsmith_bfcl.decoding.errors import DecodeError
from callsmith_bfcl.decoding.python_text import quiet

_LITERALS = frozenset({"array", "tuple", "object", "dict"})


def decode_xml(block: str, *, verbose: bool) -> list[dict[str, object]]:
    """The calls of a `<functions>` element.

    Verbose: a parameter's value is its attribute `value`, and `<params>` may stand around the
    parameters. Concise: it is the element's text. Raises `DecodeError`.
    """
    # The block begins with its root element, so it can declare no entities that would expand.
    try:
        root = ElementTree.fromstring(block)
        return [
            {call.attrib["name"]: _verbose(call) if verbose else _concise(call)}
            for call in root.findall("function")
        ]
    except ElementTree.ParseError as error:
        raise DecodeError(f"the answer is no XML: {error}") from None
    except KeyError:
        raise DecodeError("a function or parameter has no name") from None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise DecodeError(f"a parameter's value does not fit its type: {error}") from None


def _verbose(call: ElementTree.Element) -> dict[str | None, object]:
    container = call.find("params")
    return {
        element.get("name"): _typed(element.get("value", ""), element.get("type", "string"))
        for element in (call if container is None else container).findall("param")
    }


def _concise(call: ElementTree.Element) -> dict[str, object]:
    return {
        element.attrib["name"]: _typed((element.text or "").strip(), element.get("type", "string"))
        for element in call.findall("param")
    }


def _typed(text: str, declared: str) -> object:
    """A value by the type that the model itself wrote beside it; unknown types are text."""
    if declared == "integer":
        return int(text)
    if declared == "float":
        return float(text)
    if declared == "boolean":
        return text.lower() == "true"
    if declared == "null":
        return None
    if declared in _LITERALS:
        with quiet(text):
            return ast.literal_eval(text)
    return text
