"""Wrong values in place of right ones: what a model writes when it nearly read the request. Pure.

Every function gives candidates in a random, seeded order. None of them says that a candidate is
wrong: the verifiers do, afterwards.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

from callsmith import JsonValue

Item = TypeVar("Item")
Schema: TypeAlias = "Mapping[str, JsonValue] | JsonValue"

WORD = re.compile(r"\w[\w.-]*\w|\w")
FILLERS = ("default", "unknown", "example", "none", "test")


def changed(
    value: JsonValue, schema: Schema, words: list[str], rng: random.Random
) -> Iterator[JsonValue]:
    """Other values of the same type. `words` are those of the request, `schema` the parameter's."""
    options = schema.get("enum") if isinstance(schema, Mapping) else None
    if isinstance(options, list):
        yield from shuffled([option for option in options if option != value], rng)
        return
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from _numbers(value, rng)
    elif isinstance(value, str):
        yield from _texts(value, words, rng)
    elif isinstance(value, list):
        yield from _lists(value, words, rng)
    elif isinstance(value, Mapping):
        for key in shuffled(list(value), rng):
            for other in changed(value[key], _property(schema, key), words, rng):
                yield {**value, key: other}


def retyped(value: JsonValue, rng: random.Random) -> Iterator[JsonValue]:
    """The same value, in another JSON type."""
    if isinstance(value, bool | int | float) or value is None:
        yield json.dumps(value)
        yield [value]
    elif isinstance(value, str):
        digits = re.sub(r"\D", "", value)[:9]
        others: list[JsonValue] = [[value], int(digits or len(value)), {"value": value}]
        yield from shuffled(others, rng)
    elif isinstance(value, list):
        if value:
            yield value[0]
        yield json.dumps(value)
    else:
        yield json.dumps(value)
        yield [dict(value)]


def made_up(schema: Schema, words: list[str], rng: random.Random) -> JsonValue:
    """A value of the type that a parameter's schema names; text where it names none."""
    if not isinstance(schema, Mapping):
        schema = {}
    options, kind = schema.get("enum"), schema.get("type")
    if isinstance(options, list) and options:
        return options[rng.randrange(len(options))]
    if isinstance(kind, list) and kind:
        kind = kind[0]
    match kind:
        case "integer":
            return rng.randint(1, 20)
        case "number":
            return rng.randint(1, 200) / 2
        case "boolean":
            return rng.random() < 0.5
        case "array":
            return [made_up(schema.get("items"), words, rng)]
        case "object":
            return arguments(schema, words, rng)
        case "null":
            return None
    return word(words, rng)


def arguments(
    parameters: Mapping[str, JsonValue], words: list[str], rng: random.Random
) -> dict[str, JsonValue]:
    """A value for every required parameter; for the first one where none is required."""
    names = required(parameters) or list(properties(parameters))[:1]
    return {name: made_up(_property(parameters, name), words, rng) for name in names}


def properties(parameters: Schema) -> Mapping[str, JsonValue]:
    """The parameters that a tool's schema names."""
    found = parameters.get("properties") if isinstance(parameters, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def required(parameters: Schema) -> list[str]:
    """The names of those that must be there."""
    found = parameters.get("required") if isinstance(parameters, Mapping) else None
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def word(words: list[str], rng: random.Random) -> str:
    """One word of the request."""
    return words[rng.randrange(len(words))] if words else rng.choice(FILLERS)


def shuffled(items: Sequence[Item], rng: random.Random) -> list[Item]:
    """The same items, in a random order."""
    return rng.sample(items, len(items))


def _property(schema: Schema, name: str) -> JsonValue:
    return properties(schema).get(name)


def _numbers(value: int | float, rng: random.Random) -> Iterator[JsonValue]:
    step = rng.choice((1, 2, 5, 10))
    yield from shuffled([value + step, value - step, value * 10, value * 2], rng)
    yield value + 1


def _texts(value: str, words: list[str], rng: random.Random) -> Iterator[JsonValue]:
    own = set(WORD.findall(value.casefold()))
    others = [one for one in dict.fromkeys(words) if one.casefold() not in own]
    parts = value.split()
    found: list[JsonValue] = []
    if others:
        found.append(word(others, rng))  # a word of the request that belongs elsewhere
    if len(parts) > 1:
        cut = rng.choice((parts[:-1], parts[1:]))  # only a part of a name
        found.append(" ".join(cut))
    if len(value) > 3:
        place = rng.randrange(1, len(value) - 1)
        found.append(value[:place] + value[place + 1 :])  # a slip of copying
    if others and value:
        found.append(f"{value} {word(others, rng)}")  # too much of the request
    yield from shuffled(found, rng)
    yield from shuffled([one for one in FILLERS if one != value], rng)


def _lists(value: list[JsonValue], words: list[str], rng: random.Random) -> Iterator[JsonValue]:
    if not value:
        yield [word(words, rng)]
        return
    place = rng.randrange(len(value))
    found: list[JsonValue] = [value[:place] + value[place + 1 :]]
    other = next(changed(value[place], None, words, rng), None)
    if other is not None:
        found.append([*value[:place], other, *value[place + 1 :]])
    found.append([*value, value[place]])
    yield from shuffled(found, rng)
