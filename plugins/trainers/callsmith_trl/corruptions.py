"""Gold messages made wrong on purpose, each in one named way, the same way for the same seed. Pure.

A corruption gives candidates, the most plausible kinds first in a seeded order. None of them is
wrong because it stands here: `callsmith_trl.pairs` keeps the first one that the verifiers refuse.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from callsmith import JsonValue, Message, Prompt, Task, ToolCall, ToolSpec
from callsmith_trl.corrupted_values import (
    WORD,
    Item,
    arguments,
    changed,
    made_up,
    properties,
    required,
    retyped,
    shuffled,
)
from callsmith_trl.damaged_text import DAMAGES

CANDIDATES = 12
"""How many candidates of one corruption are looked at."""

PROMISES = (
    "I will do that for you right away.",
    "Let me check that for you. One moment, please.",
    "Done! I have taken care of it.",
    "I am sorry, but I cannot help with that.",
    "Could you give me more details, please?",
)
EXTRAS: Mapping[str, JsonValue] = {
    "limit": 10,
    "verbose": True,
    "language": "en",
    "format": "json",
    "timeout": 30,
    "confirm": True,
}
"""Parameters that models add because many tools have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """What a corruption starts from: a task, and the message that its target describes."""

    task: Task
    message: Message

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The gold calls."""
        return self.message.tool_calls

    @property
    def words(self) -> list[str]:
        """The words of the request, in order, the user's only."""
        said = [one.content for one in self.task.messages if one.role == "user"]
        return [found for text in said if isinstance(text, str) for found in WORD.findall(text)]

    def tool(self, name: str) -> ToolSpec | None:
        """The declared tool of a name."""
        return next((tool for tool in self.task.tools if tool.name == name), None)

    def with_calls(self, calls: Sequence[ToolCall]) -> Message:
        """The message with other calls; its text and its thought stay."""
        return replace(self.message, tool_calls=tuple(calls))


Change = Callable[[Gold, random.Random], Iterator[Message]]


def _each(gold: Gold, rng: random.Random) -> Iterator[tuple[ToolCall, Callable[..., Message]]]:
    """Every call, with a function that makes the message in which it is another one."""
    for place in shuffled(list(range(len(gold.calls))), rng):
        call = gold.calls[place]

        def put(*, place: int = place, call: ToolCall = call, **fields: JsonValue) -> Message:
            name = fields.get("name", call.name)
            given = fields.get("arguments", call.arguments)
            other = ToolCall(name=str(name), arguments=given)
            return gold.with_calls((*gold.calls[:place], other, *gold.calls[place + 1 :]))

        yield call, put


def _given(call: ToolCall) -> dict[str, JsonValue]:
    return dict(call.arguments) if isinstance(call.arguments, Mapping) else {}


def wrong_tool(gold: Gold, rng: random.Random) -> Iterator[Message]:
    """Another declared tool; its parameters get the values that were meant for the right one."""
    wanted = {call.name for call in gold.calls}
    for call, put in _each(gold, rng):
        others = [tool for tool in gold.task.tools if tool.name not in wanted]
        for tool in shuffled(others, rng):
            given = _given(call)
            spare = [value for key, value in given.items() if key not in _names(tool)]
            made: dict[str, JsonValue] = {}
            for name in required(tool.parameters) or _names(tool)[:1]:
                schema = properties(tool.parameters).get(name)
                made[name] = (
                    given[name]
                    if name in given
                    else spare.pop(0)
                    if spare
                    else made_up(schema, gold.words, rng)
                )
            yield put(name=tool.name, arguments=made)


def hallucinated_tool(gold: Gold, rng: random.Random) -> Iterator[Message]:
    """A name that sounds right and was not declared."""
    declared = {tool.name for tool in gold.task.tools}
    for call, put in _each(gold, rng):
        parts = call.name.split("_")
        verbs = [verb for verb in ("get", "find", "run", "fetch", "do") if verb != parts[0]]
        names = [
            f"{rng.choice(verbs)}_{'_'.join(parts[1:]) if len(parts) > 1 else call.name}",
            f"{call.name}_{rng.choice(('info', 'now', 'data', 'v2', 'tool'))}",
            "_".join(reversed(parts)),
            parts[-1],
            parts[0] + "".join(part.capitalize() for part in parts[1:]),
        ]
        for name in shuffled(names, rng):
            if name and name not in declared:
                yield put(name=name)


def missing_argument(gold: Gold, rng: random.Random) -> Iterator[Message]:
    """A required argument is left out; any one where none is required."""
    for call, put in _each(gold, rng):
        given, tool = _given(call), gold.tool(call.name)
        must = [name for name in required(tool.parameters if tool else None) if name in given]
        for name in shuffled(must or list(given), rng):
            yield put(arguments={key: value for key, value in given.items() if key != name})


