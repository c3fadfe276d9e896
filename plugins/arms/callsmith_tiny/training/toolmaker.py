"""Tools made of words: names, descriptions, parameters."""

from __future__ import annotations

import random
from typing import Any

from .documented import Documented, DocumentedTool
from .mixes import Mix
from .phrasing import Tool
from .values import Values
from .vocabulary import RESERVED, Pools

TYPES = ("string", "string", "string", "integer", "integer", "number", "boolean", "enum")
LONG_DESCRIPTIONS = (
    "Works with every {a} and {b}.",
    "Needs a {a}. Returns the {b} {c}.",
    "Returns {a}.",
    "Use it only when the {a} is {b}, not for the {c}.",
    "The {a} must be {b}.",
)


class ToolMaker:
    """Draws tools from one side of the word split."""

    def __init__(self, pools: Pools, values: Values) -> None:
        self.pools = pools
        self.values = values
        self.documented = Documented(pools, values)

    def tools(self, rng: random.Random, mix: Mix) -> list[Tool]:
        """The tools of one conversation, with different names."""
        count = rng.choice(list(mix.tool_counts))
        tools: list[Tool] = []
        taken: set[str] = set()
        for _ in range(count):
            if tools and rng.random() < mix.neighbours:
                # A neighbour that shares a word, so that one word does not decide.
                like = rng.choice(tools)
                tool = self.tool(rng, mix, taken, like=like)
            else:
                tool = self.tool(rng, mix, taken)
            taken.add(tool.name)
            tools.append(tool)
        return tools

    def tool(self, rng: random.Random, mix: Mix, taken: set[str], like: Tool | None = None) -> Tool:
        """One tool; `like` is one that it shares a word with, `taken` are names in use."""
        if mix.documented and rng.random() < mix.documented:
            return self.documented.tool(rng, mix, taken, like)
        pools = self.pools
        while True:
            verb = rng.choice(pools.verbs) if rng.random() < mix.known else pools.word(rng, 0.7)
            everyday = rng.random() < mix.known / 1.3
            noun = rng.choice(pools.nouns) if everyday else pools.word(rng, 0.7)
            words = [verb, noun]
            draw = rng.random()
            if draw < 0.15:
                words = [verb, rng.choice(pools.adjectives), noun]
            elif draw < 0.25:
                words = [verb, noun, rng.choice(pools.nouns)]
            elif draw < 0.29:
                words = [verb]
            if like is not None and len(words) > 1:
                if rng.random() < 0.5:
                    words[0] = like.words[0]
                else:
                    words[-1] = like.words[-1]
            if len(set(words)) < len(words):
                continue
            name = spell_name(rng, words, mix.spelling)
            if name not in taken:
                break
        extra = pools.word(rng, 0.3)
        tool = Tool(name=name, words=words, description="")
        if rng.random() >= mix.brief:
            tool.description = self._description(rng, words, extra)
        described = rng.random() < mix.described
        minimum = rng.choice((0, 1, 1, 2, 2, 2, 3, 3, 3, 4))
        for _ in range(minimum):
            self.add_parameter(rng, tool, mix, described)
        return tool

    def add_parameter(self, rng: random.Random, tool: Tool, mix: Mix, described: bool) -> None:
        """Gives a tool one more parameter of any type."""
        if isinstance(tool, DocumentedTool):
            self.documented.add_parameter(rng, tool)
            return
        pools = self.pools
        name = self.parameter_name(rng, tool, mix)
        kind = rng.choice(TYPES)
        schema: dict[str, Any] = {"type": "string" if kind == "enum" else kind}
        if described and rng.random() < 0.7:
            plain = name.replace("_", " ")
            schema["description"] = rng.choice(
                (
                    f"the {plain}",
                    f"The {plain}",
                    f"{plain} of the {tool.words[-1]}",
                    f"The {plain} to {tool.words[0]}",
                    f"{plain}, for instance {pools.word(rng, 0.3)}",
                    f"{pools.word(rng, 0.2)} {plain}",
                    plain.capitalize(),
                )
            )
        if kind == "enum":
            options: list[str] = []
            while len(options) < rng.choice((2, 3, 3, 4)):
                word = pools.word(rng, 0.3)
                if word not in options:
                    options.append(word)
            schema["enum"] = options
        tool.properties[name] = schema

    def parameter_name(self, rng: random.Random, tool: Tool, mix: Mix) -> str:
        """A new name, in the share ``mix.akin`` one that shares a word with the tool's."""
        pools = self.pools
        if mix.akin and rng.random() < mix.akin:
            parts = [tool.words[-1]]
            if rng.random() < 0.4:
                parts.insert(rng.randrange(2), rng.choice(pools.parameters))
            name = "_".join(parts)
            if name not in tool.properties and len(set(parts)) == len(parts):
                return name
        while True:
            draw = rng.random()
            if draw < 0.35:
                parts = [rng.choice(pools.parameters)]
            elif draw < 0.58:
                parts = [pools.word(rng, 0.3)]
            elif draw < 1 - mix.two_words:
                parts = [pools.invented(rng)]
            else:
                parts = [pools.word(rng, 0.2), rng.choice(pools.parameters)]
            name = "_".join(parts)
            if name not in tool.properties and not set(parts) & (RESERVED | set(tool.words)):
                return name

    def _description(self, rng: random.Random, words: list[str], extra: str) -> str:
        verb, rest = words[0], " ".join(words[1:]) or extra
        style = rng.random()
        if style < 0.12:
            return ""
        if style < 0.72:
            return rng.choice(
                (
                    f"{verb} the {rest}",
                    f"{verb.capitalize()} the {rest}.",
                    f"{verb.capitalize()} a {rest}",
                    f"{verb.capitalize()} {rest} for the {extra}",
                    f"Use this to {verb} the {rest}.",
                )
            )
        long = self.values.fill(rng, rng.choice(LONG_DESCRIPTIONS))
        return f"{verb.capitalize()} the {rest} of a {extra}. {long}"


def spell_name(rng: random.Random, words: list[str], other: float) -> str:
    """The words as an identifier; ``other`` is the share of all spellings but the usual one."""
    draw = (1 - rng.random()) / other
    if draw >= 1:
        return "_".join(words)
    if draw >= 10 / 14:
        return "-".join(words)
    if draw >= 6 / 14:
        return words[0] + "".join(w.capitalize() for w in words[1:])
    if draw >= 3 / 14:
        return ".".join((words[-1], *words[:-1]))
    return "_".join((words[-1], *words[:-1]))
