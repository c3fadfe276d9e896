"""What stands in an official result file for an episode of ours. Pure."""

from __future__ import annotations

from typing import Any

from callsmith import Trace, Turn
from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.data import Entry
from callsmith_bfcl.scoring import Mode, official_result

FAILED = "Error during inference: "
"""How the official tool begins the result of an entry whose generation failed."""


def result_of(entry: Entry, trace: Trace, mode: Mode) -> Any:
    """The `result` of an entry: one step for single-turn entries, turns of steps for the others.

    An episode that failed before the model said anything has the text of its error.
    """
    said = [turn for turn in trace.turns if turn.reply is not None]
    if not said:
        return FAILED + (trace.error or "the model said nothing")
    if CATEGORIES[entry.category].kind != "multi_turn":  # three of these have one turn only
        return _step(said[0], mode)
    turns: list[list[Any]] = [[]]
    for before, turn in zip((None, *said), said, strict=False):
        # A reply without results has answered its question; what follows begins the next turn.
        if before is not None and not before.results:
            turns.append([])
        turns[-1].append(_step(turn, mode))
    return turns


def _step(turn: Turn, mode: Mode) -> Any:
    assert turn.reply is not None  # the caller saw to it
    return turn.reply.content if mode == "prompting" else official_result(turn.reply)


def record_of(entry: Entry, trace: Trace, mode: Mode) -> dict[str, Any]:
    """One line of a result file: id, result, token counts and seconds where they are known."""
    record: dict[str, Any] = {"id": entry.id, "result": result_of(entry, trace, mode)}
    usage = [
        turn.reply.completion.usage
        for turn in trace.turns
        if turn.reply is not None and turn.reply.completion is not None
    ]
    asked = [item.prompt_tokens for item in usage if item is not None]
    given = [item.completion_tokens for item in usage if item is not None]
    if asked and None not in asked:
        record["input_token_count"] = sum(count or 0 for count in asked)
    if given and None not in given:
        record["output_token_count"] = sum(count or 0 for count in given)
    record["latency"] = round(sum(turn.seconds for turn in trace.turns), 3)
    return record
