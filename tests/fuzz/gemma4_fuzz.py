"""Mutation fuzzing of the Gemma 4 decoder, from a kept corpus.

    python tests/fuzz/gemma4_fuzz.py --minutes 10 --seed 1 [--keep]

Texts are mutated (tokens put in, spans cut, doubled, swapped, two texts spliced) and read under
random options. A text whose reading shows two repairs or faults together that no text before it
showed joins the pool; with `--keep` the new ones are written to the corpus, shortest
first. Every text is checked (`check`); what fails is printed with its options and ends the run.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from callsmith import CallParsed, ContentDelta, Event, ReasoningDelta, Reply, ToolSpec
from callsmith_gemma4.control_tokens import CONTROL_TOKENS
from callsmith_gemma4.decoder import Gemma4Decoder
from callsmith_gemma4.kinds import FAULT_KINDS, REPAIR_KINDS, SCHEMA_REPAIRS

CORPUS = Path(__file__).with_name("corpus") / "gemma4.jsonl"
LONGEST = 400
LONGEST_KEPT = 120
SENTINEL = "Z"
"""A letter of no token and no keyword: as many as go in must come out."""

TOOLS = (
    ToolSpec(
        name="f",
        parameters={
            "type": "object",
            "properties": {
                "a": {"type": "string"},
                "b": {"type": "integer"},
                "c": {"type": "array", "items": {"type": "string"}},
                "d": {"type": "object", "properties": {"a": {"type": "string"}}},
            },
        },
    ),
    ToolSpec(name="g", parameters={"type": "object", "properties": {}}),
    ToolSpec(name="x (y)"),
)
PIECES = [
    *sorted(CONTROL_TOKENS.tokens),
    *"{}[](),:='\"\\ \n\t<|>Z",
    *("call:", "call:f{", "call:g{}", "call:f(", "a:", "b:", "c:[", "d:{", "a=", ":f{"),
    *('<|"|>', '<|"|>,', '<|"|>}', 'a:<|"|>Z<|"|>', "}<tool_call|>", "<|tool_call>call:f{"),
    *("thought\n", "response\n", "response:f{", "<|channel>thought\n", "\n<channel|>", "<pad>"),
    *("true", "null", "None", "1", "-2.5e3", "007", "9" * 650, "1e999", "Z Z", "it's", "http://Z"),
    *('"Z"', "'Z'", "Z, Z", "\ncall:f{", "\n\n", "é", "\ud800", "\u2028", "x (y)"),
]


def options_of(rnd: random.Random) -> dict[str, Any]:
    """Random options of a reading; `tools` among them."""
    return {
        "tools": TOOLS if rnd.random() < 0.7 else (),
        "start": rnd.choice(("content", "content", "thought")),
        "repair": rnd.choice(("off", "unambiguous", "schema", "schema")),
        "max_depth": rnd.choice((1, 3, 128)),
    }


def read(pieces: Sequence[str], options: dict[str, Any]) -> tuple[Reply, list[Event]]:
    """The reply and all events of a text that comes in pieces."""
    own = dict(options)
    decoder = Gemma4Decoder(own.pop("tools"), **own)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return decoder.close(), events


def check(text: str, options: dict[str, Any], cuts: Sequence[int]) -> Reply:
    """Reads a text in three chunkings and asserts all that must hold of any text."""
    reply, _ = read([text], options)
    edges = [0, *sorted(cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    for chunks in (pieces, list(text)):
        other, events = read(chunks, options)
        assert other == reply, "another chunking, another reply"
        content = "".join([event.text for event in events if isinstance(event, ContentDelta)])
        thoughts = "".join([event.text for event in events if isinstance(event, ReasoningDelta)])
        assert reply.content.startswith(content)
        assert reply.reasoning.startswith(thoughts)
        parsed = tuple([event.call for event in events if isinstance(event, CallParsed)])
        assert reply.calls[: len(parsed)] == parsed
    raws = [call.raw for call in reply.calls] + [fault.raw for fault in reply.faults]
    told = sum(part.count(SENTINEL) for part in (reply.content, reply.reasoning, *raws))
    assert told == text.count(SENTINEL), "text was lost or told twice"
    off = options["repair"] == "off"
    for fault in reply.faults:
        assert fault.kind in FAULT_KINDS or (off and fault.kind in REPAIR_KINDS)
        assert fault.span is not None
        assert text[slice(*fault.span)] == fault.raw, "a span beside its text"
    for repair in reply.repairs:
        assert repair.kind in REPAIR_KINDS
        assert repair.span is not None
        assert 0 <= repair.span[0] <= repair.span[1] <= len(text)
        assert options["repair"] == "schema" or repair.kind not in SCHEMA_REPAIRS
    assert not (off and reply.repairs)
    return reply


def features(reply: Reply) -> set[frozenset[str]]:
    """What a reading showed: every kind of note, and every two of them together."""
    shown = [
        *(f"fault {kind}" for kind in {fault.kind for fault in reply.faults}),
        *(f"repair {kind}" for kind in {repair.kind for repair in reply.repairs}),
        *(f"{count} calls" for count in (1, 2, 3) if len(reply.calls) >= count),
        *(["content"] if reply.content else []),
        *(["reasoning"] if reply.reasoning else []),
    ]
    return {frozenset((one, other)) for one in shown for other in shown}


def mutate(text: str, pool: Sequence[str], rnd: random.Random) -> str:
    """A text a few random changes away."""
    for _ in range(rnd.randint(1, 4)):
        at = rnd.randint(0, len(text))
        end = min(len(text), at + rnd.randint(1, 12))
        match rnd.randrange(7):
            case 0 | 1:
                text = text[:at] + rnd.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + text[end:]
            case 3:
                text = text[:at] + rnd.choice(PIECES) + text[end:]
            case 4:
                text = text[:end] + text[at:end] * rnd.randint(1, 3) + text[end:]
            case 5:
                other = rnd.choice(pool)
                text = text[:at] + other[rnd.randint(0, len(other)) :]
            case _:
                text = text[:at]
    return text[:LONGEST]


def load_corpus() -> list[str]:
    """The kept texts."""
    return [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]


def save_corpus(texts: Sequence[str]) -> None:
    """Writes the kept texts, shortest first, one JSON string a line."""
    ordered = sorted(set(texts), key=lambda text: (len(text), text))
    lines = [json.dumps(text, ensure_ascii=True) for text in ordered]
    CORPUS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Fuzzes for a time. 0: nothing found; 1: a text failed."""
    parser = argparse.ArgumentParser(description="Fuzz the Gemma 4 decoder.")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="add new texts to the corpus")
    given = parser.parse_args()
    rnd = random.Random(given.seed)
    pool = load_corpus() or [""]
    seen: set[frozenset[str]] = set()
    new: list[str] = []
    for text in pool:
        for repair in ("off", "unambiguous", "schema"):
            options = {**options_of(rnd), "tools": TOOLS, "start": "content", "repair": repair}
            seen |= features(check(text, options, ()))
    executions = 0
    slowest = 0.0
    end = time.monotonic() + 60 * given.minutes
    while time.monotonic() < end:
        text = mutate(rnd.choice(pool), pool, rnd)
        options = options_of(rnd)
        cuts = sorted(rnd.randint(0, len(text)) for _ in range(rnd.randint(0, 4)))
        began = time.thread_time()
        try:
            reply = check(text, options, cuts)
        except Exception as error:
            print(f"FAILED after {executions} texts: {error!r}")
            print(f"text = {text!r}\noptions = {options!r}\ncuts = {cuts!r}")
            return 1
        executions += 1
        slowest = max(slowest, time.thread_time() - began)
        shown = features(reply)
        if not shown <= seen:
            seen |= shown
            pool.append(text)
            new.append(text)
    print(
        f"{executions} texts, 3 readings each, in {given.minutes:g} min; {len(seen)} pairs of "
        f"features; {len(new)} new texts; slowest text {slowest * 1000:.1f} ms; nothing found"
    )
    if given.keep:
        save_corpus([*load_corpus(), *(text for text in new if len(text) <= LONGEST_KEPT)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
