"""How a request is put into words: the tool's words, then values with or without their names."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

OPENINGS = (
    "", "", "", "please ", "can you ", "could you ", "i need you to ", "hey, ", "i want to ",
    "now ", "i would like you to ", "would you ", "you should ", "let us ",
)  # fmt: skip
ENDINGS = ("", "", "", ".", ".", "?", "!", ", please", " please")
NAME_FIRST = (
    "{p} {v}", "{p} {v}", "{p} {v}", "{p}: {v}", "{p} = {v}", "{p}={v}", "{p} is {v}",
    "{p} set to {v}", "the {p} should be {v}", "{p} of {v}", "the {p} {v}", "{p} to {v}",
    "a {p} of {v}", "the {p} is {v}",
)  # fmt: skip
CASUAL_ENDINGS = (
    " right now", " right now?", " for me", " for me, please", " today", " today?", " now.",
    ", thanks", " for me?", ", will you?",
)  # fmt: skip
VALUE_FIRST = ("{v} as the {p}", "{v} as {p}", "{v} for {p}", "{v} for the {p}", "{v} as its {p}")
GLUES = (" with ", " with ", " with ", " using ", ", ", ": ", " where ", "; ", " for ", " and ")
JOINS = (", ", " and ", ", and ", "; ", " and ", ", ", " with ")
BARE_STRING = (
    " for ", " for ", " of ", " in ", " in ", " on ", " about ", " to ", " named ", ": ", " ",
    " from ", " in the ", " for the ", " to the ", " at ",
)  # fmt: skip
BARE_NUMBER = (" to ", " to ", " by ", " at ", " of ", " ", ": ", " for ")
WANTING = (
    "i need the ", "what is the ", "what's the ", "show me the ", "give me the ",
    "what about the ", "get me the ",
)  # fmt: skip
CASUAL_WANTING = (
    *WANTING, "what is the ", "what's the ", "how is the ", "tell me the ", "i want the ",
    "check the ", "can you show me the ", "do you know the ",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Tool:
    """A tool under construction: its name, the words the name is made of, its parameters."""

    name: str
    words: list[str]
    description: str
    properties: dict[str, dict[str, Any]] = field(default_factory=dict)
    uses: list[set[str]] = field(default_factory=list)

    def choose(self, rng: random.Random, count: int) -> list[str]:
        """Which parameters a call is to use, in random order; remembered for ``required``."""
        chosen = rng.sample(list(self.properties), min(count, len(self.properties)))
        self.uses.append(set(chosen))
        return chosen

    def add_string(self, name: str) -> str:
        """Gives the tool one more string parameter, which is the only one the next call uses."""
        self.properties[name] = {"type": "string"}
        self.uses.append({name})
        return name

    def spec(self) -> dict[str, Any]:
        """The declaration: name, description, JSON Schema of the parameters.

        What is required is decided by a hash of the names, among what every use of it gives.
        """
        if not self.properties:
            empty: dict[str, Any] = {"type": "object", "properties": {}}
            bare = len(self.name) % 2
            return {
                "name": self.name,
                "description": self.description,
                "parameters": empty if bare else {},
            }
        allowed = set(self.properties)
        for use in self.uses:
            allowed &= use
        required = [p for p in self.properties if p in allowed and (len(p) + len(self.name)) % 4]
        parameters: dict[str, Any] = {"type": "object", "properties": dict(self.properties)}
        if required:
            parameters["required"] = required
        return {"name": self.name, "description": self.description, "parameters": parameters}


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter's name and the value that it is to get."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Phrase:
    """A request in words, the arguments in the order in which it says them, and its style."""

    text: str
    order: list[Argument]
    style: str


def phrase_request(
    rng: random.Random,
    tool: Tool,
    arguments: Sequence[Argument],
    *,
    others: Sequence[Tool],
    value_first: float,
    bare: float,
    loose_head: float,
    casual: float,
    plain: bool,
) -> Phrase:
    """Puts one call into words. ``plain`` leaves the opening and the ending out."""
    easy_going = casual > 0 and rng.random() < casual
    head = _head(rng, tool, others, loose_head, CASUAL_WANTING if easy_going else WANTING)
    unnamed = _unnamed(rng, tool, arguments) if rng.random() < bare else []
    named = [a for a in arguments if a not in unnamed]
    rng.shuffle(named)
    text, style = head, "bare" if unnamed else "named"
    for argument in unnamed:
        schema = tool.properties[argument.name]
        number = schema["type"] in ("integer", "number")
        preposition = rng.choice(BARE_NUMBER if number else BARE_STRING)
        text += preposition + say(rng, argument.value, quote=0.9 if preposition == " " else 0.5)
    if named:
        parts = []
        for argument in named:
            value_leads = rng.random() < value_first
            pattern = rng.choice(VALUE_FIRST if value_leads else NAME_FIRST)
            if value_leads and style == "named":
                style = "value_first"
            name = argument.name
            if "_" in name and rng.random() < 0.4:
                name = name.replace("_", " ")
            parts.append(pattern.format(p=name, v=say(rng, argument.value)))
        join = rng.choice(JOINS)
        body = join.join(parts)
        if len(parts) > 2 and rng.random() < 0.5:
            body = ", ".join(parts[:-1]) + rng.choice((" and ", ", and ")) + parts[-1]
        text += rng.choice(GLUES) + body
    if not plain:
        opening = "" if head.startswith(CASUAL_WANTING) else rng.choice(OPENINGS)
        text = opening + text + rng.choice(CASUAL_ENDINGS if easy_going else ENDINGS)
        if rng.random() < 0.5:
            text = text[0].upper() + text[1:]
    return Phrase(text, [*unnamed, *named], style)


def say(rng: random.Random, value: object, quote: float | None = None) -> str:
    """A value as a person writes it."""
    if isinstance(value, bool):
        draw = rng.random()
        words = ("true", "false") if draw < 0.7 else ("yes", "no") if draw < 0.85 else ("on", "off")
        return words[0] if value else words[1]
    if isinstance(value, str):
        if quote is None:
            quote = 0.5 if " " in value else 0.2
        if "," in value or value.count(" ") > 3:
            quote = 1.0
        if rng.random() < quote:
            mark = rng.choice(("'", '"'))
            return f"{mark}{value}{mark}"
    return str(value)


def _head(
    rng: random.Random, tool: Tool, others: Sequence[Tool], loose: float, wanting: Sequence[str]
) -> str:
    verb, rest = tool.words[0], " ".join(tool.words[1:])
    if rng.random() < loose:
        taken = {word for other in others for word in other.words}
        draw = rng.random()
        if draw < 0.45 and rest and not taken & set(tool.words[1:]):
            return rng.choice(wanting) + rest
        return rng.choice(("use {}", "call {}", "run {}", "{}", "use the {} tool")).format(
            tool.name
        )
    if not rest:
        return verb
    return verb + rng.choice((" the ", " the ", " ", " ", " a ", " my ")) + rest


def _class(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "enum"
    return "number" if schema["type"] in ("integer", "number") else str(schema["type"])


def _unnamed(rng: random.Random, tool: Tool, arguments: Sequence[Argument]) -> list[Argument]:
    """Which values can go without their names: no unused parameter could take them."""
    used = {a.name for a in arguments}
    free = {_class(s) for p, s in tool.properties.items() if p not in used}
    able: list[Argument] = []
    seen: set[str] = set()
    for argument in arguments:
        kind = _class(tool.properties[argument.name])
        if kind == "boolean" or kind in free or kind in seen:
            continue
        seen.add(kind)
        able.append(argument)
    if not able:
        return []
    count = 1 if len(able) < 2 or rng.random() < 0.7 else 2
    return rng.sample(able, count)