def extra_argument(gold: Gold, rng: random.Random) -> Iterator[Message]:
    """An argument that the tool does not take; another declared tool's, if there is one."""
    for call, put in _each(gold, rng):
        given, tool = _given(call), gold.tool(call.name)
        known = {*given, *(_names(tool) if tool else ())}
        others: dict[str, JsonValue] = {
            name: made_up(schema, gold.words, rng)
            for other in gold.task.tools
            for name, schema in properties(other.parameters).items()
        }
        for source in (others, EXTRAS):
            for name in shuffled([name for name in source if name not in known], rng):
                yield put(arguments={**given, name: source[name]})


def wrong_type(gold: Gold, rng: random.Random) -> Iterator[Message]:
    """The right value in another JSON type."""
    for call, put in _each(gold, rng):
        given = _given(call)
        for name in shuffled(list(given), rng):
            for value in retyped(given[name], rng):
                yield put(arguments={**given, name: value})


def swapped_arguments(gold: Gold, rng: random.Random) -> Iterator[Message]:
    """The values of two arguments of one type, each under the other's name."""
    for call, put in _each(gold, rng):
        given = _given(call)
        names = list(given)
        pairs = [
            (left, right)
            for place, left in enumerate(names)
            for right in names[place + 1 :]
            if type(given[left]) is type(given[right]) and given[left] != given[right]
        ]
        for left, right in shuffled(pairs, rng):
            yield put(arguments={**given, left: given[right], right: given[left]})


def wrong_value(gold: Gold, rng: random.Random) -> Iterator[Message]:
    """Another value of the same type, from the request where there is one."""
    for call, put in _each(gold, rng):
        given, tool = _given(call), gold.tool(call.name)
        schemas = properties(tool.parameters) if tool else {}
        for name in shuffled(list(given), rng):
            for value in changed(given[name], schemas.get(name), gold.words, rng):
                yield put(arguments={**given, name: value})


def missing_call(gold: Gold, rng: random.Random) -> Iterator[Message]:
    """One of several calls is left out."""
    if len(gold.calls) > 1:
        for place in shuffled(list(range(len(gold.calls))), rng):
            yield gold.with_calls((*gold.calls[:place], *gold.calls[place + 1 :]))


def extra_call(gold: Gold, rng: random.Random) -> Iterator[Message]:
    """A call beside the right ones: of another tool, or one of them again."""
    if gold.calls:
        wanted = {call.name for call in gold.calls}
        for tool in shuffled([tool for tool in gold.task.tools if tool.name not in wanted], rng):
            yield gold.with_calls((*gold.calls, _invented(tool, gold, rng)))
        yield gold.with_calls((*gold.calls, rng.choice(gold.calls)))


def call_not_due(gold: Gold, rng: random.Random) -> Iterator[Message]:
    """A call where an answer is wanted."""
    if not gold.calls:
        for tool in shuffled(list(gold.task.tools), rng):
            call = _invented(tool, gold, rng)
            yield Message(role="assistant", reasoning=gold.message.reasoning, tool_calls=(call,))


def no_call(gold: Gold, rng: random.Random) -> Iterator[Message]:
    """An answer where a call is due: a promise, a claim, a refusal, or the call told in words."""
    if gold.calls:
        told = f"To answer this, I would use {' and '.join(call.name for call in gold.calls)}."
        for text in shuffled([*PROMISES, told], rng):
            yield Message(role="assistant", content=text, reasoning=gold.message.reasoning)


CHANGES: Mapping[str, Change] = {
    "wrong-tool": wrong_tool,
    "hallucinated-tool": hallucinated_tool,
    "missing-argument": missing_argument,
    "extra-argument": extra_argument,
    "wrong-type": wrong_type,
    "swapped-arguments": swapped_arguments,
    "wrong-value": wrong_value,
    "missing-call": missing_call,
    "extra-call": extra_call,
    "call-not-due": call_not_due,
    "no-call": no_call,
}
"""Corruptions of what is said, by the reason that their pairs get."""

NAMES = (*CHANGES, *DAMAGES)
"""All of them; the options list the same."""


def changes(name: str, gold: Gold, seed: int) -> list[Message]:
    """The candidates of one corruption of `CHANGES`, the same for the same seed and task."""
    return _first(CHANGES[name](gold, generator(seed, gold.task.id, name)))


def damages(name: str, task: str, written: Prompt, raw: str, seed: int) -> list[Prompt]:
    """The same for `DAMAGES`: `written` is the right completion, `raw` the text of one call."""
    if not raw or raw not in written.text:
        return []
    return _first(DAMAGES[name](written, raw, generator(seed, task, name)))


def generator(seed: int, *names: str) -> random.Random:
    """A generator of its own for everything that has a name; the same in every process."""
    digest = hashlib.sha256("\0".join((str(seed), *names)).encode("utf-8", "surrogatepass"))
    return random.Random(int.from_bytes(digest.digest()[:8], "big"))


def _first(found: Iterator[Item]) -> list[Item]:
    return list(islice(found, CANDIDATES))


def _invented(tool: ToolSpec, gold: Gold, rng: random.Random) -> ToolCall:
    made = arguments(tool.parameters, gold.words, rng) if tool.parameters else {}
    return ToolCall(name=tool.name, arguments=made)


def _names(tool: ToolSpec) -> list[str]:
    return list(properties(tool.parameters))
