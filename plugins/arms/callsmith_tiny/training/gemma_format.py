"""Gemma 4's native prompt text for the conversations of the generator.

A small formatter for the subset that the generator uses (flat parameters, string results, no
thinking), so that training needs nothing of the kernel. It follows the canonical template of the
small models (e2b); the test suite holds it against the full renderer on generated conversations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

QUOTE = '<|"|>'
CALL_OPEN = "<|tool_call>call:"
CALL_CLOSE = "<tool_call|>"
RESPONSE_OPEN = "<|tool_response>"
TURN_CLOSE = "<turn|>"

Piece = tuple[str, Literal["control", "content"]]


def quoted(text: str) -> str:
    """A string value between Gemma's delimiters; there is no escape."""
    return f"{QUOTE}{text}{QUOTE}"


def literal(value: object) -> str:
    """A scalar argument, or a list of them, as the format writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ",".join(literal(item) for item in value) + "]"
    if isinstance(value, str):
        return quoted(value)
    return str(value)


def call_text(name: str, arguments: Mapping[str, object], *, in_order: bool) -> str:
    """One call block. ``in_order`` keeps the given order; the template sorts keys in history."""
    items = arguments.items() if in_order else sorted(arguments.items(), key=_dictsort)
    body = ",".join(f"{key}:{literal(value)}" for key, value in items)
    return f"{CALL_OPEN}{name}{{{body}}}{CALL_CLOSE}"


def _dictsort(item: tuple[str, object]) -> str:
    return item[0].lower()


def _property(name: str, schema: Mapping[str, Any]) -> str:
    parts = []
    if schema.get("description"):
        parts.append(f"description:{quoted(schema['description'])}")
    if schema.get("enum") and schema["type"] == "string":
        parts.append("enum:[" + ",".join(quoted(v) for v in schema["enum"]) + "]")
    if schema["type"] == "array":
        parts.append(f"items:{{type:{quoted(schema['items']['type'].upper())}}}")
    parts.append(f"type:{quoted(schema['type'].upper())}")
    return f"{name}:{{{','.join(parts)}}}"


def declaration(tool: Mapping[str, Any]) -> str:
    """A tool as the system turn declares it; ``tool`` has name, description and parameters."""
    text = f"<|tool>declaration:{tool['name']}{{description:{quoted(tool['description'])}"
    parameters = tool["parameters"]
    if parameters:
        parts = []
        if parameters.get("properties"):
            properties = sorted(parameters["properties"].items(), key=_dictsort)
            parts.append("properties:{" + ",".join(_property(k, v) for k, v in properties) + "}")
        if parameters.get("required"):
            parts.append("required:[" + ",".join(quoted(r) for r in parameters["required"]) + "]")
        parts.append(f"type:{quoted(parameters['type'].upper())}")
        text += ",parameters:{" + ",".join(parts) + "}"
    return text + "}<tool|>"


def prompt_text(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> str:
    """The whole prompt, ready for the model to go on.

    ``messages`` are in the chat form (system, user, assistant with ``content`` or ``tool_calls``,
    tool). A result answers the calls of the assistant message before it, in their order.
    """
    out = ["<bos>"]
    rest = list(messages)
    if tools or (rest and rest[0]["role"] == "system"):
        text = rest.pop(0)["content"].strip() if rest and rest[0]["role"] == "system" else ""
        out.append("<|turn>system\n" + text + "".join(declaration(t) for t in tools))
        out.append(TURN_CLOSE + "\n")
    previous = ""
    pending: list[str] = []
    for message in rest:
        role = message["role"]
        if role == "tool":
            value = literal(message["content"])
            out.append(f"{RESPONSE_OPEN}response:{pending.pop(0)}{{value:{value}}}<tool_response|>")
            continue
        if role == "user":
            out.append(f"<|turn>user\n{message['content'].strip()}{TURN_CLOSE}\n")
        else:
            if previous != "assistant":
                out.append("<|turn>model\n")
            for call in message.get("tool_calls") or ():
                out.append(call_text(call["name"], call["arguments"], in_order=False))
                pending.append(call["name"])
            if message.get("content"):
                out.append(f"{message['content'].strip()}{TURN_CLOSE}\n")
        previous = role
    if messages and messages[-1]["role"] == "user":
        out.append("<|turn>model\n")
    return "".join(out)


def completion_text(
    calls: Sequence[tuple[str, Mapping[str, object]]], answer: str, *, in_order: bool = True
) -> str:
    """What the model is to write: its calls, or an answer, with the mark that ends it.

    Arguments stand in the order of the request; with ``in_order`` false they are sorted, as the
    template writes a call of the history, which is what a trainer that renders through it teaches.
    """
    if not calls:
        return answer + TURN_CLOSE
    return "".join(call_text(n, a, in_order=in_order) for n, a in calls) + RESPONSE_OPEN


_CALL = re.compile(r"<\|tool_call>call:([^{}]+)\{(.*?)\}<tool_call\|>", re.DOTALL)
_ITEM = re.compile(r'<\|"\|>(.*?)<\|"\|>|([^,<>\[\]]+)', re.DOTALL)
_ARGUMENT = re.compile(
    r'([^:,{}]+):(?:<\|"\|>(.*?)<\|"\|>|(\[(?:<\|"\|>.*?<\|"\|>|[^\[\]<>])*\])|([^,<>\[\]]*))(?:,|$)',
    re.DOTALL,
)


def read_calls(text: str) -> list[tuple[str, dict[str, object]]] | None:
    """The calls of a completion, strictly: None unless it is calls in the exact form, only them.

    For the evaluation, so that it does not depend on a parser that mends text.
    """
    calls: list[tuple[str, dict[str, object]]] = []
    at = 0
    for match in _CALL.finditer(text):
        if match.start() != at:
            return None
        at = match.end()
        arguments: dict[str, object] = {}
        inside = 0
        for pair in _ARGUMENT.finditer(match.group(2)):
            if pair.start() != inside or pair.group(1) in arguments:
                return None
            inside = pair.end()
            value = _value(pair.group(2), pair.group(3), pair.group(4))
            if value is None:
                return None
            arguments[pair.group(1)] = value
        if inside != len(match.group(2)):
            return None
        calls.append((match.group(1), arguments))
    return calls if at == len(text) and calls else None


def _value(text: str | None, items: str | None, scalar: str | None) -> object:
    """What one of the three forms says; None if it is none of them."""
    if text is not None:
        return text
    if items is None:
        return _scalar(scalar or "")
    values: list[object] = []
    at = 1
    for match in _ITEM.finditer(items, 1, len(items) - 1):
        if match.start() != at + (1 if values else 0) or (values and items[at] != ","):
            return None
        at = match.end()
        value = match.group(1) if match.group(1) is not None else _scalar(match.group(2))
        if value is None:
            return None
        values.append(value)
    return values if at == len(items) - 1 else None


def _scalar(text: str) -> bool | int | float | None:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d+\.\d+", text) else None
