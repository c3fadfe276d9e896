"""Synthetic tool-calling conversations: deterministic by seed and index, never the same twice.

Example ``index`` of ``seed`` is the same on every machine; a :class:`Mix` says how hard it is.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from .documented import DocumentedTool
from .gemma_format import completion_text, prompt_text
from .mixes import FULL, Mix
from .phrasing import Argument, Tool, phrase_request
from .sentences import (
    ERROR_TEXTS,
    NO_TOOL,
    QUESTIONS,
    RESULT_TEXTS,
    SMALL_TALK,
    SYSTEM_PROMPTS,
    join_requests,
)
from .toolmaker import ToolMaker
from .values import Values
from .vocabulary import Pools, Split

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One conversation up to the point where the model speaks, and what it is to say."""

    kind: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    calls: list[tuple[str, dict[str, Any]]]
    answer: str
    phrase: str = ""
    """How the last request was put: named, value_first, bare, mixed; empty where none was."""

    @property
    def prompt(self) -> str:
        """The prompt as Gemma 4's template renders it."""
        return prompt_text(self.messages, self.tools)

    @property
    def completion(self) -> str:
        """What the model is to write, its end mark included."""
        return completion_text(self.calls, self.answer)


class Generator:
    """Draws examples from one side of the word split."""

    def __init__(self, split: Split, seed: int) -> None:
        self.pools = Pools(split)
        self.values = Values(self.pools)
        self.maker = ToolMaker(self.pools, self.values)
        self.split = split
        self.seed = seed

    def example(self, index: int, mix: Mix = FULL, kind: str | None = None) -> Example:
        """Example number ``index``; the same arguments give the same example."""
        rng = random.Random(f"{self.seed}/{self.split}/{index}")
        kind = kind or weighted(rng, mix.kinds)
        draw: Callable[[random.Random, Mix], Example] = getattr(self, f"_{kind}")
        return draw(rng, mix)

    # Kinds

    def _single(self, rng: random.Random, mix: Mix) -> Example:
        tools = self.maker.tools(rng, mix)
        tool = rng.choice(tools)
        text, call, phrase = self._request(rng, mix, tool, tools)
        return self._finish(rng, mix, "single", [user(text)], tools, [call], phrase=phrase)

    def _several(self, rng: random.Random, mix: Mix) -> Example:
        tools = self.maker.tools(rng, mix)
        count = rng.choice((2, 2, 2, 3))
        short = replace(mix, argument_counts={0: 0.1, 1: 0.5, 2: 0.4})
        texts, calls = [], []
        for position in range(count):
            tool = rng.choice(tools)
            text, call, _ = self._request(rng, short, tool, tools, plain=position > 0)
            texts.append(text)
            calls.append(call)
        return self._finish(rng, mix, "several", [user(join_requests(rng, texts))], tools, calls)

    def _none(self, rng: random.Random, mix: Mix) -> Example:
        tools = self.maker.tools(rng, mix) if rng.random() < 0.8 else []
        draw = rng.random()
        if draw < 0.25:
            texts, answer = rng.choice(SMALL_TALK)
            text = rng.choice(texts)
        elif draw < 0.45:
            text, answer = self.values.fill(rng, rng.choice(QUESTIONS)), NO_TOOL
        elif draw < 0.5 and tools:
            text = rng.choice(("what can you do?", "which tools do you have?", "help"))
            answer = "I can use these tools: " + ", ".join(t.name for t in tools) + "."
        else:
            taken = {word for tool in tools for word in tool.words}
            while True:
                other = self.maker.tool(rng, mix, set())
                if not taken.intersection(other.words):
                    break
            if rng.random() < 0.4 and tools and len(other.words) > 1:
                # The same verb for another thing is no reason to call the tool.
                other.words[0] = rng.choice(tools).words[0]
            text, _, _ = self._request(rng, replace(mix, loose_head=0.0), other, [other])
            answer = NO_TOOL
        if rng.random() < 0.5:
            text = text[0].upper() + text[1:]
        return self._finish(rng, mix, "none", [user(text)], tools, [], answer=answer)

    def _follow_up(self, rng: random.Random, mix: Mix) -> Example:
        tools = self.maker.tools(rng, mix)
        count = rng.choice((1, 1, 1, 2))
        short = replace(mix, argument_counts={0: 0.1, 1: 0.4, 2: 0.3, 3: 0.2})
        texts, calls = [], []
        for position in range(count):
            text, call, _ = self._request(rng, short, rng.choice(tools), tools, plain=position > 0)
            texts.append(text)
            calls.append(call)
        messages, spoken = self._called(rng, calls)
        answer = self._answer(spoken)
        text = join_requests(rng, texts) if count > 1 else texts[0]
        return self._finish(
            rng, mix, "follow_up", [user(text), *messages], tools, [], answer=answer
        )

    def _chain(self, rng: random.Random, mix: Mix) -> Example:
        """A second call that needs the result of the first."""
        tools = self.maker.tools(
            rng, replace(mix, tool_counts=[n for n in mix.tool_counts if n > 1])
        )
        first = rng.choice(tools)
        second = rng.choice([t for t in tools if t is not first])
        text, call, _ = self._request(
            rng, replace(mix, argument_counts={0: 0.2, 1: 0.6, 2: 0.2}), first, tools
        )
        value = self.values.string(rng)
        parameter = second.add_string(self.maker.parameter_name(rng, second, mix))
        said = rng.choice(
            (
                "with {p} set to the result",
                "with {p} the result",
                "with the result as {p}",
                "with the result as the {p}",
                "using the result as {p}",
            )
        ).format(p=rng.choice((parameter, parameter.replace("_", " "))))
        head = (
            " ".join(second.words)
            if rng.random() < 0.7
            else "the ".join((second.words[0] + " ", " ".join(second.words[1:])))
        )
        if len(second.words) == 1 or rng.random() < 0.15:
            head = f"call {second.name}"
        text = (
            text.rstrip(".?!")
            + rng.choice((", then ", " and then ", "; then ", ". Then "))
            + f"{head} {said}"
        )
        question = user(text + rng.choice(("", ".")))
        round_one = [assistant([call]), {"role": "tool", "content": value}]
        follow = (second.name, {parameter: value})
        step = rng.random()
        if step < 0.3:
            return self._finish(rng, mix, "chain", [question], tools, [call])
        if step < 0.85:
            return self._finish(rng, mix, "chain", [question, *round_one], tools, [follow])
        messages, spoken = self._called(rng, [follow])
        answer = self._answer([(False, value), *spoken])
        return self._finish(
            rng, mix, "chain", [question, *round_one, *messages], tools, [], answer=answer
        )

    def _later_turn(self, rng: random.Random, mix: Mix) -> Example:
        """A request after an earlier, finished exchange."""
        tools = self.maker.tools(rng, replace(mix, tool_counts=(1, 2, 3)))
        if rng.random() < 0.4:
            texts, reply = rng.choice(SMALL_TALK)
            history = [user(rng.choice(texts)), {"role": "assistant", "content": reply}]
        else:
            text, call, _ = self._request(rng, mix, rng.choice(tools), tools)
            messages, spoken = self._called(rng, [call])
            done = {"role": "assistant", "content": self._answer(spoken)}
            history = [user(text), *messages, done]
        if rng.random() < 0.2:
            texts, answer = rng.choice(SMALL_TALK)
            return self._finish(
                rng,
                mix,
                "later_turn",
                [*history, user(rng.choice(texts))],
                tools,
                [],
                answer=answer,
            )
        text, call, phrase = self._request(rng, mix, rng.choice(tools), tools)
        return self._finish(
            rng, mix, "later_turn", [*history, user(text)], tools, [call], phrase=phrase
        )

    # Parts

    def _finish(
        self,
        rng: random.Random,
        mix: Mix,
        kind: str,
        messages: list[dict[str, Any]],
        tools: list[Tool],
        calls: list[tuple[str, dict[str, Any]]],
        answer: str = "",
        phrase: str = "",
    ) -> Example:
        if rng.random() < 0.4 * (1 - mix.brief):
            text = self.values.fill(rng, rng.choice(SYSTEM_PROMPTS))
            messages = [{"role": "system", "content": text}, *messages]
        specs = [tool.spec() for tool in tools]
        return Example(
            kind=kind, messages=messages, tools=specs, calls=calls, answer=answer, phrase=phrase
        )

    def _request(
        self, rng: random.Random, mix: Mix, tool: Tool, tools: list[Tool], plain: bool = False
    ) -> tuple[str, tuple[str, dict[str, Any]], str]:
        others = [t for t in tools if t is not tool]
        count = weighted(rng, mix.argument_counts)
        if isinstance(tool, DocumentedTool):
            phrase = self.maker.documented.request(rng, mix, tool, others, count, plain=plain)
            return phrase.text, (tool.name, {a.name: a.value for a in phrase.order}), phrase.style
        while len(tool.properties) < count:
            self.maker.add_parameter(rng, tool, mix, rng.random() < mix.described)
        chosen = tool.choose(rng, count)
        arguments = [
            Argument(p, self.values.value(rng, tool.properties[p], mix.simple)) for p in chosen
        ]
        phrase = phrase_request(
            rng,
            tool,
            arguments,
            others=others,
            value_first=mix.value_first,
            bare=mix.bare,
            loose_head=mix.loose_head,
            casual=mix.casual,
            plain=plain,
        )
        return phrase.text, (tool.name, {a.name: a.value for a in phrase.order}), phrase.style

    def _called(
        self, rng: random.Random, calls: list[tuple[str, dict[str, Any]]]
    ) -> tuple[list[dict[str, Any]], list[tuple[bool, str]]]:
        messages = [assistant(calls)]
        spoken = []
        for _ in calls:
            content, failed, said = self._result(rng)
            messages.append({"role": "tool", "content": content})
            spoken.append((failed, said))
        return messages, spoken

    def _result(self, rng: random.Random) -> tuple[Any, bool, str]:
        """A tool's result, whether it is an error, and how the model is to say it."""
        if rng.random() < 0.2:
            text = self.values.fill(rng, rng.choice(ERROR_TEXTS))
            shape = rng.choice(("error: {}", "Error: {}", "json", "json"))
            content = json.dumps({"error": text}) if shape == "json" else shape.format(text)
            return content, True, text
        if rng.random() < 0.3:
            keys: dict[str, Any] = {}
            for _ in range(rng.choice((1, 2, 2, 3))):
                value = rng.choice(
                    (self.values.string(rng), self.pools.integer(rng), rng.random() < 0.5)
                )
                keys[self.pools.word(rng, 0.3)] = value
            said = ", ".join(f"{k} is {say_json(v)}" for k, v in keys.items())
            return json.dumps(keys), False, said
        if rng.random() < 0.15:
            scalar = rng.choice((self.pools.integer(rng), self.pools.integer(rng) / 4, True, False))
            return scalar, False, say_json(scalar)
        text = self.values.fill(rng, rng.choice(RESULT_TEXTS))
        return text, False, text.rstrip(".")

    def _answer(self, spoken: list[tuple[bool, str]]) -> str:
        if len(spoken) == 1:
            failed, text = spoken[0]
            return f"Sorry, that failed: {text}." if failed else f"Here is the result: {text}."
        parts = [f"failed, {text}" if failed else text for failed, text in spoken]
        return "Here are the results: " + "; ".join(parts) + "."


def user(text: str) -> dict[str, Any]:
    """A message of the user."""
    return {"role": "user", "content": text}


def assistant(calls: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """A message of the model that holds calls."""
    return {"role": "assistant", "tool_calls": [{"name": n, "arguments": a} for n, a in calls]}


def say_json(value: object) -> str:
    """A JSON scalar in an answer."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def weighted(rng: random.Random, weights: Mapping[K, float]) -> K:
    """One key, drawn by its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]
