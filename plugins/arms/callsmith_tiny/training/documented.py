"""Tools as libraries document them, and requests as people put them to such tools.

A tool does one thing to a part of something (`compute` the `weight` of a `bridge`), its parameters
have sentences for descriptions, and some are optional, with a default, and left alone by most
requests. A request says the thing in many ways ("what is the weight of a wooden bridge …"), with
units behind numbers, so that a model has to tell what is said *about* the task from what is said
*to* a parameter. Some parameters have a short name, and people say what the description says.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .documented_text import (
    ASKS,
    DEFAULTS,
    DESCRIPTIONS,
    GLUES,
    JOINS,
    NAMED,
    NAMES,
    OBJECTS,
    PARAMETERS,
    PLAIN_OBJECTS,
    PREPOSITIONS,
    SHORT_NAMES,
    TAILS,
    UNITS,
    VALUE_FIRST,
)
from .mixes import Mix
from .phrasing import Argument, Phrase, Tool, say
from .values import Values
from .vocabulary import RESERVED, Pools

TYPES = (
    "string", "string", "string", "integer", "integer", "integer", "number", "boolean", "enum",
    "numbers", "strings",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class DocumentedTool(Tool):
    """A tool whose words are what it does, to which part, of which thing."""

    optional: set[str] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)
    """What people call a parameter."""
    units: dict[str, str] = field(default_factory=dict)
    """The unit of a number, for those that have one."""

    def add_string(self, name: str) -> str:
        """One more string parameter, which is the only one the next call has to give."""
        self.properties[name] = {"type": "string"}
        self.said[name] = name.replace("_", " ")
        self.uses.append({name})
        return name

    def spec(self) -> dict[str, Any]:
        """The declaration; what is not optional, and given by every use, is required."""
        parameters: dict[str, Any] = {"type": "object", "properties": dict(self.properties)}
        given = set(self.properties).intersection(*self.uses)
        required = [name for name in self.properties if name in given - self.optional]
        if required:
            parameters["required"] = required
        return {"name": self.name, "description": self.description, "parameters": parameters}


class Documented:
    """Draws documented tools and requests for them, from one side of the word split."""

    def __init__(self, pools: Pools, values: Values) -> None:
        self.pools, self.values = pools, values

    def tool(
        self, rng: random.Random, mix: Mix, taken: set[str], like: Tool | None = None
    ) -> DocumentedTool:
        """One tool; `like` is one that it shares a word with, `taken` are names in use."""
        while True:
            words = [
                rng.choice(self.pools.verbs) if rng.random() < 0.8 else self.pools.word(rng, 0.6),
                *(self._thing(rng) for _ in range(2)),
            ]
            if like is not None and len(like.words) > 1:
                place = rng.choice((0, 1, 2))
                words[place] = like.words[min(place, len(like.words) - 1)]
            name = _camel(rng, self._filled(rng, rng.choice(NAMES), words))
            if len(set(words)) == 3 and name not in taken and not RESERVED & set(words):
                break
        tool = DocumentedTool(name=name, words=words, description="")
        for _ in range(rng.choice((1, 1, 2, 2, 2, 3, 3, 4))):
            self.add_parameter(rng, tool)
        texts = [self._filled(rng, rng.choice(DESCRIPTIONS), words)]
        given = [tool.said[name] for name in tool.properties if name not in tool.optional]
        if given and rng.random() < 0.25:
            start = rng.choice((" given ", " based on ", " from ", " using ", " given its "))
            texts[0] = texts[0].rstrip(".") + start + " and ".join(given[:2]) + "."
        if rng.random() < 0.3:
            texts.append(self._filled(rng, rng.choice(TAILS), words))
        tool.description = " ".join(texts)
        return tool

    def add_parameter(self, rng: random.Random, tool: DocumentedTool) -> None:
        """One more parameter; the first is never optional."""
        name, said = self._name(rng, tool)
        kind = rng.choice(TYPES)
        schema: dict[str, Any] = {"type": "string" if kind == "enum" else kind}
        if kind in ("numbers", "strings"):
            item = rng.choice(("integer", "number")) if kind == "numbers" else "string"
            schema = {"type": "array", "items": {"type": item}}
        elif kind == "enum":
            options: list[str] = []
            while len(options) < rng.choice((2, 3, 3, 4)):
                word = self.pools.word(rng, 0.3)
                if word not in options:
                    options.append(word)
            schema["enum"] = options
        text = self._filled(rng, rng.choice(PARAMETERS), tool.words).replace("{p}", said)
        if kind in ("integer", "number") and rng.random() < 0.5:
            tool.units[name] = rng.choice(UNITS)
            if rng.random() < 0.6:
                text = text.rstrip(".") + f" in {tool.units[name]}."
        if tool.properties and rng.random() < 0.35:
            tool.optional.add(name)
            if rng.random() < 0.85:
                value = say(rng, self._value(rng, schema, 1.0), quote=0.5)
                text += rng.choice(DEFAULTS).format(value)
        schema["description"] = text[0].upper() + text[1:]
        tool.properties[name], tool.said[name] = schema, said

    def request(
        self,
        rng: random.Random,
        mix: Mix,
        tool: DocumentedTool,
        others: Sequence[Tool],
        count: int,
        *,
        plain: bool = False,
    ) -> Phrase:
        """A request for `tool` that gives `count` parameters, optional ones last."""
        while len(tool.properties) < count:
            self.add_parameter(rng, tool)
        chosen = sorted(
            rng.sample(list(tool.properties), len(tool.properties)), key=tool.optional.__contains__
        )
        chosen = chosen[:count]
        rng.shuffle(chosen)
        tool.uses.append(set(chosen))
        arguments = [
            Argument(name, self._value(rng, tool.properties[name], 0.4)) for name in chosen
        ]
        bare = self._bare(rng, tool, arguments) if rng.random() < mix.bare else []
        named = [argument for argument in arguments if argument not in bare]
        text, style = self._head(rng, tool, others, plain), "bare" if bare else "named"
        for argument in bare:
            number = tool.properties[argument.name]["type"] in ("integer", "number")
            preposition = rng.choice((" of ", " for ", " to ") if number else PREPOSITIONS)
            text += preposition + self._say(rng, tool, argument)
        parts = []
        for argument in named:
            first = rng.random() < mix.value_first / 2
            frame = rng.choice(VALUE_FIRST if first else NAMED)
            style = "value_first" if first and style == "named" else style
            said = tool.said[argument.name]
            if "_" in argument.name and rng.random() < 0.15:
                said = argument.name
            parts.append(frame.format(p=said, v=self._say(rng, tool, argument)))
        if parts:
            body = rng.choice(JOINS).join(parts)
            if len(parts) > 2:
                body = ", ".join(parts[:-1]) + rng.choice((" and ", ", and ")) + parts[-1]
            text += rng.choice(GLUES) + body
        if not plain:
            text += rng.choice(("?",) if text.startswith("what") else ("", ".", ".", "?"))
            text = text[0].upper() + text[1:] if rng.random() < 0.8 else text
        return Phrase(text, [*bare, *named], style)

    # Parts

    def _head(self, rng: random.Random, tool: Tool, others: Sequence[Tool], plain: bool) -> str:
        verb, part, thing = tool.words
        shared = {word for other in others for word in other.words[1:]}
        # What tells this tool from its neighbours has to be said.
        frame = rng.choice(OBJECTS if {part, thing} & shared else (*OBJECTS, *PLAIN_OBJECTS))
        same = [t for t in others if {part, thing} <= set(t.words)]
        ask = "{v} " if plain or same else rng.choice(ASKS)
        adjective = rng.choice(self.pools.adjectives) + " " if rng.random() < 0.2 else ""
        return _articles((ask + frame).format(v=verb, o=part, c=adjective + thing))

    def _bare(
        self, rng: random.Random, tool: DocumentedTool, arguments: Sequence[Argument]
    ) -> list[Argument]:
        """One value that can go without its name: no other one that is said is of its kind."""
        kinds = [tool.properties[argument.name]["type"] for argument in arguments]
        able = [
            argument
            for argument, kind in zip(arguments, kinds, strict=True)
            if kind in ("string", "integer", "number")
            and sum(other in (kind, "integer", "number") for other in kinds) == 1
            and not (tool.optional and argument.name in tool.optional)
        ]
        return [rng.choice(able)] if able else []

    def _say(self, rng: random.Random, tool: DocumentedTool, argument: Argument) -> str:
        value = argument.value
        if isinstance(value, list):
            if rng.random() < 0.4:
                return "[" + ", ".join(say(rng, item, quote=0.5) for item in value) + "]"
            texts = [say(rng, item, quote=0.2) for item in value]
            return ", ".join(texts[:-1]) + rng.choice((", ", " and ", ", and ")) + texts[-1]
        text = say(rng, value)
        unit = tool.units.get(argument.name)
        if unit and rng.random() < 0.75:
            return f"{text} {unit}"
        return text

    def _value(self, rng: random.Random, schema: dict[str, Any], simple: float) -> Any:
        if schema["type"] != "array":
            return self.values.value(rng, schema, simple)
        if schema["items"]["type"] == "string":
            return [self.pools.word(rng, 0.4) for _ in range(rng.choice((2, 2, 3, 4)))]
        return [
            self.values.value(rng, schema["items"], 1.0) for _ in range(rng.choice((2, 3, 4, 5)))
        ]

    def _name(self, rng: random.Random, tool: DocumentedTool) -> tuple[str, str]:
        """A parameter's name, and what people call it."""
        while True:
            draw = rng.random()
            parts = [rng.choice(self.pools.parameters) if draw < 0.45 else self._thing(rng)]
            if rng.random() < 0.35:
                parts.insert(0, self._thing(rng))
            said = " ".join(parts)
            name = "_".join(parts)
            if rng.random() < 0.12:
                name = rng.choice(SHORT_NAMES)
            elif len(parts) > 1 and rng.random() < 0.12:
                name = "_".join(part[:3] for part in parts)
            elif rng.random() < 0.12:
                name = f"{parts[-1]}_{tool.words[2]}"
            used = {*tool.words, *(word for text in tool.said.values() for word in text.split())}
            fits = name not in tool.properties and not {*parts} & (RESERVED | used)
            if fits and len(set(parts)) == len(parts):
                return name, said

    def _thing(self, rng: random.Random) -> str:
        return rng.choice(self.pools.nouns) if rng.random() < 0.5 else self.pools.word(rng, 0.3)

    def _filled(self, rng: random.Random, template: str, words: Sequence[str]) -> str:
        verb, part, thing = words
        text = template.format(
            v=verb,
            V=verb.capitalize(),
            o=part,
            c=thing,
            a=self.pools.word(rng, 0.2),
            b=self.pools.word(rng, 0.2),
            p="{p}",
        )
        return _articles(text)


def _articles(text: str) -> str:
    """`an` where a word that begins with a vowel follows."""
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def _camel(rng: random.Random, name: str) -> str:
    if rng.random() < 0.88:
        return name
    head, *rest = name.replace(".", "_").split("_")
    return head + "".join(part.capitalize() for part in rest)
