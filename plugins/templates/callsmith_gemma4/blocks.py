"""From the text of a block (between `<|tool_call>` and what ends it) to calls and faults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from callsmith import JsonValue
from callsmith_gemma4.reader_state import Ended, Mend, UnreadableError
from callsmith_gemma4.schemas import (
    item_schema,
    property_schema,
    takes_nothing,
    wants_text,
)
from callsmith_gemma4.strict_reader import HEAD, NAME, TooDeepError, read_object
from callsmith_gemma4.tolerant_reader import TolerantReader

RepairPolicy = Literal["off", "unambiguous", "schema"]

_LOOSE_HEAD: Final = re.compile(rf"(\s*+)((?::?call::?|:)?+)(\s*+)({NAME})(\s*+)(?=[{{(])")
_WITHOUT_BRACES: Final = re.compile(rf"\s*+:?(?:call:)?\s*+({NAME})\s*+")
_BRACES: Final = re.compile(r"\}*+")
_SEPARATOR: Final = re.compile(r"\s*+,?\s*+(?=:?call:)")


class ReadCall(NamedTuple):
    """A call that was read from `text[start:end]` of a block, and what was mended for it."""

    name: str
    arguments: JsonValue
    start: int
    end: int
    mends: list[Mend]


class Refused(NamedTuple):
    """The rest of a block, from `start` on, that was not read."""

    kind: str
    detail: str
    start: int


def read_block(
    text: str,
    ended: Ended,
    schemas: Mapping[str, Mapping[str, JsonValue] | None],
    policy: RepairPolicy,
    max_depth: int,
) -> tuple[list[ReadCall], Refused | None]:
    """The calls of a block, in order, and what stopped the reading, if anything did.

    `schemas` are the tools' parameters by name.
    """
    match = HEAD.match(text)
    if match is not None and text.endswith("}"):
        name = match.group(1)
        try:
            found = read_object(text, match.end(), max_depth)
        except TooDeepError as error:
            return [], Refused("depth", str(error), 0)
        if found is not None:
            arguments, scalars = found
            calls = [ReadCall(name, arguments, 0, len(text), [])]
            if scalars and policy == "schema" and schemas:
                schema = schemas.get(name)
                if schema is not None and has_misfit(arguments, schema):
                    by_schema, refused = _read_tolerantly(text, ended, schemas, policy, max_depth)
                    return (calls if refused else by_schema), None
            return calls, None
    return _read_tolerantly(text, ended, schemas, policy, max_depth)


def has_misfit(arguments: dict[str, JsonValue], schema: object) -> bool:
    """Whether any number, `true` or `false` stands where `schema` allows only text."""
    if not isinstance(schema, Mapping):
        return False
    pending: list[tuple[JsonValue, object]] = [(arguments, schema)]
    while pending:
        value, here = pending.pop()
        if here is None or value is None or isinstance(value, str):
            continue
        if isinstance(value, dict):
            for key, item in value.items():
                pending.append((item, property_schema(here, key, schema)))
        elif isinstance(value, list):
            inner = item_schema(here, schema)
            pending.extend([(item, inner) for item in value])
        elif wants_text(here, schema):
            return True
    return False


def _read_tolerantly(
    text: str,
    ended: Ended,
    schemas: Mapping[str, Mapping[str, JsonValue] | None],
    policy: RepairPolicy,
    max_depth: int,
) -> tuple[list[ReadCall], Refused | None]:
    calls: list[ReadCall] = []
    at = 0
    while True:
        reader = TolerantReader(text, ended, max_depth)
        try:
            call = _read_call(reader, at, schemas, policy)
        except UnreadableError as error:
            return calls, Refused(error.kind, error.detail, at)
        at = call.end
        if text.startswith("}", at):
            run = _BRACES.match(text, at)
            end = run.end() if run else at
            reader.mend("extra-close-brace", "braces too many", at, end)
            at = end
        rest = _SEPARATOR.match(text, at)
        last = rest is None
        if last and text[at:].strip():
            return calls, Refused("malformed", "text after the end of a call", call.start)
        if calls:
            reader.mend("several-calls-in-block", "another call in the same block", call.start, at)
        elif last and at < len(text):
            reader.space(at)
        if policy == "off" and reader.mends:
            kinds = ", ".join(sorted({mend.kind for mend in reader.mends}))
            return calls, Refused(reader.mends[0].kind, f"needs repair: {kinds}", call.start)
        calls.append(call)
        if rest is None:
            return calls, None
        at = rest.end()


def _read_call(
    reader: TolerantReader,
    at: int,
    schemas: Mapping[str, Mapping[str, JsonValue] | None],
    policy: RepairPolicy,
) -> ReadCall:
    text = reader.text
    known = _known_name(text, at, schemas)
    if known is not None:
        name, brace = known
        arguments, end = reader.read(brace, schemas[name] if policy == "schema" else None)
        return ReadCall(name, arguments, at, end, reader.mends)
    head = _LOOSE_HEAD.match(text, at)
    if head is None:
        return _read_without_braces(reader, at, schemas, policy)
    before, prefix, between, name, behind = head.groups()
    if prefix != "call:":
        written = prefix or "nothing"
        reader.mend("missing-prefix", f"{written} for `call:`", head.start(2), head.start(4))
    if before or between or behind:
        reader.space(head.start(1) if before else head.start(3) if between else head.start(5))
    schema = schemas.get(name) if policy == "schema" else None
    arguments, end = reader.read(head.end(), schema)
    return ReadCall(name, arguments, head.start(2), end, reader.mends)


def _known_name(text: str, at: int, schemas: Mapping[str, object]) -> tuple[str, int] | None:
    """A tool's name that stands exactly, with whatever characters, between `call:` and a brace."""
    if not schemas or not text.startswith("call:", at):
        return None
    start = at + len("call:")
    brace = text.find("{", start, start + max(map(len, schemas)) + 1)
    name = text[start:brace]
    return (name, brace) if brace >= 0 and name in schemas else None


def _read_without_braces(
    reader: TolerantReader,
    at: int,
    schemas: Mapping[str, Mapping[str, JsonValue] | None],
    policy: RepairPolicy,
) -> ReadCall:
    text = reader.text
    if not text[at:].strip():
        kind = "cut" if reader.ended == "end" else "empty-call"
        raise UnreadableError(kind, at, "no call in the block")
    match = _WITHOUT_BRACES.fullmatch(text, at)
    if match is None:
        raise UnreadableError("malformed", at, "no name and arguments")
    if reader.ended == "end":
        raise UnreadableError("cut", at, "the text ends before the arguments")
    name = match.group(1)
    if policy != "schema" or name not in schemas or not takes_nothing(schemas[name], schemas[name]):
        raise UnreadableError("malformed", at, "no arguments")
    reader.mend("missing-arguments", "none, as the schema allows", match.end(1), match.end(1))
    return ReadCall(name, {}, match.start(1), match.end(1), reader.mends)
