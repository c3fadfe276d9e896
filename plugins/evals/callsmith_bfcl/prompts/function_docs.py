"""Function documents as models are shown them: with notes, and as JSON, XML or Python text.

Documents are never changed: every function returns new ones, which may share parts that are
equal. Where the official text has an
oddity (commas vanish from XML attributes, blocks of Python text are five line feeds apart), it is
kept, as the hashes of all prompts are compared with the official ones.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from callsmith_bfcl.categories import Language
from callsmith_bfcl.data import FunctionDoc
from callsmith_bfcl.prompts.templates import LanguageNotes, Templates

_PYTHON_TYPES = {"string": "str", "number": "float", "integer": "int", "boolean": "bool"}


def with_language_notes(
    functions: Sequence[FunctionDoc], language: Language, templates: Templates
) -> list[FunctionDoc]:
    """The documents with a note on the language in each description.

    For Java and JavaScript every parameter becomes a string, as calls are written as text; the
    type that was there is described in words instead.
    """
    notes = templates.languages[language]
    noted = [
        {**function, "description": function["description"] + notes.function}
        for function in functions
    ]
    if language == "python":
        return noted
    noted = copy.deepcopy(noted)
    for function in noted:
        for schema in function["parameters"]["properties"].values():
            _describe_type(schema, notes, language)
    return noted


def _describe_type(schema: dict[str, Any], notes: LanguageNotes, language: Language) -> None:
    kind = schema["type"]
    text = notes.any_value if kind == "any" else notes.typed_value
    text = text.format(kind)
    if kind in (("ArrayList", "Array") if language == "java" else ("array",)):
        text += notes.items.format(schema.pop("items")["type"])
    if language == "javascript" and kind == "dict" and "properties" in schema:
        text += notes.properties.format(json.dumps(schema.pop("properties")))
    schema["description"] += text
    schema["type"] = "string"


def as_text(functions: Sequence[FunctionDoc], style: str, templates: Templates) -> str:
    """The documents as the text of a system prompt; `style` is json, xml or python."""
    if style == "json":
        return json.dumps(functions, indent=4)
    if style == "xml":
        return "\n".join(_xml_function(function, templates) for function in functions)
    # Each block is followed by a line feed of its own, and two join them all.
    return "\n\n".join(
        part for function in functions for part in (_python_function(function, templates), "\n")
    )


def _xml_function(function: FunctionDoc, templates: Templates) -> str:
    schema = function["parameters"]
    required = schema.get("required")
    lines = [
        f'<function name="{function["name"]}">',
        f"  <desc>{function.get('description', '')}</desc>",
        "  <params>",
    ]
    for name, parameter in schema.get("properties", {}).items():
        lines += _xml_parameter(name, parameter, required, " " * 4, templates)
    lines += ["  </params>", "</function>", ""]
    return "\n".join(lines)


def _xml_parameter(
    name: str,
    schema: Mapping[str, Any],
    required: Sequence[str] | None,
    indent: str,
    templates: Templates,
) -> Iterator[str]:
    kind = schema.get("type", "string")
    if "type" in schema.get("items", ()):
        kind = f"{kind}[{schema['items']['type']}]"
    elif "additionalProperties" in schema:
        kind = f"{kind}[{schema['additionalProperties'].get('type', 'string')}]"
    # Where no list of required parameters is given, all are.
    needed = "true" if required is None or name in required else "false"
    attributes = f'name="{name}" type="{kind}" required="{needed}"'
    if "default" in schema:
        attributes += f' default="{schema["default"]!r}"'
    yield f"{indent}<param {attributes.replace(',', '')}>"
    yield f"{indent}  <desc>{_description(schema, templates)}</desc>"
    if "properties" in schema:
        yield f"{indent}  <params>"
        for key, child in schema["properties"].items():
            yield from _xml_parameter(
                key, child, schema.get("required"), indent + " " * 4, templates
            )
        yield f"{indent}  </params>"
    yield f"{indent}</param>"


def _python_function(function: FunctionDoc, templates: Templates) -> str:
    lines = [
        f"# Function: {function['name']}",
        '    """',
        f"    {function.get('description', '')}",
        "",
    ]
    if parameters := function.get("parameters", {}).get("properties", {}):
        lines.append("    Args:")
        for name, schema in parameters.items():
            lines += _python_parameter(name, schema, " " * 8, templates)
    lines += ['    """', ""]
    return "\n".join(lines)


def _python_parameter(
    name: str, schema: Mapping[str, Any], indent: str, templates: Templates
) -> Iterator[str]:
    default = f", default={schema['default']!r}" if "default" in schema else ""
    kind = _python_type(schema)
    yield f"{indent}{name} ({kind}{default}): {_description(schema, templates)}"
    for key, child in schema.get("properties", {}).items():
        yield from _python_parameter(key, child, indent + " " * 4, templates)


def _python_type(schema: Mapping[str, Any]) -> str:
    kind: str = schema.get("type", "string")
    if kind in ("array", "list", "tuple") and "items" in schema:
        return f"list[{_python_type(schema['items'])}]"
    if kind in ("object", "dict"):
        if "additionalProperties" in schema:
            return f"dict[str, {_python_type(schema['additionalProperties'])}]"
        return "dict"
    return _PYTHON_TYPES.get(kind, kind)


def _description(schema: Mapping[str, Any], templates: Templates) -> str:
    text: str = schema.get("description", "")
    if "enum" in schema:
        text += templates.enum_note.format(schema["enum"])
    return text
