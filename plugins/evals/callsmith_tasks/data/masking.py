"""Function-name and parameter masking: names that say nothing, so that descriptions are read.

After Hammer (arXiv 2410.04587): models that choose by the look of a name fail when names are
unlike those of the training data.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from callsmith import JsonValue, Message, ToolCall, ToolSpec
from callsmith_tasks.data.row import Row

RENAMEABLE = frozenset(
    ("type", "properties", "required", "description", "title", "additionalProperties", "$schema")
)
"""Keywords of an object schema under which parameters can be renamed: no other one may name a
property (`dependentRequired`, `if`, …) or lead to one (`$ref`)."""

Rename = Mapping[str, str]


def mask_names(row: Row, seed: int, pool: Sequence[Row]) -> Row | None:
    """Random names for all functions. Not for rows with a tool that only its name explains."""
    del pool
    if not row.calls or not all(tool.description.strip() for tool in row.tools):
        return None
    fresh = _fresh(random.Random(f"{seed}:mask-names:{row.id}"), set())
    names = {tool.name: fresh("func") for tool in row.tools}
    tools = tuple(replace(tool, name=names[tool.name]) for tool in row.tools)
    return _masked(row, "mask-names", tools, lambda c: replace(c, name=names.get(c.name, c.name)))


def mask_parameters(row: Row, seed: int, pool: Sequence[Row]) -> Row | None:
    """Random names for all parameters that have a description; the others keep theirs."""
    del pool
    rng = random.Random(f"{seed}:mask-parameters:{row.id}")
    renames = {tool.name: _renames(tool, rng) for tool in row.tools}
    if not row.calls or not any(renames.values()):
        return None
    tools = tuple(_renamed_tool(tool, renames[tool.name]) for tool in row.tools)
    return _masked(
        row, "mask-parameters", tools, lambda c: _renamed_call(c, renames.get(c.name, {}))
    )


def _masked(
    row: Row, name: str, tools: tuple[ToolSpec, ...], change: Callable[[ToolCall], ToolCall]
) -> Row:
    """The row with the change made everywhere: tools, history, results, and what is learnt."""
    renamed: dict[str | None, str] = {}
    messages: list[Message] = []
    for message in row.messages:
        calls = tuple(change(call) for call in message.tool_calls)
        renamed.update({call.id: call.name for call in calls})
        own = renamed.get(message.tool_call_id) if message.role == "tool" else None
        messages.append(replace(message, tool_calls=calls, name=own or message.name))
    return replace(
        row,
        id=f"{row.id}+{name}",
        source=f"{row.source}+{name}",
        messages=tuple(messages),
        tools=tools,
        calls=tuple(change(call) for call in row.calls),
    )


def _fresh(rng: random.Random, taken: set[str]) -> Callable[[str], str]:
    def make(prefix: str) -> str:
        while True:
            name = f"{prefix}_{''.join(rng.choices(string.ascii_lowercase + string.digits, k=6))}"
            if name not in taken:
                taken.add(name)
                return name

    return make


def _renames(tool: ToolSpec, rng: random.Random) -> Rename:
    schema = tool.parameters or {}
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not RENAMEABLE.issuperset(schema):
        return {}
    if '"$ref"' in json.dumps(properties):  # may point at a property by its name
        return {}
    fresh = _fresh(rng, set(properties))
    return {
        name: fresh("arg")
        for name, item in properties.items()
        if isinstance(item, dict) and str(item.get("description") or "").strip()
    }


def _renamed_tool(tool: ToolSpec, names: Rename) -> ToolSpec:
    if not names or tool.parameters is None:
        return tool
    schema: dict[str, JsonValue] = dict(tool.parameters)
    properties, required = schema.get("properties"), schema.get("required")
    if isinstance(properties, dict):
        schema["properties"] = {names.get(key, key): item for key, item in properties.items()}
    if isinstance(required, list):
        schema["required"] = [names.get(str(key), str(key)) for key in required]
    return replace(tool, parameters=schema)


def _renamed_call(call: ToolCall, names: Rename) -> ToolCall:
    if not isinstance(call.arguments, dict):
        return call
    return replace(call, arguments={names.get(k, k): v for k, v in call.arguments.items()})
