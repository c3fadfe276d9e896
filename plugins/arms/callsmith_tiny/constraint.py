"""Decoding that can only write valid calls of the declared tools.

Optional, and off unless asked for: it shows what a grammar adds to the same weights. The tools are
read out of the prompt that the template rendered; wherever the model is inside a call, only tokens
are allowed after which the text can still become a call of a declared tool: its name, its
parameters, each at most once and the required ones all, and scalars of the declared type. What the
model says outside of calls, and values of lists, objects and unions, are left alone.

All text here is bytes read as Latin-1, so that half a character is text too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

QUOTE = '<|"|>'
CALL_OPEN = "<|tool_call>"
CALL_CLOSE = "<tool_call|>"

_DECLARATION = re.compile(r"<\|tool>declaration:([^{]+)\{(.*?)<tool\|>", re.DOTALL)
_QUOTED = re.compile(r'<\|"\|>(.*?)<\|"\|>', re.DOTALL)
_NUMBER = {
    "INTEGER": (re.compile(r"-?\d*"), re.compile(r"-?\d+")),
    "NUMBER": (re.compile(r"-?\d*(?:(?<=\d)\.\d*)?"), re.compile(r"-?\d+(?:\.\d+)?")),
}
"""Beginnings of a number, and whole ones."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter: its type in capitals ("" if none), and the values of an enum."""

    type: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared tool, as far as a call has to follow it."""

    parameters: Mapping[str, Parameter]
    required: frozenset[str]


def declared_tools(prompt: str) -> dict[str, Declared]:
    """The tools that a rendered prompt declares, by name."""
    tools = {}
    for name, body in _DECLARATION.findall(prompt):
        members = dict(_members(dict(_members(body)).get("parameters", "{}")[1:]))
        parameters = {
            key: _parameter(dict(_members(text[1:])))
            for key, text in _members(members.get("properties", "{}")[1:])
        }
        required = frozenset(_QUOTED.findall(members.get("required", "")))
        tools[name] = Declared(parameters, required & parameters.keys())
    return tools


def _parameter(members: Mapping[str, str]) -> Parameter:
    kind = _QUOTED.match(members.get("type", ""))
    return Parameter(kind.group(1) if kind else "", tuple(_QUOTED.findall(members.get("enum", ""))))


def _members(text: str) -> Iterator[tuple[str, str]]:
    """The `key:value` pairs at the top of an object's inside, up to its closing brace."""
    at, begin, depth, key = 0, 0, 0, ""
    while at < len(text):
        if text.startswith(QUOTE, at):
            end = text.find(QUOTE, at + len(QUOTE))
            if end < 0:
                return
            at = end + len(QUOTE)
            continue
        char = text[at]
        if char in "{[":
            depth += 1
        elif depth and char in "}]":
            depth -= 1
        elif not depth:
            if char == ":" and not key:
                key, begin = text[begin:at], at + 1
            elif char in ",}":
                if key:
                    yield key, text[begin:at]
                if char == "}":
                    return
                key, begin = "", at + 1
        at += 1


class Constraint:
    """What may follow, for one prompt."""

    def __init__(self, prompt: str) -> None:
        self.tools = declared_tools(prompt.encode().decode("latin-1"))

    def allows(self, text: bytes, piece: bytes) -> bool:
        """Whether `piece` may come after the completion's `text`."""
        if QUOTE.encode() in piece[:-1] and not piece.endswith(QUOTE.encode()):
            # One token with text behind its quotation mark may end a string, not begin one.
            start = text.rfind(CALL_OPEN.encode())
            if start >= 0 and text.count(QUOTE.encode(), start) % 2 == 0:
                return False
        return self._text((text + piece).decode("latin-1"))

    def _text(self, text: str) -> bool:
        """Whether text outside of calls, with the calls in it, can go on to be valid."""
        before, opened, call = text.partition(CALL_OPEN)
        return _plain(before) and (not opened or self._call(call))

    def _call(self, text: str) -> bool:
        """Whether text after `<|tool_call>` is the beginning of a valid call, or one and more."""
        brace = text.find("{")
        if brace < 0:
            return any(f"call:{name}{{".startswith(text) for name in self.tools)
        if not text.startswith("call:") or text[5:brace] not in self.tools:
            return False
        tool = self.tools[text[5:brace]]
        rest, used = text[brace + 1 :], set[str]()
        while True:
            if not rest:
                return True
            if rest[0] == "}":
                close, behind = rest[1 : 1 + len(CALL_CLOSE)], rest[1 + len(CALL_CLOSE) :]
                return tool.required <= used and CALL_CLOSE.startswith(close) and self._text(behind)
            free = tool.parameters.keys() - used
            key, colon, after = rest.partition(":")
            if not colon:
                return any(f"{name}:".startswith(rest) for name in free)
            if key not in free:
                return False
            used.add(key)
            ended = _value(tool.parameters[key], after)
            if isinstance(ended, bool):
                return ended
            if ended.startswith(","):
                if used == tool.parameters.keys():
                    return False
                rest = ended[1:]
                if rest.startswith("}"):
                    return False
            elif not ended or ended.startswith("}"):
                rest = ended
            else:
                return False


def _plain(text: str) -> bool:
    """Whether text outside of calls holds nothing that belongs into one."""
    return not any(mark in text for mark in (QUOTE, CALL_CLOSE, "<|tool>", "<tool|>"))


def _value(parameter: Parameter, text: str) -> bool | str:
    """What follows the value that `text` begins with; or whether it can still become one."""
    kind = parameter.type
    if kind == "STRING":
        if not text.startswith(QUOTE):
            return QUOTE.startswith(text)
        content, closed, after = text[len(QUOTE) :].partition(QUOTE)
        if not closed:
            marks = QUOTE.startswith(content[content.rfind("<") :]) if "<" in content else False
            if not marks and ("<|" in content or "|>" in content):
                return False
            return not parameter.options or any(
                f"{option}{QUOTE}".startswith(content) for option in parameter.options
            )
        return after if not parameter.options or content in parameter.options else False
    if kind == "BOOLEAN":
        for word in ("true", "false"):
            if text.startswith(word):
                return text[len(word) :]
        return "true".startswith(text) or "false".startswith(text)
    if kind in _NUMBER:
        beginning, number = _NUMBER[kind]
        if beginning.fullmatch(text):
            return True
        match = number.match(text)
        return text[match.end() :] if match else False
    return True
